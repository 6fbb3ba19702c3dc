"""Where room is short, the higher priority has it: over several passes, on the simulated fleet."""

from __future__ import annotations

from collections import Counter

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Mount, Port
from shipyard.model.plan import Plan, RemoveContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import PlacementRules, Reservations, Revision, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
GIB = 2**30


def service(name: str, replicas: int, memory: float, priority: int = 0, **more: object) -> ServiceSpec:
    """Nodes of the simulated fleet give 7.6 GiB each."""
    container = ContainerSpec("app:1", network_mode="none")
    spec = ServiceSpec(
        name, container, replicas=replicas, priority=priority, reservations=Reservations(memory=int(memory * GIB))
    )
    return replace(spec, **more)  # type: ignore[arg-type]  # fields by keyword


def declared(*services: ServiceSpec, nodes: tuple[str, ...] = NODES) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, volumes=(VolumeSpec("s_data", "data"),))
    eligible = tuple((each.name, nodes) for each in services)
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), eligible),)


def running(fleet: SimulatedFleet) -> Counter[str]:
    return Counter(box.label(labels.SERVICE) or "" for node, box in fleet.running() if fleet.nodes[node].up)


def removed(decided: Plan) -> list[tuple[str, str, str]]:
    return [
        (each.target, each.reason, each.detail) for each in decided.actions if isinstance(each.step, RemoveContainer)
    ]


def unschedulable(decided: Plan) -> list[str]:
    return [each.target for each in decided.blocked if each.reason == "Unschedulable"]


def rests(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...]) -> None:
    assert not plan(fleet.situation(stacks)).waves


def test_the_higher_takes_the_place_of_the_lower_which_comes_back_when_there_is_room() -> None:
    fleet = SimulatedFleet(NODES)
    low = service("batch", 6, 3.5)
    fleet.converge(declared(low))
    both = declared(low, service("shop", 2, 3.5, priority=10))
    first = plan(fleet.situation(both), waves=1)
    gone = removed(first)
    assert [reason for _, reason, _ in gone] == ["Evicted", "Evicted"]
    assert {detail for _, _, detail in gone} <= {
        f"makes room for s/shop.{slot} (priority 10, its own is 0)" for slot in (1, 2)
    }
    assert {each.reason for each in first.notices} == {"Evicts"}
    last = fleet.converge(both)
    assert running(fleet) == {"batch": 4, "shop": 2}
    assert sorted(target for target, _, _ in gone) == unschedulable(last)
    assert last.blocked[0].detail == "0 of 3 nodes fit: 3 lack memory (needs 3.5 GiB)"
    rests(fleet, both)
    fleet.converge(declared(low))
    assert running(fleet) == {"batch": 6}


def test_who_is_evicted_finds_another_node_in_the_same_plan() -> None:
    fleet = SimulatedFleet(("n1", "n2"))
    low = service("batch", 2, 2)
    wide = service("other", 1, 5, placement=PlacementRules(constraints=("node.hostname == n2",)))
    fleet.converge(declared(low, wide, nodes=("n1", "n2")))
    high = service("shop", 1, 6, 10, placement=PlacementRules(constraints=("node.hostname == n1",)))
    small = replace(wide, replicas=0)
    stacks = declared(low, small, high, nodes=("n1", "n2"))
    last = fleet.converge(stacks)
    assert not last.blocked
    assert {(node, box.label(labels.SERVICE)) for node, box in fleet.running()} == {("n1", "shop"), ("n2", "batch")}
    assert running(fleet) == {"shop": 1, "batch": 2}
    rests(fleet, stacks)


def test_the_lowest_and_the_fewest_go() -> None:
    fleet = SimulatedFleet(NODES)
    at = {name: PlacementRules(constraints=(f"node.hostname == {name}",)) for name in NODES}
    before = (
        service("low-pair", 2, 3.5, 1, placement=at["n1"]),
        service("mid", 1, 7, 5, placement=at["n2"]),
        service("low", 1, 7, 1, placement=at["n3"]),
    )
    fleet.converge(declared(*before))
    fleet.converge(declared(*before, service("shop", 1, 7, 10)))
    assert running(fleet) == {"low-pair": 2, "mid": 1, "shop": 1}


def test_no_more_go_than_are_in_the_way() -> None:
    fleet = SimulatedFleet(("n1",))
    small, large = service("small", 3, 1, 1), service("large", 1, 4, 1)
    fleet.converge(declared(small, large, nodes=("n1",)))
    stacks = declared(small, large, service("shop", 1, 4, 10), nodes=("n1",))
    assert [target for target, _, _ in removed(plan(fleet.situation(stacks), waves=1))] == ["s/large.1"]
    fleet.converge(stacks)
    assert running(fleet) == {"small": 3, "shop": 1}


def test_equals_do_not_evict_each_other() -> None:
    fleet = SimulatedFleet(("n1",))
    first = service("a", 1, 7, 5)
    fleet.converge(declared(first, nodes=("n1",)))
    stacks = declared(first, service("b", 1, 7, 5), nodes=("n1",))
    assert unschedulable(fleet.converge(stacks)) == ["s/b.1"]
    assert running(fleet) == {"a": 1}


def test_the_higher_are_placed_first_so_that_nobody_must_go() -> None:
    fleet = SimulatedFleet(("n1",))
    stacks = declared(service("a-large", 1, 7), service("shop", 1, 6, 10), nodes=("n1",))
    first = plan(fleet.situation(stacks), waves=1)
    assert not [notice for notice in first.notices if notice.reason == "Evicts"]
    assert unschedulable(first) == ["s/a-large.1"]


