"""Random specs and random faults through the planner, against a simulated fleet: it converges, and then rests."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ConfigMount, ContainerSpec, Healthcheck, Member, Mount, Port
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import (
    ConfigSpec,
    NetworkSpec,
    PlacementRules,
    Revision,
    SecretSpec,
    ServiceSpec,
    StackSpec,
    UpdatePolicy,
    VolumeSpec,
)
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet, SimulatedNode

T = TypeVar("T")
NODES = ("n1", "n2", "n3", "n4")
CONFIGS = tuple(ConfigSpec("s_page", "page", letter.encode(), letter * 64) for letter in "ab")
SECRETS = tuple(SecretSpec("s/password", "password", letter * 64) for letter in "cd")
FOREIGN = Container("f" * 64, "somebody-elses", ContainerState.RUNNING, (("app", "theirs"),))


def _some(contents: tuple[T, ...]) -> st.SearchStrategy[tuple[T, ...]]:
    """One of them, or more often none."""
    return st.sampled_from([(), (), *((each,) for each in contents)])


_INIT = Member("seed", "init", ContainerSpec("app:1"))
_SIDE = Member("log", "sidecar", ContainerSpec("app:2", healthcheck=Healthcheck(("CMD", "true"))))
MEMBERS: tuple[tuple[Member, ...], ...] = ((), (), (_SIDE,), (_INIT, _SIDE))


@st.composite
def services(draw: st.DrawFn, name: str) -> ServiceSpec:
    networks = tuple(
        Attachment(f"s_{key}", (name,))
        for key in sorted(draw(st.sets(st.sampled_from(["default", "back"]), max_size=2)))
    )
    stateful = draw(st.booleans())
    container = ContainerSpec(
        image=draw(st.sampled_from(["app:1", "app:2", "app:3"])),
        environment=(("V", draw(st.sampled_from("abc"))),),
        networks=networks,
        network_mode=None if networks else "none",
        mounts=(Mount("volume", "/data", f"s_{name}"),) if stateful else (),
        ports=(Port(80, 8000 + len(name) * 100 + ord(name[0])),) if not stateful and draw(st.booleans()) else (),
        healthcheck=Healthcheck(("CMD", "true")) if draw(st.booleans()) else None,
        configs=tuple(ConfigMount(each.name, each.digest, "/page") for each in draw(_some(CONFIGS))),
        secrets=tuple(ConfigMount(each.key, each.digest, "/run/secrets/password") for each in draw(_some(SECRETS))),
        members=draw(st.sampled_from(MEMBERS)),
    )
    return ServiceSpec(
        name,
        container,
        mode=draw(st.sampled_from(["replicated", "replicated", "global"])),
        replicas=draw(st.integers(0, 5)),
        placement=PlacementRules(max_replicas_per_node=draw(st.sampled_from([None, 1, 2]))),
        update=UpdatePolicy(parallelism=draw(st.integers(0, 2))),
    )


@st.composite
def stacks(draw: st.DrawFn, number: int) -> DesiredStack:
    names = sorted(draw(st.sets(st.sampled_from(["web", "api", "db"]), min_size=1)))
    chosen = tuple(draw(services(name)) for name in names)
    spec = StackSpec(
        "s",
        chosen,
        (NetworkSpec("s_back", "back", internal=draw(st.booleans())), NetworkSpec("s_default", "default")),
        tuple(VolumeSpec(f"s_{name}", name) for name in names),
        CONFIGS,
        SECRETS,
    )
    eligible = tuple(
        (service.name, tuple(sorted(draw(st.sets(st.sampled_from(NODES), min_size=1))))) for service in chosen
    )
    return DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), eligible)


FAULTS = (
    "remove",
    "stop",
    "restarted",
    "pause",
    "disconnect",
    "unhealthy",
    "node down",
    "node up",
    "killed",
    "forge",
    "network gone",
    "files gone",
)


def hurt(fleet: SimulatedFleet, fault: str, pick: int) -> None:
    """One thing that goes wrong, chosen by `pick` among what there is."""
    node = fleet.nodes[NODES[pick % len(NODES)]]
    ours = [key for key, box in sorted(node.boxes.items()) if box.label(labels.CLUSTER) == "cafe"]
    if fault == "node down":
        node.up = False
    elif fault == "node up":
        node.up = True
    elif fault == "files gone":
        node.configs.clear()
        node.secrets.clear()
    elif fault == "forge":
        forged = Container(
            "e" * 64, "copied", ContainerState.RUNNING, (("shipyard.cluster", "cafe"), ("shipyard.stack", "s"))
        )
        node.boxes[forged.id] = forged
        node.specs[forged.id] = ContainerSpec("app:1")
    elif ours:
        key = ours[pick // 7 % len(ours)]
        box = node.boxes[key]
        match fault:
            case "remove":
                del node.boxes[key], node.specs[key]
            case "stop":
                node.boxes[key] = replace(box, state=ContainerState.EXITED, exit_code=143)
            case "restarted" if box.state is ContainerState.RUNNING:  # by its runtime: younger than all others
                node.boxes[key] = replace(box, age=min(each.age or 1 for each in node.boxes.values()) / 2)
            case "pause":
                node.boxes[key] = replace(box, state=ContainerState.PAUSED)
            case "disconnect":
                node.boxes[key] = replace(box, networks=())
            case "unhealthy" if box.health is not Health.NONE:
                node.boxes[key] = replace(box, health=Health.UNHEALTHY)
            case "network gone" if box.networks:
                name = box.networks[0].network
                node.networks.pop(name, None)
                for other, there in node.boxes.items():
                    left = tuple(each for each in there.networks if each.network != name)
                    node.boxes[other] = replace(there, networks=left)


def check_slots(fleet: SimulatedFleet) -> None:
    """Never two containers of one slot at work, nor two that are the same member of it."""
    count = Counter(
        (box.label(labels.SERVICE), box.label(labels.SLOT), box.label(labels.MEMBER))
        for _, box in fleet.running()
        if box.label(labels.SLOT)
    )
    assert all(number == 1 for number in count.values()), count


def check_foreign(fleet: SimulatedFleet) -> None:
    assert fleet.nodes["n1"].boxes[FOREIGN.id] == FOREIGN


@settings(max_examples=50, deadline=None)
@given(
    history=st.lists(stacks(number=1), min_size=1, max_size=3),
    faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 1000)), max_size=12),
    healthy=st.booleans(),
)
def test_converges_whatever_happened(history: list[DesiredStack], faults: list[tuple[str, int]], healthy: bool) -> None:
    fleet = SimulatedFleet(NODES)
    fleet.healthy_at_once = healthy
    fleet.nodes["n1"].boxes[FOREIGN.id], fleet.nodes["n1"].specs[FOREIGN.id] = FOREIGN, ContainerSpec("theirs")
    desired: tuple[DesiredStack, ...] = ()
    for number, stack in enumerate(history, 1):
        desired = (replace(stack, revision=replace(stack.revision, number=number)),)
        fleet.one_pass(desired)
        for fault, pick in faults:
            hurt(fleet, fault, pick)
            fleet.one_pass(desired, killed_after=pick % 5 if fault == "killed" else None)
            if not {"node down", "killed"} & {fault for fault, _ in faults}:
                check_slots(fleet)
            check_foreign(fleet)
    for node in fleet.nodes.values():
        node.up = True
    last = fleet.converge(desired)
    again = plan(fleet.situation(desired))
    assert not again.waves
    assert again.blocked == last.blocked
    check_slots(fleet)
    check_foreign(fleet)
    assert not fleet.removed_volumes
    held_up = {each.target for each in last.waiting if each.reason == "RollingUpdate" and last.blocked}
    check_files(fleet, desired[0])
    check_declared(fleet, desired[0], {blocked.target for blocked in last.blocked} | held_up)


def check_files(fleet: SimulatedFleet, stack: DesiredStack) -> None:
    """Every node has what its containers could be started again with; nothing else, but what is still to be made."""
    for node in fleet.nodes.values():
        there = {*(f"configs/{name}" for name in node.configs), *(f"secrets/{name}" for name in node.secrets)}
        alive = {file for box in node.boxes.values() if box.state is ContainerState.RUNNING for file in box.files}
        assert alive <= there
        had = {file for box in node.boxes.values() for file in box.files}
        for placed in fleet.memory.placements:
            service = stack.revision.spec.service(placed.service)
            if placed.node == node.name and service is not None:
                had |= {*service.container_for(node.name, placed.slot).files()}
        assert there <= had


def check_declared(fleet: SimulatedFleet, stack: DesiredStack, blocked: set[str]) -> None:
    """Every slot that is not blocked has one running container, made from the declared spec; nothing else runs."""
    running = {
        f"s/{box.label(labels.SERVICE)}.{box.label(labels.SLOT)}": (node, box)
        for node, box in fleet.running()
        if box.name not in (FOREIGN.name, "copied") and box.label(labels.MEMBER) is None
    }
    for service in stack.revision.spec.services:
        slots = [target for target in running if target.startswith(f"s/{service.name}.")]
        paused = f"s/{service.name}" in blocked  # an update that stopped leaves alone what it has not reached
        for target in slots:
            node, box = running[target]
            if target not in blocked and not paused:
                if service.container.members:
                    box = check_together(fleet.nodes[node], box, service.container)
                else:
                    made_from = fleet.nodes[node].specs[box.id]
                    there = service.container  # what follows from a network that spans nodes is not written
                    own = {"networks": there.networks, "hostname": there.hostname, "ports": there.ports}
                    assert replace(made_from, **own, hosts=False) == there
                assert {each.network for each in box.networks} == {each.network for each in service.container.networks}
        if service.mode == "replicated":
            wanted = {f"s/{service.name}.{slot}" for slot in range(1, service.replicas + 1)}
            assert paused or wanted - set(slots) <= blocked
            assert set(slots) <= wanted
    declared = {service.name for service in stack.revision.spec.services}
    assert {target.split("/")[1].split(".")[0] for target in running} <= declared


def check_together(node: SimulatedNode, main: Container, spec: ContainerSpec) -> Container:
    """All of a replica's containers are there, in a namespace that was there before them. Returns its holder."""
    there = {box.label(labels.MEMBER): box for box in node.boxes.values() if box.name.partition(".")[0] == main.name}
    assert set(there) == {None, "holder", *(member.name for member in spec.members)}
    holder = there["holder"]
    assert node.specs[main.id].network_mode == f"container:{holder.name}"
    for name, box in there.items():
        if name == "seed":
            assert (box.state, box.exit_code) == (ContainerState.EXITED, 0)
        else:
            assert box.state is ContainerState.RUNNING
            assert (box.age or 0) <= (holder.age or 0)
    return holder


