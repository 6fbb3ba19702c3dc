"""A replica for which nothing is free takes the place of others with a lower priority: the fewest and lowest.

What a local volume pins is never evicted, since it could go nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from shipyard.base.record import Struct
from shipyard.model.container import Port
from shipyard.model.memory import Placement, SlotKey
from shipyard.model.spec import ServiceSpec
from shipyard.planner.scheduling.capacity import Used
from shipyard.planner.scheduling.choices import Choices
from shipyard.planner.scheduling.filters import ports_of
from shipyard.planner.scheduling.ledger import Claims, Ledger, free, take
from shipyard.planner.scheduling.packing import bulk
from shipyard.planner.world import World

Movable = Callable[[Placement], bool]
"""Whether nothing but its priority holds a replica where it is."""


class Victims(Struct, frozen=True):
    """Who makes room on `node`, lowest priority first; nobody, where there is room."""

    node: str
    placements: tuple[Placement, ...]


def evict(
    world: World, ledger: Ledger, service: ServiceSpec, choices: Choices, nodes: tuple[str, ...], movable: Movable
) -> Victims | None:
    """Who should make room for one replica of the service on one of these nodes; None where that would not help.

    Nodes are compared by the highest priority among their victims, then by how many they are, then as choices are.
    """
    found: dict[tuple[int, int, int], list[str]] = {}
    for node in nodes:
        if world.wave.may_act(node):
            placements = _known(world, ledger, service, choices, node, movable)
            if placements is not None:
                priorities = [_priority(ledger, each) for each in placements]
                cost = (max(priorities, default=-(10**9)), len(priorities), sum(priorities))
                found.setdefault(cost, []).append(node)
    if not found:
        return None
    node = min(found[min(found)], key=choices.rank)
    return Victims(node, _known(world, ledger, service, choices, node, movable) or ())


def _known(
    world: World, ledger: Ledger, service: ServiceSpec, choices: Choices, node: str, movable: Movable
) -> tuple[Placement, ...] | None:
    """As `_on_node`, worked out again only where the node's load has changed since (or others' may matter too)."""
    if choices.key != ledger.victims_of or service.placement.neighbours or ledger.keep_away.get(choices.key):
        ledger.victims.clear()
        ledger.victims_of = choices.key
    changes, known = ledger.on(node).changes, ledger.victims.get(node)
    if known is None or known[0] != changes:
        known = ledger.victims[node] = (changes, _on_node(world, ledger, service, choices, node, movable))
    return known[1]


def _on_node(
    world: World, ledger: Ledger, service: ServiceSpec, choices: Choices, node: str, movable: Movable
) -> tuple[Placement, ...] | None:
    """Those who would have to go: as many as are in the way, less those that turn out not to be."""
    load = ledger.on(node)
    lower = [world.placements[key] for key in load.slots if _below(ledger, key, service.priority)]
    lower = sorted((each for each in lower if movable(each)), key=lambda each: _order(ledger, each))
    rest = Room(load.used, load.ports, load.claims)
    for each in lower:
        rest.change(ledger, each, -1)
    if choices.refusal(node, rest.used, rest.ports):
        return None
    gone = []
    for each in reversed(lower):
        rest.change(ledger, each, 1)
        if choices.refusal(node, rest.used, rest.ports):
            rest.change(ledger, each, -1)
            gone.append(each)
    return tuple(reversed(gone))


class Room:
    """What would be taken on a node if some of its replicas were not there."""

    def __init__(self, used: Used, ports: dict[Port, str], claims: Claims) -> None:
        self.used = Used(used.cpus, used.memory, dict(used.devices))
        self.ports, self.claims = dict(ports), list(claims)

    def change(self, ledger: Ledger, placement: Placement, sign: int) -> None:
        """Take a replica out (-1), or put it back (1)."""
        _, service = ledger.services[placement.stack, placement.service]
        self.used.change(ledger.known(placement.stack, service)[0], ledger.on(placement.node).offers, sign)
        owner = f"{placement.stack}/{placement.service}.{placement.slot}"
        for port in ports_of(ledger, placement.stack, service, placement.node):
            (take if sign > 0 else free)(self.ports, self.claims, port, owner)


def _below(ledger: Ledger, key: SlotKey, priority: int) -> bool:
    entry = ledger.services.get(key[:2])
    return entry is not None and entry[1].priority < priority


def _priority(ledger: Ledger, placement: Placement) -> int:
    return ledger.services[placement.stack, placement.service][1].priority


def _order(ledger: Ledger, placement: Placement) -> tuple[int, float, SlotKey]:
    """Lowest priority first; among equals the largest, so that the fewest go."""
    wants = ledger.known(placement.stack, ledger.services[placement.stack, placement.service][1])[0]
    return _priority(ledger, placement), -bulk(wants, ledger.on(placement.node).offers), placement.key
