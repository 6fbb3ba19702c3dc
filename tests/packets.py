"""Who reaches whom by the text of a node's rules, nft's or iptables': read by two small readers that share nothing.

They know the words that the rules use, and stop at any other. A choice by chance or by the client's share is every one
of its results. What is asked is a new connection that comes to the node from elsewhere, or from a container on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

_KEY = r"(?:ip [sd]addr(?: & [0-9.]+)?|meta l4proto|meta protocol|th dport)"
ACCEPT, DROP, RETURN = "accept", "drop", "return"


@dataclass(frozen=True, slots=True)
class Packet:
    """The first of a connection. `local`: addresses of the node that gets it; `blocks`: of its own bridges."""

    source: str
    destination: str
    protocol: str
    port: int
    local: frozenset[str]
    blocks: tuple[str, ...]
    translated: bool = False
    mark: int = 0
    device: str = "sy0v"
    """By which it came, where it is from elsewhere: the address is one that is reached by it."""

    def came_by(self) -> str:
        return "bridge" if any(within(self.source, each) for each in self.blocks) else self.device

    def by_bridge(self) -> str:
        """The block that both ends are in, "" where it is routed."""
        return next((each for each in self.blocks if within(self.source, each) and within(self.destination, each)), "")

    def to(self, where: str) -> Packet:
        """Translated to `ADDRESS` or `ADDRESS:PORT`."""
        address, _, port = where.partition(":")
        return replace(self, destination=address, port=int(port or self.port), translated=True)


Fate = tuple[str, Packet]
"""The verdict of a chain, and what became of the packet."""


def within(address: str, network: str) -> bool:
    return IPv4Address(address) in IPv4Network(network)


def reached(rules: Nft | Iptables, packet: Packet) -> frozenset[tuple[str, int]]:
    """(address, port) that the connection may come to; `node` where the node itself answers."""
    found = set()
    for passed in rules.bridged(packet) if packet.by_bridge() else rules.routed(packet):
        found.add(("node" if passed.destination in passed.local else passed.destination, passed.port))
    return frozenset(found)


class Iptables:
    """A text for iptables-restore."""

    def __init__(self, text: str) -> None:
        self._rules: dict[tuple[str, str], list[list[str]]] = {}
        self._hooks: dict[tuple[str, str], str] = {}
        self._bridges = {line.split()[2] for line in text.splitlines() if line.startswith("# bridge ")}
        table = ""
        for line in text.splitlines():
            words = line.split()
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                self._rules.setdefault((table, words[0][1:]), [])
            elif line.startswith("# hook "):
                self._hooks[table, words[2]] = words[3]
            elif line.startswith("-A "):
                self._rules[table, words[1]].append(words[2:])

    def bridged(self, packet: Packet) -> Iterator[Packet]:
        if packet.by_bridge() in self._bridges:
            yield from self.routed(packet)
        else:
            yield packet

    def routed(self, packet: Packet) -> Iterator[Packet]:
        for came in self._hook("nat", "PREROUTING", packet):
            if came.destination in came.local:
                yield came
                continue
            for marked in self._hook("mangle", "FORWARD", came):
                for passed in self._hook("filter", "FORWARD", marked):
                    yield from self._hook("mangle", "POSTROUTING", passed)

    def _hook(self, table: str, builtin: str, packet: Packet) -> Iterator[Packet]:
        chain = self._hooks.get((table, builtin))
        for verdict, after in self._chain(table, chain, packet) if chain else ((ACCEPT, packet),):
            if verdict != DROP:
                yield after

    def _chain(self, table: str, chain: str, packet: Packet, first: int = 0) -> Iterator[Fate]:
        rules = self._rules[table, chain]
        for index in range(first, len(rules)):
            certain, matches = self._matches(rules[index], packet)
            if not matches:
                continue
            if not certain:
                yield from self._chain(table, chain, packet, index + 1)
            for verdict, after in self._act(table, rules[index], packet):
                if verdict == "next":
                    yield from self._chain(table, chain, after, index + 1)
                else:
                    yield verdict, after
            return
        yield RETURN, packet

    def _act(self, table: str, words: list[str], packet: Packet) -> Iterator[Fate]:
        at = next(index for index, word in enumerate(words) if word in ("-j", "-g"))
        target = words[at + 1]
        if (table, target) in self._rules:
            for verdict, after in self._chain(table, target, packet):
                yield ("next" if verdict == RETURN and words[at] == "-j" else verdict), after
        elif target == "DNAT":
            yield ACCEPT, packet.to(words[at + 3])
        elif target == "MARK":
            yield "next", replace(packet, mark=packet.mark | int(words[at + 3], 0))
        else:
            yield {"ACCEPT": ACCEPT, "RETURN": RETURN, "DROP": DROP, "REJECT": DROP}[target], packet

    def _matches(self, words: list[str], packet: Packet) -> tuple[bool, bool]:
        """Whether this is all that it depends on, and whether it matches."""
        certain, result, rest = True, True, iter(words)
        for word in rest:
            if word in ("-j", "-g"):
                break
            value = next(rest)
            if word == "-m" or word in ("--mode", "--cluster-total-nodes", "--cluster-hash-seed"):
                continue
            if word in ("--probability", "--cluster-local-node", "--cluster-local-nodemask"):
                certain = False
            elif word == "-s":
                result &= within(packet.source, value)
            elif word == "-d":
                result &= within(packet.destination, value)
            elif word == "-p":
                result &= packet.protocol == value
            elif word == "-i":
                result &= packet.came_by() == value
            elif word == "--dport":
                result &= packet.port == int(value)
            elif word == "--dst-type":
                result &= value == "LOCAL" and packet.destination in packet.local
            elif word == "--mark":
                bits, mask = (int(each, 0) for each in value.split("/"))
                result &= packet.mark & mask == bits
            elif word == "--ctstate":
                result &= "NEW" in value or ("DNAT" in value and packet.translated)
            else:
                raise ValueError(f"not a word that is known here: {word} in {words}")
        return certain, result


class Nft:
    """A text for nft: the tables of the families ip and bridge."""

    def __init__(self, text: str) -> None:
        self._chains: dict[tuple[str, str], list[str]] = {}
        self._maps: dict[str, dict[str, str]] = {}
        self._hooks: dict[tuple[str, str, str], str] = {}
        for name, inside in re.findall(r"^  set (\S+) \{(.*)\}$", text, re.M):
            listed = re.search(r"elements = \{(.*)\}", inside)
            self._maps[name] = dict.fromkeys((each.strip() for each in listed[1].split(",")) if listed else (), "")
        for family, body in re.findall(r"^table (ip|bridge) \S+ \{\n(.*?)^\}", text, re.M | re.S):
            for kind, name, inside in re.findall(r"^  (chain|map|set) (\S+) \{(.*?)\}\n(?=  \w|\Z)", body, re.M | re.S):
                if kind == "set":
                    continue
                if kind == "map":
                    listed = re.search(r"elements = \{(.*)\}", inside)
                    self._maps[name] = _entries(listed[1]) if listed else {}
                    continue
                said = [each.strip() for each in re.split(r"[;\n]", inside) if each.strip()]
                if hook := re.match(r"type (\w+) hook (\w+)", said[0] if said else ""):
                    self._hooks.setdefault((family, hook[1], hook[2]), name)
                    said = [each for each in said[1:] if each != "policy accept"]
                self._chains[family, name] = said

    def bridged(self, packet: Packet) -> Iterator[Packet]:
        yield from self._hook("bridge", "filter", "forward", packet)

    def routed(self, packet: Packet) -> Iterator[Packet]:
        for came in self._hook("ip", "nat", "prerouting", packet):
            hook = "input" if came.destination in came.local else "forward"
            yield from self._hook("ip", "filter", hook, came)

    def _hook(self, family: str, kind: str, hook: str, packet: Packet) -> Iterator[Packet]:
        chain = self._hooks.get((family, kind, hook))
        for verdict, after in self._chain(family, chain, packet) if chain else ((ACCEPT, packet),):
            if verdict != DROP:
                yield after

    def _chain(self, family: str, chain: str, packet: Packet, first: int = 0) -> Iterator[Fate]:
        said = self._chains[family, chain]
        for index in range(first, len(said)):
            action = self._statement(said[index], packet)
            word, _, rest = action.partition(" ")
            if word == "meta":
                word, rest = rest.rpartition(" ")[2], ""
            if word in ("goto", "jump"):
                for verdict, after in self._chain(family, rest, packet):
                    if verdict == RETURN and word == "jump":
                        yield from self._chain(family, chain, after, index + 1)
                    else:
                        yield verdict, after
                return
            if word == "dnat":
                for where in _results(rest.removeprefix("to ")):
                    yield ACCEPT, packet.to(where)
                return
            if word:
                yield {"accept": ACCEPT, "return": RETURN, "drop": DROP, "reject": DROP}[word], packet
                return
        yield RETURN, packet

    def _statement(self, said: str, packet: Packet) -> str:
        """What it comes to, "" where it does not match."""
        while said:
            if found := re.match(rf"({_KEY}(?: \. {_KEY})*) vmap (@\w+|\{{.*\}})$", said):
                table = self._maps[found[2][1:]] if found[2].startswith("@") else _entries(found[2][1:-1])
                key = [self._value(each, packet) for each in found[1].split(" . ")]
                return next((action for each, action in table.items() if _is(key, each.split(" . "))), "")
            if found := re.match(r"tcp flags & \(syn \| ack\) == syn ?", said):
                matches = packet.protocol == "tcp"
            elif found := re.match(rf"({_KEY}(?: \. {_KEY})+) @(\w+) ?", said):
                key = [self._value(each, packet) for each in found[1].split(" . ")]
                matches = any(_is(key, each.split(" . ")) for each in self._maps[found[2]])
            elif found := re.match(r"ct status & confirmed == 0 ?", said):
                matches = True
            elif found := re.match(r"fib saddr \. iif oif missing ?", said):
                matches = packet.came_by() == "elsewhere"
            elif found := re.match(
                r"(ip [sd]addr(?: & [0-9.]+)?|meta l4proto|tcp dport|udp dport|fib daddr type|ct status|ct state) "
                r"(!= |< )?(\{[^}]*\}|\S+) ?",
                said,
            ):
                matches = self._compared(found[1], found[2], found[3], packet)
            else:
                return said
            if not matches:
                return ""
            said = said[found.end() :]
        raise ValueError("a statement without an end")

    def _compared(self, what: str, how: str | None, with_: str, packet: Packet) -> bool:
        values = (
            [*self._maps[with_[1:]]] if with_[0] == "@" else [each.strip() for each in with_.strip("{}").split(",")]
        )
        if what in ("tcp dport", "udp dport") and packet.protocol != what[:3]:
            return False
        if how == "< ":
            return packet.port < int(with_)
        mine = self._value(what, packet).split(",")
        return any(_is([each], [value]) for each in mine for value in values) != bool(how)

    def _value(self, what: str, packet: Packet) -> str:
        what, _, mask = what.partition(" & ")
        if mask:
            return str(IPv4Address(int(IPv4Address(self._value(what, packet))) & int(IPv4Address(mask))))
        return {
            "ip saddr": packet.source,
            "ip daddr": packet.destination,
            "meta l4proto": packet.protocol,
            "meta protocol": "ip",
            "tcp dport": str(packet.port),
            "udp dport": str(packet.port),
            "th dport": str(packet.port),
            "fib daddr type": "local" if packet.destination in packet.local else "unicast",
            "ct status": "dnat" if packet.translated else "none",
            "ct state": "new",
        }[what]


def _entries(text: str) -> dict[str, str]:
    found = (each.rpartition(" : ") for each in text.split(",") if each.strip())
    return {key.strip(): value.strip() for key, _, value in found}


def _is(mine: list[str], said: list[str]) -> bool:
    return all(one == other or ("/" in other and within(one, other)) for one, other in zip(mine, said, strict=True))


def _results(expression: str) -> list[str]:
    """Of `A`, `A:PORT`, `… map { … }`, `… map { … }:PORT`."""
    if found := re.search(r"map \{(.*)\}(:\d+)?$", expression):
        return sorted({value + (found[2] or "") for value in _entries(found[1]).values()})
    return [expression]
