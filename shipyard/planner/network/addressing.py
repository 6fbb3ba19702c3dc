"""Addresses for what is made on a node: a network's block there, and a container's place on each of its networks."""

from __future__ import annotations

import re

from shipyard.base.record import replace
from shipyard.model.container import Attachment, ContainerSpec, Pairs
from shipyard.model.memory import Placement
from shipyard.model.observed import Container, Facts
from shipyard.model.plan import Blocked
from shipyard.model.spec import NetworkSpec
from shipyard.model.wire import names_of
from shipyard.planner.network import six
from shipyard.planner.network.book import RangeExhaustedError, gateway_of, mac_of, parsed
from shipyard.planner.network.hosts import hostname_of
from shipyard.planner.network.mesh import bridge_name
from shipyard.planner.world import World


def on_node(world: World, network: NetworkSpec, node: str) -> NetworkSpec:
    """A network that spans nodes as this node has it. Raises RangeExhaustedError.

    That nothing leaves an internal one is seen to by our rules: the runtime's would keep it from other nodes, too.
    """
    block = world.net.block(network.name, node)
    device = bridge_name(names_of(world.situation.cluster), network.name)
    made = replace(network, internal=False, subnet=block, gateway=gateway_of(block), device=device)
    if network.enable_ipv6:
        ranges = world.situation.ranges
        beside = six.address_of(ranges, gateway_of(block))
        made = replace(made, subnet6=six.block_of(ranges, block), gateway6=beside)
    written = dict(made.driver_opts)
    let_in = [pair for pair in _let_in(world, network, node) if pair[0] not in written]
    return replace(made, driver_opts=(*made.driver_opts, *let_in)) if let_in else made


def _let_in(world: World, network: NetworkSpec, node: str) -> Pairs:
    """Options without which docker 28 and later drops what other nodes send straight to a container, before any rule of
    ours sees it. Who may connect is for our own rules to say.

    Since 28.2 one device can be let in; before that, and where packets come by the node's own device, which may become
    another one, all are. Up to 27 docker has no such rule, and does not know the options.
    """
    facts = world.seen[node].facts if node in world.seen else Facts()
    since = version_of(facts.runtime_version) if facts.runtime == "docker" else (0, 0)
    if since < (28, 0):
        return ()
    names = names_of(world.situation.cluster)
    devices = {"vxlan": names.vxlan, "wireguard": names.wireguard}
    if since >= (28, 2) and network.driver in devices:
        return (("com.docker.network.bridge.trusted_host_interfaces", devices[network.driver]),)
    families = ("ipv4", "ipv6") if network.enable_ipv6 else ("ipv4",)
    return tuple((f"com.docker.network.bridge.gateway_mode_{family}", "nat-unprotected") for family in families)


def version_of(text: str) -> tuple[int, int]:
    """`28.2.1+dfsg1` as (28, 2); (0, 0) where it is no version."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def addressed(world: World, placement: Placement, spec: ContainerSpec) -> ContainerSpec:
    """What the container is made from, with an address on every network that spans nodes. Raises RangeExhaustedError.

    Its host name is its own name where none is written: that is known before it is made, and stands in its hosts file.
    """
    if not spec.hosts:
        return spec
    networks = tuple(wanted(world, placement, attachment) for attachment in spec.networks)
    return replace(spec, networks=networks, hostname=hostname_of(spec, world.name_of(placement)))


def wanted(world: World, placement: Placement, attachment: Attachment) -> Attachment:
    """An attachment with the address that the replica has. Raises RangeExhaustedError."""
    if attachment.network not in world.spanning:
        return attachment
    address = world.net.lease(placement, attachment.network, _there(world, placement.node, attachment.network))
    # an address is found again at once, whoever had it before, where it always has the same hardware address;
    # docker makes its own like that
    podman = placement.node in world.seen and world.seen[placement.node].facts.runtime == "podman"
    mac = attachment.mac_address or (mac_of(address) if podman else None)
    beside = six.address_of(world.situation.ranges, address) if dual(world, attachment.network) else None
    return replace(attachment, ipv4_address=address, ipv6_address=beside, mac_address=mac)


def dual(world: World, network: str) -> bool:
    """Whether a network spans nodes and has addresses of IPv6 as well."""
    return network in world.spanning and world.spanning[network][1].enable_ipv6


def _there(world: World, node: str, network: str) -> set[str]:
    """Addresses that containers of the node have on a network now."""
    if node not in world.seen:
        return set()
    return {
        each.ipv4_address
        for box in world.seen[node].containers
        for each in box.networks
        if each.network == network and each.ipv4_address
    }


def adopt(world: World, placement: Placement, box: Container) -> None:
    """Remember the addresses that a container has, where nothing else is: the store was lost, or is new."""
    for each in box.networks:
        if each.network in world.spanning and each.ipv4_address:
            known = world.net.leased(placement.key, each.network, placement.node, placement.incarnation)
            block = world.net.blocks.get(each.network, {}).get(placement.node)
            if known is None and block is not None and parsed(each.ipv4_address + "/32").subnet_of(parsed(block)):
                world.net.adopt(placement, each.network, each.ipv4_address)


def blocked(target: str, error: RangeExhaustedError) -> Blocked:
    """What is said where no address is left."""
    return Blocked(target, "RangeExhausted", str(error))
