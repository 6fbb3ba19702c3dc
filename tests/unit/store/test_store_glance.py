"""A glance at a store tells who its nodes are, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.model.inventory import Connection
from shipyard.model.node import Node
from shipyard.store.glance import known_nodes
from shipyard.store.records import StoredNode
from shipyard.store.store import Store


def test_the_nodes_of_a_store(store: Store, url: str) -> None:
    assert known_nodes(url) == ()
    store.save_nodes([StoredNode(Node(name), Connection(), 1.0, None) for name in ("node2", "node10", "a % b")])
    assert known_nodes(url) == ("a % b", "node10", "node2")


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4096])
def test_no_store_is_no_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state?.db"
    if content is not None:
        path.write_bytes(content)
    assert known_nodes(str(path)) == ()


def test_a_store_elsewhere_is_not_looked_at() -> None:
    assert known_nodes("postgresql://shipyard@db.example/shipyard") == ()
    assert known_nodes("nonsense://x") == ()
