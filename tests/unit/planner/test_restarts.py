"""Who restarts what ended, by `restart_policy`: a table of cases, and what the delay, the limit and the window do."""

from __future__ import annotations

from typing import Literal

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, RestartPolicy
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import Plan, StartContainer, StopContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from tests.simulated import SimulatedFleet

Condition = Literal["none", "on-failure", "any", "unless-stopped"]


def desired(policy: RestartPolicy | None) -> tuple[DesiredStack, ...]:
    container = ContainerSpec("app:1", network_mode="none", restart=policy)
    spec = StackSpec("s", (ServiceSpec("web", container),))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("web", ("n1",)),)),)


def running(policy: RestartPolicy | None) -> tuple[SimulatedFleet, tuple[DesiredStack, ...]]:
    fleet, stacks = SimulatedFleet(["n1"]), desired(policy)
    fleet.converge(stacks)
    return fleet, stacks


def seen(fleet: SimulatedFleet, state: ContainerState, code: int | None = None, **more: object) -> Container:
    """Its only container is found like this."""
    (box,) = fleet.nodes["n1"].boxes.values()
    found = replace(box, state=state, exit_code=code, **more)  # type: ignore[arg-type]  # fields by keyword
    fleet.nodes["n1"].boxes[box.id] = found
    return found


def told(plan: Plan) -> str:
    """What becomes of the replica, as one word."""
    steps = [type(action.step).__name__ for action in plan.actions]
    return (
        " ".join([*steps, *(each.reason for each in plan.blocked), *(each.reason for each in plan.waiting)]) or "left"
    )


START, STOP, FAILED, GAVE_UP, LEFT = "StartContainer", "StopContainer", "Failed", "GaveUp", "left"


@pytest.mark.parametrize(
    ("condition", "code", "restarts", "most", "becomes"),
    [
        (None, 0, 0, None, START),
        (None, 1, 2, None, START),
        (None, 1, 3, None, STOP),
        ("any", 0, 0, None, START),
        ("any", 1, 0, 1, START),
        ("any", 1, 1, 1, GAVE_UP),
        ("any", 0, 1, 1, GAVE_UP),
        ("any", 1, 4, 5, STOP),
        ("any", 1, 5, 5, GAVE_UP),
        ("unless-stopped", 0, 0, None, START),
        ("unless-stopped", 1, 2, 2, GAVE_UP),
        ("on-failure", 0, 0, None, LEFT),
        ("on-failure", 0, 9, 1, LEFT),
        ("on-failure", 1, 0, None, START),
        ("on-failure", 1, 3, None, STOP),
        ("on-failure", 1, 1, 2, START),
        ("on-failure", 1, 2, 2, GAVE_UP),
        ("none", 0, 0, None, LEFT),
        ("none", 1, 0, None, FAILED),
        ("none", 1, 0, 5, FAILED),
    ],
)
def test_what_has_ended(condition: Condition | None, code: int, restarts: int, most: int | None, becomes: str) -> None:
    fleet, stacks = running(RestartPolicy(condition, max_attempts=most) if condition else None)
    seen(fleet, ContainerState.EXITED, code, restarts=restarts)
    assert told(fleet.one_pass(stacks)) == becomes


@pytest.mark.parametrize(
    ("state", "restarts", "age", "becomes"),
    [
        (ContainerState.RUNNING, 2, 1.0, "Restarted"),
        (ContainerState.RUNNING, 2, 6.0, LEFT),
        (ContainerState.RUNNING, 3, 1.0, STOP),
        (ContainerState.RUNNING, 3, 600.0, STOP),
        (ContainerState.RESTARTING, 1, 1.0, "Restarting"),
        (ContainerState.RESTARTING, 2, 1.0, STOP),
    ],
)
def test_the_runtime_does_not_go_beyond_the_limit(
    state: ContainerState, restarts: int, age: float, becomes: str
) -> None:
    fleet, stacks = running(RestartPolicy("any", max_attempts=2))
    seen(fleet, state, 1, restarts=restarts, age=age)
    assert told(fleet.one_pass(stacks)) == becomes
    if becomes == STOP and age == 1.0:
        for _ in range(3):
            assert told(fleet.one_pass(stacks)) == GAVE_UP, "and it stays so"


