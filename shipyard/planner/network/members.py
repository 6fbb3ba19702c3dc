"""Which nodes take part in a network, what is known of each, and why one can't."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from shipyard.model.netbook import NetworkNode
from shipyard.model.node import Node
from shipyard.model.observed import ObservedNode
from shipyard.model.situation import Ranges
from shipyard.model.spec import NetworkSpec, ServiceSpec
from shipyard.model.wire import ROUTE_PROTOCOL, LocalAddress, ObservedWiring
from shipyard.planner.network.book import NetBook, RangeExhaustedError, is_block, parsed
from shipyard.planner.network.choosing import incapable
from shipyard.planner.network.drivers import DRIVERS, Member
from shipyard.planner.network.tables import without_nft
from shipyard.planner.world import World

LEAST_MTU = 1280
"""Bytes that a packet between containers can have at least: IPv6's own least."""


def learn(world: World) -> None:
    """Remember what nodes said of themselves: by which address the others reach them, and with which key."""
    _recall_blocks(world)
    for name, node in world.nodes.items():
        seen = world.seen.get(name)
        if seen is None or seen.wiring is None or incapable(seen) or name not in _wanted(world):
            continue
        try:
            known = world.net.number(name)
        except RangeExhaustedError:
            continue  # whoever needs it is told by `problem_of`
        found = own_address(node, known, seen.wiring)
        if found is not None:
            key = seen.wiring.public_key or known.public_key
            link = dict(seen.wiring.links).get(found.device, "")
            world.net.nodes[name] = NetworkNode(name, known.number, found.address, found.device, found.mtu, key, link)


def _recall_blocks(world: World) -> None:
    """Blocks that nodes have and nobody remembers, as after a lost store: what is on them stays as it is."""
    taken = {block for blocks in world.net.blocks.values() for block in blocks.values()}
    for network in world.spanning:
        known = world.net.blocks.get(network, {})
        for name in sorted(world.seen.keys() - known.keys()):
            there = world.stock(name).networks.get(network) if network in world.stock(name).ours else None
            subnets = there.subnets if there is not None else ()
            block = next((each for each in subnets if is_block(world.situation.ranges, each)), "")
            if block and block not in taken:
                world.net.blocks.setdefault(network, {})[name] = block
                taken.add(block)


def own_address(node: Node, known: NetworkNode, wiring: ObservedWiring) -> LocalAddress | None:
    """The one that the inventory names, if the node has it; else the one it had; else its first."""
    for address in (node.address, known.address):
        for each in wiring.addresses:
            if each.address == address:
                return each
    return wiring.addresses[0] if wiring.addresses else None


def _wanted(world: World) -> frozenset[str]:
    """Nodes on which something of a network that spans nodes is, or may come to be."""
    if world.members is None:
        found = {node for nodes in participants(world).values() for node in nodes}
        for stack in world.situation.stacks:
            for service in stack.revision.spec.services:
                if any(each.network in world.spanning for each in service.container.networks):
                    found.update(stack.eligible_for(service.name))
        world.members = frozenset(found)
    return world.members


def participants(world: World) -> dict[str, set[str]]:
    """For each network that spans nodes: those with a block of it, and those that answer on its services' ports."""
    found = {network: set(world.net.blocks.get(network, ())) for network in world.spanning}
    for stack in world.situation.stacks:
        if stack.removing:
            continue
        for service in stack.revision.spec.services:
            network = ingress_network(world, service)
            if network is not None:
                found[network].update(stack.eligible_for(service.name))
    return {network: {node for node in nodes if node in world.nodes} for network, nodes in found.items()}


def ingress_network(world: World, service: ServiceSpec) -> str | None:
    """The network on which a service's ingress ports reach its replicas: the first that it joins."""
    if not service.ingress:
        return None
    return next((each.network for each in service.container.networks if each.network in world.spanning), None)


