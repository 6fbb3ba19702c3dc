"""Replicas of several containers on a simulated fleet: one unit to the planner, several containers on a node."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Member, Port, RestartPolicy
from shipyard.model.image import HOLDER
from shipyard.model.node import Availability
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import (
    CreateContainer,
    LoadHolder,
    Plan,
    RemoveContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import NetworkSpec, Revision, ServiceSpec, StackSpec, UpdatePolicy
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status
from tests.simulated import SimulatedFleet

INIT = Member("migrate", "init", ContainerSpec("app:2", command=("migrate",)))
SIDE = Member("log", "sidecar", ContainerSpec("app:3", command=("log",)))
MAIN = ContainerSpec("app:1", networks=(Attachment("s_default", ("web",)),), ports=(Port(80, 8080),))


def declared(
    *members: Member, number: int = 1, replicas: int = 1, main: ContainerSpec = MAIN
) -> tuple[DesiredStack, ...]:
    service = ServiceSpec("web", replace(main, members=members), replicas=replicas)
    stack = StackSpec("s", (service,), (NetworkSpec("s_default", "default"),))
    return (DesiredStack(Revision("s", number, stack, stack_digest(stack), 0.0, "me"), (("web", ("n1", "n2")),)),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    return SimulatedFleet(["n1", "n2"])


def boxes(fleet: SimulatedFleet) -> dict[str, tuple[str, Container]]:
    """The containers there are by member ("main" for the main one), with their nodes."""
    return {
        box.label(labels.MEMBER) or "main": (node.name, box)
        for node in fleet.nodes.values()
        for box in node.boxes.values()
    }


def change(fleet: SimulatedFleet, member: str, **changes: object) -> Container:
    node, box = boxes(fleet)[member]
    fleet.nodes[node].boxes[box.id] = replace(box, **changes)  # type: ignore[arg-type]  # by keyword
    return box


def remove(fleet: SimulatedFleet, member: str) -> None:
    node, box = boxes(fleet)[member]
    del fleet.nodes[node].boxes[box.id], fleet.nodes[node].specs[box.id]


def end(fleet: SimulatedFleet, member: str, code: int = 1) -> Container:
    return change(fleet, member, state=ContainerState.EXITED, exit_code=code, log="last words\n")


def steps(decided: Plan, *kinds: type) -> list[str]:
    """`start log` and so on, in the order of execution."""
    names = {StartContainer: "start", StopContainer: "stop", RemoveContainer: "remove", CreateContainer: "create"}
    return [
        f"{names[type(action.step)]} {action.step.name.partition('.')[2] or 'main'}"
        for action in decided.actions
        if isinstance(action.step, kinds or tuple(names))
    ]


def test_all_of_a_replica_is_made_in_one_wave_in_order(fleet: SimulatedFleet) -> None:
    decided = fleet.one_pass(declared(SIDE))
    assert steps(decided) == ["create holder", "create log", "create main"]
    assert [action.step for action in decided.actions if isinstance(action.step, LoadHolder)] == [LoadHolder("")]
    made = {action.step.name: action.step for action in decided.actions if isinstance(action.step, CreateContainer)}
    (name,) = (name for name in made if "." not in name)
    holder, side, main = made[f"{name}.holder"].spec, made[f"{name}.log"].spec, made[name].spec
    assert (holder.image, [each.network for each in holder.networks]) == (HOLDER, ["s_default"])
    assert [port.target for port in holder.ports] == [80]
    assert side.network_mode == main.network_mode == f"container:{name}.holder"
    assert not (main.networks or main.ports or main.members)
    assert len({dict(step.labels)[labels.SPEC] for step in made.values()}) == 1
    assert not fleet.converge(declared(SIDE)).waves


def test_a_replica_of_one_container_has_no_holder(fleet: SimulatedFleet) -> None:
    decided = fleet.one_pass(declared())
    assert steps(decided) == ["create main"]
    assert not any(isinstance(action.step, LoadHolder) for action in decided.actions)
    assert [dict(box.labels).get(labels.MEMBER) for _, box in fleet.running()] == [None]


def test_init_containers_run_one_after_the_other_before_the_rest(fleet: SimulatedFleet) -> None:
    stack = declared(INIT, replace(INIT, name="seed"), SIDE)
    assert steps(fleet.one_pass(stack)) == ["create holder", "create migrate"]
    waiting = fleet.one_pass(stack)
    assert not waiting.actions
    assert [(each.reason, each.detail) for each in waiting.waiting] == [("InitRunning", "migrate has not ended yet")]
    fleet.tick()
    assert steps(fleet.one_pass(stack)) == ["create seed"]
    fleet.tick()
    assert steps(fleet.one_pass(stack)) == ["create log", "create main"]
    assert not fleet.one_pass(stack).actions


def test_a_plan_for_people_shows_what_follows_the_init_containers(fleet: SimulatedFleet) -> None:
    decided = plan(fleet.situation(declared(INIT, SIDE)))
    assert steps(decided, CreateContainer) == ["create holder", "create migrate", "create log", "create main"]


def test_a_failed_init_container_is_tried_again_with_back_off_and_its_words_are_told(fleet: SimulatedFleet) -> None:
    stack = declared(INIT)
    fleet.one_pass(stack)
    end(fleet, "migrate", 3)
    again = fleet.one_pass(stack)
    assert steps(again) == ["remove migrate", "remove holder", "create holder", "create migrate"]
    assert {action.reason for action in again.actions if action.target == "s/web.1"} == {"InitFailed"}
    assert "migrate: exit code 3; last of its log: last words" in again.actions[-1].detail
    end(fleet, "migrate", 3)
    (wait,) = fleet.one_pass(stack).waiting
    assert (wait.reason, wait.detail.partition(":")[0]) == ("BackOff", "InitFailed (once)")
    fleet.converge(stack)
    assert set(boxes(fleet)) == {"holder", "migrate", "main"}


def test_a_failed_init_container_of_what_is_not_restarted_ends_it(fleet: SimulatedFleet) -> None:
    stack = declared(INIT, main=replace(MAIN, restart=RestartPolicy("none")))
    fleet.one_pass(stack)
    end(fleet, "migrate", 3)
    decided = fleet.one_pass(stack)
    assert [blocked.reason for blocked in decided.blocked] == ["InitFailed"]
    assert steps(decided) == ["stop holder"]
    assert not fleet.one_pass(stack).actions


def test_init_containers_that_were_cleared_away_are_not_run_again(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(INIT, SIDE))
    remove(fleet, "migrate")
    assert not fleet.one_pass(declared(INIT, SIDE)).actions


@pytest.mark.parametrize("member", ["main", "log"])
def test_who_crashes_is_started_alone(fleet: SimulatedFleet, member: str) -> None:
    fleet.converge(declared(SIDE))
    end(fleet, member)
    decided = fleet.one_pass(declared(SIDE))
    assert steps(decided) == [f"start {member}"]
    assert not fleet.one_pass(declared(SIDE)).actions


def test_who_loses_the_namespace_is_restarted_with_its_holder(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    end(fleet, "holder")
    decided = fleet.one_pass(declared(SIDE))
    assert steps(decided) == ["start holder", "stop log", "start log", "stop main", "start main"]
    assert {action.reason for action in decided.actions} == {"NetworkLost"}
    assert not fleet.converge(declared(SIDE)).waves


def test_a_holder_that_came_back_by_itself_is_noticed(fleet: SimulatedFleet) -> None:
    """By the runtime's own restart: everything runs, but the others are in a namespace that is no more."""
    fleet.converge(declared(SIDE))
    node, holder = boxes(fleet)["holder"]
    main = boxes(fleet)["main"][1]
    assert main.age is not None
    fleet.nodes[node].boxes[holder.id] = replace(holder, age=main.age / 10)
    assert steps(fleet.one_pass(declared(SIDE))) == ["stop log", "start log", "stop main", "start main"]
    assert not fleet.converge(declared(SIDE)).waves


