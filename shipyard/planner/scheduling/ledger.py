"""Who is where and has what: kept up as placements are decided, so that each question has its answer at hand."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from shipyard.model.container import Port
from shipyard.model.memory import Placement, SlotKey
from shipyard.model.node import Availability, Node
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Neighbour, ServiceSpec
from shipyard.planner.constraints import values
from shipyard.planner.placements import ServiceKey
from shipyard.planner.scheduling.capacity import Capacity, Demand, Used, capacity, demand
from shipyard.planner.scheduling.explain import Refusal
from shipyard.planner.scheduling.levels import Levels
from shipyard.planner.world import World

if TYPE_CHECKING:
    from shipyard.planner.scheduling.choices import Choices

Attributes = tuple[str, ...]
"""Of nodes: `node.labels.zone`. Nodes that agree in all of them are one place."""


class Load:
    """One node: what it offers, and what is placed there. `ports`: those that are taken, with who has them.

    `claims`: who else is to have a taken port, in an update that gives it to another: it is theirs once it is free.
    `lot`: a number of the node's own, which decides between nodes that are equal otherwise. `changes`: how often
    something was placed there or taken away.
    """

    __slots__ = ("changes", "claims", "lot", "offers", "ports", "slots", "total", "used")

    def __init__(self, name: str, offers: Capacity) -> None:
        self.offers = offers
        self.used = Used(0, 0, {})
        self.total = 0
        self.changes = 0
        self.slots: set[SlotKey] = set()
        self.ports: dict[Port, str] = {}
        self.claims: list[tuple[Port, str]] = []
        self.lot = zlib.crc32(name.encode())

    def take(self, port: Port, owner: str) -> None:
        """The port, or the next claim to it."""
        take(self.ports, self.claims, port, owner)

    def free(self, port: Port, owner: str) -> None:
        """It goes to who claimed it next, if anyone did."""
        free(self.ports, self.claims, port, owner)


Claims = list[tuple[Port, str]]
"""Of a node's ports: who takes one once it is free, in order."""


def take(ports: dict[Port, str], claims: Claims, port: Port, owner: str) -> None:
    """The port, or the next claim to it."""
    if ports.setdefault(port, owner) != owner:
        claims.append((port, owner))


def free(ports: dict[Port, str], claims: Claims, port: Port, owner: str) -> None:
    """It goes to who claimed it next, if anyone did."""
    if ports.get(port) != owner:
        claims[:] = [claim for claim in claims if claim != (port, owner)]
        return
    del ports[port]
    heir = next((claim for claim in claims if claim[0] == port), None)
    if heir is not None:
        claims.remove(heir)
        ports[port] = heir[1]