def member(book: NetBook, name: str) -> Member | None:
    """A node as drivers see it; None while it is not known how the others reach it."""
    known = book.nodes.get(name)
    if known is None or not known.address:
        return None
    return Member(name, known.number, known.address, known.device, known.mtu, known.public_key, known.link)


def mtu_of(world: World, network: NetworkSpec) -> int:
    """Of the network's containers: what fits through the narrowest of its nodes, the driver's own part taken off."""
    overhead = DRIVERS[network.driver or ""].overhead
    known = [world.net.nodes[node] for node in world.net.blocks.get(network.name, ()) if node in world.net.nodes]
    return max(min((each.mtu for each in known if each.address), default=1500) - overhead, LEAST_MTU)


def problem_of(world: World, network: NetworkSpec, node: str) -> tuple[str, str] | None:
    """Why a node can't take part in a network, as a word and a sentence."""
    seen = world.seen.get(node)
    if seen is None:
        return None
    driver = network.driver or ""
    if why := incapable(seen):
        hint = f"; {network.name} has driver: {driver}, and `bridge` would keep it on each node"
        return "NetworkNotPossible", why + hint
    if seen.wiring is None:
        return None
    for alternatives in DRIVERS[driver].tools:
        if not set(alternatives) & set(seen.wiring.tools):
            return "NetworkNotPossible", f"{node} lacks {' or '.join(alternatives)}, which the driver {driver} needs"
    bare = without_nft(seen.wiring) and "ebtables" not in seen.wiring.tools
    if bare and (guarded := _guarded(world, network.name)):
        why = f"{node} lacks nft (in the package nftables), and ebtables, too"
        hint = f"without one of them nothing keeps x-shipyard.allow of {guarded} between containers of one bridge"
        return "NetworkNotPossible", f"{why}; {hint}"
    if node not in world.net.nodes or not world.net.nodes[node].address:
        return "NoAddress", f"{node} has no IPv4 address of its own by which the other nodes could reach it"
    return collides(world, seen)


def _guarded(world: World, network: str) -> str:
    """A service on the network that says who may connect to it, "" where there is none."""
    for stack in world.situation.stacks:
        for service in () if stack.removing else stack.revision.spec.services:
            if service.allow is not None and any(each.network == network for each in service.container.networks):
                return f"{stack.revision.stack}/{service.name}"
    return ""


def collides(world: World, seen: ObservedNode) -> tuple[str, str] | None:
    """The same as `collision`, once the node was looked at closely: it may be a network of ours that nobody asked for.

    After a backup was put back there are some of which the store knows nothing.
    """
    assert seen.wiring is not None
    found = collision(world.situation.ranges, seen)
    if found is not None and not seen.all_networks:
        world.inspect.add(seen.name)
        return None
    return found


def collision(ranges: Ranges, seen: ObservedNode) -> tuple[str, str] | None:
    """A route or network that is on the node already, and whose addresses are in the cluster's ranges."""
    assert seen.wiring is not None
    settings = (("network.containers", ranges.containers), ("network.services", ranges.services))
    for setting, ours in settings:
        for there, words in _taken(seen):
            if parsed(ours).overlaps(there):
                detail = (
                    f"{ours} ({setting} in shipyard.toml) collides with {words} on {seen.name}; choose another range"
                )
                return "RangeCollides", detail
    return None


def _taken(seen: ObservedNode) -> Iterator[tuple[IPv4Network, str]]:
    assert seen.wiring is not None
    for destination, words in seen.wiring.routes:
        whose = "another cluster's" if f"proto {ROUTE_PROTOCOL}" in words else "the"
        yield parsed(destination), f"{whose} route {destination} {words}"
    for each in seen.wiring.addresses:
        yield IPv4Network((each.address, 32)), f"the address {each.address} of {each.device}"


def within(address: str, network: str) -> bool:
    """Whether an address is in `A/LENGTH`."""
    return IPv4Address(address) in parsed(network)
