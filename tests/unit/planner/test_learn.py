"""What failed outcomes are called: why it failed, where that is known."""

from __future__ import annotations

import pytest

from shipyard.model.container import ContainerSpec
from shipyard.model.memory import Memory
from shipyard.model.plan import Action, CreateContainer, EnsureItem, Outcome, PullImage, Status, Step
from shipyard.model.situation import Timing
from shipyard.model.wire import Item
from shipyard.planner.learn import events, learn

LABELS = {"shipyard.service": "web", "shipyard.slot": "1", "shipyard.spec": "v1:0", "shipyard.stack": "s"}
CREATE = CreateContainer("s-web-1-abc", ContainerSpec("a"), tuple(LABELS.items()))


@pytest.mark.parametrize(
    ("step", "reason", "called"),
    [
        (CREATE, "PortTaken", "PortTaken"),
        (CREATE, "", "CreateContainerFailed"),
        (PullImage("a"), "TimedOut", "ImagePullFailed"),
    ],
)
def test_events_and_back_off_say_why(step: Step, reason: str, called: str) -> None:
    outcome = Outcome(Action(1, "n1", "s/web.1", "Missing", "", step), Status.FAILED, "its words", reason=reason)
    (event,) = events([outcome], 1.0)
    assert (event.reason, event.warning) == (called, True)
    learnt = learn(Memory(), [outcome], 1.0, Timing()).failures
    assert [entry.reason for entry in learnt] == ([called] if step is CREATE else [])


@pytest.mark.parametrize(("status", "told"), [(Status.DONE, []), (Status.FAILED, ["EnsureItemFailed"])])
def test_of_what_is_routine_only_a_failure_is_told(status: Status, told: list[str]) -> None:
    """A first apply makes dozens of routes; what it made them for is told."""
    step = EnsureItem(Item("route", "10.208.1.0/26", "dev x", "route to n2"))
    action = Action(1, "n1", "network", "Missing", "", step, routine=True)
    assert [each.reason for each in events([Outcome(action, status, "its words")], 1.0)] == told