def test_a_clock_that_was_set_back_restarts_nobody(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    change(fleet, "holder", age=0.0)
    assert not fleet.one_pass(declared(SIDE)).actions


def test_after_a_reboot_all_are_started_in_order(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(INIT, SIDE))
    for member in ("holder", "log", "main"):
        end(fleet, member, 255)
    assert steps(fleet.one_pass(declared(INIT, SIDE))) == ["start holder", "start log", "start main"]
    assert not fleet.converge(declared(INIT, SIDE)).waves


@pytest.mark.parametrize(
    ("state", "age", "done"),
    [
        (ContainerState.CREATED, 60.0, ["start holder", "stop log", "start log", "stop main", "start main"]),
        (ContainerState.CREATED, None, ["remove main", "remove log", "remove holder"]),
        (ContainerState.DEAD, 60.0, ["remove main", "remove log", "remove holder"]),
        (ContainerState.RESTARTING, 60.0, []),
    ],
)
def test_what_becomes_of_a_holder(
    fleet: SimulatedFleet, state: ContainerState, age: float | None, done: list[str]
) -> None:
    """Podman calls what it did not bring back after a reboot `created`."""
    fleet.converge(declared(SIDE))
    change(fleet, "holder", state=state, age=age)
    assert steps(fleet.one_pass(declared(SIDE)), StartContainer, StopContainer, RemoveContainer) == done


@pytest.mark.parametrize("member", ["holder", "log", "main"])
def test_who_is_paused_is_woken(fleet: SimulatedFleet, member: str) -> None:
    fleet.converge(declared(SIDE))
    change(fleet, member, state=ContainerState.PAUSED)
    (action,) = fleet.one_pass(declared(SIDE)).actions
    assert isinstance(action.step, UnpauseContainer)
    assert not fleet.one_pass(declared(SIDE)).actions


@pytest.mark.parametrize("anonymous", [False, True])
def test_start_first_waits_for_the_whole_new_replica(fleet: SimulatedFleet, anonymous: bool) -> None:
    """Unless one of its containers has volumes that its successor is to take over."""
    fleet.image_volumes = {"app:3": ("/spool",)} if anonymous else {}
    main = replace(MAIN, ports=())

    def stacks(command: str, number: int) -> tuple[DesiredStack, ...]:
        side = replace(SIDE, container=replace(SIDE.container, command=(command,)))
        (stack,) = declared(INIT, side, number=number, main=main)
        (service,) = stack.revision.spec.services
        first = replace(service, update=UpdatePolicy(order="start-first"))
        spec = replace(stack.revision.spec, services=(first,))
        return (replace(stack, revision=replace(stack.revision, spec=spec, digest=stack_digest(spec))),)

    fleet.converge(stacks("log", 1))
    older = {box.id for _, box in fleet.running()}
    fleet.one_pass(stacks("other", 2))
    serving = {box.id for _, box in fleet.running()} & older
    assert (not serving) if anonymous else serving == older
    fleet.converge(stacks("other", 2))
    assert not {box.id for _, box in fleet.running()} & older
    assert len(fleet.running()) == 3


def test_a_half_made_replica_goes_before_another_is_begun_elsewhere(fleet: SimulatedFleet) -> None:
    """The node is drained while an update has a replica's init container at work: there would be three of it."""
    main = replace(MAIN, ports=())

    def stacks(command: str, number: int) -> tuple[DesiredStack, ...]:
        (stack,) = declared(INIT, number=number, main=replace(main, command=(command,)))
        (service,) = stack.revision.spec.services
        spec = replace(stack.revision.spec, services=(replace(service, update=UpdatePolicy(order="start-first")),))
        return (replace(stack, revision=replace(stack.revision, spec=spec, digest=stack_digest(spec))),)

    fleet.converge(stacks("serve", 1))
    (serving,) = (box for _, box in fleet.running() if not box.label(labels.ROLE))
    fleet.one_pass(stacks("other", 2))
    (node,) = {name for name, _ in fleet.running()}
    half_made = {labels.replica_name(box.name) for _, box in fleet.running()} - {labels.replica_name(serving.name)}
    assert len(half_made) == 1
    fleet.nodes[node].availability = Availability.DRAIN
    decided = fleet.one_pass(stacks("other", 2))
    removed = {
        labels.replica_name(each.step.name) for each in decided.actions if isinstance(each.step, RemoveContainer)
    }
    assert removed == half_made
    assert not [each for each in decided.actions if isinstance(each.step, CreateContainer)]
    fleet.converge(stacks("other", 2))
    assert {name for name, _ in fleet.running()} == {"n1", "n2"} - {node}


@pytest.mark.parametrize("member", ["holder", "log"])
def test_a_replica_that_lacks_a_container_is_replaced(fleet: SimulatedFleet, member: str) -> None:
    fleet.converge(declared(SIDE))
    before = {box.id for _, box in boxes(fleet).values()}
    remove(fleet, member)
    decided = fleet.one_pass(declared(SIDE))
    assert steps(decided, CreateContainer) == ["create holder", "create log", "create main"]
    assert {action.reason for action in decided.actions if action.target == "s/web.1"} == {"MemberMissing"}
    assert not before & {box.id for _, box in boxes(fleet).values()}
    assert not fleet.converge(declared(SIDE)).waves


def test_a_change_of_any_container_replaces_the_replica(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    before = {box.id for _, box in boxes(fleet).values()}
    other = replace(SIDE, container=replace(SIDE.container, command=("log", "-v")))
    decided = fleet.one_pass(declared(other, number=2))
    removed = ["remove main", "remove log", "remove holder"]
    assert steps(decided) == [*removed, "create holder", "create log", "create main"]
    fleet.converge(declared(other, number=2))
    assert not before & {box.id for _, box in boxes(fleet).values()}


def test_a_sidecar_comes_and_goes(fleet: SimulatedFleet) -> None:
    fleet.converge(declared())
    assert steps(fleet.one_pass(declared(SIDE, number=2)))[0] == "remove main"
    fleet.converge(declared(SIDE, number=2))
    assert set(boxes(fleet)) == {"holder", "log", "main"}
    fleet.converge(declared(number=3))
    assert set(boxes(fleet)) == {"main"}


def test_an_update_takes_one_replica_after_the_other(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE, replicas=2))
    other = replace(SIDE, container=replace(SIDE.container, image="app:2"))
    decided = fleet.one_pass(declared(other, number=2, replicas=2))
    assert len({action.target for action in decided.actions if isinstance(action.step, CreateContainer)}) == 1
    assert [waiting.reason for waiting in decided.waiting] == ["RollingUpdate"]


def test_what_is_no_longer_wanted_goes_in_order(fleet: SimulatedFleet) -> None:
    """The simulated nodes refuse to remove a holder while others depend on it, as podman does."""
    fleet.converge(declared(INIT, SIDE))
    decided = fleet.converge(declared(INIT, SIDE, replicas=0))
    assert not decided.blocked
    assert not boxes(fleet)


@pytest.mark.parametrize("member", ["main", "log"])
def test_unhealthy_means_replaced(fleet: SimulatedFleet, member: str) -> None:
    check = Healthcheck(("CMD", "true"))
    side = replace(SIDE, container=replace(SIDE.container, healthcheck=check))
    stack = declared(side, main=replace(MAIN, healthcheck=check))
    fleet.converge(stack)
    change(fleet, member, health=Health.UNHEALTHY)
    assert {action.reason for action in fleet.one_pass(stack).actions if action.target == "s/web.1"} == {"Unhealthy"}


def test_only_who_is_restarted_again_and_again_is_held_back(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    change(fleet, "log", restarts=5, exit_code=1, log="no disk\n")
    decided = fleet.one_pass(declared(SIDE))
    assert steps(decided) == ["stop log"]
    assert "restarted 5 times" in decided.actions[0].detail
    (wait,) = fleet.one_pass(declared(SIDE)).waiting
    assert wait.reason == "BackOff"
    assert boxes(fleet)["main"][1].state is ContainerState.RUNNING
    fleet.now = wait.until or 0.0
    assert steps(fleet.one_pass(declared(SIDE))) == ["start log"]


def test_restarts_of_long_ago_are_not_held_against_it(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    for member, times in (("log", 2), ("main", 2)):
        change(fleet, member, restarts=times)
        assert not fleet.one_pass(declared(SIDE)).actions, member
    assert not fleet.one_pass(declared(SIDE)).actions


def test_sidecars_end_with_a_main_container_that_has_completed(fleet: SimulatedFleet) -> None:
    stack = declared(SIDE, main=replace(MAIN, restart=RestartPolicy("on-failure")))
    fleet.converge(stack)
    end(fleet, "main", 0)
    assert steps(fleet.one_pass(stack)) == ["stop log", "stop holder"]
    decided = fleet.one_pass(stack)
    assert not (decided.actions or decided.blocked or decided.waiting)


def test_a_sidecar_may_complete_before(fleet: SimulatedFleet) -> None:
    once = replace(SIDE, container=replace(SIDE.container, restart=RestartPolicy("none")))
    fleet.converge(declared(once))
    end(fleet, "log", 0)
    decided = fleet.one_pass(declared(once))
    assert not (decided.actions or decided.blocked or decided.waiting)


def test_killed_after_any_step_the_next_pass_carries_on(fleet: SimulatedFleet) -> None:
    for steps_done in range(8):
        fleet = SimulatedFleet(["n1", "n2"])
        fleet.one_pass(declared(SIDE), killed_after=steps_done)
        fleet.converge(declared(SIDE))
        assert set(boxes(fleet)) == {"holder", "log", "main"}, steps_done
        assert len(fleet.running()) == 3


def test_volumes_without_a_name_carry_over_to_each_of_them(fleet: SimulatedFleet) -> None:
    fleet.image_volumes = {"app:1": ("/data",), "app:3": ("/spool",)}
    fleet.converge(declared(INIT, SIDE))
    before = {member: box.anonymous for member, (_, box) in boxes(fleet).items()}
    other = replace(SIDE, container=replace(SIDE.container, command=("log", "-v")))
    fleet.converge(declared(INIT, other, number=2))
    after = {member: box.anonymous for member, (_, box) in boxes(fleet).items()}
    assert before["main"]
    assert before["log"]
    assert after == before
    assert len(boxes(fleet)) == sum(len(node.boxes) for node in fleet.nodes.values())


def test_a_host_network_is_shared_by_being_on_it(fleet: SimulatedFleet) -> None:
    stack = declared(SIDE, main=ContainerSpec("app:1", network_mode="host"))
    fleet.converge(stack)
    specs = {box.label(labels.MEMBER): fleet.nodes[node].specs[box.id] for node, box in boxes(fleet).values()}
    assert {spec.network_mode for spec in specs.values()} == {"host"}


def test_a_member_is_ours_only_by_name_and_labels(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(SIDE))
    node, box = boxes(fleet)["log"]
    forged = replace(box, id="e" * 64, name=box.name + "-copy")
    fleet.nodes[node].boxes[forged.id] = forged
    fleet.nodes[node].specs[forged.id] = ContainerSpec("app:1")
    decided = fleet.one_pass(declared(SIDE))
    assert not decided.actions
    assert [notice.reason for notice in decided.notices] == ["ForgedLabel"]


def test_the_status_has_one_row_a_replica(fleet: SimulatedFleet) -> None:
    fleet.converge(declared(INIT, SIDE))
    end(fleet, "log", 7)
    situation = fleet.situation(declared(INIT, SIDE))
    (service,) = fleet_status(situation, plan(situation, waves=1), None).stacks[0].services
    (row,) = service.replicas
    assert (service.running, service.healthy) == (1, 0)
    assert (row.container, row.state, row.health) == (boxes(fleet)["main"][1].id, "running", "unhealthy")
    assert (row.reason, row.detail) == ("Exited", "log: exit code 7; last of its log: last words")
    assert [(each.name, each.kind, each.state, each.exit_code) for each in row.members] == [
        ("migrate", "init", "exited", 0),
        ("log", "sidecar", "exited", 7),
    ]


def test_what_is_left_of_it_on_a_node_that_was_lost_goes_before_it_is_started_again(fleet: SimulatedFleet) -> None:
    """Its main container has ended there, but what ran beside it may be at work still."""
    stack = declared(SIDE)
    fleet.converge(stack)
    (first,) = {node for node, _ in fleet.running()}
    (old,) = [box for _, box in fleet.running() if not box.label(labels.ROLE)]
    fleet.nodes[first].up = False
    for _ in range(10):
        fleet.now += 60
        fleet.one_pass(stack)
    fleet.nodes[first].boxes[old.id] = replace(old, state=ContainerState.EXITED, exit_code=1)
    (second,) = {node for node, _ in fleet.running()} - {first}
    (new,) = [box for node, box in fleet.running() if node == second and not box.label(labels.ROLE)]
    fleet.nodes[second].boxes[new.id] = replace(new, state=ContainerState.EXITED, exit_code=1)
    fleet.nodes[first].up = True
    decided = fleet.one_pass(stack)
    assert {each.node for each in decided.actions if isinstance(each.step, RemoveContainer)} == {first}
    assert not [each for each in decided.actions if isinstance(each.step, StartContainer)]
    fleet.converge(stack)
    assert {node for node, _ in fleet.running()} == {second}
