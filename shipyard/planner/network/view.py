"""The networks of a situation, as people look at them; and which connections should succeed, and which not."""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.base.record import Struct
from shipyard.model.job import JOB_MODES
from shipyard.model.memory import Memory
from shipyard.model.netview import NetworkView, ReplicaView, ServiceView
from shipyard.model.observed import Container, ContainerState
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, ServiceSpec
from shipyard.planner import groups
from shipyard.planner.network import six
from shipyard.planner.network.spanning import resolved, spans
from shipyard.planner.world import slot_of


def networks(situation: Situation, memory: Memory) -> tuple[NetworkView, ...]:
    """All networks of all stacks, sorted by name. `memory`: as a plan left it."""
    situation = resolved(situation)
    found = _Found(situation, memory)
    declared = [
        (stack, network)
        for stack in situation.stacks
        if not stack.removing
        for network in stack.revision.spec.networks
        if not network.external
    ]
    return tuple(found.view(stack, network) for stack, network in sorted(declared, key=lambda each: each[1].name))


class _Found:
    def __init__(self, situation: Situation, memory: Memory) -> None:
        self.situation = situation
        self.addresses = {each.key: each.address for each in memory.service_addresses}
        self.blocks: dict[str, list[tuple[str, str]]] = {}
        for block in memory.blocks:
            self.blocks.setdefault(block.network, []).append((block.node, block.block))
        self.ready = {each.container for each in memory.endpoints}
        self.boxes: dict[tuple[str, str], list[tuple[str, int, Container]]] = {}
        for node in situation.seen().values():
            for box in groups.as_one(each for each in node.containers if slot_of(each) is not None):
                key = slot_of(box)
                if key is not None and box.state == ContainerState.RUNNING:
                    self.boxes.setdefault(key[:2], []).append((node.name, key[2], box))

    def view(self, stack: DesiredStack, network: NetworkSpec) -> NetworkView:
        services = tuple(self._services(network))
        blocks = tuple(sorted(self.blocks.get(network.name, ())))
        nodes = {node for node, _ in blocks} | {replica.node for each in services for replica in each.replicas}
        driver = network.driver or "bridge"
        name = stack.revision.stack
        return NetworkView(network.name, name, driver, network.internal, blocks, tuple(sorted(nodes)), services)

    def _services(self, network: NetworkSpec) -> Iterator[ServiceView]:
        for stack in self.situation.stacks:
            for service in () if stack.removing else stack.revision.spec.services:
                joined = next((each for each in service.container.networks if each.network == network.name), None)
                if joined is not None:
                    yield self._service(stack.revision.stack, service, network, joined.aliases)

    def _service(self, stack: str, service: ServiceSpec, network: NetworkSpec, aliases: tuple[str, ...]) -> ServiceView:
        across = spans(network)
        address = self.addresses.get((stack, service.name, network.name), "") if across else ""
        replicas = []
        for node, slot, box in sorted(self.boxes.get((stack, service.name), ()), key=lambda each: (each[1], each[0])):
            there = next((each.ipv4_address for each in box.networks if each.network == network.name), None)
            if there:
                ready = box.name in self.ready if across else True
                both = across and network.enable_ipv6
                beside = six.address_of(self.situation.ranges, there) if both else ""
                replicas.append(ReplicaView(slot, node, box.name, there, ready, beside))
        allowed = None
        if service.allow is not None:
            allowed = tuple(_owner(stack, entry.service) for entry in service.allow)
        names = tuple(dict.fromkeys((service.name, f"{service.name}.{stack}", *aliases)))
        ports = tuple(f"{port.protocol}/{port.published}" for port in service.ingress)
        shown = "" if service.endpoint_mode == "dnsrr" or service.mode in JOB_MODES else address
        return ServiceView(stack, service.name, shown, names, tuple(replicas), allowed, ports)


def _owner(stack: str, said: str) -> str:
    if not said:
        return "*"
    return said if "/" in said else f"{stack}/{said}"


class Pair(Struct, frozen=True):
    """A connection to be tried: from a client's replica to a service, by its address or that of a replica."""

    network: str
    client: ServiceView
    replica: ReplicaView
    target: ServiceView
    address: str
    expected: bool


def pairs(found: tuple[NetworkView, ...]) -> Iterator[Pair]:
    """From each replica to each service that shares a network with it, and to one that it should not reach."""
    across = [network for network in found if network.blocks]
    joined: dict[str, set[str]] = {}
    for network in across:
        for service in network.services:
            joined.setdefault(service.name, set()).add(network.name)
    for network in across:
        for client in network.services:
            for replica in client.replicas:
                for target in network.services:
                    if target.name != client.name and target.replicas:
                        may = target.allowed is None or not {client.name, "*"}.isdisjoint(target.allowed)
                        address = target.address or target.replicas[0].address
                        yield Pair(network.name, client, replica, target, address, may)
                        if beside := target.replicas[0].beside:
                            yield Pair(network.name, client, replica, target, beside, may)
                foreign = _foreign(across, joined, client)
                if foreign is not None:
                    where, target = foreign
                    first = target.replicas[0]
                    for address in (first.address, *((first.beside,) if first.beside and replica.beside else ())):
                        yield Pair(where, client, replica, target, address, expected=False)


def _foreign(
    across: list[NetworkView], joined: dict[str, set[str]], client: ServiceView
) -> tuple[str, ServiceView] | None:
    """The first service that shares no network with a client."""
    for network in across:
        for target in network.services:
            if target.replicas and joined[target.name].isdisjoint(joined[client.name]):
                return network.name, target
    return None
