"""WireGuard: encrypted between the nodes. Private keys are made on the nodes and stay there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shipyard.model.wire import Item
from shipyard.planner.network.book import tunnel_of
from shipyard.planner.network.drivers.driver import Member, Setting
from shipyard.planner.network.six import is_six, tunnel_beside


class Wireguard:
    name = "wireguard"
    overhead = 80
    tools: tuple[tuple[str, ...], ...] = (("wg",), ("wireguard", "wireguard-go"))
    keys = True

    def device(self, me: Member, setting: Setting) -> str:
        return setting.names.wireguard

    def source(self, me: Member, setting: Setting) -> str:
        return tunnel_of(setting.ranges, me.number, second=True)

    def own(self, me: Member, setting: Setting) -> Iterator[Item]:
        device = self.device(me, setting)
        value = f"wireguard port {setting.ranges.wireguard_port} mtu {me.mtu - self.overhead}"
        yield Item("link", device, value, f"device {device}, which leads to the other nodes,")
        yield Item("address", f"{device} {self.source(me, setting)}/32", "", f"this node's address on {device}")

    def peer(self, me: Member, peer: Member, blocks: Iterable[tuple[str, str]], setting: Setting) -> Iterator[Item]:
        if not peer.public_key:
            return  # it has not made its key yet; the next pass knows it
        device, tunnel = self.device(me, setting), self.source(peer, setting)
        known = list(blocks)
        beside = f"{tunnel_beside(setting.ranges, peer.number, second=True)}/128"
        own = [f"{tunnel}/32", *([beside] if any(is_six(block) for _, block in known) else [])]
        allowed = ",".join(sorted([*own, *(block for _, block in known)]))
        value = f"endpoint {peer.address}:{setting.ranges.wireguard_port} allowed {allowed}"
        yield Item("peer", f"{device} {peer.public_key}", value, f"{peer.node} as a peer")
        yield Item("route", f"{tunnel}/32", f"dev {device}", f"route to {peer.node}")
        for network, block in known:
            family = "IPv6 " if is_six(block) else ""
            yield Item("route", block, f"dev {device}", f"route to {peer.node}'s {family}block of {network}")
        if beside in own:
            yield Item("route", beside, f"dev {device}", f"IPv6 route to {peer.node}")


WIREGUARD = Wireguard()
