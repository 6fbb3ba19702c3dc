"""Probes in virtual time: when they are due, how they are counted, and what becomes of a replica."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Port, Probe, Probes
from shipyard.model.memory import ProbeName
from shipyard.model.observed import Container, Facts, ObservedAttachment, ObservedNetwork, ObservedNode
from shipyard.model.plan import CreateContainer, Plan
from shipyard.model.probing import Try
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, UpdatePolicy
from shipyard.planner import probes, reach
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status
from tests.simulated import SimulatedFleet

HTTP = Probe("http", port=80, period=10.0)
BOX = ContainerSpec("app:1", network_mode="host")


def declared(
    found: Probes, image: str = "app:1", number: int = 1, replicas: int = 1, **more: object
) -> tuple[DesiredStack, ...]:
    service = ServiceSpec("web", replace(BOX, image=image), replicas=replicas, probes=found)
    service = replace(service, **more)  # type: ignore[arg-type]  # fields that a test names
    stack = StackSpec("s", (service,))
    return (DesiredStack(Revision("s", number, stack, stack_digest(stack), 0.0, "me"), (("web", ("n1", "n2")),)),)


def fleet_of(stacks: tuple[DesiredStack, ...]) -> SimulatedFleet:
    """Its containers are there, and were not asked anything yet."""
    fleet = SimulatedFleet(["n1", "n2"])
    assert fleet.one_pass(stacks).actions
    return fleet


def only(fleet: SimulatedFleet) -> Container:
    ((_, box),) = fleet.running()
    return box


def failing(*names: ProbeName) -> Callable[[Try], tuple[bool, str]]:
    return lambda each: (each.name not in names, "500 no database")


def health(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...]) -> list[str | None]:
    situation = fleet.situation(stacks)
    found = fleet_status(situation, plan(situation, waves=1), None)
    return [each.health for each in found.stacks[0].services[0].replicas]


def rounds(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...], answers: str, gap: float = 9.0) -> list[Plan]:
    """A pass for each letter, ten seconds apart: `+` passes, `-` fails, `?` can't be tried."""
    plans = []
    for answer in answers:
        passed = {"+": True, "-": False, "?": None}[answer]
        fleet.answer = lambda _, passed=passed: (passed, "words")  # type: ignore[misc]  # bound for this pass
        plans.append(fleet.one_pass(stacks))
        fleet.sleep(gap)
    return plans


# What Kubernetes documents: answers, successes and failures that it takes, and whether it is ready after each.
READINESS = [
    ("+", 1, 3, "+"),
    ("-", 1, 3, "-"),
    ("-+", 1, 3, "-+"),
    ("+--+", 1, 3, "++++"),
    ("+---", 1, 3, "+++-"),
    ("+---+", 1, 3, "+++-+"),
    ("+--+--+", 1, 3, "+++++++"),
    ("+-", 1, 1, "+-"),
    ("++", 2, 3, "-+"),
    ("+-++", 2, 3, "---+"),
    ("++---+-++", 2, 3, "-+++----+"),
    ("+???", 1, 3, "++++"),
    ("+--?-", 1, 3, "++++-"),
    ("??+", 1, 3, "--+"),
]


@pytest.mark.parametrize(("answers", "successes", "failures", "ready"), READINESS)
def test_readiness_follows_its_thresholds(answers: str, successes: int, failures: int, ready: str) -> None:
    stacks = declared(Probes(readiness=replace(HTTP, successes=successes, failures=failures)))
    fleet = fleet_of(stacks)
    found = ""
    for answer in answers:
        (decided,) = rounds(fleet, stacks, answer)
        assert not decided.actions
        found += "+" if health(fleet, stacks) == ["healthy"] else "-"
    assert found == ready


@pytest.mark.parametrize(
    ("failures", "answers", "replaced"), [(3, "+--", 0), (3, "+---", 1), (3, "+--+--", 0), (1, "+-", 1)]
)
def test_liveness_replaces_after_its_threshold(failures: int, answers: str, replaced: int) -> None:
    stacks = declared(Probes(liveness=replace(HTTP, failures=failures)))
    fleet = fleet_of(stacks)
    plans = rounds(fleet, stacks, answers)
    made = [action for decided in plans for action in decided.actions if isinstance(action.step, CreateContainer)]
    assert len(made) == replaced
    for action in made:
        assert action.reason == "Unhealthy"
        assert "liveness probe failed" in action.detail
        assert "words; last of its log: its log" in action.detail


