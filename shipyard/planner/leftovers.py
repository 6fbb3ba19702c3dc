"""What nobody declares any more, and what is not ours to judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import chain, islice

from shipyard.base.text import one_line
from shipyard.model import labels
from shipyard.model.canonical import dumps
from shipyard.model.job import JOB_MODES
from shipyard.model.memory import SlotKey
from shipyard.model.node import Availability, NodeState
from shipyard.model.observed import Container, HeldRevision
from shipyard.model.plan import DropRevision, KeepAvailability, KeepRevision, Notice, RemoveContainer
from shipyard.model.situation import DesiredStack
from shipyard.planner import slots
from shipyard.planner.wave import Phase
from shipyard.planner.world import World

COPIES = 3
"""Nodes that hold each revision, at least: enough to rebuild a lost store."""


def drop_placements(world: World) -> None:
    """Forget placements of services that are no longer declared; their containers are left over then.

    Those on nodes that did not answer are remembered for as long as their stack is being removed, and all of a stack
    that nobody knows: it was not removed, but what it declares can't be read, and applying its files goes on with it.
    """
    for name, service in world.placements.services():
        if world.service(name, service) is not None or world.stack(name) is None:
            continue
        removing = _removing(world, name)
        for placement in world.placements.of_service(name, service).values():
            if removing and placement.node in world.nodes and placement.node not in world.seen:
                continue
            del world.placements[placement.key]
            world.failures.pop(placement.key, None)
            slots.leave(world, placement)


def remove_containers(world: World) -> None:
    """Containers of ours that no placement stands for."""
    for key in _over(world):
        stack = world.stack(key[0])
        for node, box in world.containers[key]:
            target = f"{key[0]}/{key[1]}.{key[2]}"
            if stack is None:
                detail = f"{box.name} on {node} carries this cluster's label, but no stack {key[0]} is known"
                world.wave.notices.append(Notice(target, "UnknownStack", detail))
            elif world.wave.may_act(node):
                reason, detail = _why(world, stack, node, box, *key[1:])
                service = stack.revision.spec.service(key[1])
                grace = service.container_on(node).stop_grace_period if service else None
                step = RemoveContainer(box.id, box.name, grace)
                world.wave.add(node, Phase.REMOVE, target, reason, detail, step)


def _over(world: World) -> list[SlotKey]:
    """Slots that have containers and should have none, sorted."""
    over: list[SlotKey] = []
    for service in world.containers.services():
        there = set(world.containers.now_of(*service))
        if world.stack(service[0]) is not None and not _removing(world, service[0]):
            there.difference_update(world.placements.now_of(*service))
            there = {slot for slot in there if (*service, slot) not in world.finished}
        over += [(*service, slot) for slot in sorted(there)]
    return over


def _removing(world: World, name: str) -> bool:
    stack = world.stack(name)
    return stack is not None and stack.removing


def _why(world: World, stack: DesiredStack, node: str, box: Container, service: str, slot: int) -> tuple[str, str]:
    if stack.removing:
        return "StackRemoved", f"the stack {stack.revision.stack} was removed"
    declared = stack.revision.spec.service(service)
    if declared is None:
        return "NotDeclared", f"the stack no longer declares {service}"
    if declared.mode in JOB_MODES and box.label(labels.RUN) is None:
        return "NotDeclared", f"{service} is a job now (mode {declared.mode}), and this is no run of it"
    if declared.mode in JOB_MODES:
        return "Finished", f"{declared.job.keep} finished runs of {service} are kept"
    if declared.mode == "replicated" and slot <= declared.replicas:
        return "Evicted", "it had to make room for replicas of higher priority"
    known = world.nodes.get(node)
    if declared.mode == "global" and known is not None and known.availability == Availability.DRAIN:
        return "Drained", f"{node} is drained"
    if declared.mode == "global":
        return "NotEligible", f"{service} has a replica on each node that fits, and {node} is none of them now"
    return "ScaledDown", f"{service} has no such replica (mode {declared.mode}, replicas {declared.replicas})"


def report_strangers(world: World) -> None:
    """Labels can be copied; what does not carry a name of ours is not touched."""
    for node, box in world.strangers:
        detail = f"on {node} carries this cluster's labels, but not a name that shipyard gave; it is left alone"
        world.wave.notices.append(Notice(one_line(box.name, 80), "ForgedLabel", detail))


def keep_revisions(world: World) -> None:
    """See that enough nodes hold each stack's newest revision, and none an outdated one."""
    ready = sorted(name for name, state in world.states.items() if state == NodeState.READY and name in world.seen)
    holding: defaultdict[str, dict[str, HeldRevision]] = defaultdict(dict)
    for name in ready:
        for held in world.seen[name].revisions:
            holding[held.stack][name] = held
    for stack in world.situation.stacks:
        if not stack.removing:
            _keep(world, stack, ready, holding[stack.revision.stack])
    known = {stack.revision.stack for stack in world.situation.stacks if not stack.removing}
    for name in ready:
        for held in world.seen[name].revisions:
            if held.stack not in known and world.stack(held.stack) is not None and world.wave.may_act(name):
                why = f"the stack {held.stack} was removed"
                world.wave.add(name, Phase.TIDY, held.stack, "StackRemoved", why, DropRevision(held.stack))


