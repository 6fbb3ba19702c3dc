"""The rules of the cluster's network on one node, as text for `nft -f`: service addresses, ports, and who may pass.

One table holds all of it and is replaced in one transaction. What is the same on all nodes is made once. Names of
chains begin with `sy_`, since nft takes some words for its own.

A packet that is on its way through the rules while they are replaced may still meet half of them: a chain is read as it
was when it was entered, but a map that the chain then asks is the new one, or has nothing in it any more. So nothing is
refused, nor let pass, because something was not found: what may be such a packet is dropped, and is sent once more.

- **Service addresses** are translated to one of the replicas that are ready, in the kernel, before anything is routed.
  How many services there are makes no difference: they are looked up in a map.
- **Ports** of the node are translated likewise, for packets to any of its own addresses.
- **Sources are kept** within the cluster. Only where client and replica share a bridge does the answer have to come
  back through us, so there the node takes the client's place; and for clients outside whose replica is on another node.
- **Isolation**: what is forwarded from or to the cluster's addresses passes where both ends are on one network. A mark
  tells the runtime's own rules of it, which would drop it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from shipyard.base.record import Struct, replace
from shipyard.model.wire import ACCEPT_MARK
from shipyard.planner.network import matching

AFFINITY_SLOTS = 251
"""Shares of clients, given to replicas where a client is to stay with one: many for each of a few."""
AFFINITY_SEED = 0x5079
"""By which clients are shared out. Without one the kernel draws its own, another on each node and each time that rules
are loaded."""


class Backends(Struct, frozen=True):
    """Where a service's address leads to. `ports`: (protocol, port of the address, port of the container)."""

    address: str
    replicas: tuple[str, ...]
    affinity: bool = False
    ports: tuple[tuple[str, int, int], ...] = ()


class NodePort(Struct, frozen=True):
    """A port of the nodes. `only`: addresses and networks of the node on which it answers, () for all.

    `owner`: whose it is, STACK/SERVICE; it is not in the rules.
    """

    protocol: str
    port: int
    target: int
    replicas: tuple[str, ...]
    affinity: bool = False
    only: tuple[str, ...] = ()
    owner: str = ""


class Guard(Struct, frozen=True):
    """Who may connect to a service. `replicas`: its addresses. `allowed`: (addresses, ports), each () for all.

    `macs`: hardware addresses that its containers may have.
    """

    replicas: tuple[str, ...]
    allowed: tuple[tuple[tuple[str, ...] | None, tuple[tuple[str, int], ...]], ...]
    macs: tuple[str, ...] = ()


class Network(Struct, frozen=True):
    """A network's blocks on all nodes. `internal`: no way out."""

    name: str
    blocks: tuple[str, ...]
    internal: bool = False


class Beside(Struct, frozen=True):
    """`addresses` on a network belong to containers that are on another one, too, and may connect to what is there."""

    network: str
    other: str
    addresses: tuple[str, ...]


class Crossing(Struct, frozen=True):
    """What goes to these blocks, of other nodes, and from which address: of the same container, by the one it has.

    Between networks of different drivers: each goes by a device of its own, and so must what answers.
    """

    blocks: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]


class Tunnel(Struct, frozen=True):
    """How nodes talk by VXLAN: its port and identity, and the addresses that they have for each other, sorted."""

    port: int
    identity: int
    nodes: tuple[str, ...]


class Common(Struct, frozen=True):
    """What a node's rules have in common with those of others. `peers`: addresses that nodes answer from (routed).

    `six`: text for the nodes that are on networks with IPv6. `besides`: of containers on several networks. `tunnel`:
    None where no network goes by VXLAN.
    """

    table: str
    containers: str
    services: str
    tunnels: str
    networks: tuple[Network, ...]
    backends: tuple[Backends, ...]
    guards: tuple[Guard, ...] = ()
    peers: tuple[str, ...] = ()
    six: str = ""
    besides: tuple[Beside, ...] = ()
    tunnel: Tunnel | None = None


class Own(Struct, frozen=True):
    """What is this node's alone. `blocks`: of its own; `devices`: by which packets go to other nodes.

    `six`: it is on a network with IPv6. `crossings`: of its containers, from network to network.
    """

    ports: tuple[NodePort, ...]
    blocks: tuple[str, ...]
    devices: tuple[str, ...]
    six: bool = False
    crossings: tuple[Crossing, ...] = ()


