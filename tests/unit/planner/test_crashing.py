"""What crashes again and again: the runtime restarts it, and shipyard holds it back when that is no use."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import StartContainer, StopContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.planner.learn import replica_events
from tests.simulated import SimulatedFleet

STACK = StackSpec("s", (ServiceSpec("web", ContainerSpec("app:1", network_mode="none")),))
STACKS = (DesiredStack(Revision("s", 1, STACK, stack_digest(STACK), 0.0, "me"), (("web", ("n1",)),)),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    fleet = SimulatedFleet(["n1"])
    fleet.converge(STACKS)
    return fleet


def crash(fleet: SimulatedFleet, state: ContainerState, restarts: int) -> Container:
    """Its only container as it is seen now: the runtime has restarted it so often in all."""
    (box,) = fleet.nodes["n1"].boxes.values()
    seen = replace(box, state=state, exit_code=3, restarts=restarts, log="no database\nno database\n")
    fleet.nodes["n1"].boxes[box.id] = seen
    return seen


@pytest.mark.parametrize("state", [ContainerState.RUNNING, ContainerState.EXITED, ContainerState.RESTARTING])
def test_it_is_stopped_whenever_it_happens_to_be_seen(fleet: SimulatedFleet, state: ContainerState) -> None:
    box = crash(fleet, state, 50)
    (action,) = fleet.one_pass(STACKS).actions
    assert action.step == StopContainer(box.id, box.name)
    assert action.reason == "CrashLoopBackOff"
    assert action.detail.startswith("restarted 50 times")


def test_it_is_started_after_a_wait_that_grows(fleet: SimulatedFleet) -> None:
    waits = []
    for round_ in range(1, 5):
        crash(fleet, ContainerState.EXITED, 50 * round_)
        (stop,) = fleet.one_pass(STACKS).actions
        assert isinstance(stop.step, StopContainer)
        waiting = fleet.one_pass(STACKS)
        assert waiting.actions == ()
        (wait,) = waiting.waiting
        assert wait.until is not None
        assert "restarted 50 times; exit code 3; last of its log: no database" in wait.detail
        waits.append(wait.until - fleet.now)
        fleet.now = wait.until
        (start,) = fleet.one_pass(STACKS).actions
        assert isinstance(start.step, StartContainer)
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def start(fleet: SimulatedFleet) -> float:
    """It ended badly, and is started again: after so many seconds."""
    crash(fleet, ContainerState.EXITED, 0)
    began = fleet.now
    while not (decided := fleet.one_pass(STACKS)).actions:
        fleet.now = min((each.until for each in decided.waiting if each.until is not None), default=fleet.now)
    assert [type(action.step) for action in decided.actions] == [StartContainer]
    return fleet.now - began


@pytest.mark.parametrize(("well", "wait"), [(580, 80), (620, 10)], ids=["not yet", "ten minutes"])
def test_what_has_run_well_for_ten_minutes_is_not_held_against_its_past(
    fleet: SimulatedFleet, well: float, wait: float
) -> None:
    waits = [start(fleet) for _ in range(3)]
    assert waits == [pytest.approx(each, abs=2) for each in (1, 10, 20)]
    fleet.sleep(well)
    assert not fleet.one_pass(STACKS).actions
    assert start(fleet) <= 2, "it has waited for long enough whatever is remembered"
    assert start(fleet) == pytest.approx(wait, abs=2)


def test_its_words_are_told_once(fleet: SimulatedFleet) -> None:
    crash(fleet, ContainerState.EXITED, 0)
    (action,) = fleet.one_pass(STACKS).actions
    assert action.detail == "exit code 3; last of its log: no database"


def told(fleet: SimulatedFleet) -> list[tuple[str, str]]:
    """The events of a pass beside its actions': reason and message."""
    before = fleet.memory
    decided = fleet.one_pass(STACKS)
    return [(event.reason, event.message) for event in replica_events(before, decided.memory, fleet.now)]


def test_it_is_told_when_it_is_found_dead_with_the_last_of_its_log(fleet: SimulatedFleet) -> None:
    crash(fleet, ContainerState.EXITED, 0)
    assert told(fleet) == [("Exited", "exit code 3; last of its log: no database")]
    assert told(fleet) == []
    box = crash(fleet, ContainerState.EXITED, 0)
    assert told(fleet) == [], "in the same words it is told when it is started"
    fleet.nodes["n1"].boxes[box.id] = replace(box, log="no disk\n")
    assert told(fleet) == [("Exited", "exit code 3; last of its log: no disk")], "though it has to wait now"
    assert told(fleet) == []


def test_what_is_ill_or_looping_is_told_with_its_log(fleet: SimulatedFleet) -> None:
    (box,) = fleet.nodes["n1"].boxes.values()
    fleet.nodes["n1"].boxes[box.id] = replace(box, health=Health.UNHEALTHY, log="overloaded\n")
    assert told(fleet) == [("Unhealthy", "last of its log: overloaded")]
    crash(fleet, ContainerState.RUNNING, 7)
    assert told(fleet) == [("CrashLoopBackOff", "restarted 7 times; last of its log: no database")]
    crash(fleet, ContainerState.EXITED, 7)
    assert told(fleet) == []


def test_what_never_started_is_told_in_the_runtimes_words(fleet: SimulatedFleet) -> None:
    (box,) = fleet.nodes["n1"].boxes.values()
    never = replace(box, state=ContainerState.CREATED, age=None, error="exec: no such file")
    fleet.nodes["n1"].boxes[box.id] = never
    assert told(fleet) == [("NeverStarted", "exec: no such file")]
