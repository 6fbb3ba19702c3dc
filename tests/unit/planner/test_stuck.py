"""What is blocked is told when it begins, when its reason changes and when it ends; not once a pass."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.container import ContainerSpec
from shipyard.model.event import Event
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import PlacementRules, Revision, ServiceSpec, StackSpec
from shipyard.planner.plan import plan
from shipyard.planner.stuck import events
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2")


def declared(constraint: str = "", replicas: int = 1) -> tuple[DesiredStack, ...]:
    placement = PlacementRules(constraints=(constraint,) if constraint else ())
    service = ServiceSpec("web", ContainerSpec("app:1"), replicas=replicas, placement=placement)
    revision = Revision("s", 1, StackSpec("s", (service,)), "d", 0.0, "a")
    return (DesiredStack(revision, (("web", NODES),)),)


def told(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...]) -> list[Event]:
    """The events of one more pass."""
    before = fleet.memory
    fleet.one_pass(stacks)
    return list(events(before, fleet.memory, fleet.now))


def words(found: list[Event]) -> list[tuple[str, str, bool]]:
    return [(event.target, event.reason, event.warning) for event in found]


def test_the_same_shortage_is_told_once() -> None:
    fleet, stacks = SimulatedFleet(NODES), declared("node.hostname == n9")
    assert words(told(fleet, stacks)) == [("s/web.1", "Unschedulable", True)]
    remembered = fleet.memory.stuck
    for _ in range(3):
        assert told(fleet, stacks) == []
    assert fleet.memory.stuck == remembered, "a pass that finds the same writes nothing"


def test_another_reason_is_told_and_the_end_of_it_too() -> None:
    fleet = SimulatedFleet(NODES)
    first = told(fleet, declared("node.hostname == n9"))
    (second,) = told(fleet, declared("node.hostname == n8"))
    assert second.message != first[0].message
    assert words(told(fleet, declared())) == [("s/web.1", "Unblocked", False)]
    assert told(fleet, declared()) == []
    assert words(told(fleet, declared("node.hostname == n9", replicas=2)))[-1] == ("s/web.2", "Unschedulable", True)


def test_a_limited_pass_does_not_say_that_the_rest_is_well() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.one_pass(declared("node.hostname == n9"))
    limited = replace(fleet.situation(()), limit=frozenset({"n1"}))
    assert events(fleet.memory, plan(limited, waves=1).memory, fleet.now) == ()
