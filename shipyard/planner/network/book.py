"""Who has which address, during one step: taken from the memory, given out on demand, given back, remembered again.

Whatever was given out stays as long as it is used, so that addresses mean the same from pass to pass. A block belongs
to a network on a node; it is given back when nothing of the network is on the node any more, and never while the node
is silent. A replica's address belongs to its container's incarnation: two of them never share one while both may run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from shipyard.base.record import Struct, field, replace
from shipyard.model.memory import Memory, Placement, SlotKey
from shipyard.model.netbook import (
    AddressLease,
    Draining,
    Endpoint,
    NetworkBlock,
    NetworkDriver,
    NetworkNode,
    ServiceAddress,
    Wired,
)
from shipyard.model.situation import Ranges


class RangeExhaustedError(Exception):
    """No address or block is left; the words say of what, and which setting makes more."""


@lru_cache(maxsize=65536)
def parsed(network: str) -> IPv4Network:
    """`A/LENGTH`, parsed once."""
    return IPv4Network(network)


@lru_cache(maxsize=65536)
def gateway_of(block: str) -> str:
    """The node's own address in a block: the first."""
    return str(parsed(block)[1])


@lru_cache(maxsize=65536)
def mac_of(address: str) -> str:
    """The hardware address that belongs to an address: whoever has the address next is found at once.

    Locally administered and unicast; the last four bytes are the address.
    """
    return "02:53:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def docker_mac_of(address: str) -> str:
    """The one that docker gives to who has an address, up to docker 27."""
    return "02:42:" + mac_of(address).partition("02:53:")[2]


class NetBook(Struct):
    """One step's allocations. `blocks`: by network, then node. `leases`: by slot and network.

    `drivers`: those that no file names. `there`: subnets of all networks that nodes have, whosever they are; asked when
    a block is needed.
    """

    ranges: Ranges
    nodes: dict[str, NetworkNode]
    blocks: dict[str, dict[str, str]]
    services: dict[tuple[str, str, str], str]
    leases: dict[tuple[str, str, int, str], AddressLease]
    wired: dict[str, Wired]
    endpoints: tuple[Endpoint, ...]
    draining: dict[str, Draining]
    drivers: dict[str, str]
    there: Callable[[], Iterable[str]] = tuple
    _free: Iterator[str] | None = None
    _used: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def block(self, network: str, node: str) -> str:
        """The block of a network on a node, given out now where there is none. Raises RangeExhaustedError."""
        mine = self.blocks.setdefault(network, {})
        if node not in mine:
            mine[node] = self._free_block()
        return mine[node]

    def _free_block(self) -> str:
        if self._free is None:
            taken = {block for blocks in self.blocks.values() for block in blocks.values()}
            others = [parsed(subnet) for subnet in {*self.there()} - taken if _within(self.ranges, subnet)]
            self._free = (
                block
                for block in _blocks(self.ranges)
                if block not in taken and not any(parsed(block).overlaps(other) for other in others)
            )
        block = next(self._free, None)
        if block is None:
            raise RangeExhaustedError(
                f"all blocks of {self.ranges.containers} are taken; "
                "a larger network.containers in shipyard.toml has more"
            )
        return block

    def number(self, node: str) -> NetworkNode:
        """What is remembered of a node, with a number of its own from now on. Raises RangeExhaustedError."""
        if node not in self.nodes:
            used = {each.number for each in self.nodes.values()}
            number = next(number for number in range(1, len(used) + 2) if number not in used)
            if number >= tunnels(self.ranges).num_addresses // 2 - 1:
                raise RangeExhaustedError(f"{tunnels(self.ranges)} has no address left for one more node")
            self.nodes[node] = NetworkNode(node, number)
        return self.nodes[node]

    def service(self, stack: str, service: str, network: str) -> str:
        """The stable address of a service on a network. Raises RangeExhaustedError."""
        key = (stack, service, network)
        if key not in self.services:
            pool, used = parsed(self.ranges.services), set(self.services.values())
            start = int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:4], "big")
            size = pool.num_addresses - 2
            found = (str(pool[1 + (start + step) % size]) for step in range(size))
            address = next((each for each in found if each not in used), None)
            if address is None:
                raise RangeExhaustedError(f"all of {pool} is taken; network.services in shipyard.toml can be larger")
            self.services[key] = address
        return self.services[key]

    def lease(self, placement: Placement, network: str, others: Iterable[str] = ()) -> str:
        """The address of a replica's container of this incarnation. `others`: that containers of the node have now.

        Raises RangeExhaustedError.
        """
        key, node = (*placement.key, network), placement.node
        known = self.leases.get(key)
        block = self.block(network, node)
        same = known is not None and (known.node, known.incarnation) == (node, placement.incarnation)
        if known is not None and same and IPv4Address(known.address) in parsed(block):
            return known.address
        used = self._addresses(network, node)
        taken = used | set(others)
        address = next((each for each in _hosts(block) if each not in taken), None)
        if address is None:
            raise RangeExhaustedError(
                f"the block {block} of {network} on {node} has no address left; "
                "a smaller network.block in shipyard.toml makes larger ones, for new networks"
            )
        used.add(address)
        self.leases[key] = AddressLease(*key[:3], network, node, placement.incarnation, address)
        return address

    def leased(self, key: SlotKey, network: str, node: str, incarnation: int) -> str | None:
        """The address that this incarnation has, if one was given out."""
        known = self.leases.get((*key, network))
        if known is None or (known.node, known.incarnation) != (node, incarnation):
            return None
        return known.address

    def leases_of(self, key: tuple[str, str]) -> list[AddressLease]:
        """Those of one service."""
        return [lease for lease in self.leases.values() if (lease.stack, lease.service) == key]

    def adopt(self, placement: Placement, network: str, address: str) -> None:
        """An address that a container has and of which nothing is remembered: as after a lost store."""
        self._addresses(network, placement.node).add(address)
        key = (*placement.key, network)
        self.leases[key] = AddressLease(*key[:3], network, placement.node, placement.incarnation, address)

    def _addresses(self, network: str, node: str) -> set[str]:
        """Those that are given out in a block."""
        if not self._used:
            for lease in self.leases.values():
                self._used.setdefault((lease.network, lease.node), set()).add(lease.address)
        return self._used.setdefault((network, node), set())

    def memory(self, memory: Memory, placements: Iterable[SlotKey]) -> Memory:
        """To be remembered. Leases of replicas that are no more are given back."""
        there = set(placements) if self.leases else set()
        return replace(
            memory,
            network_nodes=tuple(each for _, each in sorted(self.nodes.items())),
            blocks=tuple(
                NetworkBlock(network, node, block)
                for network, blocks in sorted(self.blocks.items())
                for node, block in sorted(blocks.items())
            ),
            service_addresses=tuple(ServiceAddress(*key, address) for key, address in sorted(self.services.items())),
            leases=tuple(each for key, each in sorted(self.leases.items()) if key[:3] in there),
            wired=tuple(each for _, each in sorted(self.wired.items())),
            endpoints=self.endpoints,
            draining=tuple(each for _, each in sorted(self.draining.items())),
            network_drivers=tuple(NetworkDriver(*each) for each in sorted(self.drivers.items())),
        )


