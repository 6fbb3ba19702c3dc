"""How many replicas a service has, and which node each is on: what is placed stays, what is missing finds a node."""

from __future__ import annotations

from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Placement
from shipyard.model.node import Availability, NodeState
from shipyard.model.plan import Blocked, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import loss, storage
from shipyard.planner.scheduling import Ledger, choose, standing_refusal
from shipyard.planner.world import World


def settle(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> list[Placement]:
    """Drop what is too much, place what is missing. Returns the service's placements, sorted by slot."""
    name, eligible = stack.revision.stack, stack.eligible_for(service.name)
    placed = world.placements.of_service(name, service.name)
    if service.mode == "global":
        _settle_global(world, ledger, stack, service, placed)
    else:
        for slot in [slot for slot in placed if slot > service.replicas]:
            _drop(world, ledger, service, placed.pop(slot))
        for slot in range(1, service.replicas + 1):
            if slot not in placed:
                choice = choose(world, ledger, name, service, slot, eligible)
                if choice.node is None:
                    world.wave.blocked.append(Blocked(f"{name}/{service.name}.{slot}", "Unschedulable", choice.why_not))
                else:
                    placed[slot] = _put(world, ledger, stack, service, slot, choice.node)
    return [placed[slot] for slot in sorted(placed)]


def _settle_global(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placed: dict[int, Placement]
) -> None:
    """One slot a node; a slot's number stays with its node for as long as the node is wanted."""
    name, eligible = stack.revision.stack, stack.eligible_for(service.name)
    for slot, placement in list(placed.items()):
        if why_move(world, ledger, stack, service, placement) and not storage.pinned(world, stack, service, placement):
            _drop(world, ledger, service, placed.pop(slot))
    taken = {placement.node for placement in placed.values()}
    for node in eligible:
        if node in taken or node not in world.nodes:
            continue
        slot = next(number for number in range(1, len(placed) + 2) if number not in placed)
        choice = choose(world, ledger, name, service, slot, (node,))
        if choice.node is not None:
            placed[slot] = _put(world, ledger, stack, service, slot, node)
        elif world.states.get(node) in (NodeState.SUSPECT, NodeState.UNREACHABLE, NodeState.UNOBSERVED):
            why = f"{node} is {world.states[node]}"
            world.wave.waiting.append(Waiting(f"{name}/{service.name}", "NodeNotObserved", why))


def _put(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, slot: int, node: str) -> Placement:
    placement = Placement(stack.revision.stack, service.name, slot, node, 1, stack.revision.number)
    placement = _unused(world, placement)
    world.placements[placement.key] = placement
    ledger.add(placement, service)
    return placement


def _unused(world: World, placement: Placement) -> Placement:
    """The first incarnation that no container of the slot has: one may be left from before the slot was dropped."""
    names = {box.name for _, box in world.containers.get(placement.key, ())}
    while world.name_of(placement) in names:
        placement = _next(placement, placement.node, placement.revision)
    return placement


def _next(placement: Placement, node: str, revision: int) -> Placement:
    return Placement(*placement.key, node, placement.incarnation + 1, revision)


def _drop(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement) -> None:
    """Its container has no placement from now on, and so is left over."""
    del world.placements[placement.key]
    world.failures.pop(placement.key, None)
    ledger.remove(placement, service)


def renew(world: World, placement: Placement, revision: int) -> Placement:
    """The same slot on the same node with a new container to come."""
    fresh = _unused(world, _next(placement, placement.node, revision))
    world.placements[fresh.key] = fresh
    return fresh


def move(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> Placement | None:
    """Another node for a slot; None (and the reason in the wave's blocked) when there is none."""
    ledger.remove(placement, service)
    name = stack.revision.stack
    eligible = tuple(node for node in stack.eligible_for(service.name) if node != placement.node)
    choice = choose(world, ledger, name, service, placement.slot, eligible)
    if choice.node is None:
        ledger.add(placement, service)
        target = f"{name}/{service.name}.{placement.slot}"
        why = f"can't stay on {placement.node}, and {choice.why_not}"
        world.wave.blocked.append(Blocked(target, "Unschedulable", why))
        return None
    fresh = _unused(world, _next(placement, choice.node, stack.revision.number))
    world.placements[fresh.key] = fresh
    ledger.add(fresh, service)
    return fresh


def why_move(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> str:
    """Why a replica may not stay where it is, or "". A node that merely does not answer is no reason.

    What a person wishes of a node that does not answer has to wait as well: nobody knows what still runs there.
    """
    node = world.nodes.get(placement.node)
    if node is None:
        return f"{placement.node} is no longer managed"
    drained = node.availability == Availability.DRAIN
    if node.name not in world.seen:
        return loss.verdict(world, stack, service, placement).leaves if drained or not node.orphaned else ""
    if drained:
        return f"{node.name} is drained"
    if node.orphaned:
        return ""
    if not world.eligible(stack.revision.stack, service.name, node.name):
        return f"`hosts: {service.pattern}` no longer matches {node.name}"
    refusal = standing_refusal(world, ledger, service, placement)
    return f"{node.name} is {refusal}" if refusal else ""


def in_backoff(world: World, placement: Placement, service: ServiceSpec) -> Waiting | None:
    """The wait that a replica's failures ask for, if it is not over."""
    failures = world.failures.get(placement.key)
    if failures is None or failures.spec != spec_hash(service.container_for(placement.node, placement.slot)):
        return None
    if failures.count == 0 or failures.retry_at <= world.now:
        return None
    target = f"{placement.stack}/{placement.service}.{placement.slot}"
    times = "once" if failures.count == 1 else f"{failures.count} times"
    why = f"{failures.reason} ({times})" + (f": {failures.message}" if failures.message else "")
    return Waiting(target, "BackOff", why, failures.retry_at)
