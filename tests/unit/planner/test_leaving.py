"""What takes a port, or room on a full node, starts there once that has left which clients may still come to."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Port
from shipyard.model.node import Availability
from shipyard.model.observed import Health
from shipyard.model.plan import RemoveContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import NetworkSpec, Reservations, Revision, ServiceSpec, StackSpec, UpdatePolicy
from tests.simulated import SimulatedFleet
from tests.unit.planner.fleets import on_one_segment

NODES = ("n1", "n2")
GIB = 2**30
ROOM = 7.6 * GIB
"""What a node of the simulated fleet gives to all its replicas."""
TOOLS = ("bridge", "conntrack", "ip", "iptables", "nft")
HOST_PORT = (Port(80, 9090, mode="host"),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    return on_one_segment(NODES, TOOLS)


def service(name: str, replicas: int, *, gib: float = 0, ports: tuple[Port, ...] = (), **more: Any) -> ServiceSpec:
    container = ContainerSpec("app:1", networks=(Attachment("s_default", (name,)),), ports=ports)
    reserved = Reservations(memory=int(gib * GIB))
    return ServiceSpec(name, container, replicas=replicas, reservations=reserved, **more)


def declared(*services: ServiceSpec, number: int, on: tuple[str, ...] = NODES) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, (NetworkSpec("s_default", "default", driver="vxlan"),))
    revision = Revision("s", number, spec, stack_digest(spec), 0.0, "me")
    return (DesiredStack(revision, tuple((each.name, on) for each in services)),)


def settles(fleet: SimulatedFleet, before: tuple[DesiredStack, ...], wanted: tuple[DesiredStack, ...]) -> Counter[str]:
    """What runs in the end. At no time more was started on a node than has room there, or the same port twice."""
    known = {each.name: each for stack in (*before, *wanted) for each in stack.revision.spec.services}
    waited = set()
    for _ in range(40):
        decided = fleet.one_pass(wanted)
        waited |= {each.reason for each in decided.waiting}
        for node in fleet.nodes:
            there = [known[box.label(labels.SERVICE) or ""] for where, box in fleet.running() if where == node]
            assert sum(each.reservations.memory for each in there) <= ROOM, (node, [each.name for each in there])
            assert sum(bool(each.container.ports) for each in there) <= 1, (node, [each.name for each in there])
        if not (decided.waves or decided.waiting):
            break
        fleet.sleep(1)
    assert {"Draining", "MakingRoom"} <= waited, "nobody had anything to wait for"
    return Counter(box.label(labels.SERVICE) or "" for _, box in fleet.running())


def test_a_host_port_passes_to_a_service_of_another_name(fleet: SimulatedFleet) -> None:
    before = declared(service("one", 2, ports=HOST_PORT), number=1)
    fleet.converge(before)
    assert settles(fleet, before, declared(service("two", 2, ports=HOST_PORT), number=2)) == {"two": 2}


def test_a_host_port_passes_to_a_service_of_higher_priority(fleet: SimulatedFleet) -> None:
    low = service("low", 2, ports=HOST_PORT)
    before = declared(low, number=1)
    fleet.converge(before)
    higher = service("prio", 1, ports=HOST_PORT, priority=5)
    assert settles(fleet, before, declared(low, higher, number=2)) == {"low": 1, "prio": 1}


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
@pytest.mark.parametrize("on", [NODES[:1], NODES], ids=["nowhere else to go", "another node"])
def test_room_passes_to_a_service_of_higher_priority_and_back(
    fleet: SimulatedFleet, order: Any, on: tuple[str, ...]
) -> None:
    low = service("low", 3, gib=2.4, update=UpdatePolicy(order=order))
    before = declared(low, number=1, on=on)
    fleet.converge(before)
    higher = service("high", len(on), gib=5, priority=5)
    after = declared(low, higher, number=2, on=on)
    assert settles(fleet, before, after)["high"] == len(on)
    assert settles(fleet, after, declared(low, replace(higher, replicas=0), number=3, on=on)) == {"low": 3}


def test_who_takes_no_room_starts_on_a_full_node_at_once(fleet: SimulatedFleet) -> None:
    before = declared(service("old", 1, gib=5), number=1, on=NODES[:1])
    fleet.converge(before)
    after = declared(service("new", 1, gib=5), service("small", 1), number=2, on=NODES[:1])
    fleet.one_pass(after)
    there = {box.label(labels.SERVICE) for _, box in fleet.running()}
    assert there == {"old", "small"}, "the other one waits until the old one has finished"
    assert settles(fleet, before, after) == {"new": 1, "small": 1}


def test_who_was_sent_away_goes_though_its_successor_elsewhere_is_not_ready(fleet: SimulatedFleet) -> None:
    low = service("low", 2, gib=3.5, update=UpdatePolicy(order="start-first"))
    low = replace(low, container=replace(low.container, healthcheck=Healthcheck(("CMD", "true"))))
    before = declared(low, number=1)
    fleet.converge(before)
    high = service("high", 1, gib=5, priority=5)
    after = declared(low, high, number=2)
    fleet.healthy_at_once = False
    only = (replace(after[0], eligible=(("low", NODES), ("high", NODES[:1]))),)
    assert settles(fleet, before, only) == {"low": 2, "high": 1}
    assert {box.health for _, box in fleet.running()} > {Health.STARTING}


@pytest.mark.parametrize(("leaves", "why"), [("drained", "Drained"), ("no longer fits", "NotEligible")])
def test_a_replica_of_each_node_that_has_to_go_says_why(fleet: SimulatedFleet, leaves: str, why: str) -> None:
    mine = service("web", 1, mode="global")
    fleet.converge(declared(mine, number=1))
    if leaves == "drained":
        fleet.nodes["n2"].availability = Availability.DRAIN
    wanted = declared(mine, number=1, on=NODES if leaves == "drained" else NODES[:1])
    told = []
    for _ in range(10):
        told += [each.reason for each in fleet.one_pass(wanted).actions if isinstance(each.step, RemoveContainer)]
        fleet.sleep(1)
    assert told == [why]
