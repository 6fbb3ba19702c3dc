"""Autoscaled services over several passes, in virtual time on the simulated fleet."""

from __future__ import annotations

import json

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import dumps, stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck, Limits, Member, Probe, Probes
from shipyard.model.observed import Container, ContainerState, Health, Usage
from shipyard.model.plan import KeepRevision
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Autoscale, Reservations, Revision, ServiceSpec, StackSpec
from shipyard.planner import scaling
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status
from tests.simulated import SimulatedFleet

RULE = Autoscale(2, 8, cpu=0.5)
NODES = ("n1", "n2", "n3")


def declared(
    rule: Autoscale | None = RULE, replicas: int = 2, number: int = 1, **more: object
) -> tuple[DesiredStack, ...]:
    service = ServiceSpec(
        "web",
        ContainerSpec("app:1", network_mode="host"),
        replicas=replicas,
        autoscale=rule,
        reservations=Reservations(cpus=0.1, memory=1000),
    )
    stack = StackSpec("s", (replace(service, **more),))  # type: ignore[arg-type]  # fields that a test names
    return (DesiredStack(Revision("s", number, stack, stack_digest(stack), 0.0, "me"), (("web", NODES),)),)


def fleet_of(stacks: tuple[DesiredStack, ...], cores: float | None = 0.05, memory: int | None = 500) -> SimulatedFleet:
    fleet = SimulatedFleet(NODES)
    fleet.use = lambda _: (cores, memory)
    fleet.converge(stacks)
    fleet.sleep(15)
    return fleet


def uses(fleet: SimulatedFleet, cores: float | None, memory: int | None = 500) -> None:
    fleet.use = lambda _: (cores, memory)


def settle(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...], seconds: float = 15) -> int:
    """Passes until nothing is left to do now, then some time; how many run."""
    while fleet.one_pass(stacks).actions:
        pass
    fleet.sleep(seconds)
    return len(fleet.running())


def test_more_use_makes_more_replicas_and_says_so() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    before = fleet.memory
    uses(fleet, 0.15)
    assert settle(fleet, stacks) == 6
    (event,) = scaling.events(before, fleet.memory, fleet.now)
    assert (event.reason, event.target) == ("Scaled", "s/web")
    assert event.message == "from 2 to 6 replicas: cpu 150% of what is reserved, 50% wished for"
    assert scaling.events(fleet.memory, fleet.memory, fleet.now) == ()


def test_a_fleet_that_uses_what_it_should_rests() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    for _ in range(5):
        assert settle(fleet, stacks) == 2


def test_it_goes_up_at_once_and_down_after_the_window() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    uses(fleet, 0.1)
    assert settle(fleet, stacks) == 4
    begun = fleet.now
    uses(fleet, 0.01)
    while settle(fleet, stacks) == 4:
        pass
    assert 270 <= fleet.now - begun <= 330
    assert settle(fleet, stacks) == 2


def test_a_short_rise_within_the_window_keeps_what_it_made() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    for _ in range(3):
        uses(fleet, 0.1)
        settle(fleet, stacks)
        uses(fleet, 0.03)
        for _ in range(10):
            assert settle(fleet, stacks) >= 4


def test_bounds_hold_whatever_is_used() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    uses(fleet, 100.0)
    for _ in range(4):
        settle(fleet, stacks)
    assert len(fleet.running()) == 8
    uses(fleet, 0.0)
    for _ in range(60):
        settle(fleet, stacks)
    assert len(fleet.running()) == 2


def test_other_bounds_hold_at_once() -> None:
    fleet = fleet_of(declared())
    assert settle(fleet, declared(Autoscale(3, 8, cpu=0.5), number=2)) == 3
    assert settle(fleet, declared(Autoscale(1, 2, cpu=0.5), number=3)) == 2


def test_the_declared_number_is_where_it_starts_and_no_more() -> None:
    fleet = fleet_of(declared(replicas=4))
    assert len(fleet.running()) == 4
    assert settle(fleet, declared(replicas=2, number=2)) == 4
    assert settle(fleet, declared(None, replicas=1, number=3)) == 1
    assert fleet.memory.scales == ()


def test_a_start_outside_of_the_bounds_is_brought_in() -> None:
    assert len(fleet_of(declared(replicas=1)).running()) == 2
    assert len(fleet_of(declared(replicas=20)).running()) == 8


def test_use_is_asked_for_only_where_replicas_are_and_only_now_and_then() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    situation = fleet.situation(stacks)
    assert scaling.to_measure(situation) == {node for node, _ in fleet.running()}
    assert len(scaling.to_measure(situation)) == 2
    fleet.one_pass(stacks)
    assert scaling.to_measure(fleet.situation(stacks)) == frozenset()
    assert scaling.to_measure(fleet.situation(declared(None))) == frozenset()