def text(common: Mapping[str, str], own: Own) -> str:
    """The whole text, from what `shared` made and what is the node's own."""
    ports = _ports(own.ports)
    return (
        common["head"]
        + common["backends"]
        + ports
        + common["besides"]
        + common["translate"]
        + "".join(_postrouting(own, common["range"]))
        + common["filter"]
        + "}\n"
        + common["bridge"]
        + (common["six"] if own.six else "")
    )


def shape(common: Mapping[str, str], own: Own) -> str:
    """Digest of all but the replicas: while it stays, a change of the rules can lock nobody out."""
    ports = [replace(port, replicas=()) for port in own.ports]
    said = (common["head"], common["addresses"], common["filter"], common["bridge"], repr(ports), repr(own.blocks))
    beside = (common["six"],) if own.six else ()
    return hashlib.sha256("\n".join((*said, repr(own.devices), *beside)).encode()).hexdigest()


def shared(common: Common) -> dict[str, str]:
    """The pieces of text that many nodes have in common."""
    table = common.table
    return {
        "range": common.containers,
        "head": (
            f"table ip {table}\ndelete table ip {table}\ntable bridge {table}\ndelete table bridge {table}\n"
            f"table ip {table} {{\n"
        ),
        "backends": "".join(_backends(common.backends)),
        "addresses": repr([(each.address, each.ports, each.affinity) for each in common.backends]),
        "besides": "".join(_besides(common)),
        "translate": "".join(_translate(common)),
        "filter": "".join(_filter(common)),
        "bridge": "".join(_bridge(common)),
        "six": common.six,
    }


def _chain(kind: str, *words: str) -> str:
    """A chain's name: of what it is for, so that the same chain is called the same on every node and in every pass."""
    return f"sy_{kind}_" + "_".join(word.replace(".", "_").replace("/", "_").replace(":", "_") for word in words)


def _live(name: str, kind: str, entries: Sequence[str]) -> str:
    """A set of what is translated: what of it comes by as it was sent met half of the rules."""
    elements = f" elements = {{ {', '.join(entries)} }};" if entries else ""
    return f"  set {name} {{ type {kind};{elements} }}\n"


def _map(name: str, kind: str, entries: Sequence[str]) -> str:
    elements = f" elements = {{ {', '.join(entries)} }};" if entries else ""
    return (
        f"  map {name} {{ type {kind}; flags interval;{elements} }}\n"
        if "interval" in kind
        else (f"  map {name} {{ type {kind};{elements} }}\n")
    )


def choice(replicas: Sequence[str], affinity: bool) -> str:
    """An expression of nft that is the address of one of the replicas."""
    if len(replicas) == 1:
        return replicas[0]
    if affinity:
        slots = ", ".join(f"{index} : {address}" for index, address in enumerate(_slots(tuple(replicas))))
        return f"jhash ip saddr mod {AFFINITY_SLOTS} seed {AFFINITY_SEED:#x} map {{ {slots} }}"
    entries = ", ".join(f"{index} : {address}" for index, address in enumerate(replicas))
    return f"numgen random mod {len(replicas)} map {{ {entries} }}"


def _slots(replicas: tuple[str, ...]) -> list[str]:
    """Which replica each share of the clients has: the one that draws the highest lot for it.

    So a replica that comes or goes moves only its own shares, and all nodes agree without asking each other.
    """
    return [
        max(replicas, key=lambda address: hashlib.blake2b(f"{index} {address}".encode(), digest_size=8).digest())
        for index in range(AFFINITY_SLOTS)
    ]


def _backends(backends: Sequence[Backends]) -> Iterator[str]:
    addresses, ports = [], []
    for each in backends:
        if not each.replicas:
            continue
        chosen = choice(each.replicas, each.affinity)
        chain = _chain("to", each.address)
        yield f"  chain {chain} {{ dnat to {chosen}; }}\n"
        addresses.append(f"{each.address} : goto {chain}")
        for protocol, port, target in each.ports:
            chain = _chain("to", each.address, protocol, str(port))
            yield f"  chain {chain} {{ meta l4proto {protocol} dnat to {chosen}:{target}; }}\n"
            ports.append(f"{each.address} . {protocol} . {port} : goto {chain}")
    yield _live("sy_answered", "ipv4_addr", [each.address for each in backends if each.replicas])
    yield _map("sy_addresses", "ipv4_addr : verdict", addresses)
    yield _map("sy_address_ports", "ipv4_addr . inet_proto . inet_service : verdict", ports)


