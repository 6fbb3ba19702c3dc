"""Single slots: the placement each has, whether it may keep it, and what holds it there."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Departed, Placement, SlotKey
from shipyard.model.node import Availability
from shipyard.model.observed import Container
from shipyard.model.plan import Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups, loss, relocation
from shipyard.planner.anonymous import ALIVE
from shipyard.planner.scheduling import Ledger, standing_refusal
from shipyard.planner.world import World

TAKEN_BACK = 100
"""How many incarnations back a container that is still there is looked for."""


def put(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, slot: int, node: str) -> Placement:
    """Place a slot that has no place; one that was evicted in this step counts its incarnations on."""
    key = (stack.revision.stack, service.name, slot)
    before = world.evicted.get(key)
    incarnation = before.incarnation + 1 if before is not None else 1
    placement = _unused(world, Placement(*key, node, incarnation, stack.revision.number))
    world.placements[placement.key] = placement
    ledger.add(placement, service)
    return placement


def _unused(world: World, placement: Placement) -> Placement:
    """The first incarnation that no container of the slot has: one may be left from before the slot was dropped."""
    there = world.containers.get(placement.key)
    if not there:
        return placement
    names = {box.name for _, box in there}
    while world.name_of(placement) in names:
        placement = _next(placement, placement.node, placement.revision)
    return placement


def _next(placement: Placement, node: str, revision: int) -> Placement:
    return Placement(*placement.key, node, placement.incarnation + 1, revision)


def drop(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement) -> None:
    """Its container has no placement from now on, and so is left over."""
    del world.placements[placement.key]
    world.failures.pop(placement.key, None)
    leave(world, placement)
    ledger.remove(placement, service)


def leave(world: World, before: Placement, *, decided: bool = False) -> None:
    """The replica has this place no more; what may be at work there is remembered.

    `decided`: it is not wanted back, not even where it turns out to have run all along, on a silent node.
    """
    node = before.node
    if node not in world.seen:
        two = any(left.two for left in world.book.departed.get(before.key, ()) if left.node == node)
        world.book.leave(Departed(*before.key, node, before.incarnation, decided, two))
    elif any(where == node for where, _ in world.containers.get(before.key, ())):
        world.book.leave(Departed(*before.key, node, before.incarnation, True, _two_on(world, before.key, node)))


def _two_on(world: World, key: SlotKey, node: str) -> bool:
    there = [box for where, box in world.containers.get(key, ()) if where == node]
    return len(there) > 1 and sum(any(part.state in ALIVE for part in groups.parts_of(box)) for box in there) > 1


def forget_gone(world: World) -> None:
    """What was left on nodes that answer, and is there no more; or on nodes that are not managed any more."""
    for key, there in list(world.book.departed.items()):
        at = {node for node, _ in world.containers.get(key, ())}
        now = world.placements[key].node if key in world.placements else ""
        kept = tuple(
            replace(left, two=_two_on(world, key, left.node)) if left.two and left.node in world.seen else left
            for left in there
            if left.node in world.nodes
            and not (left.decided and left.node == now)
            and not ((left.decided or not now) and left.node in world.seen and left.node not in at)
        )
        if kept:
            world.book.departed[key] = kept
        else:
            del world.book.departed[key]


def renew(world: World, placement: Placement, revision: int) -> Placement:
    """The same slot on the same node with a new container to come."""
    fresh = _unused(world, _next(placement, placement.node, revision))
    world.placements[fresh.key] = fresh
    return fresh


def retargeted(world: World, placement: Placement, revision: int) -> Placement:
    """The same incarnation, to be made from another revision: it has no container yet."""
    fresh = replace(placement, revision=revision)
    world.placements[fresh.key] = fresh
    return fresh


def taken_back(world: World, placement: Placement, box: Container, revision: int) -> Placement | None:
    """An earlier incarnation again, whose container is still there and as wished for; None when it is none of them."""
    for incarnation in range(placement.incarnation - 1, max(placement.incarnation - TAKEN_BACK, 0), -1):
        earlier = replace(placement, incarnation=incarnation, revision=revision)
        if world.name_of(earlier) == box.name:
            world.placements[earlier.key] = earlier
            return earlier
    return None


def follow(
    world: World, ledger: Ledger, service: ServiceSpec, placement: Placement, node: str, revision: int
) -> Placement:
    """The same slot on another node with a new container to come. The ledger has let the old placement go already."""
    fresh = _unused(world, _next(placement, node, revision))
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
    if not service.has_values(node.name) and world.situation.limit is None:
        return f"{node.name} has no values for it"  # what it runs there is of another revision
    refusal = standing_refusal(world, ledger, service, placement)
    if refusal:
        return f"{node.name} {refusal.one}"
    wish = relocation.wished(world, ledger, stack, service, placement) if world.relocations else None
    return f"{wish.node} is to have it (rebalance)" if wish else ""


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