def test_what_is_unknown_changes_nothing() -> None:
    stacks = declared(Autoscale(1, 8, cpu=0.5))
    fleet = fleet_of(stacks)
    uses(fleet, None)
    for _ in range(30):
        assert settle(fleet, stacks) == 2


def test_a_node_that_does_not_answer_takes_nobody_away() -> None:
    stacks = declared(Autoscale(1, 8, cpu=0.5))
    fleet = fleet_of(stacks, cores=0.04)
    for _ in range(30):
        settle(fleet, stacks)
    uses(fleet, 0.035)
    fleet.nodes["n1"].up = False
    scales = []
    for _ in range(30):
        fleet.one_pass(stacks)
        fleet.sleep(15)
        scales.append(fleet.memory.scales[0].wanted)
    assert set(scales) == {2}


def test_those_that_are_not_ready_are_set_aside() -> None:
    """Starting takes a lot of CPU; that alone must not make more of them."""
    stacks = declared(probes=Probes(readiness=Probe("tcp", port=80)))
    fleet = fleet_of(stacks)
    fleet.answer = lambda _: (False, "starts")
    for _ in range(40):
        fleet.one_pass(stacks)
        fleet.sleep(9)
    uses(fleet, 1.0)
    assert settle(fleet, stacks) == 2


def test_a_failing_health_check_sets_aside_too() -> None:
    container = ContainerSpec("app:1", network_mode="host", healthcheck=Healthcheck(("CMD", "true")))
    stacks = declared(container=container)
    fleet = fleet_of(stacks)
    for node in fleet.nodes.values():
        for identity, box in node.boxes.items():
            node.boxes[identity] = replace(box, health=Health.STARTING)
    uses(fleet, 1.0)
    assert settle(fleet, stacks) == 2


def test_the_larger_of_cpu_and_memory_wins() -> None:
    stacks = declared(Autoscale(2, 8, cpu=0.5, memory=0.5))
    fleet = fleet_of(stacks)
    uses(fleet, 0.01, 1500)
    assert settle(fleet, stacks) == 6


def test_limits_count_where_nothing_is_reserved() -> None:
    container = ContainerSpec("app:1", network_mode="host", limits=Limits(cpus=0.2))
    stacks = declared(container=container, reservations=Reservations())
    fleet = fleet_of(stacks, cores=0.1)
    uses(fleet, 0.2)
    assert settle(fleet, stacks) == 4


def test_status_shows_the_number_that_is_wished_for() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    uses(fleet, 0.1)
    settle(fleet, stacks)
    situation = fleet.situation(stacks)
    (service,) = fleet_status(situation, plan(situation, waves=1), None).stacks[0].services
    assert (service.desired, service.running) == (4, 4)


def test_the_nodes_keep_the_revision_as_it_was_declared() -> None:
    stacks = declared(replicas=1)
    fleet = SimulatedFleet(NODES)
    kept = [action.step for action in fleet.one_pass(stacks).actions if isinstance(action.step, KeepRevision)]
    assert kept
    for step in kept:
        assert json.loads(step.body) == json.loads(dumps(stacks[0].revision))


def test_containers_of_one_replica_use_together_and_none_may_be_unknown() -> None:
    parts = tuple(Container(name, name, ContainerState.RUNNING, ((labels.ROLE, "sidecar"),)) for name in "ab")
    whole = Container("h", "h", ContainerState.RUNNING, parts=parts)
    use = {"a": Usage("a", 0.1, 10), "b": Usage("b", 0.2, None)}
    assert scaling.together(use, whole) == Usage("h", pytest.approx(0.3), None)
    assert scaling.together({"a": use["a"]}, whole) is None


def test_what_is_left_of_an_old_container_is_not_counted_twice() -> None:
    stacks = declared()
    fleet = fleet_of(stacks)
    node, box = fleet.running()[0]
    old = Container("0" * 64, box.name.rpartition("-")[0] + "-abcdef", box.state, box.labels, box.image)
    fleet.nodes[node].boxes[old.id] = old
    fleet.use = lambda each: (9.0, 0) if each.id == old.id else (0.05, 0)
    fleet.one_pass(stacks)
    assert fleet.memory.scales[0].wanted == 2


def test_a_replica_of_several_containers_uses_what_all_that_work_in_it_use() -> None:
    """Here 0.15 cores by two of them, of the 0.1 that is reserved; the one that holds their network does not count."""
    side = Member("log", "sidecar", ContainerSpec("app:2"))
    stacks = declared(container=ContainerSpec("app:1", network_mode="none", members=(side,)))
    fleet = fleet_of(stacks, 0.025)
    before = fleet.memory
    uses(fleet, 0.075)
    settle(fleet, stacks)
    (event,) = scaling.events(before, fleet.memory, fleet.now)
    assert event.message == "from 2 to 6 replicas: cpu 150% of what is reserved, 50% wished for"
