"""When a replica leaves a node that does not answer: never because of silence alone, and never all at once.

Each service may say for itself how long to wait, or to wait for ever. What alone writes to a volume that all nodes
share is moved only once somebody knows that its node is off: two writers cost the data.
"""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.base.record import Struct
from shipyard.model.container import ContainerSpec
from shipyard.model.memory import Departed, NodeMemory, Placement
from shipyard.model.node import Availability, NodeState
from shipyard.model.plan import Blocked, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import storage
from shipyard.planner.world import World


class Verdict(Struct, frozen=True):
    """`leaves`: why the replica leaves the node, or "". `held`: what holds it there, to be told."""

    leaves: str = ""
    held: Waiting | Blocked | None = None


class Unsure(Struct, frozen=True):
    """`said`: of one of the nodes, why to wait for it. `containers`: how many of a replica may be at work on all."""

    said: Waiting | Blocked
    containers: int


STAYS = Verdict()


def verdict(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> Verdict:
    """Whether a replica leaves its node because that was lost. For nodes that answer it is always `STAYS`."""
    node, target = placement.node, f"{placement.stack}/{placement.service}.{placement.slot}"
    silence = world.book.silence.get(node)
    if silence is None or not silence.misses or world.brake or service.mode in ("global", "global-job"):
        return STAYS
    state = f"{node} is {silence.state}"
    said = world.nodes[node]
    if service.reschedule.never and said.availability != Availability.DRAIN:
        return Verdict(held=Waiting(target, "NodeNotObserved", f"{state}, and it waits for it (reschedule: never)"))
    if not said.dead and not _lost(world, service, silence):
        return STAYS
    if storage.pinned(world, stack, service, placement):
        return Verdict(state)
    if not said.dead:
        volume = _written_alone(stack, service, placement)
        if volume:
            if world.book.may_evacuate(node) is None:
                world.book.fence.add(node)
            return Verdict(held=Blocked(target, "MayStillWrite", _advice(world, state, node, volume)))
        later = world.book.may_evacuate(node)
        if later is not None:
            many = "one lost node" if world.book.most == 1 else f"{world.book.most} lost nodes"
            why = f"{state}; the work of at most {many} is moved in five minutes"
            return Verdict(held=Waiting(target, "MoveLimit", why, later))
    return Verdict(state)


def still_there(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> Unsure | None:
    """What a new container of a replica has to wait for: others may be at work on silent nodes that it has left.

    None once those nodes are lost, or there are none. A service that has one replica on each node never waits.
    """
    target = f"{placement.stack}/{placement.service}.{placement.slot}"
    said: Waiting | Blocked | None = None
    containers = 0
    for left in _left_in_the_dark(world, service, placement):
        state = f"{left.node} is {world.states.get(left.node, NodeState.UNKNOWN)}"
        silence = world.book.silence.get(left.node)
        if silence is None or not _lost(world, service, silence):
            many = "two containers" if left.two else "the container"
            why = f"{state}, and {many} that it had there may still be at work"
            said = said or Waiting(target, "NodeNotObserved", why)
        elif volume := _written_alone(stack, service, placement):
            world.book.fence.add(left.node)
            said = said or Blocked(target, "MayStillWrite", _advice(world, state, left.node, volume))
        else:
            continue
        containers += 2 if left.two else 1
    return Unsure(said, containers) if said is not None else None


def _left_in_the_dark(world: World, service: ServiceSpec, placement: Placement) -> Iterator[Departed]:
    """What a replica has left on other nodes that don't answer, and that nobody calls dead."""
    if service.mode != "replicated":
        return
    for left in world.book.departed.get(placement.key, ()):
        said = world.nodes.get(left.node)
        if left.node != placement.node and left.node not in world.seen and said is not None and not said.dead:
            yield left


def _lost(world: World, service: ServiceSpec, silence: NodeMemory) -> bool:
    after = service.reschedule.after
    if after is None:
        return silence.state == NodeState.LOST
    return silence.misses >= 2 and silence.silent_for >= world.situation.timing.unreachable_after + after


def _advice(world: World, state: str, node: str, volume: str) -> str:
    tried = world.book.fencings.get(node)
    failed = f" (the fence command failed: {tried.message})" if tried is not None else ""
    return (
        f"{state}, but may still write to {volume}, which all nodes share{failed}; "
        f"once it is switched off: `shipyard nodes confirm-dead {node}`"
    )


def _written_alone(stack: DesiredStack, service: ServiceSpec, placement: Placement) -> str:
    """A shared volume of which this replica is the only writer, or ""."""
    for name in _shared_and_written(stack, service.container_for(placement.node, placement.slot)):
        if _writers(stack, name) <= 1:
            return name
    return ""


def _shared_and_written(stack: DesiredStack, spec: ContainerSpec) -> list[str]:
    mounts = (mount for container in spec.containers() for mount in container.mounts)
    written = {mount.source for mount in mounts if mount.kind == "volume" and not mount.read_only}
    volumes = ((name, stack.revision.spec.volume(name)) for name in sorted(filter(None, written)))
    return [name for name, volume in volumes if volume is not None and storage.shared(volume)]


def _writers(stack: DesiredStack, name: str) -> int:
    """How many replicas of the stack write to a volume. One that is a replica's own has that one alone."""
    count = 0
    for service in stack.revision.spec.services:
        mounts = (mount for container in service.containers() for mount in container.mounts)
        if any(mount.source == name and not mount.read_only for mount in mounts):
            count += service.replicas if service.mode == "replicated" else len(stack.eligible_for(service.name))
    return count
