"""Every case of tests/cases/playbooks: what good playbooks come to, and what bad ones are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.model import canonical
from shipyard.model.spec import StackSpec
from tests.playbook_project import Project, wrap

CASES = Path(__file__).parents[2] / "cases" / "playbooks"
KINDS = {"service": "s", "play": "t", "playbook": "p"}


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["what"]) for case in yaml.safe_load((CASES / name).read_text())]


def written(case: dict[str, Any]) -> str:
    kind = next(kind for kind in KINDS if kind in case)
    return wrap(KINDS[kind], case[kind].rstrip("\n") if kind != "playbook" else case[kind])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("case", cases("good.yml"))
def test_what_it_comes_to(case: dict[str, Any], project: Project) -> None:
    loaded = project.load(written(case))
    expected = case["stacks"] if "stacks" in case else [_whole_stack(case)]
    assert [json.loads(canonical.dumps(stack)) for stack in loaded.stacks] == expected
    assert [canonical.loads(StackSpec, canonical.dumps(stack)) for stack in loaded.stacks] == list(loaded.stacks)
    notices = [notice.replace(f"{project.folder}/playbooks/", "") for notice in loaded.notices]
    assert notices == case.get("notices", [])


def _whole_stack(case: dict[str, Any]) -> dict[str, Any]:
    """What a case leaves out, since it is the same in most."""
    container = {"image": "nginx", **case["container"]}
    stack: dict[str, Any] = {"name": "shop", "networks": [{"key": "default", "name": "shop_default"}]}
    if "network_mode" in container:
        del stack["networks"]
    else:
        container.setdefault("networks", [{"aliases": ["web"], "network": "shop_default"}])
    service = {"container": container, "name": "web", "file": "playbooks/play.yml", **case.get("beside", {})}
    return {**stack, "services": [service]}


@pytest.mark.parametrize("case", cases("bad.yml"))
def test_what_it_is_told(case: dict[str, Any], project: Project) -> None:
    assert project.errors(written(case)) == case["says"].rstrip("\n")
