"""Ports that every node of a play answers on, and who may connect to a service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from shipyard.base.record import Struct
from shipyard.model.container import Port
from shipyard.model.netbook import Endpoint
from shipyard.model.plan import Blocked
from shipyard.model.spec import AllowFrom, ServiceSpec
from shipyard.planner.network import endpoints
from shipyard.planner.network.book import docker_mac_of, mac_of
from shipyard.planner.network.members import ingress_network
from shipyard.planner.network.rules import Guard, NodePort
from shipyard.planner.world import World

_Taken = defaultdict[tuple[str, int], list[tuple[tuple[str, ...], str]]]
"""Who has a port, and on which addresses, () for all; by protocol and number."""


class _Claim(Struct, frozen=True):
    """A service wants a port of these nodes."""

    port: NodePort
    nodes: tuple[str, ...]


def ports(world: World, ready: Sequence[Endpoint]) -> dict[str, tuple[NodePort, ...]]:
    """The ports of each node, sorted. One that is taken is left to who has it, and said."""
    had = {said for wired in world.net.wired.values() for said in wired.owners}
    claims = sorted(_claims(world, ready), key=lambda claim: _called(claim.port) not in had)  # who has it comes first
    taken: dict[str, _Taken] = {}
    found: defaultdict[str, list[NodePort]] = defaultdict(list)
    for claim in claims:
        made, refused = claim.port, defaultdict[str, list[str]](list)
        for node in claim.nodes:
            mine = taken.setdefault(node, _published(world, node))
            there = mine[made.protocol, made.port]
            owner = next((owner for only, owner in there if _meet(only, made.only)), None)
            owner = owner or _listener(world, node, made)
            if owner is None:
                there.append((made.only, made.owner))
                found[node].append(made)
            else:
                refused[owner].append(node)
        for owner, where in sorted(refused.items()):
            many = f"{', '.join(where[:3])}{' …' if len(where) > 3 else ''}"
            detail = f"port {made.port}/{made.protocol} of {many} belongs to {owner} already; publish another one"
            world.wave.blocked.append(Blocked(made.owner, "PortTaken", detail))
    return {node: tuple(sorted(each, key=_order)) for node, each in found.items()}


def _order(port: NodePort) -> tuple[str, int, tuple[str, ...]]:
    return port.protocol, port.port, port.only


def _meet(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two that have the same port answer on any address of the node together. None written: on all."""
    if not some or not others:
        return True
    return any(_overlap(one, other) for one in some for other in others)


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    if isinstance(first, IPv4Network):
        return isinstance(second, IPv4Network) and first.overlaps(second)
    return isinstance(second, IPv6Network) and first.overlaps(second)


def _called(port: NodePort) -> str:
    """As `Wired.owners` has it."""
    return f"{port.protocol}/{port.port} {port.owner}"


def _claims(world: World, ready: Sequence[Endpoint]) -> Iterator[_Claim]:
    by_service: defaultdict[tuple[str, str], list[Endpoint]] = defaultdict(list)
    for endpoint in ready:
        by_service[endpoint.stack, endpoint.service].append(endpoint)
    for stack, service, _ in endpoints.served(world):
        network = ingress_network(world, service)
        if network is None:
            continue
        name = stack.revision.stack
        # replicas of older revisions may be on another network only
        replicas = sorted(
            dict(each.addresses).get(network, each.addresses[0][1]) for each in by_service[name, service.name]
        )
        nodes = tuple(node for node in stack.eligible_for(service.name) if node in world.nodes)
        for port in service.ingress:
            yield _Claim(_node_port(port, service, tuple(replicas), f"{name}/{service.name}"), nodes)


def _node_port(port: Port, service: ServiceSpec, replicas: tuple[str, ...], owner: str) -> NodePort:
    assert port.published is not None
    only = service.expose_on if port.address is None else (port.address,)
    return NodePort(port.protocol, port.published, port.target, replicas, service.session_affinity, only, owner)


def _published(world: World, node: str) -> _Taken:
    """Ports that containers placed on a node have the runtime publish there."""
    found: _Taken = defaultdict(list)
    for key in world.published_services:
        service = world.service(*key)
        if service is not None and any(each.node == node for each in world.placements.now_of(*key).values()):
            for port in service.container_on(node).ports:
                if port.published is not None:
                    only = () if port.address is None else (port.address,)
                    found[port.protocol, port.published].append((only, f"{key[0]}/{key[1]} (mode: host)"))
    return found


def _listener(world: World, node: str, port: NodePort) -> str | None:
    """Whoever listens on it already: the SSH server that we come through is one of them."""
    seen = world.seen.get(node)
    if seen is None or seen.wiring is None:
        return None
    said = f"{port.protocol}/{port.port}"
    known = world.net.wired.get(node)
    if known is not None and said in known.ports:
        return None  # it came later, and has heard nothing since
    if said in seen.wiring.listening:
        return "a process of the node that listens there"
    return None


def guards(world: World) -> Iterator[Guard]:
    """For each service that says who may connect to it. Clients count wherever they are, ready or not."""
    for stack, service, networks in endpoints.served(world):
        if service.allow is None:
            continue
        name = stack.revision.stack
        mine = _addresses(world, (name, service.name), networks)
        allowed = tuple((_clients(world, name, entry), entry.ports) for entry in service.allow)
        yield Guard(mine, allowed, _macs(world, service, mine))


def _macs(world: World, service: ServiceSpec, addresses: Sequence[str]) -> tuple[str, ...]:
    """Those that were written or seen, and those that follow from the addresses of what is about to be made."""
    found = {mac for each in service.container.networks if (mac := each.mac_address)}
    own = {mac for address in addresses for mac in (mac_of(address), docker_mac_of(address))}
    seen = {
        there.mac_address
        for node in world.seen.values()
        for box in node.containers
        for there in box.networks
        if there.mac_address and there.ipv4_address in addresses
    }
    return tuple(sorted(found | own | seen))


def _clients(world: World, stack: str, entry: AllowFrom) -> tuple[str, ...] | None:
    """By whatever network they share: a container on several goes out by any of its addresses."""
    if not entry.service:
        return None
    owner, _, name = entry.service.rpartition("/")
    return _addresses(world, (owner or stack, name), world.spanning)


def _addresses(world: World, key: tuple[str, str], networks: Collection[str]) -> tuple[str, ...]:
    """Of all containers of a service on these networks, and of those that are about to be made."""
    found = {lease.address for lease in world.net.leases_of(key) if lease.network in networks}
    for boxes in world.containers.now_of(*key).values():
        for _, box in boxes:
            found.update(address for _, address in endpoints.addresses_of(box, networks))
    return tuple(sorted(found))
