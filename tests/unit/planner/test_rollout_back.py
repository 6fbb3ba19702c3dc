"""On the way back `rollback_config` is in force and nothing of `update_config`: each of its keys, and how it ends."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.observed import ContainerState
from shipyard.model.plan import CreateContainer
from shipyard.model.spec import UpdatePolicy
from tests.rolling import CHECKED, Control, service

REPLICAS = 5
CRASHED = {"state": ContainerState.EXITED, "exit_code": 1, "ended": 0.0, "log": "no database\n"}


@pytest.fixture
def control() -> Control:
    return Control()


def going_back(control: Control, update: dict[str, Any], rollback: dict[str, Any], **more: Any) -> None:
    """Four of five were updated, and the last of them has failed: the next pass begins to go back."""
    more |= {
        "update": replace(UpdatePolicy(failure_action="rollback"), **update),
        "rollback": UpdatePolicy(**rollback),
    }
    control.apply(service("app:1", replicas=REPLICAS, **more))
    control.run()
    control.apply(service("app:2", replicas=REPLICAS, **more))
    while control.images().get("app:2", 0) < REPLICAS - 1:
        control.step()
        assert control.rollout().state in ("completed", "updating")
    crashes(control, "app:2")
    while not control.step().rollbacks:
        assert control.rollout().state == "updating"


def crashes(control: Control, image: str, count: int = 1) -> None:
    """The newest containers of an image."""
    found = [(box.age or 0.0, node, box) for node, box in control.boxes() if box.image == image]
    for _, node, box in sorted(found, key=lambda each: (each[0], each[2].id))[:count]:
        control.change(node, box, **CRASHED)


def all_back(control: Control) -> None:
    """All of them run what was before again, and the last has only just begun to."""
    for _ in range(300):
        control.step()
        if control.images() == {"app:1": REPLICAS}:
            return
    raise AssertionError(f"it does not get back: {control.images()}")


@pytest.mark.parametrize(
    ("update", "rollback", "failing", "pauses"),
    [
        ({}, {}, 0, False),
        ({}, {}, 1, True),
        ({}, {"failure_action": "pause"}, 1, True),
        ({}, {"failure_action": "continue"}, 1, False),
        ({}, {"max_failure_ratio": 0.2}, 1, False),
        ({}, {"max_failure_ratio": 0.2, "monitor": 10}, 2, True),
        ({"max_failure_ratio": 0.1}, {"max_failure_ratio": 0.5, "monitor": 10}, 2, False),
        ({"monitor": 60}, {"monitor": 2}, 2, False),
        ({"monitor": 2}, {"monitor": 60}, 2, True),
    ],
)
def test_what_comes_of_replicas_that_fail_once_they_are_back(
    control: Control, update: dict[str, Any], rollback: dict[str, Any], failing: int, pauses: bool
) -> None:
    """It pauses or does not; then they are mended, and nothing is left that is to go back."""
    going_back(control, update, rollback)
    all_back(control)
    for _ in range(4):
        control.step()
    crashes(control, "app:1", failing)
    seen = set()
    for _ in range(100):
        control.step()
        seen.add(control.rollout().state)
    assert ("rollback_paused" in seen) == pauses
    assert (control.rollout().state, control.images()) == ("rollback_completed", {"app:1": REPLICAS})


@pytest.mark.parametrize(("action", "left"), [("pause", 3), ("continue", 0)])
def test_going_back_stops_where_nothing_comes_up_unless_it_is_to_continue(
    control: Control, action: str, left: int
) -> None:
    going_back(control, {}, {"failure_action": action})
    control.bad.add("app:1")
    for _ in range(60):
        control.step()
    assert control.images().get("app:2", 0) == left
    if not left:
        return
    assert control.rollout().state == "rollback_paused"
    (blocked,) = [each for each in control.last.blocked if each.target == "s/web"]
    assert blocked.reason == "RollbackPaused"
    assert "going back from revision 2 stopped: s/web." in blocked.detail
    assert "no database" in blocked.detail
    assert "`shipyard resume s` tries again" in blocked.detail
    control.bad.clear()
    control.fleet.now += 400
    for _ in range(20):
        control.step()
    assert control.images()["app:2"] == left, "a person decides"


@pytest.mark.parametrize(
    ("update", "rollback", "each"),
    [({"parallelism": 1}, {"parallelism": 3}, 3), ({"parallelism": 3}, {"parallelism": 1}, 1)],
)
def test_as_many_at_once_as_the_way_back_allows(
    control: Control, update: dict[str, Any], rollback: dict[str, Any], each: int
) -> None:
    going_back(control, update, rollback)
    counts = []
    while control.images() != {"app:1": REPLICAS}:
        counts.append(len(_made(control)))
    assert max(counts) == each


@pytest.mark.parametrize(("update", "rollback", "apart"), [({"delay": 30}, {}, 0), ({}, {"delay": 30}, 30)])
def test_batches_are_as_far_apart_as_the_way_back_asks_for(
    control: Control, update: dict[str, Any], rollback: dict[str, Any], apart: float
) -> None:
    going_back(control, update, rollback)
    times = []
    while control.images() != {"app:1": REPLICAS}:
        if _made(control):
            times.append(control.fleet.now)
    assert len(times) > 2
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(apart <= gap < apart + 5 for gap in gaps)


@pytest.mark.parametrize(
    ("update", "rollback", "both"), [("stop-first", "start-first", True), ("start-first", "stop-first", False)]
)
def test_who_goes_first_is_said_for_the_way_back(control: Control, update: str, rollback: str, both: bool) -> None:
    """With start-first, who goes serves until its successor is healthy."""
    control.fleet.healthy_at_once = False
    going_back(control, {"order": update}, {"order": rollback}, healthcheck=CHECKED)
    while control.images().get("app:1", 0) < 2:  # what failed goes first, and serves nothing that could be kept
        control.step()
    most, least = 0, REPLICAS
    while control.images() != {"app:1": REPLICAS}:
        control.step()
        running = [box for _, box in control.boxes() if box.state is ContainerState.RUNNING]
        most = max(most, *Counter(box.label("shipyard.slot") for box in running).values())
        least = min(least, control.serving())
    assert most == (2 if both else 1)
    assert least == REPLICAS or not both


def _made(control: Control) -> list[str]:
    """The replicas that a pass makes."""
    return [action.target for action in control.step().actions if isinstance(action.step, CreateContainer)]
