"""Nodes fall silent, return, are drained and used again, in any order and for any time: data stays where it is."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck, Mount
from shipyard.model.node import Availability
from shipyard.model.observed import ContainerState, Health
from shipyard.model.plan import CreateContainer, Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Reschedule, Revision, ServiceSpec, StackSpec, UpdatePolicy, VolumeSpec
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3", "n4", "n5")
VOLUMES = (
    VolumeSpec("s_data", "data", per_replica=True),
    VolumeSpec("s_shared", "shared", driver_opts=(("type", "nfs"),)),
)
WHAT = ("down", "up", "drain", "cordon", "activate", "crash", "unhealthy", "update", "wait", "wait long")
Order = Literal["stop-first", "start-first"]


@st.composite
def stacks(draw: st.DrawFn) -> DesiredStack:
    def container(*mounts: Mount) -> ContainerSpec:
        check = Healthcheck(("CMD", "true")) if draw(st.booleans()) else None
        return ContainerSpec("app:1", network_mode="none", mounts=mounts, healthcheck=check)

    order: Order = draw(st.sampled_from(["stop-first", "start-first"]))
    rule = Reschedule(
        after=draw(st.sampled_from([None, 60.0])), when_back=draw(st.sampled_from(["keep_new", "keep_old"]))
    )
    web = ServiceSpec(
        "web",
        container(),
        replicas=draw(st.integers(1, 5)),
        update=UpdatePolicy(draw(st.integers(1, 2)), order=order, failure_action="continue"),
        reschedule=rule,
    )
    plain = UpdatePolicy(failure_action="continue")
    db = ServiceSpec(
        "db",
        container(Mount("volume", "/data", "s_data")),
        replicas=draw(st.integers(1, 3)),
        per_replica=("s_data",),
        stable_names=True,
        order=draw(st.sampled_from(["parallel", "ordered"])),
        update=plain,
    )
    files = ServiceSpec("files", container(Mount("volume", "/data", "s_shared")), update=plain, reschedule=rule)
    agent = ServiceSpec("agent", container(), mode="global", update=plain)
    spec = StackSpec("s", (agent, db, files, web), (), VOLUMES)
    eligible = tuple((service.name, NODES) for service in spec.services)
    return DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), eligible)


def happen(fleet: SimulatedFleet, what: str, pick: int) -> None:
    node = fleet.nodes[NODES[pick % len(NODES)]]
    boxes = [key for key, box in sorted(node.boxes.items()) if box.state is ContainerState.RUNNING]
    match what:
        case "down" | "up":
            node.up = what == "up"
        case "drain":
            node.availability, node.drain_until = Availability.DRAIN, fleet.now + pick
        case "cordon":
            node.availability = Availability.PAUSE
        case "activate":
            node.availability = Availability.ACTIVE
        case "crash" if boxes:
            key = boxes[pick // 7 % len(boxes)]
            node.boxes[key] = replace(node.boxes[key], state=ContainerState.EXITED, exit_code=1)
        case "unhealthy" if boxes and node.boxes[boxes[pick // 7 % len(boxes)]].health is not Health.NONE:
            key = boxes[pick // 7 % len(boxes)]
            node.boxes[key] = replace(node.boxes[key], health=Health.UNHEALTHY)


def updated(stack: DesiredStack, number: int) -> DesiredStack:
    services = tuple(
        replace(each, container=replace(each.container, image=f"app:{number % 3 + 1}"))
        for each in stack.revision.spec.services
    )
    spec = replace(stack.revision.spec, services=services)
    return replace(stack, revision=Revision("s", number, spec, stack_digest(spec), 0.0, "me"))


def check(fleet: SimulatedFleet, decided: Plan, before: set[tuple[str, str]]) -> None:
    """`before`: node and slot of the replicas there were."""
    homes = Counter(name for node in fleet.nodes.values() for name in node.volumes if name.startswith("s_data"))
    assert all(count == 1 for count in homes.values()), "a replica's own volume is on one node"
    files = [node for node, box in fleet.running() if box.label(labels.SERVICE) == "files"]
    assert len(files) <= 1, f"two writers: {files}"
    assert not fleet.removed_volumes
    for action in decided.waves[0] if decided.waves else ():
        if (
            isinstance(action.step, CreateContainer)
            and fleet.nodes[action.node].availability is not Availability.ACTIVE
        ):
            assert (action.node, action.target) in before, "nothing new comes to a node that takes no work"


def slots(fleet: SimulatedFleet) -> set[tuple[str, str]]:
    """Of containers."""
    return {
        (node.name, f"s/{box.label(labels.SERVICE)}.{box.label(labels.SLOT)}")
        for node in fleet.nodes.values()
        for box in node.boxes.values()
    }


def placed(fleet: SimulatedFleet) -> set[tuple[str, str]]:
    """Of what a node was decided on for."""
    return {(each.node, f"s/{each.service}.{each.slot}") for each in fleet.memory.placements}


@settings(max_examples=25, deadline=None)
@given(
    stack=stacks(),
    story=st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 500)), max_size=16),
    healthy=st.booleans(),
)
def test_nodes_come_and_go(stack: DesiredStack, story: list[tuple[str, int]], healthy: bool) -> None:
    fleet = SimulatedFleet(NODES)
    fleet.healthy_at_once = healthy
    fleet.converge((stack,))
    for number, (what, pick) in enumerate(story, 2):
        happen(fleet, what, pick)
        if what == "update":
            stack = updated(stack, number)
        for _ in range({"wait": 3, "wait long": 12}.get(what, 1)):
            before = placed(fleet)
            check(fleet, fleet.one_pass((stack,)), before)
            fleet.now += 40 if what.startswith("wait") else 1
            fleet.tick()
    for node in fleet.nodes.values():
        node.up, node.availability = True, Availability.ACTIVE
    last = fleet.converge((stack,))
    assert not last.blocked
    assert not plan(fleet.situation((stack,))).waves
    assert fleet.memory.departed == ()
    count = Counter(target for _, target in slots(fleet))
    wanted = {
        f"s/{service.name}.{slot}"
        for service in stack.revision.spec.services
        for slot in range(1, (len(NODES) if service.mode == "global" else service.replicas) + 1)
    }
    assert count == dict.fromkeys(wanted, 1)