class Ledger:
    """The load of every node, and where the replicas of every service are.

    `services`: what is declared, by name. `places`: of each service, its replicas by node.
    `freed`: how often room was made on a node that takes replicas; choices from before may not know of it.
    `choices`: of the service that was asked for last, for its next replica. `tainted`: nodes with taints.
    `opened`: of packed services that lack replicas, nodes that are empty and needed.
    `victims`: by node, who would make room there for a replica of `victims_of`, and after how many changes.
    `keep_away`: of each service, who must not be beside it, and where that counts (others' `anti_affinity`).
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._loads: dict[str, Load] = {}
        self._known: dict[ServiceKey, tuple[Demand, list[Port]]] = {}
        self._counts: dict[ServiceKey, dict[Attributes, Counter[Attributes]]] = {}
        self._values: dict[str, dict[str, str | None]] = {}
        self._holders: dict[str, list[str]] | None = None
        self._levels: Levels | None = None
        self.static: dict[object, tuple[dict[str, None], dict[str, Refusal]]] = {}
        self.choices: Choices | None = None
        self.opened: dict[ServiceKey, frozenset[str]] = {}
        self.victims_of: ServiceKey | None = None
        self.victims: dict[str, tuple[int, tuple[Placement, ...] | None]] = {}
        self.services = dict(declared(world))
        self.places: dict[ServiceKey, Counter[str]] = defaultdict(Counter)
        self.priorities: Counter[int] = Counter()
        self.freed = 0
        self.keep_away: dict[ServiceKey, list[tuple[ServiceKey, Neighbour]]] = defaultdict(list)
        for key, (_, service) in self.services.items():
            for rule in service.placement.neighbours:
                if rule.apart and rule.weight is None:
                    self.keep_away[neighbour(key[0], rule)].append((key, rule))
        self._open = {name for name, node in world.nodes.items() if node.availability == Availability.ACTIVE}
        self._open &= world.seen.keys()
        self.tainted = {name for name, node in world.nodes.items() if node.taints}
        for name in world.nodes:
            self.on(name)
        for key in world.placements.services():
            entry = self.services.get(key)
            self._add_all(key, entry[1] if entry else None, world.placements.now_of(*key).values())
        self._leave_answered_ports()

    def _leave_answered_ports(self) -> None:
        """Ports on which nodes answer for services that are declared: a container there would take them away."""
        for node, wired in self._world.net.wired.items():
            if node in self._world.nodes:
                ports = self.on(node).ports
                for port, owner in self._answered(wired.owners):
                    if not any(clash(port, other) for other in ports):
                        ports[port] = owner

    def _answered(self, owners: Collection[str]) -> Iterator[tuple[Port, str]]:
        """`owners`: as in Wired."""
        for said in owners:
            where, _, owner = said.partition(" ")
            stack, _, name = owner.partition("/")
            _, service = self.services.get((stack, name), (None, None))
            for port in service.ingress if service is not None else ():
                if f"{port.protocol}/{port.published}" == where:
                    yield port, owner

    def on(self, node: str) -> Load:
        """The load of this node."""
        load = self._loads.get(node)
        if load is None:
            known, seen = self._world.nodes.get(node), self._world.seen.get(node)
            offers = capacity(known or Node(node), seen.facts if seen else None)
            load = self._loads[node] = Load(node, offers)
            if self._levels is not None:
                self._levels.add(0, load.lot, node)
        return load

    def add(self, placement: Placement, service: ServiceSpec | None) -> None:
        """Count a placement; `service` None when it is no longer declared."""
        self._change(placement, service, 1)

    def _add_all(self, key: ServiceKey, service: ServiceSpec | None, placements: Collection[Placement]) -> None:
        """As `add` of each, with what they have in common looked up once: at first it is all of a fleet's."""
        places = self.places[key]
        wants, ports = self.known(key[0], service) if service else (Demand(), [])
        if service is not None:
            self.priorities[service.priority] += len(placements)
        for placement in placements:
            node = placement.node
            load = self._loads.get(node) or self.on(node)
            load.total += 1
            load.slots.add(placement.key)
            places[node] += 1
            used = load.used
            if wants.devices:
                used.change(wants, load.offers, 1)
            else:
                used.cpus += wants.cpus
                used.memory += wants.memory
            for port in published(service, node) if service and service.variants else ports:
                load.take(port, _owner(placement))

    def remove(self, placement: Placement, service: ServiceSpec | None) -> None:
        """Take a placement out again."""
        self._change(placement, service, -1)

    def _change(self, placement: Placement, service: ServiceSpec | None, sign: int) -> None:
        key, node, load = (placement.stack, placement.service), placement.node, self.on(placement.node)
        load.total += sign
        load.changes += 1
        if self._levels is not None:
            self._levels.move(load.total - sign, load.total, load.lot, node)
        self.places[key][node] += sign
        for attributes, counts in self._counts.get(key, {}).items():
            counts[self.place(node, attributes)] += sign
        if sign > 0:
            load.slots.add(placement.key)
        else:
            load.slots.discard(placement.key)
            self.freed += node in self._open
        if service is None:
            return
        self.priorities[service.priority] += sign
        wants, ports = self.known(key[0], service)
        load.used.change(wants, load.offers, sign)
        for port in published(service, node) if service.variants else ports:
            if sign > 0:
                load.take(port, _owner(placement))
            else:
                load.free(port, _owner(placement))

    def known(self, stack: str, service: ServiceSpec) -> tuple[Demand, list[Port]]:
        """What one replica of the service reserves, and the ports it takes where no variable says otherwise."""
        found = self._known.get((stack, service.name))
        if found is None:
            found = self._known[stack, service.name] = (demand(service), published(service, ""))
        return found

    def value(self, node: str, attribute: str) -> str | None:
        """What a node's attribute is; None where it has none."""
        found = self._values.get(attribute)
        if found is None:
            found = self._values[attribute] = {name: self._value(known, attribute) for name, known in self._nodes()}
        return found.get(node)

    def _nodes(self) -> Iterable[tuple[str, Node]]:
        return self._world.nodes.items()

    def _value(self, node: Node, attribute: str) -> str | None:
        if attribute == "node.hostname":
            return node.name
        seen = self._world.seen.get(node.name)
        found = values(attribute, node, seen.facts if seen else None)
        return found[-1] if found else None

    def place(self, node: str, attributes: Attributes) -> Attributes:
        """Where a node is, as far as these attributes tell."""
        return tuple(self.value(node, attribute) or "" for attribute in attributes)

    def counts(self, service: ServiceKey, attributes: Attributes) -> Counter[Attributes]:
        """A service's replicas by place. What is returned stays right as placements are added and removed."""
        of_service = self._counts.setdefault(service, {})
        found = of_service.get(attributes)
        if found is None:
            found = of_service[attributes] = Counter()
            for node, number in self.places[service].items():
                found[self.place(node, attributes)] += number
        return found

    def levels(self) -> Levels:
        """The nodes by how many replicas they have. What is returned stays right as that changes."""
        if self._levels is None:
            self._levels = Levels()
            for node, load in self._loads.items():
                self._levels.add(load.total, load.lot, node)
        return self._levels

    def typical(self) -> Capacity:
        """What the average node offers."""
        known = [load.offers for load in self._loads.values() if load.offers.cpus or load.offers.memory]
        count = max(len(known), 1)
        return Capacity(sum(each.cpus for each in known) // count, sum(each.memory for each in known) // count, {})

    def outranks(self, priority: int) -> bool:
        """Whether anything is placed that has a lower priority."""
        return any(number and each < priority for each, number in self.priorities.items())

    def holders(self, volume: str) -> list[str]:
        """The nodes, sorted, that are known to have the volume of this name."""
        if self._holders is None:
            self._holders = {}
            for node, name in sorted(self._world.volumes):
                self._holders.setdefault(name, []).append(node)
        return self._holders.get(volume, [])


def declared(world: World) -> Iterable[tuple[ServiceKey, tuple[DesiredStack, ServiceSpec]]]:
    """All services of stacks that are not being removed."""
    for stack in world.situation.stacks:
        if not stack.removing:
            for service in stack.revision.spec.services:
                yield (stack.revision.stack, service.name), (stack, service)


def _owner(placement: Placement) -> str:
    return f"{placement.stack}/{placement.service}.{placement.slot}"


def neighbour(stack: str, rule: Neighbour) -> ServiceKey:
    """The service that a rule of a service of this stack means."""
    named, slash, name = rule.service.partition("/")
    return (named, name) if slash else (stack, named)


def clash(one: Port, other: Port) -> bool:
    """Whether two containers on one node can't both publish these."""
    same = one.published == other.published and one.protocol == other.protocol
    return same and (one.address is None or other.address is None or one.address == other.address)


def published(service: ServiceSpec, node: str) -> list[Port]:
    """The node's ports that one replica takes."""
    return [port for port in service.container_on(node).ports if port.published is not None]
