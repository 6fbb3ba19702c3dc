"""A fresh store for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.model.container import ContainerSpec
from shipyard.model.plan import Action, PullImage
from shipyard.model.spec import ServiceSpec, StackSpec
from shipyard.store import default_url
from shipyard.store.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return default_url(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the store's file."""
    return tmp_path / ".shipyard" / "state.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def stack(name: str, image: str) -> StackSpec:
    """A stack of one service."""
    return StackSpec(name, services=(ServiceSpec("web", ContainerSpec(image)),))


def pull(number: int, node: str = "node1") -> Action:
    """The simplest of actions."""
    return Action(number, node, "guestbook/web.1", "Missing", "the image is not there", PullImage("redis:7"))


@pytest.fixture(name="stack")
def stack_fixture() -> object:
    return stack


@pytest.fixture(name="pull")
def pull_fixture() -> object:
    return pull