def _ports(ports: Sequence[NodePort]) -> str:
    """Several services may have one port, each on addresses of its own."""
    ways: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for each in ports:
        if each.replicas:
            to = f"{choice(each.replicas, each.affinity)}:{each.target}"
            verdict = f"meta l4proto {each.protocol} dnat to {to};"
        elif unanswered(each):
            verdict = "drop;"
        else:
            continue
        there = matching.within("ip daddr", each.only) if each.only else [""]
        ways[each.protocol, each.port] += [f"{where} {verdict}".lstrip() for where in there]
    chains = {key: _chain("port", key[0], str(key[1])) for key in ways}
    entries = [f"{protocol} . {port} : goto {chain}" for (protocol, port), chain in chains.items()]
    text = "".join(f"  chain {chain} {{ {' '.join(ways[key])} }}\n" for key, chain in chains.items())
    led = dict.fromkeys(f"{each.protocol} . {each.port}" for each in ports if each.replicas and not each.only)
    live = _live("sy_led", "inet_proto . inet_service", tuple(led))
    return text + live + _map("sy_ports", "inet_proto . inet_service : verdict", entries)


def unanswered(port: NodePort) -> bool:
    """Whether what comes to a port has to be dropped while no replica is ready.

    A datagram that got past would make an entry of a connection to the node itself, which every later one of the same
    client renews: none of them would ever come to the replica that is ready by then.
    """
    return port.protocol == "udp" and not port.replicas


def _translate(common: Common) -> Iterator[str]:
    yield (
        "  chain sy_translate {\n"
        "    ip daddr . meta l4proto . th dport vmap @sy_address_ports\n"
        "    ip daddr vmap @sy_addresses\n"
        "    fib daddr type local meta l4proto . th dport vmap @sy_ports\n"
        "  }\n"
    )
    # before the runtimes' own chains; `dstnat` is no name of a priority in the output hook
    yield "  chain sy_prerouting { type nat hook prerouting priority dstnat - 10; policy accept; jump sy_translate; }\n"
    yield "  chain sy_output { type nat hook output priority -110; policy accept; jump sy_translate; }\n"
    # a node's own services stay its own, although packets to 127.0.0.0/8 may be routed for the sake of its ports
    untracked = f"{_ours(common.tunnel)} notrack; " if common.tunnel is not None else ""
    yield (
        "  chain sy_raw { type filter hook prerouting priority raw; policy accept; "
        f'ip daddr 127.0.0.0/8 iifname != "lo" drop; {untracked}}}\n'
    )
    if untracked:
        # what is inside has a connection of its own; one more around it would be looked up for each packet
        yield f"  chain sy_raw_out {{ type filter hook output priority raw; policy accept; {untracked}}}\n"


def _postrouting(own: Own, within: str) -> Iterator[str]:
    yield "  chain sy_postrouting { type nat hook postrouting priority srcnat - 1; policy accept;\n"
    for mine in matching.within("ip saddr", own.blocks):
        for there in matching.within("ip daddr", own.blocks):
            yield f"    ct status dnat {mine} {there} masquerade\n"
    if own.devices:
        away = f"oifname {_set(own.devices, quoted=True)}"
        yield f"    ct status dnat ip saddr != {within} ip daddr {within} {away} masquerade\n"
    yield f"    ip saddr 127.0.0.0/8 ip daddr {within} masquerade\n"
    for each in own.crossings:
        sources = ", ".join(f"{address} : {source}" for address, source in each.sources)
        for there in matching.within("ip daddr", each.blocks):
            yield f"    {there} snat to ip saddr map {{ {sources} }}\n"
            yield f"    {there} ip saddr {_set([address for address, _ in each.sources])} drop\n"
    yield f"    ip saddr {within} ip daddr {within} snat to ip saddr\n"
    yield "  }\n"


