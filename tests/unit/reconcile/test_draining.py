"""What people decide about nodes is in the store at once, whoever holds the lease."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, UsageError
from shipyard.files.inventory import load
from shipyard.model.memory import Memory, Placement
from shipyard.model.node import Availability, Node
from shipyard.model.progress import Unwatched
from shipyard.model.request import DrainRequest
from shipyard.reconcile import draining
from shipyard.reconcile.session import Session
from shipyard.store.store import Store


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    (tmp_path / "hosts").write_text("[rack1]\nn1\nn2\n[rack2]\nn3\n")
    with Store.open(f"sqlite:///{tmp_path / 'state.db'}") as store:
        made: Any = SimpleNamespace(store=store, inventory=load(["hosts"], cwd=tmp_path), now=lambda: 1000.0)
        yield cast("Session", made)


def kept(session: Session) -> dict[str, Node]:
    return {record.node.name: record.node for record in session.store.nodes()}


def test_a_decision_is_kept_for_every_node_that_is_named_met_or_not(session: Session) -> None:
    assert draining.decide(session, "rack1", Availability.PAUSE) == ("n1", "n2")
    assert {name: node.availability for name, node in kept(session).items()} == dict.fromkeys(("n1", "n2"), "pause")
    assert draining.decide(session, "n1", Availability.DRAIN, until=1060.0) == ("n1",)
    assert kept(session)["n1"] == Node("n1", availability=Availability.DRAIN, drain_until=1060.0)
    assert draining.decide(session, "all", Availability.ACTIVE) == ("n1", "n2", "n3")
    assert kept(session) == {name: Node(name) for name in ("n1", "n2", "n3")}
    told = [(row.event.reason, row.event.node) for row in session.store.events(stack=None, since_id=0, limit=9)]
    assert told[:3] == [("NodeCordoned", "n1"), ("NodeCordoned", "n2"), ("NodeDrained", "n1")]


def test_a_node_that_nobody_knows_is_an_error(session: Session) -> None:
    with pytest.raises(UsageError, match="n9 matches no host"):
        draining.decide(session, "n9", Availability.DRAIN)
    assert kept(session) == {}


def test_a_drain_is_decided_although_another_pass_is_at_work(session: Session) -> None:
    session.store.acquire("ann@bastion", clock.now(), 60.0)
    with pytest.raises(LeaseHeld, match="another pass is at work") as held:
        draining.drain(session, DrainRequest("n3", deadline=60.0, wait=False), Unwatched())
    assert "that pass carries it out" in (held.value.hint or "")
    assert kept(session)["n3"] == Node("n3", availability=Availability.DRAIN, drain_until=1060.0)


def test_what_is_left_on_a_node_is_told(session: Session) -> None:
    placements = (Placement("s", "db", 1, "n1", 1, 1), Placement("s", "db", 2, "n3", 1, 1))
    session.store.save_memory(Memory(placements=placements))
    assert draining.left_on(session, "rack1") == [("s/db.1", "n1")]
