"""Replicas are moved to be more even when a person asks for it, as their update policy allows, and then never again."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Mount
from shipyard.model.node import Availability, Node
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import PlacementRules, Reservations, Revision, ServiceSpec, StackSpec, UpdatePolicy, VolumeSpec
from shipyard.planner.plan import plan
from shipyard.planner.rebalance import moves, relocations
from tests.simulated import SimulatedFleet, SimulatedNode

NONE = ContainerSpec("app:1", network_mode="none")
NODES = ("n1", "n2", "n3", "n4")


def declared(*services: ServiceSpec, nodes: tuple[str, ...] = NODES) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, volumes=(VolumeSpec("s_data", "data"),))
    eligible = tuple((each.name, nodes) for each in services)
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), eligible),)


def counts(fleet: SimulatedFleet, service: str = "web") -> Counter[str]:
    return Counter(node for node, box in fleet.running() if box.label(labels.SERVICE) == service)


def asked(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...], most: int = 99) -> int:
    """A person asks; returns how many replicas are to move."""
    found = moves(fleet.situation(stacks))[:most]
    fleet.memory = replace(fleet.memory, relocations=relocations(found, fleet.now))
    return len(found)


def grown(stacks: tuple[DesiredStack, ...], fresh: str = "n4") -> SimulatedFleet:
    """A fleet that has converged on fewer nodes before a node joins."""
    fleet = SimulatedFleet(name for name in NODES if name != fresh)
    fleet.converge(stacks)
    fleet.nodes[fresh] = SimulatedNode(fresh)
    return fleet


def test_a_node_that_joins_gets_its_share_only_when_asked() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=9))
    fleet = grown(stacks)
    fleet.converge(stacks)
    assert counts(fleet) == {"n1": 3, "n2": 3, "n3": 3}
    assert asked(fleet, stacks) == 2
    fleet.converge(stacks)
    assert sorted(counts(fleet).values()) == [2, 2, 2, 3]
    assert fleet.memory.relocations == ()
    assert not plan(fleet.situation(stacks)).waves
    assert moves(fleet.situation(stacks)) == ()


def test_no_more_are_moved_than_asked_for() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=12))
    fleet = grown(stacks)
    assert asked(fleet, stacks, most=1) == 1
    fleet.converge(stacks)
    assert counts(fleet)["n4"] == 1


def test_it_says_why() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=9))
    found = moves(grown(stacks).situation(stacks))
    assert {(move.node, move.why.partition(" ")[2]) for move in found} == {
        ("n4", "has 3 of it, n4 has 0"),
        ("n4", "has 3 of it, n4 has 1"),
    }


def test_never_more_are_away_than_the_update_policy_allows() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=12, update=UpdatePolicy(parallelism=1)))
    fleet = grown(stacks)
    assert asked(fleet, stacks) == 3
    fleet.healthy_at_once = True
    for _ in range(12):
        fleet.one_pass(stacks)
        assert sum(counts(fleet).values()) >= 11
    fleet.converge(stacks)
    assert counts(fleet)["n4"] == 3


def test_start_first_takes_nothing_away() -> None:
    policy = UpdatePolicy(parallelism=1, order="start-first")
    stacks = declared(ServiceSpec("web", NONE, replicas=12, update=policy))
    fleet = grown(stacks)
    asked(fleet, stacks)
    for _ in range(15):
        fleet.one_pass(stacks)
        slots = {box.label(labels.SLOT) for _, box in fleet.running()}
        assert len(slots) == 12
    assert counts(fleet)["n4"] == 3


def test_a_pass_killed_on_the_way_is_carried_on() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=12))
    fleet = grown(stacks)
    asked(fleet, stacks)
    for killed in (0, 1, 0, 1):
        fleet.one_pass(stacks, killed_after=killed)
    fleet.converge(stacks)
    assert sorted(counts(fleet).values()) == [3, 3, 3, 3]


def test_what_a_volume_pins_stays() -> None:
    container = replace(NONE, mounts=(Mount("volume", "/data", "s_data"),))
    stacks = declared(ServiceSpec("db", container, replicas=6))
    assert moves(grown(stacks).situation(stacks)) == ()


def test_what_is_packed_and_what_runs_everywhere_stays() -> None:
    rules = PlacementRules(strategy="binpack")
    stacks = declared(
        ServiceSpec("batch", NONE, replicas=4, placement=rules, reservations=Reservations(cpus=0.5)),
        ServiceSpec("agent", NONE, mode="global"),
    )
    fleet = SimulatedFleet(NODES)
    fleet.converge(stacks)
    assert moves(fleet.situation(stacks)) == ()


def test_a_wish_for_a_node_that_is_drained_meanwhile_is_dropped() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=9))
    fleet = grown(stacks)
    asked(fleet, stacks)
    fleet.nodes["n4"].kept = (Availability.DRAIN, 0.0)
    situation = fleet.situation(stacks)
    nodes = tuple(
        Node(each.name, availability=Availability.DRAIN) if each.name == "n4" else each for each in situation.nodes
    )
    decided = plan(replace(situation, nodes=nodes))
    assert not decided.waves
    assert decided.memory.relocations == ()


def test_an_old_wish_is_dropped() -> None:
    stacks = declared(ServiceSpec("web", NONE, replicas=9))
    fleet = grown(stacks)
    asked(fleet, stacks)
    fleet.now += 4000
    decided = fleet.one_pass(stacks)
    assert not decided.waves
    assert fleet.memory.relocations == ()


def test_services_that_are_even_each_are_evened_out_together() -> None:
    services = tuple(ServiceSpec(f"s{number}", NONE) for number in range(6))
    stacks = declared(*services)
    fleet = grown(stacks)
    assert asked(fleet, stacks) == 1
    fleet.converge(stacks)
    assert sorted(Counter(node for node, _ in fleet.running()).values()) == [1, 1, 2, 2]


@settings(max_examples=25, deadline=None)
@given(
    wanted=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=4),
    away=st.sampled_from(NODES),
)
def test_asked_again_it_finds_nothing_more(wanted: list[tuple[int, int]], away: str) -> None:
    stacks = declared(
        *(
            ServiceSpec(f"s{number}", NONE, replicas=replicas, reservations=Reservations(memory=size * 2**29))
            for number, (replicas, size) in enumerate(wanted)
        )
    )
    fleet = grown(stacks, away)
    for _ in range(3):
        if not asked(fleet, stacks):
            break
        fleet.converge(stacks)
    assert moves(fleet.situation(stacks)) == ()
    for number in range(len(wanted)):
        there = counts(fleet, f"s{number}")
        if not any(size for _, size in wanted):
            assert max(there.values(), default=0) - min((there[name] for name in NODES), default=0) <= 1
