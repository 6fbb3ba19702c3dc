"""How a run ends whose time limit ends, or would before there is anything to look at again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shipyard.model.plan import Action, Blocked, Outcome, Plan, PullImage, Status, Waiting
from shipyard.model.progress import Ending, Unwatched
from shipyard.reconcile import run
from shipyard.reconcile.run import Wish

SHORT = Wish(timeout=30)


class Clock:
    """Time that passes only where a pass takes some."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def ending(
    monkeypatch: pytest.MonkeyPatch,
    *,
    takes: float,
    wish: Wish = SHORT,
    again: float = 100,
    paused: str = "",
    reason: str = "BackOff",
) -> Ending:
    """Of a run whose pass takes so many seconds and leaves what is tried again later; perhaps with a paused update."""
    clock = Clock()

    def one_pass(*_: Any) -> Plan:
        clock.now += takes
        blocked = (Blocked(paused, "UpdatePaused", "the update to revision 2 stopped"),) if paused else ()
        return Plan(waiting=(Waiting("shop/web.1", reason, "tried 3 times", clock.now + again),), blocked=blocked)

    monkeypatch.setattr(run, "clock", clock)
    monkeypatch.setattr(run, "one_pass", one_pass)
    session: Any = SimpleNamespace(now=clock.monotonic)
    keeper: Any = SimpleNamespace(waited=0.0)
    return run.converge(session, keeper, wish, Unwatched())


def test_a_look_that_would_come_too_late_is_not_waited_for_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ending(monkeypatch, takes=10)
    assert (found.timed_out, found.next_look) == (True, 100)


def test_a_time_limit_that_ended_during_a_pass_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ending(monkeypatch, takes=31)
    assert (found.timed_out, found.next_look) == (True, None)


def test_under_cron_nobody_is_kept_out_while_there_is_only_time_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ending(monkeypatch, takes=1, again=10, wish=Wish(timeout=600, cron=True))
    assert (found.timed_out, found.converged, found.passes) == (False, False, 3)
    assert ending(monkeypatch, takes=1, again=10, wish=Wish(timeout=600)).passes > 50


@pytest.mark.parametrize(("paused", "passes"), [("shop/web", 1), ("shop/api", 6)])
def test_what_a_paused_update_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, paused: str, passes: int) -> None:
    """A person has to decide: they should hear of it now, and not when the time limit ends."""
    found = ending(monkeypatch, takes=1, again=10, wish=Wish(timeout=60), paused=paused)
    assert (found.passes, found.converged, found.timed_out) == (passes, False, passes > 1)


@pytest.mark.parametrize(("stack", "passes"), [("other", 1), ("shop", 6)])
@pytest.mark.parametrize("reason", ["BackOff", "Restarting"], ids=["by us", "by its runtime"])
def test_what_crashes_in_other_stacks_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, reason: str, stack: str, passes: int
) -> None:
    """Whoever removes a stack, or deploys one, need not wait for what somebody else has to mend."""
    found = ending(monkeypatch, takes=1, again=10, wish=Wish(timeout=60, stacks=frozenset((stack,))), reason=reason)
    assert (found.passes, found.converged) == (passes, False)
    assert [each.target for each in found.waiting] == ["shop/web.1"]


def test_what_fails_at_each_try_is_not_tried_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose disk is full: nothing has a back-off of its own that could be waited for."""
    clock = Clock()
    pull = Action(1, "n1", "app:1", "Missing", "", PullImage("app:1"))

    def one_pass(*given: Any) -> Plan:
        given[4].count((Outcome(pull, Status.FAILED),))
        return Plan(waves=((pull,),))

    monkeypatch.setattr(run, "clock", clock)
    monkeypatch.setattr(run, "one_pass", one_pass)
    session: Any = SimpleNamespace(now=clock.monotonic)
    keeper: Any = SimpleNamespace(waited=0.0)
    found = run.converge(session, keeper, Wish(timeout=60), Unwatched())
    assert (found.timed_out, found.converged) == (True, False)
    assert 10 < found.passes < 20
    again = run.converge(session, keeper, Wish(timeout=600, cron=True), Unwatched())
    assert (again.timed_out, again.converged, again.passes < 15) == (True, False, True)