@settings(max_examples=40, deadline=None)
@given(stack=stacks(number=1), faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 1000)), max_size=4))
def test_the_same_situation_gives_the_same_plan_in_any_order_of_input(
    stack: DesiredStack, faults: list[tuple[str, int]]
) -> None:
    fleet = SimulatedFleet(NODES)
    fleet.one_pass((stack,))
    for fault, pick in faults:
        hurt(fleet, fault, pick)
    situation = fleet.situation((stack,))
    shuffled = replace(
        situation,
        observed=tuple(
            replace(each, containers=each.containers[::-1], networks=each.networks[::-1])
            if hasattr(each, "containers")
            else each
            for each in situation.observed
        ),
    )
    assert plan(situation) == plan(situation)
    assert plan(shuffled).waves == plan(situation).waves


@settings(max_examples=40, deadline=None)
@given(
    replicas=st.integers(1, 6),
    parallelism=st.integers(1, 3),
    healthy=st.booleans(),
)
def test_an_update_takes_no_more_replicas_down_than_its_parallelism(
    replicas: int, parallelism: int, healthy: bool
) -> None:
    def declared(image: str, number: int) -> tuple[DesiredStack, ...]:
        container = ContainerSpec(image, network_mode="none", healthcheck=Healthcheck(("CMD", "true")))
        policy = UpdatePolicy(parallelism, monitor=1)
        service = ServiceSpec("web", container, replicas=replicas, update=policy)
        spec = StackSpec("s", (service,))
        return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), (("web", NODES),)),)

    fleet = SimulatedFleet(NODES)
    fleet.healthy_at_once = healthy
    fleet.converge(declared("app:1", 1))
    for _ in range(replicas * 3 + 3):
        fleet.one_pass(declared("app:2", 2))
        ready = [box for _, box in fleet.running() if box.health in (Health.NONE, Health.HEALTHY)]
        assert len(ready) >= replicas - parallelism
        fleet.tick()
    assert {box.image for _, box in fleet.running()} == {"app:2"}
