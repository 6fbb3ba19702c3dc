"""What a way from node to node has to say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from shipyard.base.record import Struct
from shipyard.model.situation import Ranges
from shipyard.model.wire import Item, NetworkNames


class Member(Struct, frozen=True):
    """A node as a driver sees it. `address`: its own, on `device` with this MTU, where `link` is its link-local one.

    `number`: of its tunnel address.
    """

    node: str
    number: int
    address: str
    device: str
    mtu: int
    public_key: str = ""
    link: str = ""


class Setting(Struct, frozen=True):
    """What is the same for all nodes."""

    ranges: Ranges
    names: NetworkNames


class Driver(Protocol):
    """`overhead`: bytes that it puts around each packet. `tools`: what it needs on a node, beside ip, bridge and nft;
    one of each tuple. `keys`: nodes need a key of their own before they can take part."""

    name: str
    overhead: int
    tools: tuple[tuple[str, ...], ...]
    keys: bool

    def device(self, me: Member, setting: Setting) -> str:
        """By which packets to other nodes leave."""
        ...

    def source(self, me: Member, setting: Setting) -> str:
        """The node's own address as the others see it on this way."""
        ...

    def own(self, me: Member, setting: Setting) -> Iterator[Item]:
        """What a node needs before any other is known."""
        ...

    def peer(self, me: Member, peer: Member, blocks: Iterable[tuple[str, str]], setting: Setting) -> Iterator[Item]:
        """What leads to one other node, and to its `blocks` of IPv4 and of IPv6: (network, `A/LENGTH`)."""
        ...