def test_own_restarts_count_too() -> None:
    fleet, stacks = running(RestartPolicy("on-failure", max_attempts=3))
    starts = 0
    for _ in range(20):
        seen(fleet, ContainerState.EXITED, 1, age=1.0, ended=1.0)
        plan = fleet.one_pass(stacks)
        starts += any(isinstance(action.step, StartContainer) for action in plan.actions)
        fleet.now += 300
    assert starts == 3
    assert told(plan) == GAVE_UP


@pytest.mark.parametrize(
    ("window", "ran", "starts"), [(60.0, 5.0, 2), (60.0, 60.0, 12), (0.0, 590.0, 2), (0.0, 600.0, 12)]
)
def test_a_run_as_long_as_the_window_forgives_all_before_it(window: float, ran: float, starts: int) -> None:
    """Ten minutes where it is not said."""
    fleet, stacks = running(RestartPolicy("on-failure", max_attempts=2, window=window))
    count = 0
    for _ in range(12):
        seen(fleet, ContainerState.EXITED, 1, age=ran + 1.0, ended=1.0)
        count += any(isinstance(action.step, StartContainer) for action in fleet.one_pass(stacks).actions)
        fleet.now += 300
    assert count == starts


def test_a_new_spec_begins_anew() -> None:
    fleet, stacks = running(RestartPolicy("any", max_attempts=1))
    seen(fleet, ContainerState.EXITED, 1, restarts=1)
    assert told(fleet.one_pass(stacks)) == GAVE_UP
    assert fleet.memory.attempts
    again = desired(RestartPolicy("any", max_attempts=2))
    fleet.converge(again)
    seen(fleet, ContainerState.EXITED, 1, restarts=1)
    assert told(fleet.one_pass(again)) == START


def test_shipyard_waits_for_the_delay() -> None:
    fleet, stacks = running(RestartPolicy("any", delay=30.0))
    seen(fleet, ContainerState.EXITED, 1, ended=10.0)
    plan = fleet.one_pass(stacks)
    assert told(plan) == "RestartDelay"
    assert plan.waiting[0].until == fleet.now - 1 + 20
    seen(fleet, ContainerState.EXITED, 1, ended=30.0)
    assert told(fleet.one_pass(stacks)) == START


def test_what_is_limited_is_counted_once_a_restart() -> None:
    """Seen again and again, two restarts stay two."""
    fleet, stacks = running(RestartPolicy("any", max_attempts=3))
    for _ in range(5):
        seen(fleet, ContainerState.RUNNING, None, restarts=2, age=6.0)
        assert told(fleet.one_pass(stacks)) == LEFT
    (known,) = fleet.memory.attempts
    assert known.count == 2
    box = seen(fleet, ContainerState.EXITED, 1, restarts=2, age=1.0)
    (action,) = fleet.one_pass(stacks).actions
    assert action.step == StartContainer(box.id, box.name)
    assert not isinstance(action.step, StopContainer)


def test_what_the_runtime_had_to_restart_is_no_done_thing_until_it_has_been_up_for_a_while() -> None:
    fleet, stacks = running(RestartPolicy("any"))
    seen(fleet, ContainerState.RUNNING, None, restarts=1, age=1.0)
    (waiting,) = fleet.one_pass(stacks).waiting
    assert (waiting.reason, waiting.until) == ("Restarted", fleet.now - 1 + 4.0)
    seen(fleet, ContainerState.RUNNING, None, restarts=0, age=0.1)
    assert not fleet.one_pass(stacks).waiting
    (failures,) = fleet.memory.failures
    fleet.memory = replace(fleet.memory, failures=(replace(failures, count=2),))
    assert [each.detail for each in fleet.one_pass(stacks).waiting] == ["it failed 2 times lately, and it is up again"]