def keep_decisions(world: World) -> None:
    """See that each node holds what people decided about it: a store that is lost must not end a cordon or a drain."""
    for node in world.situation.nodes:
        seen = world.seen.get(node.name)
        if seen is None or world.states.get(node.name) != NodeState.READY or not world.wave.may_act(node.name):
            continue
        until = 0.0 if node.availability == Availability.ACTIVE else float(int(node.drain_until))
        if (seen.availability, seen.drain_until) != (node.availability, until):
            step = KeepAvailability(node.availability, until)
            detail = f"{node.name} keeps a copy of what was decided about it ({node.availability.value})"
            world.wave.add(node.name, Phase.FETCH, node.name, "Copy", detail, step)


def _keep(world: World, stack: DesiredStack, ready: list[str], holding: dict[str, HeldRevision]) -> None:
    """`holding`: what ready nodes have of this stack, by node."""
    revision = stack.revision
    current = {
        name for name, held in holding.items() if (held.number, held.digest) == (revision.number, revision.digest)
    }
    chosen = [name for name in holding if name not in current]
    lacking = COPIES - len(current) - len(chosen)
    chosen += _more(world, stack, ready, holding, lacking)
    body = dumps(stack.stored or revision) if chosen else ""
    for name in sorted(chosen):
        if world.wave.may_act(name):
            step = KeepRevision(revision.stack, revision.number, revision.digest, body)
            detail = f"{name} keeps a copy of revision {revision.number}"
            world.wave.add(name, Phase.FETCH, revision.stack, "Copy", detail, step)


def _more(world: World, stack: DesiredStack, ready: list[str], holding: Collection[str], count: int) -> tuple[str, ...]:
    """So many nodes (of `ready`, which is sorted) that hold no copy yet: first those on which the stack may run."""
    if count <= 0:
        return ()
    patterns = {id(nodes): nodes for nodes in world.declared[stack.revision.stack].eligible.values()}.values()
    without = [name for name in ready if name not in holding]
    members = (name for name in without if any(name in nodes for nodes in patterns))
    others = (name for name in without if not any(name in nodes for nodes in patterns))
    return tuple(islice(chain(members, others), count))


def forgettable(world: World) -> tuple[str, ...]:
    """Removed stacks of which nothing is left anywhere that could be looked at."""
    gone = []
    for stack in world.situation.stacks:
        name = stack.revision.stack
        if not stack.removing or any(placed == name for placed, _ in world.placements.services()):
            continue
        if not any(_has(world, node, name) for node in world.seen):
            gone.append(name)
    return tuple(gone)


def _has(world: World, node: str, stack: str) -> bool:
    seen = world.seen[node]
    boxes = any(_labelled(world, box, stack) for box in seen.containers)
    networks = any(
        dict(network.labels).get(labels.STACK) == stack
        and dict(network.labels).get(labels.CLUSTER) == world.situation.cluster
        for network in seen.networks
    )
    return boxes or networks or any(held.stack == stack for held in seen.revisions)


def _labelled(world: World, box: Container, stack: str) -> bool:
    return (
        box.label(labels.STACK) == stack
        and box.label(labels.CLUSTER) == world.situation.cluster
        and not any(stranger is box for _, stranger in world.strangers)
    )
