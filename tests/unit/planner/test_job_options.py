"""What a job says of when its runs begin and how many of its tasks are at work at once, in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.container import ContainerSpec
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Reservations, ServiceSpec
from shipyard.planner.job_events import job_events
from shipyard.planner.job_schedule import asked
from tests.simulated import SimulatedFleet
from tests.unit.planner.test_jobs import NODES, begun, node_of, runs, service, stack, states

DUE = 1_800_000_000.0
"""A whole hour."""


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "seen", "due"),
    [
        ("UTC", "2027-01-15 12:00", "2027-01-16 03:30"),
        ("Europe/Berlin", "2027-01-15 12:00", "2027-01-16 02:30"),
        ("Europe/Berlin", "2027-07-15 12:00", "2027-07-16 01:30"),
        ("America/New_York", "2027-01-15 12:00", "2027-01-16 08:30"),
        ("Asia/Kolkata", "2027-01-15 12:00", "2027-01-15 22:00"),
    ],
)
def test_a_schedule_goes_by_the_clocks_of_its_time_zone(zone: str, seen: str, due: str) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="30 3 * * *", timezone=zone))
    fleet.now = at(seen)
    fleet.one_pass(desired)
    fleet.now = at(due) - 5
    assert not begun(fleet.one_pass(desired))
    fleet.now = at(due)
    assert begun(fleet.one_pass(desired)) == [f"s.job.due-{at(due):.0f}.0.1"]


def test_what_was_missed_is_told_by_the_clocks_of_its_time_zone() -> None:
    job = service(schedule="30 3 * * *", timezone="Europe/Berlin", catch_up=0.0)
    fleet, desired = SimulatedFleet(NODES), stack(job)
    fleet.now = at("2027-01-15 12:00")
    fleet.one_pass(desired)
    fleet.now = at("2027-01-16 06:00")
    fleet.one_pass(desired)
    assert [(run.state, run.message) for run in runs(fleet)] == [
        ("skipped", "no pass came within 60 s of 2027-01-16 03:30+01:00")
    ]


def test_a_schedule_in_another_time_zone_is_another_one_and_not_about_the_past() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.now = at("2027-01-16 01:00")
    fleet.one_pass(stack(service(schedule="30 3 * * *", timezone="UTC", catch_up=86_400.0)))
    fleet.now = at("2027-01-16 02:45")
    moved = stack(service(schedule="30 3 * * *", timezone="Europe/Berlin", catch_up=86_400.0), number=2)
    assert not begun(fleet.one_pass(moved)), "03:30 in Berlin is past"
    fleet.now = at("2027-01-17 02:30")
    assert len(begun(fleet.one_pass(moved))) == 1


def full(**rules: Any) -> tuple[SimulatedFleet, tuple[DesiredStack, ...], tuple[DesiredStack, ...]]:
    """A fleet whose job finds no room when it is due; what is declared, and the same without what is in the way."""
    job = replace(service(schedule="0 * * * *", **rules), reservations=Reservations(cpus=2.0))
    large = ServiceSpec(
        "web", ContainerSpec("app:1", network_mode="none"), replicas=3, reservations=Reservations(cpus=3.0)
    )
    fleet, crowded = SimulatedFleet(NODES), stack(job, large)
    fleet.now = DUE - 1000
    fleet.one_pass(crowded)
    fleet.one_pass(crowded)
    fleet.now = DUE
    assert [each.reason for each in fleet.one_pass(crowded).blocked] == ["Unschedulable"]
    assert states(fleet) == ["active"]
    return fleet, crowded, stack(job, number=2)


def test_a_due_run_that_finds_no_room_in_time_is_given_up_and_not_begun_later() -> None:
    fleet, crowded, roomy = full(catch_up=0.0)
    fleet.now = DUE + 59
    assert [each.reason for each in fleet.one_pass(crowded).blocked] == ["Unschedulable"]
    before = fleet.memory
    fleet.now = DUE + 61
    decided = fleet.one_pass(crowded)
    assert not decided.blocked, "a run that is not to be is no obstacle"
    (run,) = runs(fleet)
    assert (run.state, run.reason, run.message) == (
        "skipped",
        "MissedSchedule",
        "nothing of it could be begun within 60 s",
    )
    (event,) = job_events(before, fleet.memory, fleet.now)
    assert (event.reason, event.target, event.warning) == ("MissedSchedule", "s/job", True)
    for _ in range(3):
        assert not begun(fleet.one_pass(roomy))
    fleet.now = DUE + 3600
    assert begun(fleet.one_pass(roomy)) == [f"s.job.due-{DUE + 3600:.0f}.0.1"], "the next one is"


def test_a_due_run_that_finds_room_within_its_window_begins() -> None:
    fleet, crowded, roomy = full(catch_up=600.0)
    fleet.now = DUE + 500
    fleet.one_pass(crowded)
    assert states(fleet) == ["active"]
    markers = begun(fleet.one_pass(roomy)) + begun(fleet.one_pass(roomy))
    assert markers == [f"s.job.due-{DUE:.0f}.0.1"]
    fleet.now = DUE + 1000
    fleet.one_pass(roomy)
    assert states(fleet) == ["active"], "what was begun in time is not given up"


@pytest.mark.parametrize(("rule", "after", "count"), [("replace", ["replaced"], 1), ("allow", ["active"], 2)])
def test_a_run_on_request_takes_the_place_of_the_one_at_work_where_the_job_says_so(
    rule: Any, after: list[str], count: int
) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(concurrency=rule))
    declared = desired[0].revision.spec.services[0]
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    ((_, first),) = fleet.running()
    fleet.memory, _ = asked(fleet.memory, "s", declared, 1, fleet.now)
    most = 0
    for _ in range(4):
        fleet.one_pass(desired)
        most = max(most, len(fleet.running()))
    assert states(fleet) == [*after, "active"]
    assert (most, len(fleet.running())) == (count, count), "never side by side, unless that is allowed"
    assert (first.id in {box.id for _, box in fleet.running()}) is (rule == "allow")
    fleet.end()
    fleet.converge(desired)
    assert states(fleet)[-1] == "succeeded"


@pytest.mark.parametrize(("most", "waves"), [(1, [1, 1, 1]), (2, [2, 1]), (None, [3]), (5, [3])])
def test_a_job_on_each_node_is_at_work_on_so_many_at_a_time(most: int | None, waves: list[int]) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(mode="global-job", max_concurrent=most))
    found = []
    for _ in range(12):
        fleet.one_pass(desired)
        fleet.one_pass(desired)
        if fleet.running():
            found.append(len(fleet.running()))
        fleet.end()
    assert (found, states(fleet)) == (waves, ["succeeded"])
    assert sorted(task.node for task in runs(fleet)[0].tasks) == [*NODES]


def test_a_node_on_which_a_job_fails_for_good_does_not_keep_the_others_from_their_turn() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(mode="global-job", max_concurrent=1, retries=0))
    fleet.one_pass(desired)
    first = node_of(fleet)
    fleet.end(1)
    for _ in range(8):
        fleet.one_pass(desired)
        fleet.end()
    ended = {task.node: task.state for task in runs(fleet)[0].tasks}
    assert ended == {name: "failed" if name == first else "succeeded" for name in NODES}
    assert states(fleet) == ["failed"]
