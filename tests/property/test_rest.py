"""Passing over what is at rest changes no plan: whatever happened, it is the plan that a close look would have made."""

from __future__ import annotations

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack, Situation
from shipyard.planner import condition, rest
from shipyard.planner.plan import plan
from tests.property.test_planner import FAULTS, NODES, hurt, stacks
from tests.simulated import SimulatedFleet


def looked_at_closely(situation: Situation) -> Plan:
    with mock.patch.object(rest, "at_rest", return_value=None):
        return plan(situation, waves=1)


@settings(max_examples=40)
@given(
    history=st.lists(stacks(number=1), min_size=1, max_size=2),
    faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 1000)), max_size=6),
)
def test_a_close_look_at_what_is_at_rest_would_change_nothing(
    history: list[DesiredStack], faults: list[tuple[str, int]]
) -> None:
    fleet = SimulatedFleet(NODES)
    for number, drawn in enumerate(history, 1):
        stack = replace(drawn, revision=replace(drawn.revision, number=number))
        fleet.one_pass((stack,))
        fleet.tick()
        fleet.one_pass((stack,))
        for fault, pick in faults:
            hurt(fleet, fault, pick)
            situation = fleet.situation((stack,))
            assert plan(situation, waves=1) == looked_at_closely(situation)
            fleet.one_pass((stack,))


@settings(max_examples=20)
@given(stack=stacks(number=1))
def test_a_fleet_that_has_converged_is_at_rest(stack: DesiredStack) -> None:
    fleet = SimulatedFleet(NODES)
    last = fleet.converge((stack,))
    situation = fleet.situation((stack,))
    with mock.patch.object(condition, "of", side_effect=AssertionError("looked at closely")):
        decided = plan(situation, waves=1) if not last.blocked else last
    assert not decided.waves
