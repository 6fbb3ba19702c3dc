"""How a run ends whose time limit ends, or would before there is anything to look at again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shipyard.model.plan import Plan, Waiting
from shipyard.model.progress import Ending, Unwatched
from shipyard.reconcile import run
from shipyard.reconcile.run import Wish


class Clock:
    """Time that passes only where a pass takes some."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def ending(monkeypatch: pytest.MonkeyPatch, *, takes: float) -> Ending:
    """Of a run of 30 s at most, whose pass takes so many seconds and leaves what is tried again 100 s later."""
    clock = Clock()

    def one_pass(*_: Any) -> Plan:
        clock.now += takes
        return Plan(waiting=(Waiting("shop/web.1", "BackOff", "tried 3 times", clock.now + 100),))

    monkeypatch.setattr(run, "clock", clock)
    monkeypatch.setattr(run, "one_pass", one_pass)
    session: Any = SimpleNamespace(now=clock.monotonic)
    keeper: Any = SimpleNamespace(waited=0.0)
    return run.converge(session, keeper, Wish(timeout=30), Unwatched())


def test_a_look_that_would_come_too_late_is_not_waited_for_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ending(monkeypatch, takes=10)
    assert (found.timed_out, found.next_look) == (True, 100)


def test_a_time_limit_that_ended_during_a_pass_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ending(monkeypatch, takes=31)
    assert (found.timed_out, found.next_look) == (True, None)
