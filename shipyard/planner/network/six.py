"""IPv6 beside IPv4: whoever has an address of the cluster's IPv4 range has the one of its IPv6 range that ends with it.

So one allocation decides both, nothing more is remembered, and neither can be taken without the other: `10.209.0.66` of
the block `10.209.0.64/26` is `fd6e:3a94:51c2::ad1:42` of `fd6e:3a94:51c2::ad1:40/122`.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from shipyard.model.situation import Ranges
from shipyard.planner.network.book import parsed, tunnel_of, tunnels

BITS_BEFORE = 96
"""Of an address of IPv6, those before the one of IPv4 that it ends with."""


@lru_cache(maxsize=64)
def whole(network: str) -> IPv6Network:
    """The range, parsed once."""
    return IPv6Network(network)


@lru_cache(maxsize=65536)
def _beside(network: str, address: str) -> str:
    return str(IPv6Address(int(whole(network).network_address) | int(IPv4Address(address))))


def address_of(ranges: Ranges, address: str) -> str:
    """What who has this address of IPv4 has of IPv6."""
    return _beside(ranges.containers6, address)


def block_of(ranges: Ranges, block: str) -> str:
    """The block beside a block of IPv4, `A/LENGTH`."""
    there = parsed(block)
    return f"{address_of(ranges, str(there.network_address))}/{BITS_BEFORE + there.prefixlen}"


def tunnels_of(ranges: Ranges) -> str:
    """Where the nodes' own addresses are from."""
    return block_of(ranges, str(tunnels(ranges)))


def tunnel_beside(ranges: Ranges, number: int, second: bool = False) -> str:
    """The address of the node of this number, as `tunnel_of` has it of IPv4."""
    return address_of(ranges, tunnel_of(ranges, number, second))


def is_six(text: str) -> bool:
    """Whether this is an address or a block of IPv6."""
    return ":" in text
