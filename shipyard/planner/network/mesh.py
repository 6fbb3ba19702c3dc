"""What one node needs in its kernel for the networks that it is on, as items; and a digest of that, which costs little.

With hundreds of nodes the items of all of them are hundreds of thousands. So a pass compares digests, which are made
from one table for each network, and works out items only for a node that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from shipyard.base.record import Struct, field
from shipyard.model.situation import Ranges
from shipyard.model.wire import ACCEPT_MARK, Item, NetworkNames
from shipyard.planner.network import six
from shipyard.planner.network.book import NetBook, gateway_of, mac_of, parsed
from shipyard.planner.network.drivers import DRIVERS, Driver, Member
from shipyard.planner.network.drivers.driver import Setting
from shipyard.planner.network.drivers.vxlan import VXLAN, identity_of
from shipyard.planner.network.rules import Tunnel

_ORDER = (
    *("advertisement", "sysctl", "link", "address", "bridge", "bridge6"),
    *("forwarding", "neighbour", "peer", "route", "accept", "boot"),
)

FORWARDING6 = "net.ipv6.conf.all.forwarding"
TARGET = "network"
"""What the steps that wire nodes are about, in plans and events."""


class Mesh(Struct):
    """All nodes' parts. `members`: nodes that can be reached, by name. `taking_part`: nodes of each network, sorted;
    `drivers`: of each network. `dual`: networks that have IPv6 as well."""

    ranges: Ranges
    names: NetworkNames
    blocks: dict[str, dict[str, str]]
    members: dict[str, Member]
    taking_part: dict[str, tuple[str, ...]]
    drivers: dict[str, str]
    dual: frozenset[str] = frozenset()
    _tables: dict[str, str] = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        return Setting(self.ranges, self.names)

    @property
    def tunnel(self) -> Tunnel | None:
        """Who talks by VXLAN, on whatever network of that."""
        there = {
            node for name, driver in self.drivers.items() if driver == VXLAN.name for node in self.taking_part[name]
        }
        nodes = tuple(sorted(self.members[node].address for node in there if node in self.members))
        return Tunnel(self.ranges.vxlan_port, identity_of(self.names), nodes) if nodes else None

    def networks_of(self, node: str) -> tuple[str, ...]:
        """Networks that a node takes part in, sorted."""
        return tuple(network for network in sorted(self.taking_part) if node in self.taking_part[network])

    def drivers_of(self, node: str) -> tuple[Driver, ...]:
        """Of these networks."""
        return tuple(DRIVERS[name] for name in sorted({self.drivers[each] for each in self.networks_of(node)}))

    def digest(self, node: str, bridges: Sequence[str]) -> str:
        """Of all that `items` says of a node."""
        tables = [self._table(network) for network in self.networks_of(node)]
        own = [repr(self.members.get(node)), repr(self.ranges), repr(self.names), *bridges, *tables]
        return hashlib.sha256("\n".join(own).encode()).hexdigest()

    def _table(self, network: str) -> str:
        if network not in self._tables:
            blocks = self.blocks.get(network, {})
            rows = [f"{network} {self.drivers[network]}{' 6' if network in self.dual else ''}"]
            rows += [f"{self.members.get(name)} {blocks.get(name, '')}" for name in self.taking_part[network]]
            self._tables[network] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return self._tables[network]

    def items(self, node: str, bridges: Sequence[str]) -> tuple[Item, ...]:
        """All that a node needs, in the order in which it is made. `bridges`: networks that are made on the node."""
        me = self.members.get(node)
        if me is None or not self.networks_of(node):
            return ()
        found = {(item.kind, item.key): item for item in self._items(node, me, bridges)}
        return tuple(sorted(found.values(), key=_order))

    def _items(self, node: str, me: Member, bridges: Sequence[str]) -> Iterator[Item]:
        yield Item("sysctl", "net.ipv4.ip_forward", "1", "setting net.ipv4.ip_forward")
        # a container that calls itself by its service's address does not survive bridges that ask the rules
        yield Item("sysctl", "net.bridge.bridge-nf-call-iptables", "0", "setting net.bridge.bridge-nf-call-iptables")
        mark = f"{ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}"
        yield Item("accept", "forward", mark, "rule that lets pass what ours let pass")
        for driver in self.drivers_of(node):
            yield from self._of_driver(node, me, driver)
        yield from self._service_route(node, me)
        if self.dual_on(node):
            yield from self._beside(node, me)
        for network in bridges:
            block = self.blocks[network][node]
            gateway = gateway_of(block)
            length = parsed(block).prefixlen
            mtu = me.mtu - DRIVERS[self.drivers[network]].overhead
            value = f"address {mac_of(gateway)} ip {gateway}/{length} mtu {mtu}"
            called = bridge_name(self.names, network)
            yield Item("bridge", network, value, f"bridge of {network}", called)
            if network in self.dual:
                value = f"{six.address_of(self.ranges, gateway)}/{six.BITS_BEFORE + length}"
                yield Item("bridge6", network, value, f"IPv6 address of the bridge of {network}", called)

    def dual_on(self, node: str) -> tuple[str, ...]:
        """Networks with IPv6 that a node takes part in."""
        return tuple(network for network in self.networks_of(node) if network in self.dual)

    def _beside(self, node: str, me: Member) -> Iterator[Item]:
        """What IPv6 needs of the node as a whole, and of its devices."""
        yield Item("advertisement", "routers", "heard", "what routers of IPv6 say")
        yield Item("sysctl", FORWARDING6, "1", f"setting {FORWARDING6}")
        mark = f"{ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}"
        yield Item("accept", "forward6", mark, "rule that lets pass what ours let pass of IPv6")
        for name in sorted({self.drivers[network] for network in self.dual_on(node)}):
            device = DRIVERS[name].device(me, self.setting)
            if device in self.names.devices:
                own = six.tunnel_beside(self.ranges, me.number, device == self.names.wireguard)
                yield Item("address", f"{device} {own}/128", "", f"this node's IPv6 address on {device}")

    def _of_driver(self, node: str, me: Member, driver: Driver) -> Iterator[Item]:
        yield from driver.own(me, self.setting)
        device = driver.device(me, self.setting)
        if device in self.names.devices:
            name = f"net.ipv4.conf.{device}.route_localnet"
            yield Item("sysctl", name, "1", f"leave for the node's own connections through {device}")
        mine = [network for network in self.networks_of(node) if self.drivers[network] == driver.name]
        there: dict[str, list[tuple[str, str]]] = {}
        for network in mine:
            for peer in self.taking_part[network]:
                if peer != node:
                    block = self.blocks.get(network, {}).get(peer)
                    found = there.setdefault(peer, [])
                    if block is not None:
                        found.append((network, block))
                        found += [(network, six.block_of(self.ranges, block))] if network in self.dual else []
        for peer, blocks in sorted(there.items()):
            if peer in self.members:
                yield from driver.peer(me, self.members[peer], blocks, self.setting)

    def _service_route(self, node: str, me: Member) -> Iterator[Item]:
        """By which the node itself connects to services: it leads nowhere, but names the source that others know."""
        ways = {driver.name: driver for driver in self.drivers_of(node)}
        driver = next(ways[name] for name in ("vxlan", "wireguard", "routed") if name in ways)
        device, source = driver.device(me, self.setting), driver.source(me, self.setting)
        yield Item("route", self.ranges.services, f"dev {device} src {source}", "route to service addresses")


def _order(item: Item) -> tuple[int, str]:
    """A setting of a device comes after the device."""
    of_device = item.kind == "sysctl" and ".conf." in item.key and item.key != FORWARDING6
    return _ORDER.index("bridge" if of_device else item.kind), item.key


def bridge_name(names: NetworkNames, network: str) -> str:
    """What the bridge of a network is called, where the runtime lets itself be told."""
    return names.prefix + hashlib.sha256(network.encode()).hexdigest()[:5]


def mesh(
    book: NetBook,
    names: NetworkNames,
    taking_part: dict[str, set[str]],
    drivers: dict[str, str],
    members: dict[str, Member],
    dual: frozenset[str] = frozenset(),
) -> Mesh:
    """The mesh of the networks' present blocks."""
    return Mesh(
        ranges=book.ranges,
        names=names,
        blocks=book.blocks,
        members=members,
        taking_part={network: tuple(sorted(nodes)) for network, nodes in taking_part.items()},
        drivers=drivers,
        dual=dual,
    )


def device_of(item: Item) -> str:
    """The device that an item is on, "" where it is on none."""
    if item.kind in ("address", "forwarding", "neighbour", "peer"):
        return item.key.partition(" ")[0]
    if item.kind == "route":
        words = item.value.split()
        return words[words.index("dev") + 1] if "dev" in words else ""
    if item.kind == "sysctl" and item.key.startswith("net.ipv4.conf."):
        return item.key.split(".")[3]
    return item.key if item.kind == "link" else ""