def test_a_liveness_probe_that_goes_on_failing_is_waited_for_longer_each_time() -> None:
    stacks = declared(Probes(liveness=replace(HTTP, period=1.0, failures=1)))
    fleet = fleet_of(stacks)
    fleet.answer = failing("liveness")
    begun = fleet.now
    made = []
    while len(made) < 4:
        decided = fleet.one_pass(stacks)
        made += [fleet.now - begun for action in decided.actions if isinstance(action.step, CreateContainer)]
    gaps = [after - before for before, after in itertools.pairwise(made)]
    assert gaps[0] >= 10
    assert gaps[1] >= 20
    assert gaps[2] >= 40


def test_a_failure_that_is_not_decided_yet_is_waited_for_and_still_serves() -> None:
    stacks = declared(Probes(liveness=HTTP))
    fleet = fleet_of(stacks)
    decided = rounds(fleet, stacks, "+-")[-1]
    (wait,) = decided.waiting
    assert (wait.reason, wait.detail) == ("Probing", "its liveness probe failed 1 of 3 times: words")
    assert wait.until == fleet.now - 10 + 10 * (1 - probes.PUNCTUAL)
    assert health(fleet, stacks) == ["healthy"]


def test_until_startup_has_passed_nothing_else_is_tried() -> None:
    stacks = declared(Probes(startup=replace(HTTP, failures=4), liveness=HTTP, readiness=HTTP))
    fleet = fleet_of(stacks)
    fleet.answer = failing("startup", "liveness")
    names = []
    for _ in range(3):
        fleet.one_pass(stacks)
        names += [each.name for each in fleet.tried]
        fleet.sleep(9)
    assert set(names) == {"startup"}
    assert health(fleet, stacks) == ["not ready"]
    fleet.answer = failing()
    fleet.one_pass(stacks)
    fleet.one_pass(stacks)
    assert {each.name for each in fleet.tried} == {"liveness", "readiness"}
    assert health(fleet, stacks) == ["healthy"]


def test_a_startup_probe_that_never_passes_replaces() -> None:
    stacks = declared(Probes(startup=replace(HTTP, failures=2), liveness=HTTP))
    fleet = fleet_of(stacks)
    first = only(fleet).id
    rounds(fleet, stacks, "---")
    assert only(fleet).id != first


def test_the_first_try_waits_for_the_initial_delay_and_others_for_the_period() -> None:
    stacks = declared(Probes(liveness=replace(HTTP, initial_delay=30.0)))
    fleet = fleet_of(stacks)
    began = fleet.now - (only(fleet).age or 0)
    times = []
    for _ in range(60):
        fleet.one_pass(stacks)
        times += [fleet.now - 1 - began for _ in fleet.tried]
    assert times == [30.0, 39.0, 48.0, 57.0]


def test_readiness_is_tried_every_second_until_it_holds() -> None:
    stacks = declared(Probes(readiness=HTTP))
    fleet = fleet_of(stacks)
    fleet.answer = failing("readiness")
    for _ in range(5):
        fleet.one_pass(stacks)
        assert fleet.tried
    (wait,) = fleet.one_pass(stacks).waiting
    assert (wait.reason, wait.until) == ("Probing", None)


def test_what_was_never_ready_is_no_longer_waited_for_after_the_deadline() -> None:
    stacks = declared(Probes(readiness=HTTP))
    fleet = fleet_of(stacks)
    fleet.answer = failing("readiness")
    for _ in range(3):
        fleet.one_pass(stacks)
    fleet.sleep(600)
    (wait,) = fleet.one_pass(stacks).waiting
    assert wait.reason == "NotReady"


