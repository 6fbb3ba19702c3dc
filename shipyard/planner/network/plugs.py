"""Who has to be on a bridge: a running container whose device is off it is reached by nobody, and looks well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shipyard.model.observed import ContainerState, ObservedNode
from shipyard.model.wire import Item
from shipyard.planner.network import six
from shipyard.planner.network.book import gateway_of, parsed
from shipyard.planner.network.mesh import Mesh, bridge_name


def loose(state: Mesh, seen: ObservedNode, bridges: Sequence[str]) -> Iterator[Item]:
    """One for each bridge on which fewer devices pass packets on than containers should; `what` says so.

    `bridges`: networks that are made on the node.
    """
    for network in bridges:
        there = _on(state, seen, network)
        passing = _passing(seen, network)
        if passing is not None and passing < len(there):
            words = " ".join((*_gateways(state, network, seen.name), *(word for box in there for word in box)))
            what = f"{len(there) - passing} of {len(there)} cut off the bridge of {network}"
            yield Item("ports", network, words, what, bridge_name(state.names, network))


YOUNG = 2.0
"""Seconds after its start for which a container is not expected on its bridge: one that ends as soon as it has begun is
gone from there before the look at the node is over."""


def _passing(seen: ObservedNode, network: str) -> int | None:
    """None where it is not known: a node that was not looked at closely does not say that a bridge is missing."""
    wiring = seen.wiring
    if wiring is None or network in dict(wiring.ports):
        return None if wiring is None else dict(wiring.ports)[network]
    missing = wiring.items is not None and ("bridge", network) not in {(each.kind, each.key) for each in wiring.items}
    return 0 if missing else None


def _gateways(state: Mesh, network: str, node: str) -> tuple[str, str]:
    gateway = gateway_of(state.blocks[network][node])
    return gateway, six.address_of(state.ranges, gateway) if network in state.dual else "-"


def _on(state: Mesh, seen: ObservedNode, network: str) -> list[tuple[str, str, str]]:
    length = six.BITS_BEFORE + parsed(state.blocks[network][seen.name]).prefixlen
    return sorted(
        (box.name, there.ipv4_address, f"{there.ipv6_address}/{length}" if there.ipv6_address else "-")
        for box in seen.containers
        if box.state in (ContainerState.RUNNING, ContainerState.PAUSED) and (box.age or 0.0) >= YOUNG
        for there in box.networks
        if there.network == network and there.ipv4_address
    )
