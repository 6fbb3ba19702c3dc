"""Random services on random nodes: first placements are fair and within capacity, and the order of input is nothing."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Port
from shipyard.model.node import Node, Taint
from shipyard.model.observed import ObservedNode
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Neighbour, PlacementRules, Reservations, Revision, ServiceSpec, StackSpec, Toleration
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

NODES = tuple(f"n{number}" for number in range(6))
ZONES = ("x", "y", "z")
NAMES = ("api", "batch", "cache", "web")
GIB = 2**30
ROOM = 7.6 * GIB
"""What a simulated node of 8 GiB gives."""


@st.composite
def services(draw: st.DrawFn, name: str) -> ServiceSpec:
    neighbours = st.builds(
        Neighbour,
        st.sampled_from(NAMES),
        st.sampled_from(["node.hostname", "node.labels.zone"]),
        st.booleans(),
        st.sampled_from([None, 1, 50]),
    )
    port = draw(st.sampled_from([None, None, None, 80, 81]))
    return ServiceSpec(
        name,
        ContainerSpec("app:1", network_mode="none", ports=(Port(80, port),) if port else ()),
        mode=draw(st.sampled_from(["replicated", "replicated", "replicated", "global"])),
        replicas=draw(st.integers(0, 8)),
        priority=draw(st.sampled_from([0, 0, 5, 10])),
        reservations=Reservations(memory=draw(st.integers(0, 8)) * GIB // 2),
        placement=PlacementRules(
            preferences=draw(st.sampled_from([(), ("node.labels.zone",)])),
            max_replicas_per_node=draw(st.sampled_from([None, None, 2])),
            strategy=draw(st.sampled_from(["spread", "spread", "binpack"])),
            tolerations=draw(st.sampled_from([(), (Toleration("spot"),)])),
            neighbours=tuple(draw(st.lists(neighbours, max_size=1))),
        ),
    )


@st.composite
def stacks(draw: st.DrawFn) -> tuple[DesiredStack, ...]:
    made = []
    for stack in ("one", "two"):
        chosen = tuple(draw(services(name)) for name in sorted(draw(st.sets(st.sampled_from(NAMES), max_size=3))))
        made.append(declared(stack, chosen))
    return tuple(made)


def declared(stack: str, chosen: tuple[ServiceSpec, ...]) -> DesiredStack:
    spec = StackSpec(stack, chosen)
    return DesiredStack(
        Revision(stack, 1, spec, stack_digest(spec), 0.0, "me"), tuple((each.name, NODES) for each in chosen)
    )


class ZonedFleet(SimulatedFleet):
    """With a zone for each node but one, and a taint on another."""

    def situation(self, stacks: tuple[DesiredStack, ...]) -> Situation:
        nodes = tuple(
            Node(
                name,
                labels=(("zone", ZONES[index % 3]),) if index else (),
                taints=(Taint("spot", "", "NoSchedule"),) if index == 5 else (),
            )
            for index, name in enumerate(NODES)
        )
        return replace(super().situation(stacks), nodes=nodes)


def shuffled(situation: Situation, seed: int) -> Situation:
    """All that has no order of its own, in another one."""
    chance = random.Random(seed)

    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(chance.sample(items, len(items)))

    memory = situation.memory
    return replace(
        situation,
        nodes=mixed(situation.nodes),
        stacks=mixed(
            tuple(
                replace(stack, eligible=mixed(tuple((name, mixed(nodes)) for name, nodes in stack.eligible)))
                for stack in situation.stacks
            )
        ),
        observed=mixed(
            tuple(
                replace(each, containers=mixed(each.containers), images=mixed(each.images))
                if isinstance(each, ObservedNode)
                else each
                for each in situation.observed
            )
        ),
        memory=replace(
            memory,
            placements=mixed(memory.placements),
            nodes=mixed(memory.nodes),
            failures=mixed(memory.failures),
            volumes=mixed(memory.volumes),
        ),
    )


@settings(max_examples=12, deadline=None)
@given(before=stacks(), after=stacks(), down=st.sets(st.sampled_from(NODES), max_size=2), seed=st.integers(0, 999))
def test_the_order_of_input_is_nothing(
    before: tuple[DesiredStack, ...], after: tuple[DesiredStack, ...], down: set[str], seed: int
) -> None:
    fleet = ZonedFleet(NODES)
    fleet.one_pass(before)
    for name in down:
        fleet.nodes[name].up = False
    situation = fleet.situation(after)
    assert plan(shuffled(situation, seed), waves=2) == plan(situation, waves=2)


@settings(max_examples=12, deadline=None)
@given(before=stacks(), after=stacks())
def test_it_converges_within_capacity_and_the_higher_have_what_they_could(
    before: tuple[DesiredStack, ...], after: tuple[DesiredStack, ...]
) -> None:
    fleet = ZonedFleet(NODES)
    fleet.converge(before)
    last = fleet.converge(after)
    assert not plan(fleet.situation(after)).waves
    specs = {(stack.revision.stack, each.name): each for stack in after for each in stack.revision.spec.services}
    grown = {  # what is placed stays, also where it has come to reserve more
        key
        for stack in before
        for each in stack.revision.spec.services
        if (key := (stack.revision.stack, each.name)) in specs and specs[key].reservations != each.reservations
    }
    if not grown:
        _within_capacity(fleet, specs)
        _nobody_lower_is_in_the_way(fleet, specs, last)


def _within_capacity(fleet: SimulatedFleet, specs: dict[tuple[str, str], ServiceSpec]) -> None:
    for node in NODES:
        there = [specs[each.key[:2]] for each in fleet.memory.placements if each.node == node]
        assert sum(each.reservations.memory for each in there) <= ROOM
        ports = Counter(port.published for each in there for port in each.container.ports)
        assert all(count == 1 for count in ports.values())


def _nobody_lower_is_in_the_way(fleet: SimulatedFleet, specs: dict[tuple[str, str], ServiceSpec], last: Plan) -> None:
    """Of services that ask for nothing but memory and have no place, none could have that of lower ones."""
    for blocked in last.blocked:
        stack, _, rest = blocked.target.partition("/")
        spec = specs[stack, rest.partition(".")[0]]
        if spec.placement.neighbours or spec.container.ports or spec.placement.max_replicas_per_node:
            continue
        if any(rule for each in specs.values() for rule in each.placement.neighbours) or spec.mode == "global":
            continue
        for node in NODES[:5]:
            kept = [specs[each.key[:2]] for each in fleet.memory.placements if each.node == node]
            held = sum(each.reservations.memory for each in kept if each.priority >= spec.priority)
            assert held + spec.reservations.memory > ROOM, (blocked, node)


@settings(max_examples=25, deadline=None)
@given(replicas=st.integers(0, 40), nodes=st.integers(1, 12), others=st.lists(st.integers(0, 11), max_size=12))
def test_first_placements_are_even(replicas: int, nodes: int, others: list[int]) -> None:
    names = tuple(f"n{number}" for number in range(nodes))
    fleet = SimulatedFleet(names)

    def stack(*chosen: ServiceSpec) -> tuple[DesiredStack, ...]:
        spec = StackSpec("s", chosen)
        return (DesiredStack(Revision("s", 1, spec, "", 0.0, "me"), tuple((each.name, names) for each in chosen)),)

    container = ContainerSpec("app:1", network_mode="none")
    there = tuple(
        ServiceSpec(
            f"other{index}",
            container,
            placement=PlacementRules(constraints=(f"node.hostname == n{node % nodes}",)),
        )
        for index, node in enumerate(others)
    )
    fleet.one_pass(stack(*there))
    decided = fleet.one_pass(stack(*there, ServiceSpec("web", container, replicas=replicas)))
    count = Counter(each.node for each in decided.memory.placements if each.service == "web")
    assert sum(count.values()) == replicas
    assert max(count.values(), default=0) - min((count[name] for name in names), default=0) <= 1