@pytest.mark.parametrize(
    "again",
    [{"restarts": 1, "age": 0.0}, {"started": 2_000_000.0, "age": 0.5}, {"started": 2_000_000.0, "age": 60.0}],
    ids=["by its runtime", "by a boot of its node", "by somebody, a while ago"],
)
def test_a_container_that_was_started_anew_is_counted_anew(again: dict[str, float]) -> None:
    stacks = declared(Probes(liveness=HTTP, readiness=HTTP))
    fleet = fleet_of(stacks)
    rounds(fleet, stacks, "+--")
    box = only(fleet)
    fleet.nodes["n1" if box.id in fleet.nodes["n1"].boxes else "n2"].boxes[box.id] = replace(box, **again)
    assert health(fleet, stacks) == ["not ready"]
    rounds(fleet, stacks, "-")
    assert only(fleet).id == box.id


def test_a_probe_that_is_declared_otherwise_is_counted_anew() -> None:
    fleet = fleet_of(declared(Probes(liveness=HTTP)))
    rounds(fleet, declared(Probes(liveness=HTTP)), "+--")
    other = declared(Probes(liveness=replace(HTTP, path="/healthz")), number=2)
    box = only(fleet)
    rounds(fleet, other, "--")
    assert only(fleet).id == box.id


def test_an_update_waits_until_the_new_replica_is_ready() -> None:
    fleet = fleet_of(declared(Probes(readiness=HTTP), replicas=3))
    fleet.converge(declared(Probes(readiness=HTTP), replicas=3))
    fleet.answer = lambda each: (each.container in old, "starts")
    old = {box.id for _, box in fleet.running()}
    stacks = declared(Probes(readiness=HTTP), "app:2", 2, replicas=3)
    for _ in range(20):
        fleet.one_pass(stacks)
    assert sorted(box.image for _, box in fleet.running()) == ["app:1", "app:1", "app:2"]
    fleet.answer = lambda _: (True, "")
    fleet.converge(stacks)
    assert {box.image for _, box in fleet.running()} == {"app:2"}


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_replicas_that_are_not_ready_have_nothing_to_wait_for_in_an_update(
    order: Literal["stop-first", "start-first"],
) -> None:
    """They serve nothing: neither a turn nor, with start-first, the new one's being ready is waited for."""
    found = Probes(readiness=Probe("exec", command=("true",)))

    def version(number: int) -> tuple[DesiredStack, ...]:
        alone = ContainerSpec(f"app:{number}", network_mode="none")
        return declared(found, number=number, replicas=3, container=alone, update=UpdatePolicy(order=order))

    fleet = fleet_of(version(1))
    fleet.converge(version(1))
    rounds(fleet, version(1), "----")
    assert health(fleet, version(1)) == ["not ready"] * 3
    fleet.one_pass(version(2))
    assert [box.image for _, box in fleet.running()] == ["app:2"] * 3


def test_an_old_container_is_asked_what_it_was_made_to_answer() -> None:
    """The new probe asks another port: what serves by its own probe is not taken down all at once."""
    before = declared(Probes(readiness=HTTP), replicas=3)
    fleet = fleet_of(before)
    fleet.converge(before)
    after = declared(Probes(readiness=replace(HTTP, port=81)), "app:2", 2, replicas=3)
    fleet.answer = lambda each: (each.port == 80, "refused")
    for _ in range(20):
        fleet.one_pass(after)
    assert sorted(box.image for _, box in fleet.running()) == ["app:1", "app:1", "app:2"]


def test_what_can_not_be_tried_is_told_and_nothing_is_done() -> None:
    stacks = declared(Probes(liveness=HTTP, readiness=HTTP))
    fleet = fleet_of(stacks)
    plans = rounds(fleet, stacks, "+?????")
    assert not any(decided.actions for decided in plans)
    assert {(each.reason, each.detail) for each in plans[-1].notices} == {
        ("ProbeNotTried", "its liveness probe can't be tried: words"),
        ("ProbeNotTried", "its readiness probe can't be tried: words"),
    }
    assert health(fleet, stacks) == ["healthy"]


