"""Volumes on a simulated fleet: what is made, and what is refused because the data would be somebody else's or gone."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Mount
from shipyard.model.memory import KnownVolume
from shipyard.model.node import Availability
from shipyard.model.observed import ContainerState, ObservedVolume
from shipyard.model.plan import CreateContainer, CreateVolume, Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import PlacementRules, Reservations, Revision, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2")
MOUNTED = ContainerSpec("app:1", network_mode="none", mounts=(Mount("volume", "/data", "s_data"),))
DATA = VolumeSpec("s_data", "data")
EXTERNAL = VolumeSpec("s_data", "data", external=True)


def declared(volume: VolumeSpec, *, mode: str = "replicated") -> tuple[DesiredStack, ...]:
    service = replace(ServiceSpec("db", MOUNTED), mode=mode)  # type: ignore[arg-type]  # one of its modes
    spec = StackSpec("s", (service,), volumes=(volume,))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("db", NODES),)),)


def fleet_with(node: str, *said: tuple[str, str]) -> SimulatedFleet:
    """A volume with these labels is there already, on one node."""
    fleet = SimulatedFleet(NODES)
    fleet.nodes[node].volumes["s_data"] = ObservedVolume("s_data", said)
    return fleet


def made(decided: Plan, kind: type) -> list[str]:
    return [each.node for each in decided.actions if isinstance(each.step, kind)]


def reasons(decided: Plan) -> list[str]:
    return [each.reason for each in decided.blocked]


def test_a_volume_is_made_once_before_who_mounts_it_and_says_whose_it_is() -> None:
    fleet = SimulatedFleet(NODES)
    first = fleet.one_pass(declared(DATA, mode="global"))
    for node in NODES:
        kinds = [type(each.step) for each in first.actions if each.node == node]
        assert kinds.index(CreateVolume) < kinds.index(CreateContainer)
        said = dict(fleet.nodes[node].volumes["s_data"].labels)
        assert (said[labels.CLUSTER], said[labels.STACK]) == ("cafe", "s")
    assert made(fleet.converge(declared(DATA, mode="global")), CreateVolume) == []


@pytest.mark.parametrize(
    "said",
    [
        (),
        (("com.docker.compose.project", "s"),),
        ((labels.CLUSTER, "beef"), (labels.STACK, "s")),
        ((labels.STACK, "s"),),
    ],
    ids=["by hand", "by compose", "by another cluster", "by a label without a cluster"],
)
def test_a_strangers_volume_is_not_used_silently(said: tuple[tuple[str, str], ...]) -> None:
    """Wherever else there would be room: a replica on each node has one that it may not have."""
    fleet = fleet_with("n1", *said)
    stacks = declared(DATA, mode="global")
    for _ in range(3):
        decided = fleet.one_pass(stacks)
        (blocked,) = decided.blocked
        assert (blocked.target, blocked.reason) == ("s/db.1", "VolumeForeign")
        assert blocked.detail == (
            "n1 has a volume s_data that shipyard did not make; "
            "`shipyard volume adopt s s_data --node n1` uses it as it is"
        )
    assert [node for node, _ in fleet.running()] == ["n2"]
    assert fleet.nodes["n1"].volumes["s_data"].labels == said, "nor made its own"


def test_a_strangers_volume_that_was_adopted_is_used_as_it_is() -> None:
    fleet = fleet_with("n1")
    fleet.memory = replace(fleet.memory, volumes=(KnownVolume("n1", "s_data", "s"),))
    decided = fleet.one_pass(declared(DATA))
    assert (reasons(decided), made(decided, CreateVolume)) == ([], [])
    assert [node for node, _ in fleet.running()] == ["n1"]
    assert fleet.nodes["n1"].volumes["s_data"].labels == ()


def test_a_volume_of_the_cluster_is_used_by_a_store_that_does_not_know_it_yet() -> None:
    fleet = fleet_with("n2", (labels.CLUSTER, "cafe"), (labels.STACK, "s"))
    decided = fleet.one_pass(declared(DATA))
    assert (reasons(decided), made(decided, CreateVolume)) == ([], [])
    assert [node for node, _ in fleet.running()] == ["n2"]


def test_an_external_volume_is_used_whoever_made_it_and_never_made() -> None:
    fleet = fleet_with("n1", ("made", "by hand"))
    decided = fleet.one_pass(declared(EXTERNAL, mode="global"))
    (blocked,) = decided.blocked
    assert (blocked.target, blocked.reason) == ("s/db.2", "VolumeMissing")
    assert blocked.detail == "the external volume s_data does not exist on n2"
    assert made(decided, CreateVolume) == []
    assert [node for node, _ in fleet.running()] == ["n1"]
    fleet.nodes["n2"].volumes["s_data"] = ObservedVolume("s_data")
    fleet.converge(declared(EXTERNAL, mode="global"))
    assert sorted(node for node, _ in fleet.running()) == ["n1", "n2"]


def test_a_lost_volume_is_begun_anew_only_where_a_person_says_so() -> None:
    fleet, stacks = SimulatedFleet(NODES), declared(DATA)
    fleet.converge(stacks)
    ((node, box),) = fleet.running()
    del fleet.nodes[node].volumes["s_data"], fleet.nodes[node].boxes[box.id], fleet.nodes[node].specs[box.id]
    decided = fleet.one_pass(stacks)
    assert reasons(decided) == ["VolumeLost"]
    assert f"gone from {node}" in decided.blocked[0].detail and "--accept-empty s_data" in decided.blocked[0].detail
    assert fleet.running() == []


def test_a_shared_volume_that_a_node_no_longer_has_is_no_lost_data() -> None:
    shared = replace(DATA, driver_opts=(("device", ":/data"), ("type", "nfs")))
    fleet, stacks = SimulatedFleet(NODES), declared(shared)
    fleet.converge(stacks)
    ((node, box),) = fleet.running()
    del fleet.nodes[node].volumes["s_data"], fleet.nodes[node].boxes[box.id], fleet.nodes[node].specs[box.id]
    fleet.converge(stacks)
    assert len(fleet.running()) == 1


def revised(*services: ServiceSpec, number: int, volumes: tuple[VolumeSpec, ...] = (DATA,)) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, volumes=volumes)
    eligible = tuple((each.name, NODES) for each in services)
    return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), eligible),)


def where(fleet: SimulatedFleet) -> list[tuple[str, bool]]:
    """The nodes of the containers that run, and whether each has a volume."""
    return [(node, any(fleet.nodes[node].specs[box.id].mounts)) for node, box in fleet.running()]


WITH, WITHOUT = ServiceSpec("db", MOUNTED), ServiceSpec("db", replace(MOUNTED, mounts=()))


def without_its_data_elsewhere() -> tuple[SimulatedFleet, str]:
    """A fleet on which a replica was updated to do without its volume, and then drained; and where its data is."""
    fleet = SimulatedFleet(NODES)
    fleet.converge(revised(WITH, number=1))
    ((home, _),) = where(fleet)
    fleet.converge(revised(WITHOUT, number=2))
    fleet.nodes[home].availability = Availability.DRAIN
    fleet.converge(revised(WITHOUT, number=2))
    assert where(fleet) != [(home, False)]
    return fleet, home


def test_a_replica_that_wants_its_volume_again_goes_back_to_where_its_data_is() -> None:
    """Also where nothing of it is there any more, and although the other node would begin an empty one."""
    fleet, home = without_its_data_elsewhere()
    fleet.nodes[home].availability = Availability.ACTIVE
    fleet.converge(revised(WITH, number=3))
    assert where(fleet) == [(home, True)]
    assert [name for name, node in fleet.nodes.items() if node.volumes] == [home]


def test_it_waits_for_a_silent_node_with_its_data_unless_told_to_begin_anew() -> None:
    fleet, home = without_its_data_elsewhere()
    fleet.nodes[home].up = False
    last = fleet.converge(revised(WITH, number=3))
    assert [each.detail for each in last.waiting if each.target == "s/db.1"] == [
        f"{home} is suspect, and its data (volume s_data) is there"
    ]
    anew = plan(replace(fleet.situation(revised(WITH, number=3)), accept_empty=frozenset({"s_data"})), waves=1)
    assert made(anew, CreateVolume) == [name for name in NODES if name != home]


def test_it_says_so_where_its_data_is_and_there_is_no_room_for_it() -> None:
    fleet, home = without_its_data_elsewhere()
    fleet.nodes[home].availability = Availability.ACTIVE
    big = Reservations(memory=6 * 2**30)
    other = ServiceSpec("other", replace(MOUNTED, mounts=()), reservations=big, mode="global")
    fleet.converge(revised(WITHOUT, other, number=3))
    wanting = replace(WITH, reservations=big)
    last = fleet.converge(revised(wanting, other, number=4))
    (blocked,) = last.blocked
    assert blocked.reason == "Unschedulable"
    assert f"its data (volume s_data) is on {home}, which lacks memory" in blocked.detail
    assert "--accept-empty s_data" in blocked.detail


def test_where_a_volume_is_lost_its_container_is_not_made_again_and_again() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.converge(declared(DATA))
    ((node, box),) = fleet.running()
    fleet.nodes[node].boxes[box.id] = replace(box, state=ContainerState.DEAD)
    fleet.nodes[node].volumes.clear()
    for _ in range(3):
        assert reasons(fleet.one_pass(declared(DATA))) == ["VolumeLost"]
    assert not fleet.memory.failures
    assert len(fleet.nodes[node].boxes) == 1


OWN = replace(DATA, per_replica=True)


def with_volumes_of_their_own(replicas: int) -> tuple[SimulatedFleet, ServiceSpec]:
    """A fleet on which a service runs with so many replicas, each with its data."""
    fleet, service = SimulatedFleet(NODES), replace(WITH, replicas=replicas, per_replica=("s_data",))
    fleet.converge(revised(service, number=1, volumes=(OWN,)))
    return fleet, service


def places(fleet: SimulatedFleet) -> dict[int, str]:
    """Where the replicas of `db` are, by slot."""
    return {placement.slot: placement.node for placement in fleet.memory.placements if placement.service == "db"}


def test_a_replica_that_is_scaled_back_in_goes_to_its_own_data_although_others_are_there() -> None:
    """Another node would be better by all else."""
    fleet, many = with_volumes_of_their_own(5)
    before = places(fleet)
    fleet.converge(revised(replace(many, replicas=1), number=2, volumes=(OWN,)))
    there = PlacementRules(constraints=(f"node.hostname == {before[1]}",))
    weighs = replace(WITHOUT, name="other", replicas=9, placement=there)
    fleet.converge(revised(replace(many, replicas=1), weighs, number=3, volumes=(OWN,)))
    fleet.converge(revised(many, weighs, number=4, volumes=(OWN,)))
    assert places(fleet) == before
    assert sum(len(node.volumes) for node in fleet.nodes.values()) == 5


def test_a_replica_that_is_scaled_back_in_waits_for_a_silent_node_with_its_own_data() -> None:
    fleet, many = with_volumes_of_their_own(5)
    home = places(fleet)[3]
    fleet.converge(revised(replace(many, replicas=2), number=2, volumes=(OWN,)))
    fleet.nodes[home].up = False
    last = fleet.one_pass(revised(replace(many, replicas=3), number=3, volumes=(OWN,)))
    (blocked,) = [each for each in last.blocked if each.target == "s/db.3"]
    assert f"1 lacks its volume s_data_3 (which is on {home})" in blocked.detail
    assert 3 not in places(fleet)


def test_a_volume_of_its_own_is_found_again_by_its_name() -> None:
    """The replica was gone meanwhile, and came back elsewhere while it was to have no data."""
    fleet, many = with_volumes_of_their_own(2)
    home = places(fleet)[2]
    fleet.converge(revised(replace(many, replicas=1), number=2, volumes=(OWN,)))
    fleet.nodes[home].availability = Availability.DRAIN
    fleet.converge(revised(replace(WITHOUT, replicas=2), number=3, volumes=(OWN,)))
    assert places(fleet)[2] != home
    fleet.nodes[home].availability = Availability.ACTIVE
    fleet.converge(revised(many, number=4, volumes=(OWN,)))
    assert places(fleet)[2] == home
    assert sum(len(node.volumes) for node in fleet.nodes.values()) == 2


@pytest.mark.parametrize("state", [ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.EXITED])
def test_no_second_writer_is_begun_beside_one_that_was_renamed(state: ContainerState) -> None:
    """Its name is no longer ours, so it is left alone; what it writes to is not given to another."""
    fleet = SimulatedFleet(NODES)
    fleet.converge(declared(DATA))
    ((node, box),) = fleet.running()
    boxes = fleet.nodes[node].boxes
    boxes[box.id] = replace(box, name="s-db-1-old", state=state)
    decided = fleet.one_pass(declared(DATA))
    if state is ContainerState.EXITED:
        assert made(decided, CreateContainer) == [node]
        return
    (blocked,) = decided.blocked
    assert (blocked.target, blocked.reason, decided.waves) == ("s/db.1", "VolumeInUse", ())
    assert f"rename it to {box.name}, or remove it" in blocked.detail
    boxes[box.id] = replace(box, state=ContainerState.RUNNING)
    decided = fleet.one_pass(declared(DATA))
    assert (decided.blocked, decided.waves) == ((), ())


def test_a_volume_that_is_declared_otherwise_now_stays_and_that_is_said() -> None:
    fleet = SimulatedFleet(NODES)
    fleet.converge(declared(DATA))
    ((node, _),) = fleet.running()
    assert fleet.one_pass(declared(DATA)).notices == ()
    changed = replace(DATA, driver_opts=(("device", "tmpfs"), ("type", "tmpfs")))
    decided = fleet.one_pass(declared(changed))
    (notice,) = decided.notices
    assert (notice.target, notice.reason, made(decided, CreateVolume)) == ("s_data", "VolumeDiffers", [])
    assert f"on {node} was made with" in notice.detail
