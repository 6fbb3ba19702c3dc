"""Jobs over several passes in virtual time, on the simulated fleet."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec
from shipyard.model.job import JobRun
from shipyard.model.memory import Memory
from shipyard.model.node import Availability, Node, NodeState
from shipyard.model.observed import ContainerState
from shipyard.model.plan import CreateContainer, DropMarker, Plan, RemoveContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Dependency, JobRules, Reservations, Revision, ServiceSpec, StackSpec
from shipyard.planner import job_schedule
from shipyard.planner.job_events import job_events
from shipyard.planner.job_schedule import asked
from shipyard.planner.job_status import job_statuses
from shipyard.planner.learn import replica_events
from shipyard.planner.nodes import judge
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status
from shipyard.planner.world import build
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
MINUTE = 60.0


def service(image: str = "app:1", *, mode: Any = "replicated-job", name: str = "job", **rules: Any) -> ServiceSpec:
    return ServiceSpec(name, ContainerSpec(image, network_mode="none"), mode=mode, job=JobRules(**rules))


def stack(*services: ServiceSpec, number: int = 1) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services)
    revision = Revision("s", number, spec, stack_digest(spec), 0.0, "me")
    return (DesiredStack(revision, tuple((each.name, NODES) for each in services)),)


def runs(fleet: SimulatedFleet) -> tuple[JobRun, ...]:
    return fleet.memory.jobs[0].runs


def states(fleet: SimulatedFleet) -> list[str]:
    return [run.state for run in runs(fleet)]


def begun(decided: Plan) -> list[str]:
    return [action.step.once for action in decided.actions if isinstance(action.step, CreateContainer)]


def done(fleet: SimulatedFleet, desired: tuple[DesiredStack, ...]) -> bool:
    situation = fleet.situation(desired)
    world = build(situation, judge(situation))
    return job_schedule.completed(world, desired[0], desired[0].revision.spec.services[0])


def node_of(fleet: SimulatedFleet) -> str:
    return runs(fleet)[-1].tasks[0].node


def lose(fleet: SimulatedFleet, desired: tuple[DesiredStack, ...], name: str) -> None:
    fleet.nodes[name].up = False
    for _ in range(6):
        fleet.now += 100
        fleet.one_pass(desired)
    assert next(node.state for node in fleet.memory.nodes if node.name == name) == NodeState.LOST


def test_it_is_run_once_for_each_spec_and_waited_for() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service())
    assert len(begun(fleet.one_pass(desired))) == 1
    decided = fleet.one_pass(desired)
    assert [each.reason for each in decided.waiting] == ["JobRunning"]
    assert not done(fleet, desired)
    fleet.end()
    decided = fleet.one_pass(desired)
    assert not (decided.waves or decided.waiting or decided.blocked)
    assert done(fleet, desired)
    fleet.now += 100_000
    assert fleet.one_pass(desired).memory == fleet.memory
    changed = stack(service("app:2"), number=2)
    assert not done(fleet, changed)
    assert begun(fleet.one_pass(changed)) == [f"s.job.{runs(fleet)[-1].name}.0.1"]
    fleet.end()
    fleet.converge(changed)
    back = stack(service(), number=3)
    assert len(begun(fleet.one_pass(back))) == 1
    assert states(fleet) == ["succeeded", "succeeded", "active"]


def test_a_change_of_policies_alone_does_not_run_it_again() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.one_pass(stack(service()))
    fleet.end()
    fleet.converge(stack(service()))
    assert not begun(fleet.one_pass(stack(service(retries=7, keep=9, deadline=5.0), number=2)))


def test_a_run_of_an_older_spec_is_stopped_before_the_next_begins() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.one_pass(stack(service()))
    fleet.one_pass(stack(service()))
    desired = stack(service("app:2"), number=2)
    assert not begun(fleet.one_pass(desired))
    assert not fleet.running()
    assert len(begun(fleet.one_pass(desired))) == 1
    assert states(fleet) == ["replaced", "active"]


def test_many_completions_so_many_at_a_time() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(completions=5, max_concurrent=2))
    most, count = 0, 0
    for _ in range(12):
        count += len(begun(fleet.one_pass(desired)))
        most = max(most, len(fleet.running()))
        fleet.end()
    assert (most, count, states(fleet)) == (2, 5, ["succeeded"])
    assert len({task.slot for task in runs(fleet)[0].tasks}) == 5


def test_a_plan_shows_all_of_a_job_and_what_waits_for_it() -> None:
    fleet = SimulatedFleet(NODES)
    decided = plan(fleet.situation(stack(service(completions=5, max_concurrent=2))))
    assert [len([a for a in wave if isinstance(a.step, CreateContainer)]) for wave in decided.waves] == [2, 2, 1]


def test_one_on_each_node_and_on_those_that_come_later() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(mode="global-job"))
    fleet.nodes["n3"].up = False
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    assert sorted(node for node, _ in fleet.running()) == ["n1", "n2"]
    fleet.end()
    fleet.one_pass(desired)
    fleet.nodes["n3"].up = True
    assert len(begun(fleet.one_pass(desired))) == 1
    fleet.end()
    fleet.converge(desired)
    assert (states(fleet), len(runs(fleet)[0].tasks), done(fleet, desired)) == (["succeeded"], 3, True)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_what_fails_is_tried_again_so_often_with_longer_waits(retries: int, attempts: int) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(retries=retries))
    markers, waits = [], []
    for _ in range(20):
        decided = fleet.one_pass(desired)
        markers += begun(decided)
        fleet.end(3)
        waits += [each.until - fleet.now for each in decided.waiting if each.reason == "BackOff" and each.until]
        fleet.now = max([fleet.now, *(each.until or 0.0 for each in decided.waiting)])
    assert len(markers) == len(set(markers)) == attempts
    assert waits == sorted(waits)
    assert len(waits) == retries
    decided = fleet.one_pass(desired)
    assert [(each.reason, "exit code 3" in each.detail) for each in decided.blocked] == [("JobFailed", True)]
    assert states(fleet) == ["failed"]
    assert sum(bool(box.label(labels.RUN)) for node in fleet.nodes.values() for box in node.boxes.values()) == 1


def test_it_may_not_run_for_longer_than_its_deadline() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(deadline=30.0))
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    for node in fleet.nodes.values():
        node.boxes = {key: replace(box, age=31.0) for key, box in node.boxes.items()}
    fleet.one_pass(desired)
    assert not fleet.running()
    decided = fleet.one_pass(desired)
    assert states(fleet) == ["failed"]
    assert runs(fleet)[0].reason == "DeadlineExceeded"
    assert [each.reason for each in decided.blocked] == ["JobFailed"]


def test_a_drained_node_lets_it_end_and_after_the_drains_deadline_it_is_begun_elsewhere() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(retries=1))
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    first = node_of(fleet)

    fleet.nodes[first].kept = (Availability.DRAIN, 2e6)

    def drained(now: float) -> Plan:
        nodes = (Node(name, availability=drain if name == first else active, drain_until=2e6) for name in NODES)
        return plan(replace(fleet.situation(desired), nodes=tuple(nodes), now=now), waves=1)

    drain, active = Availability.DRAIN, Availability.ACTIVE
    assert not drained(1.9e6).waves
    decided = drained(2e6)
    assert [(action.node, action.reason) for action in decided.actions] == [(first, "Drained")]
    fleet.memory = decided.memory
    fleet.end(143)
    fleet.memory = drained(2e6 + 1).memory
    again = [action.node for action in drained(2e6 + 100).actions if isinstance(action.step, CreateContainer)]
    assert len(again) == 1
    assert first not in again


def test_a_container_that_is_gone_is_not_made_again() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service())
    fleet.one_pass(desired)
    for node in fleet.nodes.values():
        node.boxes.clear()
    decided = fleet.one_pass(desired)
    assert not begun(decided)
    assert [each.reason for each in decided.blocked] == ["JobUnknown"]
    again = stack(service(retry_unknown=True))
    fleet.one_pass(again)
    assert states(fleet) == ["unknown"], "what is over is over; but the next run does as the job says"


def test_a_node_installed_anew_does_not_run_it_once_more() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service())
    fleet.one_pass(desired)
    for node in fleet.nodes.values():
        node.boxes.clear()
        node.markers.clear()
    fleet.one_pass(desired)
    assert len(fleet.running()) == 1, "the same machine, without a marker: it was never begun"
    fleet.one_pass(desired)
    for node in fleet.nodes.values():
        node.boxes.clear()
        node.markers.clear()
    fleet.one_pass(desired)
    assert (states(fleet), fleet.running()) == (["unknown"], []), "it was seen at work"


@pytest.mark.parametrize("again", [False, True])
def test_a_lost_node_leaves_it_unknown_and_it_is_begun_again_where_that_is_said(again: bool) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(retry_unknown=again))
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    gone = node_of(fleet)
    lose(fleet, desired, gone)
    others = [node for node, _ in fleet.running() if node != gone]
    assert len(others) == again
    assert states(fleet) == ["active" if again else "unknown"]
    fleet.nodes[gone].up = True
    fleet.one_pass(desired)
    assert [node for node, _ in fleet.running()] == (others if again else [gone])
    assert states(fleet) == ["active"]
    fleet.end()
    fleet.converge(desired)
    assert states(fleet) == ["succeeded"]


def test_a_pass_killed_before_it_acted_is_carried_on_and_one_killed_after_it_too() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service())
    decided = fleet.one_pass(desired, killed_after=0)
    assert runs(fleet)[0].tasks[0].state == "starting"
    where = node_of(fleet)
    fleet.one_pass(desired, killed_after=len(decided.actions))
    assert [node for node, _ in fleet.running()] == [where]
    fleet.one_pass(desired)
    assert runs(fleet)[0].tasks[0].state == "running"


def test_an_image_that_is_not_there_is_tried_again_and_does_not_count() -> None:
    fleet, desired = SimulatedFleet(NODES, registry=()), stack(service(retries=0))
    fleet.one_pass(desired)
    decided = fleet.one_pass(desired)
    assert [each.reason for each in decided.waiting] == ["BackOff", "JobRunning"]
    fleet.registry.add("app:1")
    fleet.now += 11
    fleet.one_pass(desired)
    fleet.end()
    fleet.converge(desired)
    assert states(fleet) == ["succeeded"]


def test_what_fits_nowhere_says_so_and_finished_runs_take_no_room() -> None:
    fleet = SimulatedFleet(NODES)
    large = replace(service(), reservations=Reservations(cpus=3.0))
    desired = stack(replace(large, name="a"), replace(large, name="b"), replace(large, name="c"), large)
    decided = fleet.one_pass(desired)
    assert [each.reason for each in decided.blocked] == ["Unschedulable"]
    fleet.end()
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    assert len(fleet.running()) == 1


def test_it_is_begun_when_it_is_due_and_not_before() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="*/5 * * * *"))
    fleet.now = 1_800_000_001.0
    decided = fleet.one_pass(desired)
    assert not begun(decided)
    fleet.now = 1_800_000_299.0
    assert not begun(fleet.one_pass(desired))
    assert begun(fleet.one_pass(desired)) == ["s.job.due-1800000300.0.1"]
    decided = fleet.one_pass(desired)
    assert not (decided.waves or decided.waiting or decided.blocked)
    fleet.end()
    fleet.now += 400
    assert begun(fleet.one_pass(desired)) == ["s.job.due-1800000600.0.1"]


@pytest.mark.parametrize(
    ("late", "window", "count", "state"),
    [(50, 0.0, 1, "active"), (70, 0.0, 0, "skipped"), (1700, 1800.0, 1, "active"), (3400, 3600.0, 1, "active")],
)
def test_a_due_time_that_was_missed_is_run_within_its_window(late: int, window: float, count: int, state: str) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="0 * * * *", catch_up=window))
    fleet.now = 1_800_000_000.0 - 7200
    fleet.one_pass(desired)
    before = fleet.memory
    fleet.now = 1_800_000_000.0 + late
    assert len(begun(fleet.one_pass(desired))) == count
    assert states(fleet) == [state], "the latest, and no other"
    if state == "skipped":
        (event,) = job_events(before, fleet.memory, fleet.now)
        assert (event.reason, event.target) == ("MissedSchedule", "s/job")


@pytest.mark.parametrize(
    ("rule", "after", "running"),
    [("allow", ["active", "active"], 2), ("forbid", ["active", "skipped"], 1), ("replace", ["replaced", "active"], 1)],
)
def test_a_run_that_is_due_while_another_is_at_it(rule: Any, after: list[str], running: int) -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="* * * * *", concurrency=rule))
    fleet.one_pass(desired)
    fleet.now += MINUTE
    fleet.one_pass(desired)
    fleet.now += MINUTE
    fleet.one_pass(desired)
    fleet.one_pass(desired)
    assert states(fleet) == after
    assert len(fleet.running()) == running


def test_what_keeps_its_image_away_is_told_as_often_as_it_was_tried() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service("app:9"))
    told = []
    for _ in range(6):
        before = fleet.memory
        decided = fleet.one_pass(desired)
        told += [*replica_events(before, decided.memory, fleet.now)]
        told += [*replica_events(decided.memory, fleet.memory, fleet.now)]
        fleet.now += 60
    assert {(each.reason, each.message != "") for each in told} == {("ImagePullFailed", True)}
    assert all(run.tasks[0].failures == 0 for run in runs(fleet)), "nothing of it was begun"


def test_a_service_that_becomes_a_job_says_why_its_replicas_go() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.converge(stack(service(mode="replicated")))
    decided = fleet.one_pass(stack(service(), number=2))
    (gone,) = (action for action in decided.actions if isinstance(action.step, RemoveContainer))
    assert (gone.reason, gone.detail) == (
        "NotDeclared",
        "job is a job now (mode replicated-job), and this is no run of it",
    )


def test_only_so_many_finished_runs_are_kept_with_their_containers() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="* * * * *", keep=2))
    fleet.one_pass(desired)
    for _ in range(5):
        fleet.now += MINUTE
        fleet.one_pass(desired)
        fleet.end()
    dropped = [a for a in fleet.one_pass(desired).actions if isinstance(a.step, DropMarker)]
    assert len(dropped) == 1
    boxes = [box for node in fleet.nodes.values() for box in node.boxes.values()]
    assert sorted(box.label(labels.SLOT) for box in boxes) == ["4", "5"]
    assert sum(len(node.markers) for node in fleet.nodes.values()) == 2
    assert not fleet.one_pass(desired).waves


def test_a_schedule_that_is_changed_is_not_about_the_past() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.now = 1_800_000_000.0
    fleet.one_pass(stack(service(schedule="0 3 * * *", catch_up=86_400.0)))
    changed = stack(service(schedule="59 7 * * *", catch_up=86_400.0), number=2)
    fleet.now += 60
    assert not begun(fleet.one_pass(changed))


def test_nothing_of_a_lost_memory_is_run_again() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(), replace(service(completions=2), name="two"))
    fleet.one_pass(desired)
    fleet.end(service="job")
    fleet.one_pass(desired)
    fleet.nodes[fleet.memory.jobs[1].runs[0].tasks[0].node].boxes.clear()
    fleet.memory = Memory(volumes=fleet.memory.volumes)
    for _ in range(3):
        assert not begun(fleet.one_pass(desired))
    by_name = {job.service: job.runs[0] for job in fleet.memory.jobs}
    assert by_name["two"].state in ("active", "unknown")
    assert "unknown" in {task.state for job in fleet.memory.jobs for task in job.runs[0].tasks}


def test_a_run_on_request_begins_whatever_the_schedule_says() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(schedule="0 0 1 1 *", concurrency="forbid"))
    declared = desired[0].revision.spec.services[0]
    with pytest.raises(ValueError, match="no pass has seen"):
        asked(fleet.memory, "s", declared, 1, fleet.now)
    fleet.one_pass(desired)
    fleet.memory, number = asked(fleet.memory, "s", declared, 1, fleet.now)
    assert begun(fleet.one_pass(desired)) == [f"s.job.asked-{(fleet.now - 1) * 1000:.0f}.0.1"]
    assert [each.reason for each in fleet.one_pass(desired).waiting] == ["JobRunning"]
    with pytest.raises(ValueError, match=f"run {number} of s/job is at it"):
        asked(fleet.memory, "s", declared, 1, fleet.now)
    fleet.end()
    fleet.converge(desired)
    assert states(fleet) == ["succeeded"]


def test_a_job_becomes_a_service_and_a_service_a_job() -> None:
    fleet = SimulatedFleet(NODES)
    web = ServiceSpec("job", ContainerSpec("app:1", network_mode="none"), replicas=2)
    fleet.converge(stack(web))
    fleet.one_pass(stack(service(), number=2))
    assert len(fleet.running()) == 1
    fleet.end()
    fleet.converge(stack(service(), number=2))
    assert (fleet.running(), len(fleet.memory.placements)) == ([], 0)
    fleet.converge(stack(web, number=3))
    assert (len(fleet.running()), fleet.memory.jobs) == (2, ())
    assert sum(len(node.markers) for node in fleet.nodes.values()) == 0


def test_a_job_that_is_no_longer_declared_leaves_nothing() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.one_pass(stack(service()))
    fleet.converge(stack(number=2))
    assert not any(node.boxes or node.markers for node in fleet.nodes.values())
    assert fleet.memory.jobs == ()


def test_who_depends_on_it_waits_until_it_has_ended_well_and_it_waits_for_what_it_depends_on() -> None:
    migrated = (Dependency("migrate", "service_completed_successfully"),)
    web = ServiceSpec("web", ContainerSpec("app:1", network_mode="none"), depends_on=migrated)
    database = ServiceSpec("db", ContainerSpec("app:1", network_mode="none"))
    migrate = replace(service(name="migrate", retries=0), depends_on=(Dependency("db"),))
    fleet, desired = SimulatedFleet(NODES), stack(database, migrate, web)
    order = []
    for _ in range(4):
        fleet.one_pass(desired)
        order.append(sorted(box.label(labels.SERVICE) or "" for _, box in fleet.running()))
    assert order == [["db"], ["db", "migrate"], ["db", "migrate"], ["db", "migrate"]]
    fleet.end()
    fleet.converge(desired)
    assert sorted(box.label(labels.SERVICE) or "" for _, box in fleet.running()) == ["db", "web"]
    newer = stack(database, replace(migrate, container=replace(migrate.container, image="app:2")), web, number=2)
    fleet.one_pass(newer)
    fleet.end(4)
    fleet.one_pass(newer)
    assert {each.reason for each in fleet.one_pass(newer).blocked} == {"JobFailed"}
    changed = replace(web, container=replace(web.container, image="app:3"))
    newest = stack(*newer[0].revision.spec.services[:2], changed, number=3)
    decided = fleet.one_pass(newest)
    assert {each.reason for each in decided.blocked} == {"DependencyFailed", "JobFailed"}
    assert not begun(decided)


def test_events_tell_of_runs_that_ended_and_are_tried_again() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(retries=1))
    told = []
    for _ in range(12):
        situation = fleet.situation(desired)
        decided = fleet.one_pass(desired)
        told += [(event.reason, event.warning) for event in job_events(situation.memory, decided.memory, fleet.now)]
        fleet.end(1)
        fleet.now += 20
    assert told == [("JobFailed", True), ("JobFailed", True)]


def test_the_status_counts_what_ended_well_and_what_failed() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service(completions=2, retries=0))
    fleet.one_pass(desired)
    first = fleet.nodes[node_of(fleet)]
    for identity, box in list(first.boxes.items())[:1]:
        first.boxes[identity] = replace(box, state=ContainerState.EXITED, exit_code=0, ended=0.0)
    fleet.end(1)
    fleet.one_pass(desired)
    situation = fleet.situation(desired)
    decided = plan(situation)
    status = fleet_status(situation, decided, None).stacks[0].services[0]
    assert (status.mode, status.desired, status.completed, status.failed) == ("replicated-job", 2, 1, 1)
    (job,) = job_statuses(situation, decided)
    assert (job.runs[0].state, job.runs[0].completed, job.runs[0].failed) == ("failed", 1, 1)
    assert {task.exit_code for task in job.runs[0].tasks} == {0, 1}


def test_what_was_paused_by_hand_goes_on() -> None:
    fleet, desired = SimulatedFleet(NODES), stack(service())
    fleet.one_pass(desired)
    ((identity, box),) = fleet.nodes[node_of(fleet)].boxes.items()
    fleet.nodes[node_of(fleet)].boxes[identity] = replace(box, state=ContainerState.PAUSED)
    decided = fleet.one_pass(desired)
    assert [action.reason for action in decided.actions] == ["Paused"]
    assert fleet.nodes[node_of(fleet)].boxes[identity].state is ContainerState.RUNNING