def test_a_plan_that_looks_ahead_takes_probes_to_pass() -> None:
    stacks = declared(Probes(readiness=HTTP), replicas=3)
    fleet = fleet_of(stacks)
    fleet.converge(stacks)
    ahead = plan(fleet.situation(declared(Probes(readiness=HTTP), "app:2", 2, replicas=3)))
    made = [action for action in ahead.actions if isinstance(action.step, CreateContainer)]
    assert len(made) == 3


def test_counts_go_with_their_container() -> None:
    stacks = declared(Probes(liveness=HTTP))
    fleet = fleet_of(stacks)
    fleet.converge(stacks)
    assert len(fleet.memory.probed) == 1
    fleet.converge(declared(Probes(liveness=HTTP), replicas=0))
    assert fleet.memory.probed == ()


def test_a_fleet_without_probes_tries_and_remembers_nothing() -> None:
    stacks = declared(Probes())
    fleet = fleet_of(stacks)
    assert probes.due(fleet.situation(stacks)) == ()
    assert fleet.memory.probed == ()
    assert health(fleet, stacks) == ["none"]


def test_a_container_that_stops_being_ready_and_becomes_so_again_is_told_once() -> None:
    stacks = declared(Probes(readiness=HTTP))
    fleet = fleet_of(stacks)
    fleet.converge(stacks)
    told = []
    for answer in "+----++":
        before = fleet.memory
        rounds(fleet, stacks, answer)
        told += [(event.reason, event.target) for event in probes.events(before, fleet.memory, fleet.now)]
    assert told == [("NotReady", "s/web.1"), ("Ready", "s/web.1")]


NODE = ObservedNode("n1", Facts(), networks=(ObservedNetwork("i", "s_lan", driver="macvlan"),))
PRIVATE = ObservedAttachment("s_default", ipv4_address="10.1.0.2")
LAN = ObservedAttachment("s_lan", ipv4_address="192.168.1.9")
ROOTLESS = replace(NODE, facts=Facts(rootless=True))
OPEN = ContainerSpec("a", ports=(Port(80, 8080),))
WAYS = [
    (ContainerSpec("a"), NODE, (PRIVATE,), HTTP, reach.Way("10.1.0.2", 80)),
    (ContainerSpec("a"), NODE, (LAN, PRIVATE), HTTP, reach.Way("10.1.0.2", 80)),
    (ContainerSpec("a", network_mode="host"), NODE, (), HTTP, reach.Way("127.0.0.1", 80)),
    (ContainerSpec("a", network_mode="host"), ROOTLESS, (), HTTP, reach.Way("127.0.0.1", 80)),
    (OPEN, ROOTLESS, (PRIVATE,), HTTP, reach.Way("127.0.0.1", 8080)),
    (replace(OPEN, ports=(Port(80, 8080, address="10.9.9.9"),)), ROOTLESS, (), HTTP, reach.Way("10.9.9.9", 8080)),
    (OPEN, NODE, (PRIVATE,), replace(HTTP, host="db"), reach.Way("db", 80)),
    (ContainerSpec("a", network_mode="none"), NODE, (), Probe("exec", command=("true",)), reach.Way()),
]


@pytest.mark.parametrize(("spec", "node", "joined", "probe", "found"), WAYS)
def test_the_way_to_a_container(
    spec: ContainerSpec, node: ObservedNode, joined: tuple[ObservedAttachment, ...], probe: Probe, found: reach.Way
) -> None:
    assert reach.way(spec, node, box_on(*joined), probe) == found


@pytest.mark.parametrize(
    ("spec", "node", "joined"),
    [
        (ContainerSpec("a"), NODE, (LAN,)),
        (ContainerSpec("a"), ROOTLESS, (PRIVATE,)),
        (ContainerSpec("a", network_mode="none"), NODE, ()),
    ],
)
def test_where_there_is_no_way_it_is_said(
    spec: ContainerSpec, node: ObservedNode, joined: tuple[ObservedAttachment, ...]
) -> None:
    assert "exec probe" in reach.way(spec, node, box_on(*joined), HTTP).obstacle


def box_on(*networks: ObservedAttachment) -> Container:
    fleet = fleet_of(declared(Probes()))
    return replace(only(fleet), networks=networks)
