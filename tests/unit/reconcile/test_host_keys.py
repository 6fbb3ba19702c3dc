"""Whose host keys `nodes trust` asks for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from shipyard.base.errors import Unreachable
from shipyard.files.inventory import load
from shipyard.reconcile import nodecare
from shipyard.reconcile.session import Session
from shipyard.transport.hostkeys import HostKey


def test_only_what_is_reached_by_ssh_is_asked_and_one_that_is_silent_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").write_text("localhost ansible_connection=local\nnode1\nnode2\n")
    inventory = load((str(tmp_path / "hosts"),), cwd=tmp_path)
    asked = []

    def scan(node: str, *_: object, **__: object) -> tuple[HostKey, ...]:
        asked.append(node)
        raise Unreachable(node, "no route to host")

    monkeypatch.setattr("shipyard.transport.hostkeys.scan", scan)
    session = SimpleNamespace(
        inventory=inventory,
        store=SimpleNamespace(nodes=lambda: ()),
        settings=SimpleNamespace(forks=5),
        opening=SimpleNamespace(options=None),
    )
    keys, errors = nodecare.host_keys(cast(Session, session), "all")
    assert (keys, sorted(asked), [error.node for error in errors]) == ([], ["node1", "node2"], ["node1", "node2"])
    assert nodecare.host_keys(cast(Session, session), "localhost") == ([], [])
