"""PURE: where every replica would be once a fleet has come to rest, found by placing alone.

The same filters and scores as in a plan; no containers, no waves, no waiting for turns. What would have to move and
can't is said as a plan would say it.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import spec_hash
from shipyard.model.job import JOB_MODES
from shipyard.model.memory import Placement, SlotKey
from shipyard.model.node import Availability
from shipyard.model.outlook import Fullness, NodeOutlook, Outlook, ReplicaOutlook
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.planner import leftovers, placing, slots, storage
from shipyard.planner.network.spanning import resolved
from shipyard.planner.nodes import judge
from shipyard.planner.scheduling import Ledger, in_order
from shipyard.planner.scheduling.capacity import CORE
from shipyard.planner.world import World, build

Held = dict[SlotKey, str]


def outlook(before: Situation, after: Situation) -> Outlook:
    """What becomes of the fleet `before`, if it were as `after` says."""
    before, after = resolved(before), resolved(after)
    then, ledger, held = _settled(after)
    now = build(before, judge(before))
    old = Ledger(now)
    return Outlook(
        _replicas(now, then, held),
        tuple(_node(name, (now, old), (then, ledger)) for name in sorted({*now.nodes, *then.nodes})),
        tuple(sorted(set(then.wave.notices), key=lambda notice: (notice.target, notice.detail))),
    )


def _settled(situation: Situation) -> tuple[World, Ledger, Held]:
    judgement = judge(situation)
    world = build(replace(situation, memory=replace(situation.memory, nodes=judgement.nodes)), judgement)
    leftovers.drop_placements(world)
    ledger = Ledger(world)
    placing.settle(world, ledger)
    found_nothing = len(world.wave.blocked)
    held: Held = {}
    for stack, service in in_order(ledger):
        if service.mode in JOB_MODES:
            continue
        for placement in world.placements.of_service(stack.revision.stack, service.name).values():
            if placement.key not in world.placements:
                continue
            why = slots.why_move(world, ledger, stack, service, placement)
            volume = storage.pinned(world, stack, service, placement) if why else ""
            if volume:
                held[placement.key] = f"{why}, but its volume {volume} is there and does not move"
            elif why and service.mode == "replicated":
                placing.move(world, ledger, stack, service, placement)
            elif _is_remade(world, stack, service, placement) and not storage.pinned(world, stack, service, placement):
                placing.relieve(world, ledger, stack, service, placement)
    del world.wave.blocked[:found_nothing]  # who made room, or may have room now, is asked again
    placing.settle(world, ledger)
    return world, ledger, held


def _is_remade(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> bool:
    """Whether an update gives it another container, on a node that answers."""
    made = world.revision_of(placement.key, placement.revision) if placement.node in world.seen else None
    if service.mode != "replicated" or placement.revision == stack.revision.number or made is None:
        return False
    before, after = (each.container_for(placement.node, placement.slot) for each in (made[1], service))
    return spec_hash(before) != spec_hash(after)


def _replicas(now: World, then: World, held: Held) -> tuple[ReplicaOutlook, ...]:
    blocked = {each.target: each.detail for each in then.wave.blocked if each.reason == "Unschedulable"}
    named = {_target(key): key for key in (*now.placements, *then.placements)}
    found = []
    for target in sorted({*blocked, *named}, key=_by_slot):
        key = named.get(target)
        before = now.placements.get(key) if key else None
        after = then.placements.get(key) if key else None
        if after is not None and after.node not in then.nodes:
            after = None
        found.append(_replica(target, before, after, blocked.get(target) or (held.get(key, "") if key else "")))
    return tuple(found)


def _replica(target: str, before: Placement | None, after: Placement | None, why: str) -> ReplicaOutlook:
    was, will = before.node if before else None, after.node if after else None
    if why:
        return ReplicaOutlook(target, "held" if will else "unschedulable", was, will, why)
    if will is None:
        return ReplicaOutlook(target, "removed", was)
    if was is None:
        return ReplicaOutlook(target, "new", None, will)
    return ReplicaOutlook(target, "stays" if was == will else "moves", was, will)


def _target(key: SlotKey) -> str:
    return f"{key[0]}/{key[1]}.{key[2]}"


def _by_slot(target: str) -> tuple[str, int]:
    name, _, slot = target.rpartition(".")
    return (name, int(slot)) if slot.isdigit() else (target, 0)


def _node(name: str, before: tuple[World, Ledger], after: tuple[World, Ledger]) -> NodeOutlook:
    (now, old), (then, new) = before, after
    change = "added" if name not in now.nodes else "gone" if name not in then.nodes else ""
    world, ledger = before if change == "gone" else after
    offers = ledger.on(name).offers
    node = world.nodes[name]
    state = str(world.states.get(name, "unknown"))
    if state == "ready" and node.availability != Availability.ACTIVE:
        state = str(node.availability)
    return NodeOutlook(
        name,
        state,
        change,
        offers.cpus / CORE,
        offers.memory,
        _fullness(old, name) if name in now.nodes else Fullness(),
        _fullness(new, name) if name in then.nodes else Fullness(),
    )


def _fullness(ledger: Ledger, node: str) -> Fullness:
    load = ledger.on(node)
    return Fullness(load.total, load.used.cpus / CORE, load.used.memory)
