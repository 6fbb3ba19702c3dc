"""Every service finds nodes for its replicas: what is too much goes, what is missing is placed, what must move moves.

All services are settled before any of them is looked at closer: so the order in which they find their nodes is the
scheduler's, and whoever had to make room finds another place in the same step, or it is said why there is none.
"""

from __future__ import annotations

from shipyard.model.job import JOB_MODES
from shipyard.model.memory import Placement
from shipyard.model.node import NodeState
from shipyard.model.plan import Blocked, Notice, RemoveContainer, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import ordered, relocation, slots, storage
from shipyard.planner.scheduling import Choices, Ledger, Victims, evict, filters, in_order, open_nodes
from shipyard.planner.wave import Phase
from shipyard.planner.world import World


def settle(world: World, ledger: Ledger) -> None:
    """Of all services that are no jobs: drop what is too much, then place what is missing."""
    unsettled = [
        (stack, service)
        for (name, _), (stack, service) in ledger.services.items()
        if service.mode == "global"
        or (service.mode == "replicated" and not world.placements.complete(name, service.name, service.replicas))
    ]
    for stack, service in unsettled:
        if service.mode != "global":
            _trim(world, ledger, stack, service)
    if not unsettled:
        return
    open_nodes(world, ledger)
    for stack, service in in_order(ledger):
        if service.mode == "global":
            _settle_global(world, ledger, stack, service)
        elif service.mode == "replicated":
            _settle_replicated(world, ledger, stack, service)