def _set(words: Sequence[str], *, quoted: bool = False) -> str:
    said = [f'"{word}"' if quoted else word for word in words]
    return said[0] if len(said) == 1 else "{ " + ", ".join(said) + " }"


def _pair(common: Common, beside: Beside) -> tuple[int, int] | None:
    """The numbers of the two networks, where both have blocks."""
    numbers = {network.name: number for number, network in enumerate(common.networks)}
    pair = (numbers.get(beside.network), numbers.get(beside.other))
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])


def crossing(common: Common) -> dict[int, dict[int, tuple[str, ...]]]:
    """By the numbers of two networks: the addresses on the first that may connect to the second."""
    found: dict[int, dict[int, tuple[str, ...]]] = {}
    for each in common.besides:
        if pair := _pair(common, each):
            found.setdefault(pair[0], {})[pair[1]] = each.addresses
    return found


def _besides(common: Common) -> Iterator[str]:
    """Sets of their own, which come and go with replicas: what asks them stays."""
    for network, others in crossing(common).items():
        for other, addresses in others.items():
            elements = f" elements = {{ {', '.join(addresses)} }};" if addresses else ""
            yield f"  set sy_beside_{network}_{other} {{ type ipv4_addr;{elements} }}\n"


def _filter(common: Common) -> Iterator[str]:
    within, services = common.containers, common.services
    guarded = any(common.guards)
    if guarded:
        yield from _guards(common.guards, _REFUSE)
    yield f"  chain sy_pass {{ meta mark set meta mark | {ACCEPT_MARK:#x} accept; }}\n"
    both = crossing(common)
    for number, network in enumerate(common.networks):
        ways = matching.within("ip daddr", network.blocks)
        for other in both.get(number, ()):
            there = matching.within("ip daddr", common.networks[other].blocks)
            ways += [f"{way} ip saddr @sy_beside_{number}_{other}" for way in there]
        yield f"  chain sy_net_{number} {{ "
        for way in ways:
            yield f"{way} jump sy_guard; {way} goto sy_pass; " if guarded else f"{way} goto sy_pass; "
        yield f"{_REFUSE}; }}\n"
    sources = [(block, f"goto sy_net_{number}") for number, each in enumerate(common.networks) for block in each.blocks]
    yield f"  chain sy_refuse {{ {_REFUSE}; }}\n  chain sy_within {{\n"
    yield from (f"    {rule}\n" for rule in matching.verdicts("ip saddr", sources))
    yield f"    ip saddr {common.tunnels} goto sy_pass\n{whole('goto sy_refuse')}  }}\n"
    yield "  chain sy_into {\n    ct state established,related goto sy_pass\n    ct status dnat goto sy_pass\n"
    if common.peers:
        yield f"    ip saddr {_set(common.peers)} goto sy_pass\n"
    yield "    drop\n  }\n"
    internal = [block for network in common.networks if network.internal for block in network.blocks]
    yield "  chain sy_forward { type filter hook forward priority filter - 1; policy accept;\n"
    # nearly all packets, and nothing below is about them
    yield f"    ct state established,related ip saddr {within} ip daddr {within} goto sy_pass\n"
    if common.tunnel is not None:
        yield f"    {_tunnelled(common.tunnel)} drop\n"
    # an address that is not to be answered where this came from is not the sender's own
    yield f"    ip saddr {within} ct state new fib saddr . iif oif missing drop\n"
    yield f"    {_MISSED} ip daddr @sy_answered drop\n{_refused(services)}"
    yield f"    ip saddr {within} ip daddr {within} goto sy_within\n"
    yield f"    ip daddr {within} goto sy_into\n"
    # answers to clients outside, which the runtime knows nothing of where the replica is on another node
    yield f"    ip saddr {within} ct state established,related goto sy_pass\n"
    yield from (f"    {inside} ct state new drop\n" for inside in matching.within("ip saddr", internal))
    yield "  }\n"
    # the node's own connections to a service of which nothing is ready
    yield "  chain sy_local { type filter hook output priority filter - 1; policy accept;\n"
    yield f"    {_MISSED} ip daddr @sy_answered drop\n{_refused(services)}  }}\n"
    # a port that leads to replicas is nobody's on the node itself
    yield (
        "  chain sy_missed { type filter hook input priority filter - 1; policy accept; "
        f"{_MISSED} fib daddr type local meta l4proto . th dport @sy_led drop; }}\n"
    )
    if common.tunnel is not None:
        yield from _arriving(common.tunnel)


