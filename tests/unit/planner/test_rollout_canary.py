"""Canaries are on trial until `for` is over, also once they have stood `monitor`: what each of their ends comes to."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.model.container import Probe, Probes
from shipyard.model.observed import ContainerState, Health
from shipyard.model.spec import Canary, Reschedule
from tests.rolling import CHECKED, Control, service

CANARIES = {"replicas": 5, "canary": Canary(2, 600), "monitor": 1, "deadline": 200}
ALIVE = Probes(liveness=Probe("exec", command=("true",), period=5.0, failures=1))


@pytest.fixture
def control() -> Control:
    return Control()


def on_trial(control: Control, **more: Any) -> str:
    """Two canaries have stood `monitor`, and 100 of their 600 seconds are over. The name of one of them."""
    control.apply(service("app:1", **{**CANARIES, **more}))
    control.run()
    control.apply(service("app:2", **{**CANARIES, **more}))
    while not control.rollout().canary > 0:
        control.step()
    assert control.images() == {"app:1": 3, "app:2": 2}
    passes(control, 100)
    assert control.rollout().state == "updating"
    return next(box.name for _, box in control.boxes() if box.image == "app:2")


def passes(control: Control, seconds: float, every: float = 10.0) -> None:
    """Whoever looks, looks that often."""
    until = control.fleet.now + seconds
    while control.fleet.now < until:
        control.fleet.sleep(every)
        control.step()


def happens(control: Control, name: str, **changes: Any) -> None:
    ((node, box),) = [(node, box) for node, box in control.boxes() if box.name == name]
    control.change(node, box, **changes)


EXITS = {"state": ContainerState.EXITED, "exit_code": 1, "ended": 0.0, "log": "no database\n"}
ENDS = [
    (EXITS, "no database"),
    ({"state": ContainerState.RESTARTING, "restarts": 1, "age": 0.5}, "the runtime restarted it once"),
    ({"restarts": 1, "age": 0.5}, "the runtime restarted it once"),
    ({"health": Health.UNHEALTHY, "log": "no database\n"}, "no database"),
]


@pytest.mark.parametrize("action", ["pause", "continue", "rollback"])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize(("end", "words"), ENDS, ids=["exits", "restarting", "restarted", "unhealthy"])
def test_a_canary_that_fails_after_monitor_takes_the_update_back(
    control: Control, end: dict[str, Any], words: str, ratio: float, action: str
) -> None:
    """Whatever the rest of the policy would excuse."""
    name = on_trial(control, healthcheck=CHECKED, max_failure_ratio=ratio, failure_action=action)
    happens(control, name, **end)
    for _ in range(12):
        control.step()
        assert control.images().get("app:2", 0) <= 2
        assert control.serving() >= 3
    assert (control.rollout().state, control.images()) == ("rollback_completed", {"app:1": 5})
    assert "failed on n" in control.rollout().message
    assert words in control.rollout().message


def test_so_does_one_that_fails_its_liveness_probe(control: Control) -> None:
    on_trial(control, probes=ALIVE)
    control.fleet.answer = lambda each: (each.container not in news(control), "")
    passes(control, 60)
    assert (control.rollout().state, control.images()) == ("rollback_completed", {"app:1": 5})
    assert "failed on n" in control.rollout().message


def news(control: Control) -> set[str]:
    return {box.id for _, box in control.boxes() if box.image == "app:2"}


def test_so_do_all_of_them(control: Control) -> None:
    on_trial(control)
    control.bad.add("app:2")
    passes(control, 60)
    assert (control.rollout().state, control.images()) == ("rollback_completed", {"app:1": 5})


def test_without_an_earlier_good_revision_it_is_paused(control: Control) -> None:
    control.bad.add("app:1")
    control.apply(service("app:1", **CANARIES))
    for _ in range(5):
        control.step()
    control.apply(service("app:2", **CANARIES))
    for _ in range(20):
        control.step()
    assert control.rollout().canary > 0
    name = next(box.name for _, box in control.boxes() if box.image == "app:2")
    happens(control, name, **EXITS)
    control.step()
    assert control.rollout().state == "paused"
    assert "no earlier revision that was good" in control.rollout().message


def test_what_fails_unseen_at_the_end_of_the_trial_fails_it(control: Control) -> None:
    """Nobody has looked since: the next look finds the time over, and one of them down."""
    name = on_trial(control)
    control.fleet.sleep(600)
    happens(control, name, **EXITS)
    control.step()
    assert control.rollout().state == "rollback_started"


def test_a_canary_that_fails_after_its_trial_is_only_mended(control: Control) -> None:
    name = on_trial(control)
    passes(control, 520)
    assert control.images()["app:2"] > 2
    happens(control, name, **EXITS)
    control.run()
    assert (control.rollout().state, control.images()) == ("completed", {"app:2": 5})


@pytest.mark.parametrize(
    ("unready", "state"), [(100, "completed"), (250, "rollback_completed")], ids=["within the deadline", "beyond it"]
)
def test_one_that_is_not_ready_keeps_the_others_waiting_but_not_for_ever(
    control: Control, unready: float, state: str
) -> None:
    """Such time adds up, however it is spread: a canary that is ready now and then does not stop its clock."""
    name = on_trial(control, healthcheck=CHECKED)
    control.slow.add("app:2")
    passes(control, 150)
    for _ in range(5):
        happens(control, name, health=Health.STARTING)
        passes(control, unready / 5)
        assert control.images().get("app:2", 0) <= 2
        if control.rollout().state != "updating":
            break
        happens(control, name, health=Health.HEALTHY)
        passes(control, 10)
    control.slow.clear()
    passes(control, 400)
    assert (control.rollout().state, len(control.images())) == (state, 1)


def test_the_time_being_over_is_not_enough_while_one_is_not_ready(control: Control) -> None:
    name = on_trial(control, healthcheck=CHECKED, deadline=10_000)
    control.slow.add("app:2")
    happens(control, name, health=Health.STARTING)
    passes(control, 900)
    assert control.images()["app:2"] <= 2
    happens(control, name, health=Health.HEALTHY)
    control.slow.clear()
    passes(control, 100)
    assert (control.rollout().state, control.images()) == ("completed", {"app:2": 5})


def test_a_new_container_in_its_place_is_tried_anew(control: Control) -> None:
    """Somebody removed it: no failure of the revision, but nothing that it has proven either."""
    name = on_trial(control)
    ((node, box),) = [(node, box) for node, box in control.boxes() if box.name == name]
    del control.fleet.nodes[node].boxes[box.id]
    passes(control, 560)
    assert control.images() == {"app:1": 3, "app:2": 2}
    passes(control, 150)
    assert (control.rollout().state, control.images()) == ("completed", {"app:2": 5})


@pytest.mark.parametrize(("silent", "back"), [(60, False), (600, True)], ids=["for a while", "until it is lost"])
def test_the_others_do_not_follow_one_whose_node_is_silent(control: Control, silent: float, back: bool) -> None:
    """Which may be its doing. Where it waits for its node, it is one that does not come up once that is lost."""
    name = on_trial(control, reschedule=Reschedule(never=True))
    passes(control, 470)
    (node,) = [node for node, box in control.boxes() if box.name == name]
    control.fleet.nodes[node].up = False
    passes(control, silent)
    assert control.images().get("app:2", 0) <= 2
    assert control.rollout().state == ("rollback_started" if back else "updating")
    assert not back or f"no progress for 200 s: s/web.1 on {node}: NodeNotObserved" in control.rollout().message
    control.fleet.nodes[node].up = True
    passes(control, 300)
    assert control.rollout().state == ("rollback_completed" if back else "completed")
    assert control.images() == {"app:1" if back else "app:2": 5}
