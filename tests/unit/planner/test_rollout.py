"""Updates, pass by pass in virtual time: how many at once, who goes first, what a failure leads to."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Mount, Port
from shipyard.model.node import Availability
from shipyard.model.observed import ContainerState
from shipyard.model.plan import CreateContainer, RemoveContainer
from shipyard.model.spec import (
    Canary,
    NetworkSpec,
    PlacementRules,
    Reservations,
    ServiceSpec,
    StackSpec,
    UpdatePolicy,
    VolumeSpec,
)
from shipyard.planner.plan import plan
from tests.rolling import CHECKED, Control, service


@pytest.fixture
def control() -> Control:
    return Control()


def deployed(control: Control, **more: Any) -> None:
    control.apply(service("app:1", **more))
    control.run()
    assert control.rollout().state == "completed"


def paused(control: Control, replicas: int = 3) -> None:
    """An update that stopped at its first replica, which fails."""
    deployed(control, replicas=replicas)
    control.bad.add("app:2")
    control.apply(service("app:2", replicas=replicas))
    for _ in range(10):
        control.step()
    assert control.rollout().state == "paused"


@pytest.mark.parametrize(("check", "alone"), [(None, 2), (CHECKED, 1)])
def test_the_first_goes_alone_and_the_others_follow_once_it_is_well(
    control: Control, check: Healthcheck | None, alone: int
) -> None:
    """Without a check it has to have run for half a second, seen or not; one that is checked need only be healthy."""
    control.fleet.pace = 0.3
    deployed(control, replicas=5, parallelism=2, healthcheck=check)
    control.apply(service("app:2", replicas=5, parallelism=2, monitor=4, healthcheck=check))
    began, counts = control.fleet.now, []
    while control.images().get("app:2", 0) < 5:
        control.step()
        counts.append(control.images().get("app:2", 0))
        assert control.serving() >= 3
    assert counts[: alone + 1] == [*[1] * alone, 3]
    assert sorted(set(counts)) == [1, 3, 5]
    assert control.fleet.now - began < 12
    control.run()
    assert control.rollout().state == "completed"
    assert not control.last.blocked


@pytest.mark.parametrize(("check", "passes"), [(None, 2), (CHECKED, 3)])
def test_time_that_nobody_saw_counts_where_nothing_checks(
    control: Control, check: Healthcheck | None, passes: int
) -> None:
    """Of a health check it is not known since when it passes."""
    deployed(control, replicas=1, healthcheck=check)
    control.fleet.pace = 60
    control.apply(service("app:2", replicas=1, healthcheck=check))
    for _ in range(passes - 1):
        control.step()
        assert control.rollout().state == "updating"
    control.step()
    assert control.rollout().state == "completed"


@pytest.mark.parametrize(
    ("policy", "state", "images", "revisions"),
    [
        ({}, "paused", {"app:1": 4}, 2),
        ({"failure_action": "rollback"}, "rollback_completed", {"app:1": 5}, 3),
        ({"failure_action": "continue"}, "completed", {}, 2),
        ({"max_failure_ratio": 0.2}, "paused", {"app:1": 3}, 2),
        ({"max_failure_ratio": 0.2, "failure_action": "rollback"}, "rollback_completed", {"app:1": 5}, 3),
        ({"max_failure_ratio": 1.0}, "completed", {}, 2),
        ({"order": "start-first"}, "paused", {"app:1": 5}, 2),
        ({"order": "start-first", "failure_action": "rollback"}, "rollback_completed", {"app:1": 5}, 3),
        ({"parallelism": 0}, "paused", {"app:1": 4}, 2),
        ({"canary": Canary(2, 8)}, "rollback_completed", {"app:1": 5}, 3),
    ],
)
@pytest.mark.parametrize("how", ["bad", "sick"])
def test_what_a_bad_revision_comes_to(
    control: Control, policy: dict[str, Any], state: str, images: dict[str, int], revisions: int, how: str
) -> None:
    control.fleet.healthy_at_once = False
    deployed(control, replicas=5, healthcheck=CHECKED)
    getattr(control, how).add("app:2")
    control.apply(service("app:2", replicas=5, healthcheck=CHECKED, **policy))
    for _ in range(40):
        control.step()
    good = {image: count for image, count in control.images().items() if image == "app:1"}
    assert (control.rollout().state, good, len(control.revisions)) == (state, images, revisions)
    if state != "completed":
        assert "failed on n" in control.rollout().message
        assert "no database" in control.rollout().message
    if state == "paused":
        (blocked,) = [each for each in control.last.blocked if each.target == "s/web"]
        assert blocked.reason == "UpdatePaused"
        assert "shipyard resume s" in blocked.detail
    if state == "rollback_completed":
        assert control.head.spec == control.revisions[0].spec
        assert (control.rollout().undone, control.rollout().revision) == (2, 3)
        assert not control.run().waves


def test_one_that_crashes_while_it_is_watched_has_failed(control: Control) -> None:
    deployed(control)
    control.apply(service("app:2"))
    control.step()
    ((node, box),) = [(node, box) for node, box in control.boxes() if box.image == "app:2"]
    control.step()
    control.change(node, box, restarts=1)
    control.step()
    assert control.rollout().state == "paused"
    assert "the runtime restarted it once" in control.rollout().message


def test_one_that_crashes_after_that_has_not(control: Control) -> None:
    deployed(control)
    control.apply(service("app:2"))
    while not control.rollout().good or control.rollout().revision != 2:
        control.step()
    slot = control.rollout().good[0]
    for node, box in control.boxes():
        if box.image == "app:2" and box.label("shipyard.slot") == str(slot):
            control.change(node, box, state=ContainerState.EXITED, exit_code=1)
    control.run()
    assert control.rollout().state == "completed"
    assert control.images() == {"app:2": 3}


def test_start_first_keeps_the_old_one_until_the_new_one_is_good_also_on_its_node(control: Control) -> None:
    deployed(control, order="start-first", healthcheck=CHECKED)
    control.apply(service("app:2", order="start-first", healthcheck=CHECKED))
    control.fleet.healthy_at_once = False
    for number in range(40):
        if number in (0, 7):  # the first, and one of those that follow, take their time
            control.slow.add("app:2")
        elif number in (6, 13):
            assert control.images() == ({"app:1": 3, "app:2": 1} if number == 6 else {"app:1": 2, "app:2": 2})
            control.slow.clear()
        control.step()
        for wave in control.last.waves:
            new = {action.target for action in wave if isinstance(action.step, CreateContainer)}
            old = {action.target for action in wave if isinstance(action.step, RemoveContainer)}
            assert not new & old
        assert control.serving() == 3
    assert control.images() == {"app:2": 3}
    assert not control.last.waves


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ports": (Port(80, 8080),)}, "publishes port 8080"),
        ({"mounts": (Mount("volume", "/data", "s_data"),)}, "local volume s_data"),
        ({"network_mode": "host"}, "its node's own network"),
        ({"stable_names": True}, "its name is its own"),
        ({"networks": (Attachment("s_net", ipv4_address="10.9.0.9"),)}, "its address is fixed"),
        ({"networks": (Attachment("s_net", ipv6_address="fd00::9"),)}, "its address is fixed"),
        ({"networks": (Attachment("s_net", mac_address="02:00:00:00:00:09"),)}, "its address is fixed"),
    ],
)
def test_start_first_becomes_stop_first_where_both_can_not_be(
    control: Control, more: dict[str, Any], words: str
) -> None:
    def apply(image: str) -> None:
        alone = {"network_mode": None} if "networks" in more else {}
        control.apply(service(image, order="start-first", **alone, **more))
        networks = (NetworkSpec("s_net", "net", subnet="10.9.0.0/24", subnet6="fd00::/64"),)
        spec = replace(control.head.spec, volumes=(VolumeSpec("s_data", "data"),), networks=networks)
        control.revisions[-1] = replace(control.head, spec=spec)

    apply("app:1")
    control.run()
    apply("app:2")
    while "app:2" not in control.images():
        control.step()
    (notice,) = [each for each in control.last.notices if each.reason == "StopFirst"]
    assert words in notice.detail
    assert control.images() == {"app:1": 2, "app:2": 1}
    control.run()
    assert control.images() == {"app:2": 3}


def test_a_failed_start_first_update_is_taken_back_to_what_never_stopped(control: Control) -> None:
    policy = {"order": "start-first", "failure_action": "rollback"}
    deployed(control, **policy)
    before = {box.id for _, box in control.boxes()}
    control.bad.add("app:2")
    control.apply(service("app:2", **policy))
    for _ in range(60):
        control.step()
        assert control.serving() == 3
    assert {box.id for _, box in control.boxes()} == before
    assert control.rollout().state == "rollback_completed"


def test_what_a_paused_update_has_not_reached_is_mended_as_it_was(control: Control) -> None:
    paused(control)
    for node, box in control.boxes():
        if box.image == "app:1":
            del control.fleet.nodes[node].boxes[box.id]
    for _ in range(3):
        control.step()
    assert control.images() == {"app:1": 2}
    control.bad.clear()
    control.fleet.now += 300
    for _ in range(3):
        control.step()
    assert control.images() == {"app:1": 2, "app:2": 1}


def test_a_person_pauses_and_lets_go_on(control: Control) -> None:
    deployed(control)
    control.apply(service("app:2"))
    control.step()
    control.hold()
    for _ in range(30):
        control.step()
    assert control.images() == {"app:1": 2, "app:2": 1}
    assert [each.reason for each in control.last.blocked] == ["UpdatePaused"]
    control.fleet.memory = replace(control.fleet.memory, holds=())
    control.run()
    assert control.images() == {"app:2": 3}


def test_an_update_in_which_nothing_comes_up_fails_at_its_deadline(control: Control) -> None:
    control.fleet.healthy_at_once = False
    deployed(control, healthcheck=CHECKED)
    control.slow.add("app:2")
    control.apply(service("app:2", healthcheck=CHECKED, deadline=100))
    began = control.fleet.now
    while control.step() and control.rollout().state in ("completed", "updating"):
        assert control.fleet.now - began < 120
    assert control.fleet.now - began > 95
    assert "no progress for 100 s: s/web.1" in control.rollout().message


def test_time_in_which_nobody_looked_does_not_count_to_the_deadline(control: Control) -> None:
    control.fleet.healthy_at_once = False
    deployed(control, healthcheck=CHECKED)
    control.slow.add("app:2")
    control.apply(service("app:2", healthcheck=CHECKED, deadline=100))
    control.step()
    control.fleet.now += 3 * 24 * 3600
    control.step()
    assert control.rollout().state == "updating"


def test_batches_are_apart_by_the_delay(control: Control) -> None:
    deployed(control)
    control.apply(service("app:2", delay=30, monitor=0))
    times = []
    for _ in range(90):
        if any(isinstance(action.step, CreateContainer) for action in control.step().actions):
            times.append(control.fleet.now)
    assert len(times) == 3
    assert all(30 <= later - earlier <= 33 for earlier, later in pairwise(times))


def test_canaries_are_watched_before_the_others_follow(control: Control) -> None:
    deployed(control, replicas=5)
    control.apply(service("app:2", replicas=5, canary=Canary(2, 600), monitor=1))
    began = control.fleet.now
    while control.images().get("app:2", 0) <= 2:
        control.step()
        assert control.serving() >= 4
    assert 600 < control.fleet.now - began < 620
    control.run()
    assert control.images() == {"app:2": 5}
    assert control.rollout().state == "completed"


def test_after_a_restored_backup_replicas_go_back_one_after_the_other(control: Control) -> None:
    """Nobody decided about them in this store: it knows nothing of the newer containers, which serve."""
    deployed(control, replicas=4)
    backup = control.fleet.memory
    control.apply(service("app:2", replicas=4))
    control.run()
    control.fleet.memory, control.revisions = backup, control.revisions[:1]
    while control.images() != {"app:1": 4}:
        assert control.serving() >= 3
        control.step()


def test_replicas_that_are_added_while_canaries_are_on_trial_are_made_as_the_others_are(control: Control) -> None:
    deployed(control)
    control.apply(service("app:2", replicas=6, canary=Canary(1, 600), monitor=1))
    control.step()
    assert control.images() == {"app:1": 5, "app:2": 1}
    while control.step().waiting and control.rollout().state == "updating" and control.images()["app:2"] < 2:
        assert control.images() == {"app:1": 5, "app:2": 1}
    control.run()
    assert control.images() == {"app:2": 6}


def test_replicas_that_move_while_canaries_are_on_trial_stay_what_they_are(control: Control) -> None:
    deployed(control, replicas=6)
    control.apply(service("app:2", replicas=6, canary=Canary(1, 600), monitor=1))
    while control.images().get("app:2") != 1 or not control.rollout().canary:
        control.step()
    control.fleet.nodes["n1"].availability = Availability.DRAIN
    for _ in range(20):
        control.step()
    assert {node for node, _ in control.boxes()} == {"n2", "n3"}
    assert control.images() == {"app:1": 5, "app:2": 1}
    control.run()
    assert control.images() == {"app:2": 6}


def test_a_pass_that_is_killed_before_it_stores_the_rollback_leaves_it_to_the_next(control: Control) -> None:
    deployed(control)
    control.bad.add("app:2")
    control.apply(service("app:2", failure_action="rollback"))
    while not control.step(stores=False).rollbacks:
        pass
    assert len(control.revisions) == 2
    assert control.step(stores=False).rollbacks
    control.run()
    assert len(control.revisions) == 3
    assert control.images() == {"app:1": 3}
    assert control.rollout().state == "rollback_completed"


def test_only_the_service_that_failed_is_taken_back(control: Control) -> None:
    control.apply(service("app:1"), service("app:1", "api"))
    control.run()
    control.bad.add("app:2")
    control.apply(service("app:2", failure_action="rollback"), service("app:3", "api"))
    control.run()
    assert control.images() == {"app:1": 3}
    assert control.images("api") == {"app:3": 3}


def test_there_is_no_way_back_from_what_was_first(control: Control) -> None:
    control.bad.add("app:1")
    control.apply(service("app:1"))
    for _ in range(5):
        control.step()
    control.bad.add("app:2")
    control.apply(service("app:2", failure_action="rollback"))
    for _ in range(5):
        control.step()
    assert control.rollout().state == "paused"
    assert "no earlier revision that was good" in control.rollout().message


def test_a_mended_revision_replaces_a_broken_one_without_waiting(control: Control) -> None:
    paused(control)
    control.apply(service("app:3"))
    control.run()
    assert control.images() == {"app:3": 3}
    assert control.rollout().before == 1


def test_what_is_added_to_a_paused_update_is_made_as_it_was_before(control: Control) -> None:
    paused(control)
    control.apply(service("app:2", replicas=6))
    for _ in range(10):
        control.step()
    assert control.rollout().state == "paused"
    assert control.images()["app:1"] == 5, "the one that failed is the only one of the revision that is not known good"
    control.bad.clear()
    control.apply(service("app:3", replicas=6))
    control.run()
    assert control.images() == {"app:3": 6}


def test_a_paused_update_is_over_only_once_what_failed_has_stayed_up(control: Control) -> None:
    """What crashes again and again is up now and then."""
    paused(control, replicas=1)
    control.bad.clear()
    states = []
    for age in (1.0, 4.0, 6.0):
        ((node, box),) = control.boxes()
        control.change(node, box, state=ContainerState.RUNNING, exit_code=None, restarts=2, age=age)
        control.step()
        states.append(control.rollout().state)
    assert states == ["paused", "paused", "completed"]


def test_what_a_paused_update_had_not_made_yet_goes_on_as_it_was(control: Control) -> None:
    """Their turn had come, with that of the one that failed; nobody is to lose what serves for a bad revision."""
    deployed(control, parallelism=0)
    control.apply(service("app:2", parallelism=0))
    control.step()
    first = {each.slot for each in control.fleet.memory.placements if each.revision == 2}
    assert first
    rollout = replace(control.rollout(), state="paused", message="one of them failed", gated=True)
    ahead = tuple(
        replace(each, revision=2, incarnation=each.incarnation + 1) for each in control.fleet.memory.placements
    )
    control.fleet.memory = replace(control.fleet.memory, rollouts=(rollout,), placements=ahead)
    before = control.images()
    for _ in range(5):
        control.step()
    assert control.images() == before


def test_a_revision_of_other_services_leaves_an_update_as_it_is(control: Control) -> None:
    paused(control)
    control.apply(service("app:2"), service("app:1", "api"))
    for _ in range(20):
        control.step()
    assert (control.rollout().state, control.rollout().revision) == ("paused", 3)
    assert control.images()["app:1"] == 2


def test_rollback_config_is_for_the_way_back(control: Control) -> None:
    more = {"rollback": UpdatePolicy(parallelism=0), "update": UpdatePolicy(monitor=0, failure_action="rollback")}
    deployed(control, replicas=6, **more)
    control.apply(service("app:2", replicas=6, **more))
    while control.images().get("app:2", 0) < 5:
        control.step()
    control.bad.add("app:2")
    while not control.step().rollbacks:
        pass
    control.step()
    assert control.images() == {"app:1": 6}


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_a_plan_shows_all_of_an_update_and_begins_none(control: Control, order: str) -> None:
    more = {"order": order, "monitor": 60, "delay": 60, "canary": Canary(1, 600)}
    deployed(control, **more)
    control.apply(service("app:2", **more))
    decided = plan(control.fleet.situation(control.stacks))
    made = [action.target for action in decided.actions if isinstance(action.step, CreateContainer)]
    gone = [action.target for action in decided.actions if isinstance(action.step, RemoveContainer)]
    assert made == sorted(gone) == ["s/web.1", "s/web.2", "s/web.3"]
    (rollout,) = decided.memory.rollouts
    assert (rollout.state, rollout.good) == ("updating", ())


def test_no_replica_is_taken_down_while_another_ones_node_is_silent(control: Control) -> None:
    """Nobody knows that it serves: so it counts with those that an update takes away, until it answers or is lost."""
    deployed(control)
    silent, *others = (node for node, _ in control.boxes())
    control.fleet.nodes[silent].up = False
    control.apply(service("app:2"))
    control.step()
    assert control.images() == {"app:1": 3}
    assert {each.reason for each in control.last.waiting} == {"NodeNotObserved", "RollingUpdate"}
    control.fleet.nodes[silent].up = True
    control.run()
    assert control.images() == {"app:2": 3}
    assert others


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"api": 8000, "web": None}, {"api": None, "web": 8000}),
        ({"api": 8000, "web": 8001}, {"api": 8001, "web": 8000}),
        ({"api": 8000, "web": 8001, "zed": 8002}, {"api": 8001, "web": 8002, "zed": 8000}),
    ],
    ids=["given away", "swapped", "in a ring"],
)
def test_a_port_goes_from_one_service_to_another_in_one_revision(
    control: Control, before: dict[str, int | None], after: dict[str, int | None]
) -> None:
    """Who is to have it waits for who had it. The fleet refuses a port that is taken, and that would be a failure."""
    for ports in (before, after):
        control.apply(
            *(service("app:1", name, ports=(Port(80, port),) if port else ()) for name, port in ports.items())
        )
        control.run()
    assert not control.last.blocked
    assert not control.fleet.memory.failures
    for name, port in after.items():
        assert control.rollout(name).state == "completed"
        keys = {box.id for _, box in control.boxes(name)}
        specs = [spec for node in control.fleet.nodes.values() for key, spec in node.specs.items() if key in keys]
        assert [[each.published for each in spec.ports] for spec in specs] == [[port] if port else []] * 3


def test_a_replica_goes_back_to_its_data_where_an_update_that_let_it_go_is_taken_back(control: Control) -> None:
    """It was drained, and free to go as it had its data no more; before it has gone it is to have it again."""
    data = {"mounts": (Mount("volume", "/data", "s_data"),)}
    volumes = (VolumeSpec("s_data", "data"),)
    with_data = StackSpec("s", (service("app:1", replicas=1, **data),), volumes=volumes)
    control.store(with_data)
    control.run()
    ((home, _),) = control.boxes()
    control.fleet.nodes[home].availability = Availability.DRAIN
    control.store(StackSpec("s", (service("app:2", replicas=1),), volumes=volumes))
    control.step()
    assert control.fleet.memory.placements[0].node != home
    control.store(with_data)
    control.run()
    assert [where for where, _ in control.boxes()] == [home]
    assert {"PinnedByVolume"} == {each.reason for each in control.last.blocked}


def test_no_replica_is_taken_down_in_the_pass_that_places_a_lost_nodes_replica_elsewhere(control: Control) -> None:
    """It does no work yet: that is one of those that may be down at once."""
    deployed(control, replicas=2, parallelism=1)
    control.apply(service("app:2", replicas=2, parallelism=1, delay=5))
    while control.images() != {"app:1": 1, "app:2": 1}:
        control.step()
    lost = next(where for where, box in control.boxes() if box.image == "app:2")
    control.fleet.nodes[lost].up = False
    moved = False
    while not moved:
        control.fleet.now += 30
        made = [each.node for each in control.step().actions if isinstance(each.step, CreateContainer)]
        removed = [each for each in control.last.actions if isinstance(each.step, RemoveContainer)]
        moved = bool(made)
        assert not removed
    assert control.run().blocked == ()
    assert sorted(box.image for where, box in control.boxes() if where != lost) == ["app:2", "app:2"]


def test_a_port_is_free_only_once_the_container_that_moves_away_has_gone(control: Control) -> None:
    """With start-first the old one serves on until the new one, on another node, is healthy."""
    web = service("app:1", replicas=1, order="start-first", healthcheck=CHECKED, ports=(Port(80, 8000),))
    control.apply(web)
    control.run()
    ((home, _),) = control.boxes()
    control.slow.add("app:1")
    control.fleet.healthy_at_once = False
    control.fleet.nodes[home].availability = Availability.DRAIN
    control.step()
    control.fleet.nodes[home].availability = Availability.ACTIVE
    everywhere = ServiceSpec("db", ContainerSpec("app:2", network_mode="none", ports=(Port(80, 8000),)), mode="global")
    control.apply(web, everywhere)
    control.step()
    taken = [each for each in control.last.waiting if each.reason == "PortTaken"]
    assert [each.detail for each in taken] == [f"s/web.1 has port 8000/tcp of {home} until its turn comes"]
    assert not control.fleet.memory.failures
    control.slow.clear()
    control.run()
    assert home in [where for where, _ in control.boxes("db")]
    assert not control.fleet.memory.failures


def test_a_replica_not_yet_made_does_not_take_a_port_that_the_newest_revision_gives_to_another(
    control: Control,
) -> None:
    """Until the update reaches it, it would be made as it was declared before."""
    control.slow.add("app:1")
    control.fleet.healthy_at_once = False
    waits = {"healthcheck": CHECKED, "ports": (Port(80, 8000),), "order": "stop-first"}
    control.apply(replace(service("app:1", **waits), order="ordered"))
    control.step()
    control.step()
    assert len(control.boxes()) == 1, "the others wait for the first"
    everywhere = ServiceSpec("db", ContainerSpec("app:2", network_mode="none", ports=(Port(80, 8000),)), mode="global")
    control.slow.clear()
    control.apply(service("app:1", healthcheck=CHECKED), everywhere)
    control.run()
    assert not control.fleet.memory.failures
    assert len(control.boxes("db")) == len(control.boxes("web")) == 3


def nodes_of(control: Control) -> dict[str, str]:
    """Of each replica, by slot."""
    return {box.label("shipyard.slot") or "": where for where, box in control.boxes()}


def test_an_update_that_reserves_more_than_a_node_has_moves_as_few_as_must(control: Control) -> None:
    packed, more = PlacementRules(strategy="binpack"), 3 * 2**30
    control.apply(service("app:1", replicas=3, placement=packed, reservations=Reservations(memory=2**30)))
    control.run()
    (home,) = set(nodes_of(control).values())
    control.apply(service("app:2", replicas=3, placement=packed, reservations=Reservations(memory=more)))
    while control.images() != {"app:2": 3}:
        control.step()
        assert control.serving() >= 2
    assert list(nodes_of(control).values()).count(home) == 2, "of 8 GiB less the system's share"
    assert not control.run().blocked


def test_an_update_spreads_what_may_no_longer_be_on_one_node(control: Control) -> None:
    control.apply(service("app:1", replicas=3, placement=PlacementRules(strategy="binpack")))
    control.run()
    assert len(set(nodes_of(control).values())) == 1
    control.apply(service("app:2", replicas=3, placement=PlacementRules(max_replicas_per_node=1)))
    control.run()
    assert sorted(nodes_of(control).values()) == ["n1", "n2", "n3"]


def test_a_lower_limit_a_node_alone_moves_those_beyond_it_in_turn(control: Control) -> None:
    """No container is other than before, so there is no update; the one with the lowest number stays."""
    checked = {"healthcheck": CHECKED, "order": "start-first"}
    control.apply(service("app:1", replicas=3, placement=PlacementRules(strategy="binpack"), **checked))
    control.run()
    before = nodes_of(control)
    control.apply(service("app:1", replicas=3, placement=PlacementRules(max_replicas_per_node=1), **checked))
    while len(set(nodes_of(control).values())) < 3 or len(control.boxes()) > 3:
        control.step()
        assert control.serving() == 3
    assert nodes_of(control)["1"] == before["1"]
    control.apply(service("app:1", replicas=4, placement=PlacementRules(max_replicas_per_node=1), **checked))
    assert [(each.target, each.reason) for each in control.run().blocked] == [("s/web.4", "Unschedulable")]


def test_what_fits_on_no_node_after_an_update_stays_and_that_is_said(control: Control) -> None:
    control.apply(service("app:1", replicas=1))
    control.run()
    before = nodes_of(control)
    control.apply(service("app:2", replicas=1, reservations=Reservations(memory=2**40)))
    control.step()
    (notice,) = [each for each in control.last.notices if each.reason == "DoesNotFit"]
    assert notice.target == "s/web.1"
    assert notice.detail == f"stays on {before['1']}, which lacks memory (needs 1024 GiB): no other node fits"
    control.run()
    assert (nodes_of(control), control.images()) == (before, {"app:2": 1})


def test_an_update_moves_nothing_from_where_it_fits(control: Control) -> None:
    """What runs stays, however uneven that is."""
    packed = PlacementRules(strategy="binpack")
    control.apply(service("app:1", replicas=3, placement=packed, reservations=Reservations(memory=2**30)))
    control.run()
    before = nodes_of(control)
    control.apply(service("app:2", replicas=3, reservations=Reservations(memory=2 * 2**30)))
    control.run()
    assert (nodes_of(control), control.images()) == (before, {"app:2": 3})
