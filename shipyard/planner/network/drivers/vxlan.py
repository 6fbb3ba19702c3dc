"""VXLAN: packets travel between the nodes inside UDP, whatever lies between them. Nobody learns and nobody asks.

Where each node and each block is stands in static entries, so that no packet is ever flooded; the ageing of entries and
ARP between the nodes can't go wrong. The tunnel address of a node makes its device's hardware address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from shipyard.model.wire import Item, NetworkNames
from shipyard.planner.network.book import mac_of, tunnel_of
from shipyard.planner.network.drivers.driver import Member, Setting
from shipyard.planner.network.six import is_six, tunnel_beside


def identity_of(names: NetworkNames) -> int:
    """24 bits; two clusters whose nodes are the same machines must not meet."""
    return int(hashlib.sha256(names.table.encode()).hexdigest()[:6], 16) or 1


class Vxlan:
    name = "vxlan"
    overhead = 50
    tools: tuple[tuple[str, ...], ...] = ()
    keys = False

    def device(self, me: Member, setting: Setting) -> str:
        return setting.names.vxlan

    def source(self, me: Member, setting: Setting) -> str:
        return tunnel_of(setting.ranges, me.number)

    def own(self, me: Member, setting: Setting) -> Iterator[Item]:
        device, tunnel = self.device(me, setting), self.source(me, setting)
        identity = identity_of(setting.names)
        yield Item(
            "link",
            device,
            f"vxlan id {identity} local {me.address} dstport {setting.ranges.vxlan_port} "
            f"address {mac_of(tunnel)} mtu {me.mtu - self.overhead}",
            f"device {device}, which leads to the other nodes,",
        )
        yield Item("address", f"{device} {tunnel}/32", "", f"this node's address on {device}")

    def peer(self, me: Member, peer: Member, blocks: Iterable[tuple[str, str]], setting: Setting) -> Iterator[Item]:
        device, tunnel = self.device(me, setting), self.source(peer, setting)
        mac = mac_of(tunnel)
        yield Item("forwarding", f"{device} {mac}", peer.address, f"forwarding entry for {peer.node}")
        yield Item("neighbour", f"{device} {tunnel}", mac, f"neighbour entry for {peer.node}")
        yield Item("route", f"{tunnel}/32", f"dev {device}", f"route to {peer.node}")
        beside = tunnel_beside(setting.ranges, peer.number)
        for network, block in blocks:
            family, there = ("IPv6 ", beside) if is_six(block) else ("", tunnel)
            what = f"route to {peer.node}'s {family}block of {network}"
            yield Item("route", block, f"via {there} dev {device} onlink", what)
            if is_six(block):
                yield Item("neighbour", f"{device} {beside}", mac, f"IPv6 neighbour entry for {peer.node}")
                yield Item("route", f"{beside}/128", f"dev {device}", f"IPv6 route to {peer.node}")


VXLAN = Vxlan()
