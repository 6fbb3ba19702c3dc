"""A glance at a store tells who its nodes are and what they are asked, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.model.inventory import Connection
from shipyard.model.node import Node
from shipyard.store.glance import Glance, glance
from shipyard.store.records import StoredNode
from shipyard.store.store import Store

NAMES = ("a % b", "node10", "node2")


def test_what_a_store_knows(store: Store, url: str) -> None:
    assert glance(url) == Glance()
    store.save_nodes([StoredNode(Node(name), Connection(), 1.0, None) for name in reversed(NAMES)])
    assert glance(url) == Glance(NAMES)
    held = store.acquire("me@here", 100.0, 60.0)
    passed = store.begin_pass(kind="reconcile", holder="me@here", now=101.0)
    store.end_pass(passed, result="converged", now=102.0, changes=0)
    store.save_questions({"node2": "{}", "node10": "old"})
    store.save_questions({"node2": "{}", "a % b": "[]"})
    assert glance(url) == Glance(NAMES), "somebody is at work"
    store.release(held)
    assert glance(url) == Glance(NAMES, {"node2": "{}", "a % b": "[]"}, held.epoch, "converged", 102.0, 1)


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4096])
def test_no_store_is_no_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state?.db"
    if content is not None:
        path.write_bytes(content)
    assert glance(str(path)) == Glance()


def test_a_store_elsewhere_is_not_looked_at() -> None:
    assert glance("postgresql://shipyard@db.example/shipyard") == Glance()
    assert glance("nonsense://x") == Glance()
