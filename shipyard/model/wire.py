"""What a node has for the cluster's network, in its kernel and beside it: as it should be, and as it was found.

The planner says it as `Item`s, each of which is one thing that can be missing or wrong by itself. What they come to in
commands, and how a node is asked for them, is in `runtime`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from shipyard.base.record import Struct
from shipyard.model.container import Pairs

ROUTE_PROTOCOL = 190
"""Of routes that are ours (`ip route … proto 190`): a number that neither the kernel nor any routing daemon uses."""
ACCEPT_MARK = 0x00200000
"""The bit of the packet mark by which our forward chain tells the runtime's that a packet may pass."""

REFUSE_MARK = 0x00400000
"""The bit by which our chains of iptables tell the one that can refuse a packet which one it should be."""
IPTABLES = "# iptables"
"""How rules begin that are for iptables-restore; the prefix of our chains comes after it. Others are for nft."""

ItemKind = Literal[
    "advertisement",
    "sysctl",
    "link",
    "address",
    "bridge",
    "bridge6",
    "ports",
    "forwarding",
    "neighbour",
    "route",
    "peer",
    "accept",
    "boot",
]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a node should have. `key`: what tells it from others of its kind; `value`: how it should be.

    | kind | key | value |
    |---|---|---|
    | sysctl | its name, dotted | its value |
    | link | device | `vxlan id N local A dstport N address MAC mtu N`, `wireguard port N mtu N` |
    | address | `DEVICE A/LENGTH` | "" |
    | bridge | full name of a runtime's network | of its bridge: `address MAC ip A/LENGTH mtu N` |
    | bridge6 | full name of a runtime's network | of its bridge: its address of IPv6, `A/LENGTH` |
    | ports | full name of a runtime's network | gateways, and who has to be on the bridge: `A A6 NAME A A6/LENGTH …` |
    | forwarding | `DEVICE MAC` | the peer's address |
    | neighbour | `DEVICE A` | MAC |
    | route | `A/LENGTH` | `via A dev DEVICE onlink src A`, in this order, what does not apply left out |
    | peer | `DEVICE PUBLIC-KEY` | `endpoint A:N allowed A/L,A/L` (sorted) |
    | accept | `forward`, of IPv6 `forward6` | the mark and its mask, `0x200000/0x200000` |
    | advertisement | `routers` | `heard`: what routers of IPv6 say holds, although the node forwards |
    | boot | `up` | sha256 of what brings all of this back after a boot |

    Addresses, neighbours, routes and what a peer is allowed are of IPv4 or of IPv6.

    No part of what is compared: `what`: for people, what it is (`route to node3's block of shop_default`); `device`:
    what a bridge is called, where the runtime lets itself be told.
    """

    kind: ItemKind
    key: str
    value: str = ""
    what: str = field(default="", compare=False)
    device: str = field(default="", compare=False)


class NetworkNames(Struct, frozen=True):
    """How this cluster's things are called on every node: short, and not the same for two clusters on one node."""

    table: str
    vxlan: str
    wireguard: str
    prefix: str

    @property
    def devices(self) -> tuple[str, ...]:
        return (self.vxlan, self.wireguard)


def names_of(cluster: str) -> NetworkNames:
    """`table`: of nftables, in the families ip, bridge and ip6. `prefix`: of bridges whose name is ours to choose."""
    short = hashlib.sha256(cluster.encode()).hexdigest()[:6]
    return NetworkNames(f"shipyard_{short}", f"sy{short}v", f"sy{short}w", f"sy{short}b")


class Expected(Struct, frozen=True):
    """By which a node can tell that its network is as it was left: it answers in detail only where one differs.

    Each is the sha256 of the node's own listing, as the store knows it from when all was found to be in order; "" where
    it is not known.
    """

    kernel: str = ""
    rules: str = ""


class WiringRequest(Struct, frozen=True):
    """What is wanted of a node about the cluster's network.

    `ranges`: of addresses that are ours (`A/LENGTH`): routes of our protocol into them are ours. `sysctls`: names to
    tell the values of. `connected`: names of (main) containers whose established connections are to be counted.
    `six`: the range of IPv6 that is ours, "" where nothing of IPv6 is asked.
    """

    expected: Expected = Expected()
    ranges: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    connected: tuple[str, ...] = ()
    six: str = ""


class LocalAddress(Struct, frozen=True):
    """An IPv4 address of a node's own, with its device, that one's MTU, and the length of its network."""

    address: str
    length: int
    device: str
    mtu: int


class ObservedWiring(Struct, frozen=True):
    """What a node says of the cluster's network. `kernel`, `rules`: sha256 of its listing of each.

    `loaded`: sha256 of the text of the rules that was loaded last, "" for none. `reverted`: why the node undid the last
    change by itself, "" where it did not. `files`: hosts files by the name of the replica's main container, with
    the sha256 of each, sorted. Two are told in detail only where their listing is not as expected (None where it is):

    `items`: what there is of ours, but for rules. `altered`: lines of the rules that are not as they were when they
    were loaded (`-` before what is gone, `+` before what was added).

    `ports`: of each network's bridge, how many of the devices on it pass packets on, as (network, count).

    `addresses`: the node's own, those of ours and of the runtimes' bridges left out. `routes`: IPv4 destinations that
    are not ours, but for default routes, with what `ip route` says of them. `listening`: `tcp/80`, sorted.
    `tools`: which of those that a cluster's network needs are there (`ip`, `bridge`, `nft`, `iptables`, `ebtables`,
    `conntrack`, `wg`, `wireguard` for the kernel's, `wireguard-go`, `ipv6` where the kernel has it on).
    `public_key`: WireGuard's, "" before it was made.
    `privileged`: whether the user may change all this. `bridge_filter`: net.bridge.bridge-nf-call-iptables is on.

    Only where it was asked for: `links`: the link-local address of each device of the node's own, as (device, address).
    `routes6`: as `routes`, of IPv6.
    """

    kernel: str = ""
    rules: str = ""
    loaded: str = ""
    reverted: str = ""
    items: tuple[Item, ...] | None = None
    altered: tuple[str, ...] | None = None
    files: Pairs = ()
    ports: tuple[tuple[str, int], ...] = ()
    addresses: tuple[LocalAddress, ...] = ()
    routes: Pairs = ()
    listening: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    public_key: str = ""
    privileged: bool = True
    bridge_filter: bool = False
    links: Pairs = ()
    routes6: Pairs = ()


class HostsFile(Struct, frozen=True):
    """The hosts file of one replica: `lines` of its own, after those of the set that it shares with others.

    `container`: the name of its (main) container, by which the file is called.
    """

    container: str
    shared: int
    lines: tuple[str, ...] = ()