def test_what_a_volume_pins_is_not_evicted() -> None:
    fleet = SimulatedFleet(("n1",))
    container = ContainerSpec("app:1", network_mode="none", mounts=(Mount("volume", "/data", "s_data"),))
    pinned = service("db", 1, 7, container=container)
    fleet.converge(declared(pinned, nodes=("n1",)))
    stacks = declared(pinned, service("shop", 1, 7, 10), nodes=("n1",))
    assert unschedulable(fleet.converge(stacks)) == ["s/shop.1"]
    assert running(fleet) == {"db": 1}


@pytest.mark.parametrize("mode", ["replicated-job", "global-job"])
def test_a_jobs_task_is_not_evicted(mode: str) -> None:
    """It can't go on elsewhere: it would begin anew."""
    fleet = SimulatedFleet(("n1",))
    job = service("import", 1, 6, mode=mode)
    fleet.one_pass(declared(job, nodes=("n1",)))
    fleet.one_pass(declared(job, nodes=("n1",)))
    both = declared(job, service("shop", 1, 6, 10), nodes=("n1",))
    for _ in range(4):
        decided = fleet.one_pass(both)
        assert removed(decided) == []
        assert unschedulable(decided) == ["s/shop.1"]
    assert running(fleet) == {"import": 1}
    fleet.end()
    fleet.one_pass(both)
    fleet.converge(both)
    assert running(fleet) == {"shop": 1}


def test_a_replica_goes_rather_than_a_jobs_task() -> None:
    fleet = SimulatedFleet(("n1",))
    job, batch = service("import", 1, 3.5, mode="replicated-job"), service("batch", 1, 3.5, 5)
    fleet.one_pass(declared(job, batch, nodes=("n1",)))
    fleet.one_pass(declared(job, batch, nodes=("n1",)))
    stacks = declared(job, batch, service("shop", 1, 3.5, 10), nodes=("n1",))
    for _ in range(4):
        fleet.one_pass(stacks)
    assert running(fleet) == {"import": 1, "shop": 1}


def test_nobody_is_evicted_where_it_would_not_help() -> None:
    fleet = SimulatedFleet(("n1",))
    low = service("batch", 1, 1)
    fleet.converge(declared(low, nodes=("n1",)))
    stacks = declared(low, service("shop", 1, 64, 10), nodes=("n1",))
    assert unschedulable(fleet.converge(stacks)) == ["s/shop.1"]
    assert running(fleet) == {"batch": 1}


def test_a_port_is_taken_over_too() -> None:
    fleet = SimulatedFleet(("n1",))
    container = ContainerSpec("app:1", network_mode="none", ports=(Port(80, 80),))
    low, high = service("old", 1, 0, container=container), service("new", 1, 0, 10, container=container)
    fleet.converge(declared(low, nodes=("n1",)))
    last = fleet.converge(declared(low, high, nodes=("n1",)))
    assert running(fleet) == {"new": 1}
    assert [each.detail for each in last.blocked] == ["0 of 1 node fits: 1 gives port 80/tcp to s/new.1"]


def test_one_on_each_node_evicts_too() -> None:
    fleet = SimulatedFleet(("n1", "n2"))
    low = service("batch", 2, 6)
    fleet.converge(declared(low, nodes=("n1", "n2")))
    agent = service("agent", 1, 3, 10, mode="global")
    last = fleet.converge(declared(low, agent, nodes=("n1", "n2")))
    assert running(fleet) == {"agent": 2}
    assert unschedulable(last) == ["s/batch.1", "s/batch.2"]


def test_a_lost_nodes_work_of_high_priority_finds_room_elsewhere() -> None:
    fleet = SimulatedFleet(NODES)
    stacks = declared(service("shop", 3, 6, 10), service("batch", 3, 1.5))
    fleet.converge(stacks)
    tight = declared(service("shop", 3, 3, 10), service("batch", 6, 3.2))
    fleet.converge(tight)
    fleet.nodes["n3"].up = False
    for _ in range(8):
        fleet.now += 60
        fleet.one_pass(tight)
    last = fleet.converge(tight)
    assert running(fleet)["shop"] == 3
    assert all(target.startswith("s/batch") for target in unschedulable(last))


def test_a_pass_killed_between_the_decision_and_the_eviction_is_carried_on() -> None:
    fleet = SimulatedFleet(("n1",))
    low = service("batch", 1, 6)
    fleet.converge(declared(low, nodes=("n1",)))
    stacks = declared(low, service("shop", 1, 6, 10), nodes=("n1",))
    fleet.one_pass(stacks, killed_after=0)
    last = fleet.converge(stacks)
    assert running(fleet) == {"shop": 1}
    assert unschedulable(last) == ["s/batch.1"]
    rests(fleet, stacks)


def test_where_nothing_may_be_done_nobody_is_evicted() -> None:
    fleet = SimulatedFleet(("n1", "n2"))
    low = service("batch", 2, 6)
    fleet.converge(declared(low, nodes=("n1", "n2")))
    stacks = declared(low, service("shop", 1, 6, 10), nodes=("n1", "n2"))
    limited = plan(replace(fleet.situation(stacks), limit=frozenset({"n2"})), waves=1)
    assert {each.node for each in limited.actions} == {"n2"}
    assert [placed.node for placed in limited.memory.placements if placed.service == "shop"] == ["n2"]
