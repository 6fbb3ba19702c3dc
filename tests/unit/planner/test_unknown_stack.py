"""A stack that nobody can read any more: its containers are left alone, and applying its files goes on with them."""

from __future__ import annotations

from shipyard.model.container import ContainerSpec
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from tests.simulated import SimulatedFleet

SPEC = StackSpec("shop", (ServiceSpec("db", ContainerSpec("app:1"), replicas=2),))


def revision(number: int) -> tuple[DesiredStack, ...]:
    return (DesiredStack(Revision("shop", number, SPEC, f"{number}", 1.0, "me"), (("db", ("node1", "node2")),)),)


def running(fleet: SimulatedFleet) -> list[tuple[str, str]]:
    return [(node, box.id) for node, box in fleet.running()]


def test_its_containers_are_reported_left_alone_and_taken_on_again() -> None:
    fleet = SimulatedFleet(["node1", "node2"])
    fleet.converge(revision(1))
    before, placed = running(fleet), fleet.memory.placements
    plan = fleet.converge(())
    assert [(each.target, each.reason) for each in plan.notices] == [
        ("shop/db.1", "UnknownStack"),
        ("shop/db.2", "UnknownStack"),
    ]
    assert fleet.memory.placements == placed
    fleet.converge(revision(2))
    assert running(fleet) == before
