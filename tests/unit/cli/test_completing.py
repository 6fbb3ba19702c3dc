"""What Tab completes behind a command's name, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shipyard.model.inventory import Connection
from shipyard.model.memory import Memory, Placement
from shipyard.model.node import Node
from shipyard.store.records import StoredNode
from shipyard.store.store import Store

PLACED = (Placement("shop", "api", 1, "n1", 1, 1), Placement("shop", "web", 12, "n2", 1, 1))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shipyard.toml").write_text('database = "state.db"\ninventory = ["hosts.yml"]\n')
    with Store.open(str(tmp_path / "state.db")) as store:
        store.save_memory(Memory(placements=PLACED))
        store.save_nodes([StoredNode(Node(name), Connection()) for name in ("node1", "node2")])
    return tmp_path


def completed(folder: Path, line: str) -> list[str]:
    """The words that bash would offer for the last one of this line."""
    asking = {"_SHIPYARD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    answer = subprocess.run(
        [sys.executable, "-m", "shipyard"],
        cwd=folder,
        env={**os.environ, **asking},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    return [each.partition(",")[2] for each in answer.stdout.split()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shipyard rollback s", ["shop"]),
        ("shipyard ps ", ["shop"]),
        ("shipyard rm x", []),
        ("shipyard restart shop/", ["shop/api", "shop/web"]),
        ("shipyard scale shop/w", ["shop/web"]),
        ("shipyard exec shop/a", ["shop/api"]),
        ("shipyard exec shop/web", ["shop/web.12"]),
        ("shipyard logs s", ["shop"]),
        ("shipyard logs shop/w", ["shop/web"]),
        ("shipyard drain node", ["node1", "node2"]),
        ("shipyard nodes remove node2", ["node2"]),
        ("shipyard --database other.db rollback s", []),
    ],
)
def test_names_that_the_store_knows_are_completed(project: Path, line: str, words: list[str]) -> None:
    assert completed(project, line) == words


@pytest.mark.parametrize("settings", ["", "database = 1\n", "no toml"])
def test_without_a_store_nothing_is_completed_and_nothing_is_said(tmp_path: Path, settings: str) -> None:
    (tmp_path / "shipyard.toml").write_text(settings)
    assert completed(tmp_path, "shipyard rollback s") == []
    assert [each.name for each in tmp_path.iterdir()] == ["shipyard.toml"]