def _trim(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> None:
    there = world.placements.of_service(stack.revision.stack, service.name)
    spare = (slot for slot in there if slot > service.replicas)
    for slot in ordered.leaving(world, stack.revision.stack, service, spare):
        slots.drop(world, ledger, service, there[slot])


def _settle_replicated(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> None:
    name = stack.revision.stack
    if world.placements.complete(name, service.name, service.replicas):
        return
    there = world.placements.of_service(name, service.name)
    for slot in range(1, service.replicas + 1):
        if slot not in there:
            node, why_not = find(world, ledger, stack, service, slot)
            if node is None:
                world.wave.blocked.append(Blocked(f"{name}/{service.name}.{slot}", "Unschedulable", why_not))
            else:
                slots.put(world, ledger, stack, service, slot, node)


def _settle_global(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> None:
    """One slot a node; a slot's number stays with its node for as long as the node is wanted."""
    name, eligible = stack.revision.stack, sorted(stack.eligible_for(service.name))
    there = world.placements.of_service(name, service.name)
    for slot, placement in list(there.items()):
        must = slots.why_move(world, ledger, stack, service, placement)
        if must and not storage.pinned(world, stack, service, placement):
            slots.drop(world, ledger, service, there.pop(slot))
    for slot in _doubles(world, there):
        slots.drop(world, ledger, service, there.pop(slot))
    taken = {placement.node for placement in there.values()}
    free = iter(number for number in range(1, len(there) + len(eligible) + 1) if number not in there)
    for node in eligible:
        if node in taken or node not in world.nodes:
            continue
        choices = _choices(world, ledger, stack, service)
        if node not in choices.fitting:
            if world.states.get(node) in (NodeState.SUSPECT, NodeState.UNREACHABLE, NodeState.UNOBSERVED):
                why = f"{node} is {world.states[node]}"
                world.wave.waiting.append(Waiting(f"{name}/{service.name}", "NodeNotObserved", why))
            lacking = filters.unrendered(world, name, service, node)
            if lacking is not None and lacking == choices.standing(node):  # nothing else speaks against it
                world.wave.blocked.append(Blocked(f"{name}/{service.name}", "Unschedulable", f"{node} {lacking.one}"))
            continue
        why_not = choices.refusal(node)
        if why_not and not (
            ledger.outranks(service.priority)
            and _make_room(world, ledger, service, f"{name}/{service.name}", choices, (node,))
        ):
            detail = f"{node} {why_not.one}"
            world.wave.blocked.append(Blocked(f"{name}/{service.name}", "Unschedulable", detail))
        else:
            slots.put(world, ledger, stack, service, next(free), node)


def _doubles(world: World, there: dict[int, Placement]) -> list[int]:
    """Slots beyond the first of each node, of a service that was no global one: those without a container go first."""
    by_node: dict[str, list[int]] = {}
    for slot, placement in there.items():
        by_node.setdefault(placement.node, []).append(slot)

    def bare(slot: int) -> bool:
        return not any(node == there[slot].node for node, _ in world.containers.get(there[slot].key, ()))

    return [spare for found in by_node.values() if len(found) > 1 for spare in sorted(found, key=bare)[1:]]


def find(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, slot: int) -> tuple[str | None, str]:
    """A node for one slot, where others may have had to make room; or None, and why there is none."""
    choices = _choices(world, ledger, stack, service)
    node = choices.take(slot)
    if node is None and ledger.outranks(service.priority):
        target = f"{stack.revision.stack}/{service.name}.{slot}"
        node = _make_room(world, ledger, service, target, choices, choices.candidates(slot))
    return (node, "") if node is not None else (None, choices.why_not(slot))


def why_not_on(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, node: str) -> str:
    """Why one more replica does not fit on this node, or ""."""
    choices = _choices(world, ledger, stack, service)
    refusal = choices.standing(node) or choices.refusal(node)
    return f"{node} {refusal.one}" if refusal else ""


def why_no_room(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, node: str) -> str:
    """Why one more replica finds no room on this node, or ""; whether it would be welcome otherwise is not asked."""
    refusal = _choices(world, ledger, stack, service).refusal(node)
    return f"{node}, which {refusal.one}" if refusal else ""


def _choices(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> Choices:
    """The service's choices, made anew where room has become free since."""
    known = ledger.choices
    if known is None or known.key != (stack.revision.stack, service.name) or known.freed != ledger.freed:
        known = ledger.choices = Choices(world, ledger, stack, service, stack.eligible_for(service.name))
    return known


def move(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> Placement | None:
    """Another node for a slot; None (and the reason in the wave's blocked) when there is none."""
    wish = relocation.wished(world, ledger, stack, service, placement) if world.relocations else None
    ledger.remove(placement, service)
    if wish is not None:
        return slots.follow(world, ledger, service, placement, wish.node, stack.revision.number)
    node, why_not = find(world, ledger, stack, service, placement.slot)
    if node is None or node == placement.node:
        ledger.add(placement, service)
        target = f"{stack.revision.stack}/{service.name}.{placement.slot}"
        why = f"can't stay on {placement.node}, and {why_not or 'no other node is better'}"
        world.wave.blocked.append(Blocked(target, "Unschedulable", why))
        return None
    return slots.follow(world, ledger, service, placement, node, stack.revision.number)


def relieve(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> Placement | None:
    """Another node for a replica that is to be made anew, where its own does not fit what is declared now.

    It may reserve more, or tolerate fewer beside it. None where it stays, also since no other fits: that is said.
    """
    ledger.remove(placement, service)
    choices = _choices(world, ledger, stack, service)
    refusal = choices.refusal(placement.node)
    node = choices.take(placement.slot) if refusal is not None else placement.node
    if node is not None and node != placement.node:
        return slots.follow(world, ledger, service, placement, node, stack.revision.number)
    ledger.add(placement, service)
    if refusal is not None:
        target = f"{placement.stack}/{placement.service}.{placement.slot}"
        detail = f"stays on {placement.node}, which {refusal.one}: no other node fits"
        world.wave.notices.append(Notice(target, "DoesNotFit", detail))
    return None


def _make_room(
    world: World, ledger: Ledger, service: ServiceSpec, target: str, choices: Choices, nodes: tuple[str, ...]
) -> str | None:
    """The node on which replicas of lower priority were evicted for this one; None where that does not help."""

    def movable(placement: Placement) -> bool:
        owner, declared = ledger.services[placement.stack, placement.service]
        return declared.mode not in JOB_MODES and not storage.pinned(world, owner, declared, placement)

    victims = evict(world, ledger, service, choices, nodes, movable)
    if victims is None:
        return None
    _send_away(world, ledger, service, target, victims)
    return victims.node


def _send_away(world: World, ledger: Ledger, service: ServiceSpec, target: str, victims: Victims) -> None:
    """They lose their places now, and their containers go before anything is started on the node."""
    for victim in victims.placements:
        _, declared = ledger.services[victim.stack, victim.service]
        name = f"{victim.stack}/{victim.service}.{victim.slot}"
        why = f"makes room for {target} (priority {service.priority}, its own is {declared.priority})"
        world.wave.drop(name)
        storage.leave(world, victim)
        slots.drop(world, ledger, declared, victim)
        world.evicted[victim.key] = victim
        there = world.containers.get(victim.key, [])
        for node, box in there:
            if node == victim.node:
                grace = declared.container_on(node).stop_grace_period
                world.wave.add(node, Phase.REMOVE, name, "Evicted", why, RemoveContainer(box.id, box.name, grace))
        if there:
            world.containers[victim.key] = [each for each in there if each[0] != victim.node]
        detail = f"takes the place of {name} on {victim.node} (priority {service.priority} over {declared.priority})"
        world.wave.notices.append(Notice(target, "Evicts", detail))
