"""`binpack`: as few nodes as possible.

Where there is room on nodes in use, a replica goes where it fits most tightly, so that others can run empty. Where
more nodes are needed, it is worked out first how many (the sum of what is missing over what nodes give), and all of it
is levelled over these, the largest first: cores and memory then run out together. Filling one node after the other
would end with nodes that have no cores left, and memory that nobody can use.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.model.spec import ServiceSpec
from shipyard.planner.placements import ServiceKey
from shipyard.planner.scheduling.capacity import Capacity, Demand, Used
from shipyard.planner.scheduling.filters import static
from shipyard.planner.scheduling.ledger import Ledger
from shipyard.planner.world import World


def tightness(wants: Demand, used: Used, offers: Capacity) -> float:
    """How much of a node is left: the lower, the better it fits. Each resource counts as its share is wanted."""
    left = 0.0
    if offers.cpus:
        left += wants.cpus / offers.cpus * (1 - used.cpus / offers.cpus)
    if offers.memory:
        left += wants.memory / offers.memory * (1 - used.memory / offers.memory)
    return left


def room(wants: Demand, used: Used, offers: Capacity) -> float:
    """The share of a node's scarcest resource that would be left."""
    cpus = 1 - (used.cpus + wants.cpus) / offers.cpus if offers.cpus else 1.0
    memory = 1 - (used.memory + wants.memory) / offers.memory if offers.memory else 1.0
    return min(cpus, memory)


def bulk(wants: Demand, offers: Capacity) -> float:
    """How large a replica is: the share of a node that its dominant resource takes."""
    cpus = wants.cpus / offers.cpus if offers.cpus else 0.0
    memory = wants.memory / offers.memory if offers.memory else 0.0
    return max(cpus, memory)


def open_nodes(world: World, ledger: Ledger) -> None:
    """For packed services that lack replicas: the nodes, beside those in use, that all of them together will need."""
    groups: dict[frozenset[str], list[ServiceKey]] = {}
    for key, (stack, service) in ledger.services.items():
        if service.placement.strategy == "binpack" and service.mode == "replicated" and _missing(world, key, service):
            fit = static(world, ledger, key[0], service, stack.eligible_for(service.name))[0]
            groups.setdefault(frozenset(fit), []).append(key)
    for nodes, keys in groups.items():
        opened = _needed(ledger, sorted(nodes), _wanted(world, ledger, keys))
        for key in keys:
            ledger.opened[key] = opened


def _missing(world: World, key: ServiceKey, service: ServiceSpec) -> int:
    return max(service.replicas - len(world.placements.of_service(*key)), 0)


def _wanted(world: World, ledger: Ledger, keys: Iterable[ServiceKey]) -> Demand:
    cpus = memory = 0
    for key in keys:
        service = ledger.services[key][1]
        one, missing = ledger.known(key[0], service)[0], _missing(world, key, service)
        cpus, memory = cpus + one.cpus * missing, memory + one.memory * missing
    return Demand(cpus, memory)


def _needed(ledger: Ledger, nodes: list[str], wanted: Demand) -> frozenset[str]:
    """Nodes that are empty, by name, until they and the room on those in use are enough; none where that is."""
    cpus, memory = wanted.cpus, wanted.memory
    for node in nodes:
        load = ledger.on(node)
        if load.total:
            cpus -= max(load.offers.cpus - load.used.cpus, 0)
            memory -= max(load.offers.memory - load.used.memory, 0)
    opened = []
    for node in nodes:
        if cpus <= 0 and memory <= 0:
            break
        load = ledger.on(node)
        if not load.total:
            opened.append(node)
            cpus, memory = cpus - load.offers.cpus, memory - load.offers.memory
    return frozenset(opened)
