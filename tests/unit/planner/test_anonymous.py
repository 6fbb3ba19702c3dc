"""Anonymous volumes: a container that takes another's place on its node takes over the data too."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Mount, Port, RestartPolicy
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import CreateContainer, RemoveContainer, StopContainer, UnpauseContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.anonymous import carried
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

SPEC = ContainerSpec("app:1", network_mode="none", mounts=(Mount("volume", "/more"),))


def declared(spec: ContainerSpec, number: int = 1, node: str = "n1") -> tuple[DesiredStack, ...]:
    stack = StackSpec("s", (ServiceSpec("db", spec),), volumes=(VolumeSpec("s_data", "data"),))
    return (DesiredStack(Revision("s", number, stack, stack_digest(stack), 0.0, "me"), (("db", (node,)),)),)


def started(spec: ContainerSpec = SPEC) -> SimulatedFleet:
    fleet = SimulatedFleet(["n1", "n2"])
    fleet.image_volumes = {"app:1": ("/data",), "app:2": ("/data", "/new")}
    fleet.converge(declared(spec))
    return fleet


def only(fleet: SimulatedFleet, node: str = "n1") -> Container:
    (box,) = fleet.nodes[node].boxes.values()
    return box


def change(fleet: SimulatedFleet, **changes: object) -> None:
    box = only(fleet)
    fleet.nodes["n1"].boxes[box.id] = replace(box, **changes)  # type: ignore[arg-type]  # fields by keyword


def test_a_changed_spec_keeps_the_data() -> None:
    fleet = started()
    before = only(fleet)
    assert [target for target, _ in before.anonymous] == ["/data", "/more"]
    fleet.converge(declared(replace(SPEC, environment=(("A", "b"),)), 2))
    assert only(fleet).id != before.id
    assert only(fleet).anonymous == before.anonymous


def test_what_was_removed_by_hand_comes_back_with_its_data() -> None:
    fleet = started()
    before = only(fleet)
    fleet.nodes["n1"].boxes.clear()
    fleet.converge(declared(SPEC))
    assert only(fleet).id != before.id
    assert only(fleet).anonymous == before.anonymous
    assert plan(fleet.situation(declared(SPEC))).waves == ()


def test_on_another_node_it_begins_anew() -> None:
    fleet = started()
    before = dict(only(fleet).anonymous)
    fleet.nodes["n1"].boxes.clear()
    fleet.converge(declared(SPEC, 2, "n2"))
    assert set(dict(only(fleet, "n2").anonymous).values()).isdisjoint(before.values())


def test_what_is_no_longer_declared_is_not_remembered() -> None:
    fleet = started()
    assert fleet.memory.nameless
    empty = StackSpec("s")
    fleet.converge((DesiredStack(Revision("s", 2, empty, stack_digest(empty), 0.0, "me")),))
    assert fleet.memory.nameless == ()


def test_a_new_image_keeps_the_data_and_begins_what_is_new() -> None:
    fleet = started()
    before = dict(only(fleet).anonymous)
    fleet.converge(declared(replace(SPEC, image="app:2"), 2))
    after = dict(only(fleet).anonymous)
    assert {target: after[target] for target in before} == before
    assert set(after) == {"/data", "/more", "/new"}


def test_what_the_spec_mounts_by_name_now_is_not_kept() -> None:
    fleet = started()
    before = dict(only(fleet).anonymous)
    spec = replace(SPEC, mounts=(Mount("volume", "/more/", "s_data"), Mount("bind", "/data", "/srv")))
    fleet.converge(declared(spec, 2))
    assert not set(before.values()) & set(dict(only(fleet).anonymous).values())


def test_it_is_no_part_of_the_spec() -> None:
    fleet = started()
    fleet.converge(declared(replace(SPEC, environment=(("A", "b"),)), 2))
    assert not plan(fleet.situation(declared(replace(SPEC, environment=(("A", "b"),)), 2))).waves


def test_a_broken_container_is_replaced_with_its_data() -> None:
    fleet = started()
    before = only(fleet)
    change(fleet, state=ContainerState.DEAD)
    fleet.converge(declared(SPEC))
    assert only(fleet).id != before.id
    assert only(fleet).anonymous == before.anonymous


def test_the_old_container_goes_only_when_the_new_one_has_the_data() -> None:
    fleet = started()
    decided = plan(fleet.situation(declared(replace(SPEC, environment=(("A", "b"),)), 2)))
    steps = [[type(action.step) for action in wave if "/" in action.target] for wave in decided.waves]
    assert steps == [[StopContainer, CreateContainer], [RemoveContainer]]
    stop, create = (action for action in decided.waves[0] if "/" in action.target)
    assert "/data, /more" in stop.detail
    assert create.needs == (stop.id,)


def test_a_paused_one_is_woken_so_that_it_can_be_stopped() -> None:
    fleet = started()
    change(fleet, state=ContainerState.PAUSED)
    decided = plan(fleet.situation(declared(replace(SPEC, environment=(("A", "b"),)), 2)))
    steps = [type(action.step) for action in decided.waves[0] if "/" in action.target]
    assert steps == [UnpauseContainer, StopContainer, CreateContainer]


def test_the_data_outlives_successors_that_can_not_be_made() -> None:
    fleet = started()
    before = only(fleet).anonymous
    taken = Container("f" * 64, "theirs", ContainerState.RUNNING)
    node = fleet.nodes["n1"]
    node.boxes[taken.id], node.specs[taken.id] = taken, ContainerSpec("theirs", ports=(Port(80, 80),))
    wanted = declared(replace(SPEC, ports=(Port(80, 80),)), 2)
    for _ in range(12):
        fleet.one_pass(wanted)
        fleet.now += 1000
    assert len(node.boxes) <= 3, "attempts that failed do not pile up"
    del node.boxes[taken.id], node.specs[taken.id]
    fleet.converge(wanted)
    assert only(fleet).anonymous == before


def test_the_data_outlives_a_pass_that_is_killed() -> None:
    for after in range(1, 4):
        fleet = started()
        before = only(fleet).anonymous
        wanted = declared(replace(SPEC, environment=(("A", "b"),)), 2)
        fleet.one_pass(wanted, killed_after=after)
        fleet.converge(wanted)
        assert only(fleet).anonymous == before


def test_a_job_that_ended_leaves_nothing_of_its_predecessor() -> None:
    once = replace(SPEC, restart=RestartPolicy("none"))
    fleet = started(once)
    wanted = declared(replace(once, environment=(("A", "b"),)), 2)
    fleet.one_pass(wanted)
    node = fleet.nodes["n1"]
    assert len(node.boxes) == 2
    for key, box in node.boxes.items():
        node.boxes[key] = replace(box, state=ContainerState.EXITED, exit_code=0)
    fleet.converge(wanted)
    assert only(fleet).label("shipyard.revision") == "2"


def test_another_node_begins_its_own() -> None:
    fleet = started()
    before = only(fleet).anonymous
    fleet.converge(declared(SPEC, 2, "n2"))
    assert not set(before) & set(only(fleet, "n2").anonymous)
    assert {volume for _, volume in before} <= fleet.nodes["n1"].anonymous
    assert not fleet.nodes["n1"].boxes


def test_of_several_containers_the_one_that_ran_last_counts() -> None:
    (stack,) = declared(SPEC)
    old = Container("1" * 64, "old", ContainerState.EXITED, age=900.0, anonymous=(("/data", "a"), ("/old", "b")))
    late = Container("2" * 64, "late", ContainerState.EXITED, age=9.0, anonymous=(("/data", "c"), ("/named", "s_data")))
    never = Container("3" * 64, "never", ContainerState.CREATED, anonymous=(("/data", "d"),))
    assert carried(stack, SPEC, (never, old, late)) == ((("/data", "c"), ("/old", "b")), (late, old))
    running = replace(old, state=ContainerState.RUNNING)
    assert carried(stack, SPEC, (never, late, running)) == ((("/data", "a"), ("/old", "b")), (running,))
