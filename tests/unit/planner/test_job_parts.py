"""Jobs of several containers in virtual time, on the simulated fleet: begun in order, judged and removed as one."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Member, Mount, RestartPolicy
from shipyard.model.job import JobRun, JobTask
from shipyard.model.memory import Memory
from shipyard.model.node import Availability
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import (
    Action,
    CreateContainer,
    Plan,
    RemoveContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import JobRules, Reservations, Revision, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.job_status import job_statuses
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
SEED = Member("seed", "init", ContainerSpec("app:2", command=("seed",)))
MIGRATE = Member("migrate", "init", ContainerSpec("app:2", command=("migrate",)))
PROXY = Member("proxy", "sidecar", ContainerSpec("app:3", command=("proxy",)))
SECOND = Member("second", "main", ContainerSpec("app:3", command=("second",)))
WORDS = {
    CreateContainer: "create",
    StartContainer: "start",
    StopContainer: "stop",
    RemoveContainer: "remove",
    UnpauseContainer: "unpause",
}


def service(*members: Member, image: str = "app:1", network: str = "none", **rules: Any) -> ServiceSpec:
    container = ContainerSpec(image, network_mode=network, members=members)
    return ServiceSpec("job", container, mode="replicated-job", job=JobRules(**{"retries": 0, **rules}))


def stack(job: ServiceSpec, number: int = 1) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", (job,))
    return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), (("job", NODES),)),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    return SimulatedFleet(NODES)


def steps(decided: Plan) -> list[str]:
    """`create seed` and so on, in the order of execution."""
    return [
        f"{WORDS[type(action.step)]} {action.step.name.partition('.')[2] or 'main'}"  # type: ignore[union-attr]  # of WORDS
        for action in decided.actions
        if type(action.step) in WORDS
    ]


def boxes(fleet: SimulatedFleet) -> dict[str, tuple[str, Container]]:
    """By member, "main" for the main one; of the newest attempt, whose containers were made last."""
    return {
        box.label(labels.MEMBER) or "main": (node.name, box)
        for node in fleet.nodes.values()
        for _, box in sorted(node.boxes.items())
    }


def change(fleet: SimulatedFleet, member: str, **changes: object) -> Container:
    node, box = boxes(fleet)[member]
    fleet.nodes[node].boxes[box.id] = replace(box, **changes)  # type: ignore[arg-type]  # by keyword
    return box


def end(fleet: SimulatedFleet, member: str, code: int = 0) -> None:
    change(fleet, member, state=ContainerState.EXITED, exit_code=code, ended=0.0, log="last words\n" if code else "")


def remove(fleet: SimulatedFleet, member: str) -> None:
    node, box = boxes(fleet)[member]
    del fleet.nodes[node].boxes[box.id], fleet.nodes[node].specs[box.id]


def last(fleet: SimulatedFleet) -> JobRun:
    return fleet.memory.jobs[0].runs[-1]


def task(fleet: SimulatedFleet) -> JobTask:
    return last(fleet).tasks[-1]


def begin(fleet: SimulatedFleet, desired: tuple[DesiredStack, ...], *inits: str) -> None:
    """Until its main container is at work."""
    fleet.one_pass(desired)
    for name in inits:
        end(fleet, name)
        fleet.one_pass(desired)
    fleet.one_pass(desired)
    assert task(fleet).state == "running"
    assert "main" in boxes(fleet)


def test_all_of_it_in_order_and_what_lasts_ends_with_the_main_container(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, MIGRATE, PROXY))
    assert steps(fleet.one_pass(desired)) == ["create holder", "create seed"]
    waiting = fleet.one_pass(desired)
    assert not waiting.actions
    assert [(each.reason, "seed has not ended" in each.detail) for each in waiting.waiting] == [("JobRunning", True)]
    end(fleet, "seed")
    assert steps(fleet.one_pass(desired)) == ["create migrate"]
    end(fleet, "migrate")
    assert steps(fleet.one_pass(desired)) == ["create proxy", "create main"]
    assert not fleet.one_pass(desired).actions
    end(fleet, "main")
    assert steps(fleet.one_pass(desired)) == ["stop proxy", "stop holder"]
    assert last(fleet).state == "succeeded"
    rest = fleet.one_pass(desired)
    assert not (rest.actions or rest.waiting or rest.blocked)
    assert not fleet.running()
    assert set(boxes(fleet)) == {"holder", "seed", "migrate", "proxy", "main"}, "their logs are kept"


def test_a_plan_for_people_shows_all_of_it(fleet: SimulatedFleet) -> None:
    assert steps(plan(fleet.situation(stack(service(SEED, MIGRATE, PROXY, SECOND))))) == [
        *("create holder", "create seed", "create migrate", "create proxy", "create second", "create main"),
        *("stop proxy", "stop holder"),
    ]


def test_the_runtime_starts_nothing_again_that_is_to_end_and_no_sidecar_that_was_stopped(fleet: SimulatedFleet) -> None:
    once = replace(PROXY, name="once", container=replace(PROXY.container, restart=RestartPolicy("none")))
    begin(fleet, stack(service(SEED, PROXY, once, SECOND)), "seed")
    found = {
        box.label(labels.MEMBER) or "main": node.specs[identity].restart
        for node in fleet.nodes.values()
        for identity, box in node.boxes.items()
    }
    said = {name: policy.condition for name, policy in found.items() if policy is not None}
    lasting, ending = {"holder": "unless-stopped", "proxy": "unless-stopped"}, ("seed", "once", "second", "main")
    assert said == {**lasting, **dict.fromkeys(ending, "none")}


@pytest.mark.parametrize("first", ["main", "second"])
@pytest.mark.parametrize("codes", [(0, 0), (0, 3), (3, 0)])
def test_it_has_ended_when_all_main_containers_have_and_well_when_all_ended_well(
    fleet: SimulatedFleet, first: str, codes: tuple[int, int]
) -> None:
    desired = stack(service(PROXY, SECOND))
    begin(fleet, desired)
    end(fleet, first, codes[0])
    assert not fleet.one_pass(desired).actions
    assert last(fleet).state == "active", "the other is at work"
    end(fleet, "second" if first == "main" else "main", codes[1])
    assert steps(fleet.one_pass(desired)) == ["stop proxy", "stop holder"]
    assert last(fleet).state == ("failed" if any(codes) else "succeeded")
    if any(codes):
        failed = "second: " if (first == "second") == bool(codes[0]) else ""
        assert last(fleet).message == f"{failed}exit code 3; last of its log: last words"


def test_a_sidecar_that_ends_is_the_runtimes_to_start_and_counts_for_nothing(fleet: SimulatedFleet) -> None:
    desired = stack(service(PROXY))
    begin(fleet, desired)
    end(fleet, "proxy", 1)
    assert not fleet.one_pass(desired).actions
    remove(fleet, "proxy")
    assert not fleet.one_pass(desired).actions
    end(fleet, "main")
    assert steps(fleet.one_pass(desired)) == ["stop holder"]
    assert last(fleet).state == "succeeded"


@pytest.mark.parametrize("member", ["seed", "main"])
def test_whoever_fails_it_is_one_failure_of_the_run_and_all_of_it_is_tried_again(
    fleet: SimulatedFleet, member: str
) -> None:
    desired = stack(service(SEED, PROXY, retries=1))
    fleet.one_pass(desired)
    if member == "main":
        begin(fleet, desired, "seed")
    end(fleet, member, 3)
    first = boxes(fleet)[member][1].name
    decided = fleet.one_pass(desired)
    assert steps(decided) == (["stop proxy"] if member == "main" else []) + ["stop holder"]
    (wait,) = decided.waiting
    assert (wait.reason, f"{'seed: ' if member == 'seed' else ''}exit code 3" in wait.detail) == ("BackOff", True)
    assert "seed" in boxes(fleet), "what it printed is there until the next attempt begins"
    fleet.now += 11
    again = steps(fleet.one_pass(desired))
    gone = ["remove main", "remove proxy", "remove seed", "remove holder"]
    assert again == [*(gone if member == "main" else gone[2:]), "create holder", "create seed"]
    assert (task(fleet).attempt, task(fleet).failures) == (2, 1)
    if member == "main":
        end(fleet, "seed")
        fleet.one_pass(desired)
    end(fleet, member, 4)
    assert boxes(fleet)[member][1].name != first
    decided = fleet.one_pass(desired)
    assert [each.reason for each in decided.blocked] == ["JobFailed"]
    assert last(fleet).reason == ("InitFailed" if member == "seed" else "Failed")
    fleet.one_pass(desired)
    assert not fleet.running()
    assert not fleet.one_pass(desired).actions


def test_a_deadline_ends_all_of_it_also_while_init_containers_are_at_it(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY, deadline=30.0))
    fleet.one_pass(desired)
    fleet.sleep(31)
    assert steps(fleet.one_pass(desired)) == ["stop seed", "stop holder"]
    fleet.one_pass(desired)
    assert (last(fleet).state, last(fleet).reason) == ("failed", "DeadlineExceeded")

    another = stack(service(SEED, PROXY, image="app:2", deadline=30.0), 2)
    begin(fleet, another, "seed")
    fleet.sleep(31)
    assert steps(fleet.one_pass(another)) == ["stop main", "stop proxy", "stop holder"]
    fleet.one_pass(another)
    assert (last(fleet).state, last(fleet).reason, fleet.running()) == ("failed", "DeadlineExceeded", [])


def test_a_run_of_an_older_spec_is_stopped_half_made_and_not_completed(fleet: SimulatedFleet) -> None:
    fleet.one_pass(stack(service(SEED)))
    end(fleet, "seed")
    newer = stack(service(SEED, image="app:2"), 2)
    assert steps(fleet.one_pass(newer)) == ["stop holder"]
    fleet.one_pass(newer)
    assert [run.state for run in fleet.memory.jobs[0].runs] == ["replaced", "active"]
    assert [box.label(labels.SLOT) for _, box in fleet.running()] == ["2", "2"]


def test_a_due_run_is_completed_as_it_was_begun_when_its_spec_has_changed(fleet: SimulatedFleet) -> None:
    scheduled = service(SEED, schedule="* * * * *")
    fleet.one_pass(stack(scheduled))
    fleet.sleep(60)
    fleet.one_pass(stack(scheduled))
    end(fleet, "seed")
    yearly = replace(scheduled.job, schedule="0 0 29 2 *")
    fleet.one_pass(stack(replace(service(SEED, image="app:2"), job=yearly), 2))
    (main,) = (box for _, box in fleet.running() if not box.label(labels.MEMBER))
    assert main.image == "app:1"
    assert main.label(labels.REVISION) == "1"


def test_one_half_made_from_a_revision_that_nobody_knows_has_failed(fleet: SimulatedFleet) -> None:
    scheduled = service(SEED, schedule="* * * * *")
    fleet.one_pass(stack(scheduled))
    fleet.sleep(60)
    fleet.one_pass(stack(scheduled))
    end(fleet, "seed")
    fleet.revisions.clear()
    yearly = replace(scheduled.job, schedule="0 0 29 2 *")
    fleet.one_pass(stack(replace(service(SEED, image="app:2"), job=yearly), 2))
    assert (last(fleet).state, last(fleet).reason, fleet.running()) == ("failed", "Changed", [])


@pytest.mark.parametrize("spared", range(6))
def test_killed_after_any_step_the_next_pass_completes_it_and_begins_nothing_twice(
    fleet: SimulatedFleet, spared: int
) -> None:
    desired = stack(service(SEED, PROXY, SECOND))
    begun: list[str] = []
    late: tuple[Action, ...] = ()
    for _ in range(60):
        decided = fleet.one_pass(desired, killed_after=spared % 3, meanwhile=late)
        late = decided.waves[0][spared % 3 :] if decided.waves and spared >= 3 else ()
        begun += [box.name for node in fleet.nodes.values() for box in node.boxes.values() if box.name not in begun]
        fleet.sleep(20)
        fleet.end()
        if spared % 3 == 0:
            fleet.one_pass(desired)
    assert last(fleet).state == "succeeded"
    assert len(begun) == 5
    assert (task(fleet).attempt, fleet.running()) == (1, [])


@pytest.mark.parametrize("member", ["seed", "main", "second"])
def test_what_was_begun_and_is_gone_is_not_begun_again(fleet: SimulatedFleet, member: str) -> None:
    desired = stack(service(SEED, PROXY, SECOND))
    fleet.one_pass(desired)
    if member != "seed":
        begin(fleet, desired, "seed")
    remove(fleet, member)
    fleet.one_pass(desired)
    assert (last(fleet).state, last(fleet).reason) == ("unknown", "ContainerGone")
    fleet.one_pass(desired)
    left = {"seed": set(), "main": {"holder", "proxy", "second"}, "second": {"holder", "proxy", "main"}}
    running = {box.label(labels.MEMBER) or "main" for _, box in fleet.running()}
    assert running == left[member], "who is still at work goes on"
    fleet.end()
    fleet.converge(desired)
    assert not fleet.running()
    assert member not in boxes(fleet)


def test_an_init_container_that_was_cleared_away_has_had_its_day(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED))
    begin(fleet, desired, "seed")
    remove(fleet, "seed")
    assert not fleet.one_pass(desired).actions
    end(fleet, "main")
    fleet.one_pass(desired)
    assert last(fleet).state == "succeeded"


def test_who_loses_its_network_at_work_has_failed_and_is_not_started_again(fleet: SimulatedFleet) -> None:
    desired = stack(service(PROXY, retries=1))
    begin(fleet, desired)
    fleet.sleep(5)
    change(fleet, "holder", age=1.0)  # it came back by itself
    assert steps(fleet.one_pass(desired)) == ["stop main", "stop proxy", "stop holder"]
    (wait,) = fleet.one_pass(desired).waiting
    assert (wait.reason, "NetworkLost" in wait.detail) == ("BackOff", True)


def test_on_its_nodes_own_network_nobody_needs_the_holder(fleet: SimulatedFleet) -> None:
    desired = stack(service(PROXY, network="host"))
    begin(fleet, desired)
    end(fleet, "holder", 1)
    assert not fleet.one_pass(desired).actions
    assert last(fleet).state == "active"


def test_after_a_reboot_between_two_containers_it_goes_on(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY))
    fleet.one_pass(desired)
    end(fleet, "seed")
    end(fleet, "holder", 255)
    assert steps(fleet.one_pass(desired)) == ["start holder"]
    assert steps(fleet.one_pass(desired)) == ["create proxy", "create main"]


def test_what_was_made_and_never_started_is_started(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED))
    fleet.one_pass(desired)
    change(fleet, "seed", state=ContainerState.CREATED, age=None)
    assert steps(fleet.one_pass(desired)) == ["start seed"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": ContainerState.CREATED, "age": None, "error": "no such file: seed"}, "seed: no such file: seed"),
        ({"state": ContainerState.DEAD}, "seed: the runtime calls it dead"),
    ],
)
def test_what_cannot_be_started_has_failed(fleet: SimulatedFleet, changes: dict[str, Any], said: str) -> None:
    desired = stack(service(SEED))
    fleet.one_pass(desired)
    change(fleet, "seed", **changes)
    fleet.one_pass(desired)
    assert (last(fleet).state, last(fleet).message) == ("failed", said)
    assert [box.label(labels.ROLE) for _, box in fleet.running()] == []


@pytest.mark.parametrize("member", ["holder", "seed"])
def test_who_is_paused_is_woken(fleet: SimulatedFleet, member: str) -> None:
    desired = stack(service(SEED))
    fleet.one_pass(desired)
    change(fleet, member, state=ContainerState.PAUSED)
    if member == "holder":
        end(fleet, "seed")
    assert steps(fleet.one_pass(desired)) == [f"unpause {member}"]


def test_only_so_many_finished_runs_are_kept_with_all_their_containers(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY, schedule="* * * * *", keep=2))
    fleet.pace = 0.0
    fleet.one_pass(desired)
    for _ in range(5):
        fleet.sleep(60)
        for _ in range(4):
            fleet.one_pass(desired)
            fleet.end()
    fleet.one_pass(desired)
    left = [box for node in fleet.nodes.values() for box in node.boxes.values()]
    assert sorted({box.label(labels.SLOT) for box in left}) == ["4", "5"]
    assert len(left) == 8
    runs = {marker.split(".")[2] for node in fleet.nodes.values() for marker in node.markers}
    assert runs == {run.name for run in fleet.memory.jobs[0].runs}
    assert not fleet.one_pass(desired).actions


def test_nothing_of_it_is_left_when_it_is_no_longer_declared(fleet: SimulatedFleet) -> None:
    begin(fleet, stack(service(SEED, PROXY)), "seed")
    nothing = StackSpec("s")
    fleet.converge((DesiredStack(Revision("s", 2, nothing, stack_digest(nothing), 0.0, "me"), ()),))
    assert not any(node.boxes or node.markers for node in fleet.nodes.values())


def test_with_a_lost_memory_it_is_known_half_made_and_completed(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY))
    fleet.one_pass(desired)
    fleet.memory = Memory()
    assert not fleet.one_pass(desired).actions
    end(fleet, "seed")
    assert steps(fleet.one_pass(desired)) == ["create proxy", "create main"]
    assert len(fleet.memory.jobs[0].runs) == 1


@pytest.mark.parametrize("again", [False, True])
def test_on_a_lost_node_it_is_unknown_and_all_of_it_begun_elsewhere_where_that_is_said(
    fleet: SimulatedFleet, again: bool
) -> None:
    desired = stack(service(SEED, PROXY, retry_unknown=again))
    fleet.one_pass(desired)
    gone = task(fleet).node
    fleet.nodes[gone].up = False
    for _ in range(8):
        fleet.now += 100
        fleet.one_pass(desired)
    assert last(fleet).state == ("active" if again else "unknown")
    roles = [box.label(labels.ROLE) for node, box in fleet.running() if node != gone]
    assert roles == (["holder", "init"] if again else [])
    fleet.nodes[gone].up = True
    for _ in range(5):
        fleet.one_pass(desired)
        fleet.end()
    assert last(fleet).state == "succeeded"
    assert {node for node, box in boxes(fleet).values()} == {task(fleet).node}
    assert (task(fleet).node == gone) != again


def test_a_drain_that_is_over_stops_it_and_it_is_begun_elsewhere(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY, retries=1))
    begin(fleet, desired, "seed")
    node = fleet.nodes[task(fleet).node]
    node.availability, node.drain_until = Availability.DRAIN, fleet.now - 1
    node.kept = (Availability.DRAIN, float(int(node.drain_until)))
    assert steps(fleet.one_pass(desired)) == ["stop main", "stop proxy", "stop holder"]
    fleet.one_pass(desired)
    fleet.now += 11
    fleet.one_pass(desired)
    assert task(fleet).node != node.name


def test_it_takes_the_room_of_what_runs_at_once_until_it_is_over(fleet: SimulatedFleet) -> None:
    large = replace(service(SEED, PROXY, completions=4), reservations=Reservations(cpus=3.0))
    decided = fleet.one_pass(stack(large))
    assert [each.reason for each in decided.blocked] == ["Unschedulable"]
    for _ in range(8):
        fleet.one_pass(stack(large))
        fleet.end()
    assert last(fleet).state == "succeeded"


def test_what_an_init_container_cannot_be_made_with_is_one_failure(fleet: SimulatedFleet) -> None:
    fleet.registry.discard("app:2")
    desired = stack(service(SEED))
    fleet.one_pass(desired)
    decided = fleet.one_pass(desired)
    assert [each.reason for each in decided.waiting] == ["BackOff", "JobRunning"]
    assert not boxes(fleet), "images are there before anything is begun"
    fleet.registry.add("app:2")
    fleet.now += 11
    assert steps(fleet.one_pass(desired)) == ["create holder", "create seed"]


def test_people_see_each_of_its_containers(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED, PROXY))
    begin(fleet, desired, "seed")
    situation = fleet.situation(desired)
    (status,) = job_statuses(situation, plan(situation, waves=1))
    (seen,) = status.runs[0].tasks
    assert (seen.state, seen.container) == ("running", boxes(fleet)["main"][1].id)
    assert [(each.name, each.kind, each.state, each.exit_code) for each in seen.members] == [
        ("seed", "init", "exited", 0),
        ("proxy", "sidecar", "running", None),
    ]
    (found,) = fleet_status(situation, plan(situation, waves=1), None).stacks[0].services[0].replicas
    assert (found.state, [each.name for each in found.members]) == ("running", ["seed", "proxy"])


def test_a_failed_init_container_is_seen_without_a_main_one(fleet: SimulatedFleet) -> None:
    desired = stack(service(SEED))
    fleet.one_pass(desired)
    end(fleet, "seed", 3)
    fleet.one_pass(desired)
    situation = fleet.situation(desired)
    (status,) = job_statuses(situation, plan(situation, waves=1))
    (seen,) = status.runs[0].tasks
    assert (seen.state, seen.container, seen.exit_code, seen.reason) == ("failed", None, None, "InitFailed")
    assert [(each.name, each.exit_code) for each in seen.members] == [("seed", 3)]


def with_volume(job: ServiceSpec) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", (job,), volumes=(VolumeSpec("s_work", "work"),))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("job", NODES),)),)


WORK = Mount("volume", "/work", "s_work")
FILLS = replace(SEED, container=replace(SEED.container, mounts=(WORK,)))


def test_volumes_of_all_of_them_are_there_first(fleet: SimulatedFleet) -> None:
    job = service(FILLS)
    begin(fleet, with_volume(replace(job, container=replace(job.container, mounts=(WORK,)))), "seed")
    assert sum(len(node.volumes) for node in fleet.nodes.values()) == 1


def test_it_stays_with_a_volume_that_only_an_init_container_mounts(fleet: SimulatedFleet) -> None:
    desired = with_volume(service(FILLS, retries=1))
    fleet.one_pass(desired)
    node = fleet.nodes[task(fleet).node]
    end(fleet, "seed", 3)
    fleet.one_pass(desired)
    node.availability = Availability.PAUSE
    fleet.now += 11
    decided = fleet.one_pass(desired)
    assert [(each.reason, "s_work" in each.detail) for each in decided.blocked] == [("Unschedulable", True)]
    assert sum(len(node.volumes) for node in fleet.nodes.values()) == 1
