"""`rebalance`: what is proposed is no more than was asked for, changes nothing, and is kept where it still holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec
from shipyard.model.plan import CreateContainer, Plan
from shipyard.model.progress import Unwatched
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.reconcile import rebalancing
from shipyard.reconcile.run import Wish
from shipyard.reconcile.session import Session
from shipyard.store.store import Store
from tests.simulated import SimulatedFleet, SimulatedNode

NODES = ("n1", "n2", "n3", "n4")


def declared(replicas: int) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", (ServiceSpec("web", ContainerSpec("app:1", network_mode="none"), replicas=replicas),))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("web", NODES),)),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    """Twelve replicas on three nodes, and a fourth that has joined since: it lacks three."""
    found = SimulatedFleet(NODES[:3])
    found.converge(declared(12))
    found.nodes["n4"] = SimulatedNode("n4")
    return found


@pytest.fixture
def session(fleet: SimulatedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Over a real store. Looking at the nodes is a fake one's business, and so is the lease."""

    def look(session: Any, membership: Any, situation: Situation) -> Situation:
        return replace(situation, observed=fleet.situation(()).observed)

    monkeypatch.setattr(rebalancing, "look", look)
    monkeypatch.setattr(rebalancing, "look_closer", lambda session, membership, situation: situation)
    monkeypatch.setattr(rebalancing, "with_lease", lambda session, work, progress, wait: work(None))
    with Store.open(f"sqlite:///{tmp_path / 'state.db'}") as store:
        store.save_memory(fleet.memory)
        made: Any = SimpleNamespace(
            store=store,
            membership=lambda: None,
            stacks=lambda: declared(12),
            situation=lambda membership, stacks: replace(fleet.situation(stacks), observed=()),
            now=lambda: fleet.now,
        )
        yield cast("Session", made)


def begins(plan: Plan) -> list[tuple[str, str]]:
    """What the plan would make, and where."""
    return sorted((each.target, each.node) for each in plan.actions if isinstance(each.step, CreateContainer))


@pytest.mark.parametrize(("most", "moves", "more"), [(1, 1, 2), (2, 2, 1), (3, 3, 0), (20, 3, 0)])
def test_no_more_are_proposed_than_asked_for_and_the_rest_is_counted(
    session: Session, fleet: SimulatedFleet, most: int, moves: int, more: int
) -> None:
    found = rebalancing.propose(session, most)
    assert (len(found.moves), found.more) == (moves, more)
    assert {move.node for move in found.moves} == {"n4"}
    assert begins(found.plan) == sorted((move.target, "n4") for move in found.moves), "the plan is of these moves"


def test_a_proposal_changes_nothing(session: Session, fleet: SimulatedFleet) -> None:
    before = fleet.memory
    rebalancing.propose(session, 20)
    assert session.store.memory() == before
    assert before.relocations == ()
    assert session.store.events(stack=None, since_id=0, limit=9) == ()


def test_an_even_fleet_is_left_alone(session: Session, fleet: SimulatedFleet) -> None:
    found = rebalancing.propose(session, 20)
    fleet.memory = replace(fleet.memory, relocations=rebalancing.rebalance.relocations(found.moves, fleet.now))
    fleet.converge(declared(12))
    again = rebalancing.propose(session, 20)
    assert (again.moves, again.more, again.plan.waves) == ((), 0, ())


def test_what_was_proposed_is_kept_and_told_where_the_replica_is_still_there(
    session: Session, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the answer the first of them went elsewhere."""
    asked: list[Wish] = []
    monkeypatch.setattr(rebalancing, "converge", lambda session, keeper, wish, progress: asked.append(wish))
    proposal = rebalancing.propose(session, 2)
    gone, kept = proposal.moves
    placements = tuple(
        replace(each, node="n3" if each.node != "n3" else "n2") if each.key == gone.placement.key else each
        for each in fleet.memory.placements
    )
    session.store.save_memory(replace(fleet.memory, placements=placements))
    rebalancing.carry_out(session, proposal, Unwatched(), 30.0)
    assert [(wish.key, wish.node) for wish in session.store.memory().relocations] == [(kept.placement.key, "n4")]
    (row,) = session.store.events(stack=None, since_id=0, limit=9)
    assert (row.event.reason, row.event.target) == ("Rebalanced", kept.target)
    assert f"moves from {kept.placement.node} to n4" in row.event.message
    assert [(wish.kind, wish.timeout) for wish in asked] == [("rebalance", 30.0)]


def test_the_wishes_that_are_kept_are_what_the_passes_then_do(session: Session, fleet: SimulatedFleet) -> None:
    proposal = rebalancing.propose(session, 1)
    fleet.memory = proposal.plan.memory
    fleet.converge(declared(12))
    assert sum(node == "n4" for node, box in fleet.running() if box.label(labels.SERVICE) == "web") == 1
