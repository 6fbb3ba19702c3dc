"""The rules of IPv6, beside those of `rules`: networks are kept apart and sources kept as with IPv4, and as strictly.

Services' addresses and nodes' ports are of IPv4 alone, so nothing is translated here. What only IPv6
has: neighbours are found by ICMP, which bridges may show to the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shipyard.base.record import Struct, replace
from shipyard.model.situation import Ranges
from shipyard.model.wire import ACCEPT_MARK
from shipyard.planner.network import matching, six
from shipyard.planner.network.rules import Guard, Network, whole

_REFUSE = "reject with icmpv6 type admin-prohibited"


class Beside(Struct, frozen=True):
    """What of it all nodes have in common. `networks`: those with IPv6, their blocks as IPv4 has them."""

    table: str
    ranges: Ranges
    networks: tuple[Network, ...]
    guards: tuple[Guard, ...] = ()


def text(common: Beside) -> str:
    """For `nft -f`, after the rules of IPv4, whose tables are there already; "" where no network has IPv6."""
    if not common.networks:
        return ""
    guards = tuple(_beside(common.ranges, guard) for guard in common.guards)
    return "".join((*_table(common, guards), *_bridge(common, guards)))


def _beside(ranges: Ranges, guard: Guard) -> Guard:
    """The same, by the addresses of IPv6. Some are of networks without it, where nobody has them."""
    allowed = tuple(
        (None if addresses is None else tuple(six.address_of(ranges, each) for each in addresses), ports)
        for addresses, ports in guard.allowed
    )
    return replace(guard, replicas=tuple(six.address_of(ranges, each) for each in guard.replicas), allowed=allowed)


def _table(common: Beside, guards: Sequence[Guard]) -> Iterator[str]:
    within = common.ranges.containers6
    yield f"table ip6 {common.table}\ndelete table ip6 {common.table}\ntable ip6 {common.table} {{\n"
    if guards:
        yield from _guards(guards, _REFUSE)
    yield f"  chain sy_pass {{ meta mark set meta mark | {ACCEPT_MARK:#x} accept; }}\n"
    sources = []
    for number, network in enumerate(common.networks):
        own = [six.block_of(common.ranges, block) for block in network.blocks]
        yield f"  chain sy_net_{number} {{ "
        for way in matching.within("ip6 daddr", own):
            yield f"{way} jump sy_guard; {way} goto sy_pass; " if guards else f"{way} goto sy_pass; "
        yield f"{_REFUSE}; }}\n"
        sources += [(block, f"goto sy_net_{number}") for block in own]
    looked_up = "".join(f"    {rule}\n" for rule in matching.verdicts("ip6 saddr", sources))
    yield (
        f"  chain sy_refuse {{ {_REFUSE}; }}\n"
        "  chain sy_within {\n"
        "    ct state established,related goto sy_pass\n"
        # who has an address on the link: no router passes that on
        "    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } goto sy_pass\n"
        f"{looked_up}    ip6 saddr {six.tunnels_of(common.ranges)} goto sy_pass\n{whole('goto sy_refuse')}"
        "  }\n"
        "  chain sy_into {\n"
        "    ct state established,related goto sy_pass\n"
        "    ct status dnat goto sy_pass\n"
        "    drop\n"
        "  }\n"
        "  chain sy_forward { type filter hook forward priority filter - 1; policy accept;\n"
        f"    ip6 saddr {within} ip6 daddr {within} goto sy_within\n"
        f"    ip6 daddr {within} goto sy_into\n"
        f"    ip6 saddr {within} ct state established,related goto sy_pass\n"
    )
    internal = [six.block_of(common.ranges, each) for one in common.networks if one.internal for each in one.blocks]
    yield from (f"    {inside} ct state new drop\n" for inside in matching.within("ip6 saddr", internal))
    yield (
        "  }\n"
        "  chain sy_postrouting { type nat hook postrouting priority srcnat - 1; policy accept;\n"
        f"    ip6 saddr {within} ip6 daddr {within} snat to ip6 saddr\n"
        "  }\n}\n"
    )


def _set(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else "{ " + ", ".join(words) + " }"


def _guards(guards: Sequence[Guard], otherwise: str, called: str = "sy_guard") -> Iterator[str]:
    entries = []
    for number, guard in enumerate(guards):
        if not guard.replicas:
            continue
        yield f"  chain {called}_{number} {{\n"
        yield from _allowed(guard)
        yield f"    {otherwise}\n  }}\n"
        entries += [f"{address} : goto {called}_{number}" for address in guard.replicas]
    yield f"  chain {called} {{\n"
    if entries:
        yield f"    ip6 daddr vmap {{ {', '.join(entries)} }}\n{whole('return')}"
    yield "  }\n"


def _allowed(guard: Guard) -> Iterator[str]:
    for addresses, ports in guard.allowed:
        if addresses is not None and not addresses:
            continue
        source = "" if addresses is None else f"ip6 saddr {_set(addresses)} "
        for protocol in sorted({protocol for protocol, _ in ports}):
            numbers = [str(port) for of, port in ports if of == protocol]
            yield f"    {source}{protocol} dport {_set(numbers)} return\n"
        if not ports:
            yield f"    {source}return\n"


def _bridge(common: Beside, guards: Sequence[Guard]) -> Iterator[str]:
    """As `rules` has it for IPv4, in chains of its own in the same table."""
    if not any(guard.replicas for guard in guards):
        return
    yield f"table bridge {common.table} {{\n"
    yield from _guards(guards, "drop", "sy_guard6")
    yield "  chain sy_forward6 { type filter hook forward priority filter; policy accept;\n"
    yield ("    tcp flags & (syn | ack) == syn jump sy_guard6\n    udp dport < 32768 jump sy_guard6\n  }\n}\n")
