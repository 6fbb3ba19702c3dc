"""Random policies, revisions that are good or not, and kills: an update never takes away more than it may, and ends."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.model.observed import ContainerState
from shipyard.model.spec import Canary, ServiceSpec, UpdatePolicy
from tests.rolling import CHECKED, Control, service

pytestmark = pytest.mark.thorough

POLICIES = st.builds(
    UpdatePolicy,
    parallelism=st.integers(1, 3),
    delay=st.sampled_from([0.0, 2.0]),
    monitor=st.sampled_from([0.0, 1.0, 3.0]),
    failure_action=st.sampled_from(["pause", "rollback"]),
    order=st.sampled_from(["stop-first", "start-first"]),
    deadline=st.just(30.0),
)
BACK = st.builds(UpdatePolicy, parallelism=st.integers(1, 3), order=st.sampled_from(["stop-first", "start-first"]))
QUALITIES = ("good", "bad", "sick", "slow")


def check(control: Control, web: ServiceSpec) -> None:
    """What holds after every pass, whatever was killed when."""
    orders = (web.update, web.rollback)
    most = max((each.parallelism for each in orders if each.order == "stop-first"), default=0)
    assert control.serving() >= web.replicas - most
    running = Counter(box.label("shipyard.slot") for _, box in control.boxes() if box.state is ContainerState.RUNNING)
    start_first = "start-first" in (web.update.order, web.rollback.order)
    assert max(running.values(), default=0) <= (2 if start_first else 1)


@settings(max_examples=25, deadline=None)
@given(
    replicas=st.integers(1, 5),
    update=POLICIES,
    rollback=BACK,
    canary=st.sampled_from([None, None, Canary(1, 5.0), Canary(2, 5.0)]),
    quality=st.sampled_from(QUALITIES),
    kills=st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=20),
    stores=st.booleans(),
    mended=st.integers(0, 60),
)
def test_an_update_never_takes_away_more_than_it_may_and_ends(
    replicas: int,
    update: UpdatePolicy,
    rollback: UpdatePolicy,
    canary: Canary | None,
    quality: str,
    kills: list[int | None],
    stores: bool,
    mended: int,
) -> None:
    def web(image: str) -> ServiceSpec:
        return service(image, replicas=replicas, update=update, rollback=rollback, canary=canary, healthcheck=CHECKED)

    control = Control()
    control.fleet.healthy_at_once = False
    control.apply(web("app:1"))
    control.run()
    if quality != "good":
        getattr(control, quality).add("app:2")
    control.apply(web("app:2"))
    for number in range(60):
        killed = kills[number] if number < len(kills) else None
        control.step(killed_after=killed, stores=stores or number > len(kills))
        check(control, web("app:2"))
        if number == mended:
            control.apply(web("app:3"))
    for _ in range(60):
        control.step()
        check(control, web("app:2"))
    ended = control.rollout()
    if mended < 60 or quality == "good":
        assert ended.state == "completed"
        assert control.images() == {"app:3" if mended < 60 else "app:2": replicas}
    else:
        back = canary is not None or update.failure_action == "rollback"
        assert ended.state == ("rollback_completed" if back else "paused")
        assert control.images().get("app:1", 0) >= (replicas if back else replicas - 1)
    settled = control.last if ended.paused else control.run()
    assert ended.paused or not (settled.waves or settled.waiting or settled.blocked)
