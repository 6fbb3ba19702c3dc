"""Who reaches whom by a node's rules: nft's and iptables' say the same, and what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.planner.network import rules, tables
from shipyard.planner.network.rules import Backends, Beside, Common, Guard, Network, NodePort, Own, Tunnel
from tests.examples import examples
from tests.packets import Iptables, Nft, Packet, reached, within

CONTAINERS, SERVICES, TUNNELS = "10.208.0.0/12", "10.224.0.0/16", "10.208.0.0/16"
HERE, PEER, OUTSIDE = "192.0.2.1", "192.0.2.2", "198.51.100.9"
BLOCKS = ("10.209.0.0/26", "10.209.0.64/26", "10.209.0.128/26", "10.209.0.192/26")
BOXES = tuple(str(IPv4Network(block)[host]) for block in BLOCKS for host in (2, 3, 4))
PORTS = (("tcp", 80), ("tcp", 8080), ("udp", 53))
TRIED = (*PORTS, ("tcp", 8000), ("udp", 4789))


def _some(among: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(among), unique=True, max_size=3).map(lambda found: tuple(sorted(found)))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Common, Own]:
    split = draw(st.integers(1, 3))
    networks = (
        Network("a", BLOCKS[:split], internal=draw(st.booleans())),
        Network("b", BLOCKS[split:], internal=draw(st.booleans())),
    )
    guards, free = [], list(BOXES)
    for _ in range(draw(st.integers(0, 2))):
        mine = draw(_some(tuple(free)))
        free = [each for each in free if each not in mine]
        entry = st.tuples(
            st.none() | _some(BOXES), st.lists(st.sampled_from(PORTS), unique=True, max_size=2).map(tuple)
        )
        guards.append(Guard(mine, tuple(draw(st.lists(entry, max_size=2)))))
    backends = tuple(
        Backends(f"10.224.0.{number}", draw(_some(BOXES)), False, (("tcp", 80, 8080),))
        for number in range(1, draw(st.integers(1, 3)))
    )
    only = draw(st.sampled_from([(), (HERE,), ("203.0.113.0/24",)]))
    published = (NodePort("tcp", 8000, 8080, draw(_some(BOXES)), False, only),)
    peers = draw(st.sampled_from([(), (PEER,)]))
    first, second = (tuple(box for box in BOXES if _home(networks, box) is net) for net in networks)
    both = (Beside("a", "b", draw(_some(first))), Beside("b", "a", draw(_some(second))))
    common = Common(
        table="shipyard_ab12cd",
        containers=CONTAINERS,
        services=SERVICES,
        tunnels=TUNNELS,
        networks=networks,
        backends=backends,
        guards=tuple(guards),
        peers=peers,
        besides=draw(st.sampled_from([(), both])),
        tunnel=draw(st.sampled_from([None, Tunnel(4789, 7, (HERE, PEER))])),
    )
    return common, Own(published, draw(_some(BLOCKS)), ("sy0v",))


def _home(networks: Sequence[Network], box: str) -> Network | None:
    return next((net for net in networks for block in net.blocks if within(box, block)), None)


def _expected(common: Common, own: Own, packet: Packet) -> set[tuple[str, int]]:
    """As docs/networking.md has it."""
    ends = {(packet.destination, packet.port)}
    for each in common.backends:
        if each.address == packet.destination:
            ports = {port: target for protocol, port, target in each.ports if protocol == packet.protocol}
            ends = {(replica, ports.get(packet.port, packet.port)) for replica in each.replicas}
    for port in own.ports:
        here = packet.destination in packet.local
        only = not port.only or any(within(packet.destination, each) for each in port.only)
        if here and only and (port.protocol, port.port) == (packet.protocol, packet.port) and port.replicas:
            ends = {(replica, port.target) for replica in port.replicas}
    return {
        ("node" if address in packet.local else address, port)
        for address, port in ends
        if address in packet.local or _may(common, packet, address, port)
    }


def _may(common: Common, packet: Packet, address: str, port: int) -> bool:
    source, there = _home(common.networks, packet.source), _home(common.networks, address)
    if packet.came_by() == "elsewhere" and within(packet.source, CONTAINERS):
        return False
    if common.tunnel is not None and (packet.protocol, port) == ("udp", 4789) and address in common.tunnel.nodes:
        return False
    if within(address, SERVICES):
        return False
    if there is None:
        return source is None or not source.internal
    if source is None:
        return within(packet.source, TUNNELS) or packet.source in common.peers or packet.destination != address
    also = {each.other for each in common.besides if packet.source in each.addresses}
    if source is not there and there.name not in also:
        return False
    return all(
        any(
            (clients is None or packet.source in clients) and (not ports or (packet.protocol, port) in ports)
            for clients, ports in guard.allowed
        )
        for guard in common.guards
        if address in guard.replicas
    )


@pytest.mark.thorough
@settings(max_examples=examples(20, 200), deadline=None)
@given(situations())
def test_nft_and_iptables_let_pass_the_same_and_only_what_may(situation: tuple[Common, Own]) -> None:
    common, own = situation
    nft = Nft(rules.text(rules.shared(common), own))
    iptables = Iptables(tables.text(common, own))
    for source in (*BOXES[::2], "10.208.0.7", PEER, OUTSIDE):
        for destination in (*BOXES, *(each.address for each in common.backends), "10.224.9.9", HERE, PEER, OUTSIDE):
            if source == destination:
                continue
            for protocol, port in TRIED:
                packet = Packet(source, destination, protocol, port, frozenset({HERE}), own.blocks)
                wanted = _expected(common, own, packet)
                assert reached(nft, packet) == wanted, f"nft: {packet}"
                assert reached(iptables, packet) == wanted, f"iptables: {packet}"


@settings(max_examples=20, deadline=None)
@given(situations())
def test_nobody_gets_anywhere_by_an_address_of_another_node(situation: tuple[Common, Own]) -> None:
    common, own = situation
    for source in (*BOXES, "10.208.0.7"):
        packet = Packet(source, BOXES[3], "tcp", 80, frozenset({HERE}), own.blocks, device="elsewhere")
        if packet.came_by() == "elsewhere" and not packet.by_bridge():
            assert not reached(Nft(rules.text(rules.shared(common), own)), packet)
            assert not reached(Iptables(tables.text(common, own)), packet)