def open_book(memory: Memory, ranges: Ranges, there: Callable[[], Iterable[str]] = tuple) -> NetBook:
    """What is remembered, indexed. `there`: as NetBook has it."""
    blocks: dict[str, dict[str, str]] = {}
    for each in memory.blocks:
        blocks.setdefault(each.network, {})[each.node] = each.block
    return NetBook(
        ranges=ranges,
        nodes={each.node: each for each in memory.network_nodes},
        blocks=blocks,
        services={each.key: each.address for each in memory.service_addresses},
        leases={each.key: each for each in memory.leases},
        wired={each.node: each for each in memory.wired},
        endpoints=memory.endpoints,
        draining={each.container: each for each in memory.draining},
        drivers={each.network: each.driver for each in memory.network_drivers},
        there=there,
    )


def tunnels(ranges: Ranges) -> IPv4Network:
    """The first sixteenth of the range, one block at least: addresses of the nodes themselves.

    Outside all blocks, since podman makes no network that holds an address of the node.
    """
    whole = parsed(ranges.containers)
    return next(whole.subnets(new_prefix=max(min(whole.prefixlen + 4, ranges.block), whole.prefixlen)))


def _blocks(ranges: Ranges) -> Iterator[str]:
    whole, size = parsed(ranges.containers), 1 << (32 - ranges.block)
    for first in range(int(tunnels(ranges).broadcast_address) + 1, int(whole.broadcast_address) + 1, size):
        yield f"{IPv4Address(first)}/{ranges.block}"


def is_block(ranges: Ranges, text: str) -> bool:
    """Whether this is one of the blocks that are given out."""
    try:
        network = parsed(text)
    except ValueError:
        return False
    inside = network.prefixlen == ranges.block and network.subnet_of(parsed(ranges.containers))
    return inside and not network.overlaps(tunnels(ranges))


def _within(ranges: Ranges, text: str) -> bool:
    """Whether this is a subnet, of any size, that blocks could overlap."""
    try:
        return parsed(text).overlaps(parsed(ranges.containers))
    except ValueError:
        return False


def tunnel_of(ranges: Ranges, number: int, second: bool = False) -> str:
    """The address of the node of this number; each has two, since an encrypted network shares no path with others."""
    pool = tunnels(ranges)
    return str(pool[number + (pool.num_addresses // 2 if second else 0)])


@lru_cache(maxsize=4096)
def _hosts(block: str) -> tuple[str, ...]:
    """Addresses for containers: all but the first (the gateway's)."""
    first, last = int(parsed(block).network_address), int(parsed(block).broadcast_address)
    return tuple(str(IPv4Address(address)) for address in range(first + 2, last))
