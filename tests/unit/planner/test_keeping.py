"""What nodes keep for a store that is lost: here, what people decided about them."""

from __future__ import annotations

from shipyard.model.node import Availability
from shipyard.model.plan import KeepAvailability
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet


def kept(fleet: SimulatedFleet) -> list[tuple[str, Availability, float]]:
    actions = fleet.one_pass(()).actions
    steps = [(action.node, action.step) for action in actions if isinstance(action.step, KeepAvailability)]
    return [(node, step.availability, step.until) for node, step in steps]


def test_a_decision_is_left_on_its_node_once_and_taken_away_with_activate() -> None:
    fleet = SimulatedFleet(["n1", "n2"])
    assert kept(fleet) == [], "that a node is active needs no copy"
    fleet.nodes["n1"].availability = Availability.PAUSE
    assert kept(fleet) == [("n1", Availability.PAUSE, 0.0)]
    assert kept(fleet) == []
    fleet.nodes["n1"].availability, fleet.nodes["n1"].drain_until = Availability.DRAIN, 1_000_060.5
    assert kept(fleet) == [("n1", Availability.DRAIN, 1_000_060.0)]
    assert kept(fleet) == [], "a node keeps whole seconds"
    fleet.nodes["n1"].availability = Availability.ACTIVE
    assert kept(fleet) == [("n1", Availability.ACTIVE, 0.0)]
    assert kept(fleet) == []


def test_a_silent_node_gets_its_copy_when_it_answers() -> None:
    fleet = SimulatedFleet(["n1", "n2"])
    fleet.nodes["n1"].availability, fleet.nodes["n1"].up = Availability.PAUSE, False
    assert kept(fleet) == []
    assert plan(fleet.situation(())).actions == ()
    fleet.nodes["n1"].up = True
    assert kept(fleet) == [("n1", Availability.PAUSE, 0.0)]