def _tunnelled(tunnel: Tunnel) -> str:
    """What nobody but a node itself may send to a node: it would come out on any network, from whomever it says."""
    return f"ip daddr {_set(tunnel.nodes)} udp dport {tunnel.port}"


def _ours(tunnel: Tunnel) -> str:
    """This cluster's VXLAN, and nobody else's on the same port."""
    return f"udp dport {tunnel.port} @th,96,24 {tunnel.identity:#x}"


def _arriving(tunnel: Tunnel) -> Iterator[str]:
    ours = _ours(tunnel)
    yield "  chain sy_arriving { type filter hook input priority filter - 1; policy accept;\n"
    yield f"    {ours} ip saddr != {_set(tunnel.nodes)} drop\n"
    yield f"    {ours} fib saddr . iif oif missing drop\n  }}\n"


_REFUSE = "reject with icmp type admin-prohibited"
"""Whoever may not connect is told so, instead of waiting for nothing."""


_MISSED = "ct status & confirmed == 0"
"""Of what belongs to no connection yet: what began one before there were such rules is not led anywhere by them."""


def _refused(services: str) -> str:
    """Of services of which nothing is ready. A reset is heard at once. What ICMP says while the kernel is still busy
    with `connect`, as where the client is on this node, is heard when it tries again, a second later.
    """
    return f"    ip daddr {services} meta l4proto tcp reject with tcp reset\n    ip daddr {services} reject\n"


def whole(verdict: str) -> str:
    """Rules for what was not found in a map: the verdict, if maps are as they were when this chain was entered."""
    return f"    meta protocol vmap {{ ip : {verdict}, ip6 : {verdict} }}\n    drop\n"


def _guards(guards: Sequence[Guard], otherwise: str) -> Iterator[str]:
    entries = []
    for number, guard in enumerate(guards):
        if not guard.replicas:
            continue
        yield f"  chain sy_guard_{number} {{\n"
        yield from _allowed(guard)
        yield f"    {otherwise}\n  }}\n"
        entries += [f"{address} : goto sy_guard_{number}" for address in guard.replicas]
    yield "  chain sy_guard {\n"
    if entries:
        yield f"    ip daddr vmap {{ {', '.join(entries)} }}\n{whole('return')}"
    yield "  }\n"


def _allowed(guard: Guard) -> Iterator[str]:
    for addresses, ports in guard.allowed:
        if addresses is not None and not addresses:
            continue
        source = "" if addresses is None else f"ip saddr {_set(addresses)} "
        by_protocol: defaultdict[str, list[str]] = defaultdict(list)
        for protocol, port in ports:
            by_protocol[protocol].append(str(port))
        for protocol, numbers in sorted(by_protocol.items()):
            yield f"    {source}{protocol} dport {_set(numbers)} return\n"
        if not ports:
            yield f"    {source}return\n"


def _bridge(common: Common) -> Iterator[str]:
    """Between containers on one bridge nothing is routed: there only the bridge can say who may connect."""
    if not any(guard.replicas for guard in common.guards):
        return
    yield f"table bridge {common.table} {{\n"
    yield from _guards(common.guards, "drop")
    yield (
        "  chain sy_forward { type filter hook forward priority filter; policy accept;\n"
        # few kernels know connections here: what begins one is a SYN, or goes to no port for answers
        "    tcp flags & (syn | ack) == syn jump sy_guard\n"
        "    udp dport < 32768 jump sy_guard\n"
    )
    # podman's containers have an address of IPv6 for their link that nobody gave them: none of it is theirs to serve by
    if macs := sorted({mac for guard in common.guards for mac in guard.macs}):
        there = f"ip6 daddr fe80::/10 ether daddr {_set(macs)}"
        yield f"    {there} tcp flags & (syn | ack) == syn drop\n    {there} udp dport < 32768 drop\n"
    yield "  }\n}\n"
