"""Plain routes, for nodes on one segment: nothing is put around a packet, and nothing is faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shipyard.model.wire import Item
from shipyard.planner.network.drivers.driver import Member, Setting
from shipyard.planner.network.six import is_six


class Routed:
    name = "routed"
    overhead = 0
    tools: tuple[tuple[str, ...], ...] = ()
    keys = False

    def device(self, me: Member, setting: Setting) -> str:
        return me.device

    def source(self, me: Member, setting: Setting) -> str:
        return me.address

    def own(self, me: Member, setting: Setting) -> Iterator[Item]:
        return iter(())

    def peer(self, me: Member, peer: Member, blocks: Iterable[tuple[str, str]], setting: Setting) -> Iterator[Item]:
        for network, block in blocks:
            if not is_six(block):
                what = f"route to {peer.node}'s block of {network}"
                yield Item("route", block, f"via {peer.address} dev {me.device}", what)
            elif peer.link:
                what = f"route to {peer.node}'s IPv6 block of {network}"
                yield Item("route", block, f"via {peer.link} dev {me.device}", what)


ROUTED = Routed()
