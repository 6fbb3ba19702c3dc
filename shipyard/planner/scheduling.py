"""Where a replica goes: filters that can each say why they refuse a node, then a score.

What runs is not moved without cause; this is only asked for replicas that have no node yet.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from shipyard.model.memory import Placement, SlotKey
from shipyard.model.node import Availability, Node, NodeState
from shipyard.model.spec import Port, ServiceSpec
from shipyard.planner.constraints import allows
from shipyard.planner.world import World

SYSTEM_MEMORY = 0.05
"""Share of a node's memory that is kept for the system, beside reservations."""


@dataclass(slots=True)
class Load:
    """What is placed on a node so far. `ports`: (published, protocol, address) with who has it."""

    services: Counter[tuple[str, str]] = field(default_factory=Counter)
    total: int = 0
    cpus: float = 0.0
    memory: int = 0
    ports: dict[Port, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One replica that looks for a node, and the node being asked about."""

    world: World
    ledger: Ledger
    stack: str
    service: ServiceSpec
    node: Node


class Ledger:
    """The load of every node, kept up as placements are decided."""

    def __init__(self, world: World) -> None:
        self._loads: dict[str, Load] = {name: Load() for name in world.nodes}
        for placement in world.placements.values():
            stack = world.stack(placement.stack)
            service = stack.revision.spec.service(placement.service) if stack and not stack.removing else None
            self.add(placement, service)

    def on(self, node: str) -> Load:
        """The load of this node."""
        return self._loads.setdefault(node, Load())

    def add(self, placement: Placement, service: ServiceSpec | None) -> None:
        """Count a placement; `service` None when it is no longer declared."""
        load = self.on(placement.node)
        load.services[placement.stack, placement.service] += 1
        load.total += 1
        if service is not None:
            load.cpus += service.reservations.cpus
            load.memory += service.reservations.memory
            for port in published(service, placement.node):
                load.ports.setdefault(port, f"{placement.stack}/{placement.service}.{placement.slot}")

    def remove(self, placement: Placement, service: ServiceSpec | None) -> None:
        """Take a placement out again."""
        load = self.on(placement.node)
        load.services[placement.stack, placement.service] -= 1
        load.total -= 1
        if service is not None:
            load.cpus -= service.reservations.cpus
            load.memory -= service.reservations.memory
            target = f"{placement.stack}/{placement.service}.{placement.slot}"
            for port in published(service, placement.node):
                if load.ports.get(port) == target:
                    del load.ports[port]


def published(service: ServiceSpec, node: str) -> list[Port]:
    """The node's ports that one replica takes."""
    return [port for port in service.container_on(node).ports if port.published is not None]


Filter = Callable[[Candidate], str]
"""Why the node is refused, to follow a count of nodes ("are paused"); "" when it is not."""


def _ready(ask: Candidate) -> str:
    state = ask.world.states.get(ask.node.name, NodeState.UNKNOWN)
    if ask.node.orphaned:
        return "no longer in the inventory"
    return "" if state == NodeState.READY and ask.node.name in ask.world.seen else f"{_state_word(state)}"


def _state_word(state: NodeState) -> str:
    return {NodeState.UNOBSERVED: "alive but not observable", NodeState.UNKNOWN: "never seen"}.get(state, state.value)


def _rendered(ask: Candidate) -> str:
    joined = ask.service.per_node and ask.node.name not in ask.service.rendered
    return "new, and the playbook has values per node: apply it again" if joined else ""


def _available(ask: Candidate) -> str:
    words = {Availability.ACTIVE: "", Availability.PAUSE: "cordoned", Availability.DRAIN: "drained"}
    return words[ask.node.availability]


def _constraints(ask: Candidate) -> str:
    seen = ask.world.seen.get(ask.node.name)
    facts = seen.facts if seen else None
    for constraint in ask.service.placement.constraints:
        if not allows(constraint, ask.node, facts):
            return f"not meeting {constraint}"
    return ""


def _spread(ask: Candidate) -> str:
    most = ask.service.placement.max_replicas_per_node
    has = ask.ledger.on(ask.node.name).services[ask.stack, ask.service.name]
    return f"full (max_replicas_per_node: {most})" if most is not None and has >= most else ""


def _resources(ask: Candidate) -> str:
    seen = ask.world.seen.get(ask.node.name)
    if seen is None:
        return ""
    load, wants = ask.ledger.on(ask.node.name), ask.service.reservations
    if wants.memory and seen.facts.memory and load.memory + wants.memory > seen.facts.memory * (1 - SYSTEM_MEMORY):
        return f"lacking memory (needs {_bytes(wants.memory)})"
    if wants.cpus and seen.facts.cpus and load.cpus + wants.cpus > seen.facts.cpus:
        return f"lacking cpus (needs {wants.cpus:g})"
    return ""


def _ports(ask: Candidate) -> str:
    taken = ask.ledger.on(ask.node.name).ports
    for port in published(ask.service, ask.node.name):
        for other, owner in taken.items():
            if _clash(port, other):
                return f"already giving port {port.published}/{port.protocol} to {owner}"
    return ""


def _clash(one: Port, other: Port) -> bool:
    same = one.published == other.published and one.protocol == other.protocol
    return same and (one.address is None or other.address is None or one.address == other.address)


FILTERS: tuple[Filter, ...] = (_ready, _available, _rendered, _constraints, _spread, _resources, _ports)


def _bytes(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} B"


@dataclass(frozen=True, slots=True)
class Choice:
    """`node`: where, or None; `why_not`: then, the explanation composed from the filters."""

    node: str | None
    why_not: str = ""


def choose(
    world: World, ledger: Ledger, stack: str, service: ServiceSpec, slot: int, eligible: tuple[str, ...]
) -> Choice:
    """The node for one replica: even spread, and the same choice from the same inputs."""
    refusals: Counter[str] = Counter()
    fitting = []
    for name in eligible:
        node = world.nodes.get(name)
        if node is None:
            continue
        ask = Candidate(world, ledger, stack, service, node)
        refusal = next((words for words in (check(ask) for check in FILTERS) if words), "")
        if refusal:
            refusals[refusal] += 1
        else:
            fitting.append(name)
    if not fitting:
        return Choice(None, _explain(refusals, len(eligible), service.pattern))
    return Choice(min(fitting, key=lambda name: _score(world, ledger, (stack, service.name, slot), name)))


def _score(world: World, ledger: Ledger, key: SlotKey, node: str) -> tuple[bool, int, int, str]:
    """Lowest wins: where its data already is, then fewest of its kind, then fewest at all, then by lot."""
    load = ledger.on(node)
    stack, service, slot = key
    has_run_here = any(where == node for where, _ in world.containers.get(key, ()))
    lot = hashlib.sha256(f"{stack}/{service}/{slot}/{node}".encode()).hexdigest()
    return (not has_run_here, load.services[stack, service], load.total, lot)


def _explain(refusals: Counter[str], count: int, pattern: str) -> str:
    if not count:
        return f"no host of the inventory matches `hosts: {pattern}`"
    words = [
        f"{number} {'is' if number == 1 else 'are'} {why}"
        for why, number in sorted(refusals.items(), key=lambda item: (-item[1], item[0]))
    ]
    return f"0 of {count} nodes fit: {', '.join(words)}"


def standing_refusal(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement) -> str:
    """Why a replica that is already placed may not stay, or "". What merely keeps new ones away does not count."""
    node = world.nodes[placement.node]
    ask = Candidate(world, ledger, placement.stack, service, node)
    return _constraints(ask) or _port_of_another(ask, placement)


def _port_of_another(ask: Candidate, placement: Placement) -> str:
    """Two replicas of a service that begins to publish a port can't stay together."""
    target = f"{placement.stack}/{placement.service}.{placement.slot}"
    for port in published(ask.service, ask.node.name):
        for other, owner in ask.ledger.on(ask.node.name).ports.items():
            if owner != target and _clash(port, other):
                return f"giving port {port.published}/{port.protocol} to {owner}"
    return ""
