"""A node that keeps failing a service's replicas is remembered for a while, and for that service only."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec
from shipyard.model.memory import Memory, StumbleKey, Stumbles
from shipyard.model.observed import ContainerState
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.planner.nodes import judge
from shipyard.planner.stumbling import note, stumbled
from shipyard.planner.world import World, build
from tests.simulated import SimulatedFleet

STACK = StackSpec("s", (ServiceSpec("web", ContainerSpec("nowhere:1", network_mode="none")),))
STACKS = (DesiredStack(Revision("s", 1, STACK, stack_digest(STACK), 0.0, "me"), (("web", ("n1",)),)),)


def world(fleet: SimulatedFleet) -> World:
    situation = fleet.situation(STACKS)
    return build(situation, judge(situation))


@pytest.mark.parametrize(
    ("ago", "too_often"),
    [
        ((), False),
        ((0, 0, 0, 0), False),
        ((0, 0, 0, 0, 0), True),
        ((299, 200, 100, 50, 0), True),
        ((300, 200, 100, 50, 0), False),
        ((400, 299, 200, 100, 50, 0), True),
    ],
)
def test_five_times_in_five_minutes(ago: tuple[float, ...], too_often: bool) -> None:
    fleet = SimulatedFleet(["n1"])
    known: dict[StumbleKey, Stumbles] = {}
    for seconds in ago:
        note(known, "s", "web", "n1", fleet.now - seconds)
    fleet.memory = Memory(stumbles=tuple(known.values()))
    seen = world(fleet)
    assert stumbled(seen, "s", "web", "n1") is too_often
    assert not stumbled(seen, "s", "web", "n2")
    assert not stumbled(seen, "s", "api", "n1")


def test_what_cannot_be_made_is_counted_once_for_each_try_and_forgotten_later() -> None:
    fleet = SimulatedFleet(["n1"])
    fleet.one_pass(STACKS)
    fleet.now += 10
    fleet.one_pass(STACKS)
    (known,) = fleet.memory.stumbles
    assert (known.key, len(known.times)) == (("s", "web", "n1"), 2)
    fleet.registry.add("nowhere:1")
    fleet.converge(STACKS)
    fleet.now += 300
    fleet.converge(STACKS)
    assert fleet.memory.stumbles == ()


def test_what_crashes_counts_as_often_as_the_runtime_restarted_it() -> None:
    fleet = SimulatedFleet(["n1"], ["nowhere:1"])
    fleet.converge(STACKS)
    (box,) = fleet.nodes["n1"].boxes.values()
    fleet.nodes["n1"].boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=3, restarts=50)
    fleet.one_pass(STACKS)
    assert stumbled(world(fleet), "s", "web", "n1")
