"""Revisions made by command: what is stored, what is remembered with it, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from shipyard.base.errors import ShipyardError
from shipyard.base.record import replace
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.memory import Failures, Memory, Rollout
from shipyard.model.plan import Rollback
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, ServiceSpec, StackSpec
from shipyard.planner.network.spanning import resolved
from shipyard.planner.turns import target
from shipyard.reconcile import revising
from shipyard.reconcile.session import Session
from shipyard.store.store import Store

NODES = ("n1", "n2")


@dataclass
class Stored:
    """The part of a session that has to do with revisions."""

    store: Store

    def now(self) -> float:
        return self.store.now(1000.0)

    def membership(self) -> None:
        """Nobody asks who is a node."""

    def stacks(self) -> tuple[DesiredStack, ...]:
        heads = (head.revision for head in self.store.heads())
        return tuple(DesiredStack(each, tuple((one.name, NODES) for one in each.spec.services)) for each in heads)

    def situation(self, membership: None, stacks: tuple[DesiredStack, ...]) -> Situation:
        return Situation("cafe", self.now(), stacks=stacks, memory=self.store.memory())


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Store.open(str(tmp_path / "state.db")) as store:
        yield cast(Session, Stored(store))


def spec(image: str, replicas: int = 2) -> StackSpec:
    jobs = ServiceSpec("each", ContainerSpec("a"), mode="global")
    return StackSpec("shop", (jobs, ServiceSpec("web", ContainerSpec(image), replicas=replicas)))


def apply(session: Session, *images: str) -> None:
    for image in images:
        session.store.add_revision(spec(image), author="me", files=("shop.yml",), now=session.now())


def head(session: Session) -> StackSpec:
    return session.store.heads()[0].revision.spec


def notes(session: Session) -> list[tuple[int, str]]:
    return [(row.number, row.note) for row in session.store.revisions("shop")]


def test_going_back_stores_what_an_earlier_revision_said_under_a_new_number(session: Session) -> None:
    apply(session, "a", "b", "c")
    assert revising.rollback(session, "shop", None).number == 4
    assert head(session) == spec("b")
    assert notes(session)[0] == (4, "rolled back to 2")
    assert revising.rollback(session, "shop", 1).spec == spec("a")
    (rollout,) = session.store.memory().rollouts
    assert (rollout.state, rollout.service, rollout.undone, rollout.before) == ("rollback_started", "web", 4, 1)
    assert rollout.target == target(spec("a").services[1])


def test_the_way_back_is_known_by_what_passes_make_of_a_network_without_driver(session: Session) -> None:
    """Its services may be on two nodes, so it spans them, and its containers have a hosts file."""
    for image in ("a", "b"):
        container = ContainerSpec(image, networks=(Attachment("shop_default"),))
        networks = (NetworkSpec("shop_default", "default"),)
        stack = StackSpec("shop", (ServiceSpec("web", container),), networks)
        session.store.add_revision(stack, author="me", files=("shop.yml",), now=session.now())
    back = revising.rollback(session, "shop", None)
    (rollout,) = session.store.memory().rollouts
    (planned,) = resolved(cast(Stored, session).situation(None, cast(Stored, session).stacks())).stacks
    (service,) = planned.revision.spec.services
    assert service.container.hosts
    assert not back.spec.services[0].container.hosts, "what is stored is what was declared"
    assert rollout.target == target(service)


def test_a_revision_that_failed_is_no_place_to_go_back_to(session: Session) -> None:
    apply(session, "a", "b", "c")
    undone = Rollout("shop", "web", 4, "rollback_completed", undone=2)
    session.store.save_memory(Memory(rollouts=(undone,)))
    assert revising.rollback(session, "shop", None).spec == spec("a")


def test_after_updates_that_failed_one_after_the_other_the_way_back_leads_to_what_was_good(session: Session) -> None:
    apply(session, "a", "b", "c")
    session.store.save_memory(Memory(rollouts=(Rollout("shop", "web", 3, "paused", before=1),)))
    assert revising.rollback(session, "shop", None).spec == spec("a")


def test_where_going_back_failed_too_it_is_not_tried_again_unasked(session: Session) -> None:
    apply(session, "a", "b", "c", "b")
    session.store.save_memory(Memory(rollouts=(Rollout("shop", "web", 4, "rollback_paused", before=2, undone=3),)))
    assert revising.rollback(session, "shop", None).spec == spec("a")


def test_a_failed_update_gets_its_revision_once(session: Session) -> None:
    apply(session, "a", "b")
    history = (session.store.revision("shop", 1),)
    situation = Situation("c", 1000.0, history=tuple(each for each in history if each is not None))
    asked = (Rollback("shop", "web", 2, 1, "shop/web.1: exit 1"),)
    (told,) = revising.roll_back(session, situation, asked)
    assert told.target == "shop/web"
    assert told.detail == (
        "revision 2 failed, and revision 3 runs instead, with web as in revision 1: shop/web.1: exit 1"
    )
    assert revising.roll_back(session, situation, asked) == ()
    assert notes(session) == [(3, "rolled back from 2: web as in revision 1"), (2, ""), (1, "")]


def test_scaling_is_a_revision_that_says_so(session: Session) -> None:
    apply(session, "a")
    revising.scale(session, {("shop", "web"): 5})
    web = head(session).services[1]
    assert (web.replicas, web.scaled) == (5, True)
    assert notes(session)[0] == (2, "scaled web=5")
    revising.scale(session, {("shop", "web"): 5})
    assert len(notes(session)) == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({("shop", "web"): 1, ("shop", "nope"): 1}, "the stack shop has no service nope; it has each, web"),
        ({("shop", "web"): 1, ("nope", "web"): 1}, "there is no stack nope; known are: shop"),
        ({("shop", "web"): 1, ("shop", "each"): 1}, "shop/each has mode global, which is not scaled"),
    ],
)
def test_what_can_not_be_scaled_leaves_all_as_it_is(
    session: Session, wanted: dict[tuple[str, str], int], words: str
) -> None:
    apply(session, "a")
    with pytest.raises(ShipyardError, match=words):
        revising.scale(session, wanted)
    assert len(notes(session)) == 1


def test_each_restart_is_a_revision(session: Session) -> None:
    apply(session, "a")
    assert revising.restart(session, "shop", "web").number == 2
    (stamp,) = head(session).services[1].container.stamps
    assert stamp[0] == "restarted"
    assert head(session).services[0] == spec("a").services[0]


def test_pause_holds_and_resume_tries_again_what_failed(session: Session) -> None:
    apply(session, "a", "b")
    going = Rollout("shop", "web", 2, "updating", since=5.0)
    failed = replace(going, service="api", state="paused", message="why", failed=(1,), stalled=9.0, good=(2,))
    failures = tuple(Failures("shop", name, 1, "v1:a", 3, 9e9) for name in ("api", "web"))
    session.store.save_memory(Memory(failures=failures, rollouts=(failed, going)))
    assert revising.pause(session, "shop")
    assert revising.pause(session, "shop")
    session.store.save_memory(Memory(failures=failures, rollouts=(failed, going)))
    (hold,) = session.store.memory().holds
    assert hold.stack == "shop", "a pass that began before has not forgotten it"
    revising.resume(session, "shop")
    memory = session.store.memory()
    assert memory.holds == ()
    api, web = memory.rollouts
    assert (api.state, api.message, api.failed, api.stalled, api.good) == ("updating", "", (), 0.0, (2,))
    assert api.since == api.looked == session.now()
    assert web == going
    assert [each.service for each in memory.failures] == ["web"]


def test_a_stack_that_is_being_removed_is_not_changed(session: Session) -> None:
    apply(session, "a")
    session.store.mark_removing("shop", session.now())
    with pytest.raises(ShipyardError, match="is being removed"):
        revising.restart(session, "shop", "web")
