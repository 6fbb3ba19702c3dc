"""The same rules as `rules` makes for `nft -f`, for `iptables-restore`: for nodes that have no nft.

Nothing is looked up in a map here, so a connection passes one rule for each service before its own. What else is less
than with nft: who is refused learns so where the runtime's own rules let us tell, and else waits. A client that stays
with one replica may have another one by a node with nft.

The text is for `runtime/netiptables.py`: chains of our own with their rules, and in lines `# hook CHAIN OURS` those
that are entered first from one of the kernel's own. What goes from one container to another of the same bridge meets
none of them. So where somebody's `x-shipyard.allow` counts on a bridge, a line `# bridge BLOCK BROADCAST` has ebtables
hand over to the node what is for that block, as if it were for another: then it is routed, and who is refused elsewhere
is refused there. `members` sees to it that such a node has ebtables. A line `# link MAC` has it keep what comes by an
address that IPv6 gave a container for its link alone from who has that hardware address.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address

from shipyard.model.wire import ACCEPT_MARK, IPTABLES, REFUSE_MARK, ObservedWiring
from shipyard.planner.network import rules
from shipyard.planner.network.book import docker_mac_of, mac_of, parsed
from shipyard.planner.network.rules import AFFINITY_SEED, Backends, Common, Guard, NodePort, Own

SHARES = 32
"""Of clients, where each is to stay with a replica: the most that xt_cluster knows."""
_MARKED = f"--mark {REFUSE_MARK:#x}/{REFUSE_MARK:#x}"
_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
_TRANSLATED = "-m conntrack --ctstate DNAT"


class _Table:
    """One table's text. Chains are called after the cluster, and begin empty wherever they are mentioned first."""

    def __init__(self, name: str, prefix: str) -> None:
        self._name, self._prefix = name, prefix
        self._chains: dict[str, list[str]] = {}
        self._hooks: list[str] = []

    def chain(self, name: str) -> str:
        """What it is called."""
        self._chains.setdefault(name, [])
        return self._prefix + name

    def add(self, chain: str, *words: str, then: str = "", goto: str = "", target: str = "") -> None:
        """A rule: into another chain of ours and back (`then`), for good (`goto`), or to a target."""
        self.chain(chain)
        ending = f"-j {self.chain(then)}" if then else f"-g {self.chain(goto)}" if goto else f"-j {target}"
        said = ("-A", self._prefix + chain, *words, ending)
        self._chains[chain].append(" ".join(word for word in said if word))

    def hook(self, builtin: str, chain: str) -> None:
        self._hooks.append(f"# hook {builtin} {self.chain(chain)}")

    def text(self) -> str:
        declared = [f":{self._prefix}{name} - [0:0]" for name in self._chains]
        rules = [rule for rules in self._chains.values() for rule in rules]
        return "\n".join((f"*{self._name}", *declared, *self._hooks, *rules, "COMMIT\n"))


def text(common: Common, own: Own) -> str:
    """The whole text for a node."""
    prefix = f"SY-{common.table.rpartition('_')[2]}-"
    guarded = _guarded(common)
    routed = tuple(_routed(common, own, guarded))
    bridges = "".join(f"# bridge {block} {parsed(block).broadcast_address}\n" for block in routed)
    bridges += "".join(f"# link {mac}\n" for mac in _macs(common, routed, guarded))
    tables = (
        _raw(_Table("raw", prefix), own),
        _mangle(_Table("mangle", prefix), common, own, guarded),
        _nat(_Table("nat", prefix), common, own),
        _filter(_Table("filter", prefix), common, routed),
    )
    return f"{IPTABLES} {prefix}\n{bridges}" + "".join(table.text() for table in tables)


def _guarded(common: Common) -> dict[str, dict[str, int]]:
    """The addresses in each block of which a guard says who may connect, with that guard's number."""
    blocks = {
        (net.prefixlen, int(net.network_address)): block
        for network in common.networks
        for block, net in ((block, parsed(block)) for block in network.blocks)
    }
    masks = {length: -1 << 32 - length for length in {length for length, _ in blocks}}
    found: dict[str, dict[str, int]] = {}
    for number, guard in enumerate(common.guards):
        for address in guard.replicas:
            value = int(IPv4Address(address))
            for length, mask in masks.items():
                if block := blocks.get((length, value & mask)):
                    found.setdefault(block, {})[address] = number
    return found


def _routed(common: Common, own: Own, guarded: Mapping[str, object]) -> Iterator[str]:
    """Blocks of the node in which nothing may pass from container to container by the bridge alone.

    All of a network that has guards anywhere: so it stays as it is while replicas come and go.
    """
    for network in common.networks:
        if not guarded.keys().isdisjoint(network.blocks):
            yield from (block for block in network.blocks if block in own.blocks)


def _macs(common: Common, routed: Sequence[str], guarded: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Hardware addresses that the node's guarded containers may have: no address of the link leads there."""
    if not routed:
        return []
    here = {address for block in routed for address in guarded.get(block, ())}
    own = {mac for address in here for mac in (mac_of(address), docker_mac_of(address))}
    derived = tuple({mac_of("0.0.0.0")[:6], docker_mac_of("0.0.0.0")[:6]})
    return sorted(own | {mac for guard in common.guards for mac in guard.macs if not mac.startswith(derived)})


def _raw(table: _Table, own: Own) -> _Table:
    """A node's own services stay its own, although packets to 127.0.0.0/8 may be routed for the sake of its ports."""
    table.hook("PREROUTING", "raw")
    table.add("raw", "! -i lo -d 127.0.0.0/8", target="DROP")
    if waiting := [port for port in own.ports if rules.unanswered(port)]:
        table.hook("OUTPUT", "idle")
        table.add("raw", "-m addrtype --dst-type LOCAL", then="idle")
        table.add("idle", "! -p udp", target="RETURN")
        for port in waiting:
            for there in _there(port):
                table.add("idle", f"{there}-p {port.protocol} --dport {port.port}", target="DROP")
    return table


def _mangle(table: _Table, common: Common, own: Own, guarded: Mapping[str, Mapping[str, int]]) -> _Table:
    """Who may pass. What may not is marked, since only the filter table can refuse; what gets by there is dropped."""
    within = common.containers
    table.hook("FORWARD", "fwd")
    table.hook("POSTROUTING", "last")
    table.add("last", f"-m mark {_MARKED}", target="DROP")
    table.add("pass", target=f"MARK --or-mark {ACCEPT_MARK:#x}")
    table.add("pass", target="ACCEPT")
    table.add("refuse", target=f"MARK --or-mark {REFUSE_MARK:#x}")
    table.add("refuse", target="ACCEPT")
    if common.tunnel is not None:
        # what comes out of it is on any network, from whomever it says: none but the nodes themselves may send that
        port = f"-p udp --dport {common.tunnel.port}"
        for node in common.tunnel.nodes:
            table.add("fwd", f"-d {node} {port}", target="DROP")
        table.hook("INPUT", "in")
        table.add("in", f"-s {within} {port}", target="DROP")
    if own.devices:
        table.add("fwd", f"-s {within} -m conntrack --ctstate NEW", then="from")
        for block in own.blocks:
            table.add("from", f"-s {block}", target="RETURN")
        for device in own.devices:
            table.add("from", f"-i {device}", target="RETURN")
        table.add("from", target="DROP")
    table.add("fwd", f"-d {common.services}", goto="refuse")
    table.add("fwd", f"-s {within} -d {within}", goto="within")
    table.add("fwd", f"-d {within}", goto="into")
    # answers to clients outside, which the runtime knows nothing of where the replica is on another node
    table.add("fwd", f"-s {within}", _ESTABLISHED, goto="pass")
    for network in common.networks:
        for block in network.blocks if network.internal else ():
            table.add("fwd", f"-s {block} -m conntrack --ctstate NEW", target="DROP")
    table.add("within", _ESTABLISHED, goto="pass")
    both = rules.crossing(common)
    for number, network in enumerate(common.networks):
        for block in network.blocks:
            table.add("within", f"-s {block}", goto=f"net-{number}")
        _onto(table, f"net-{number}", network.blocks, guarded)
        for other, sources in both.get(number, {}).items():
            for block in common.networks[other].blocks:
                table.add(f"net-{number}", f"-d {block}", goto=f"also-{number}-{other}")
            for address in sources:
                table.add(f"also-{number}-{other}", f"-s {address}", goto=f"onto-{other}")
            table.add(f"also-{number}-{other}", goto="refuse")
        table.add(f"net-{number}", goto="refuse")
    for number in sorted({other for others in both.values() for other in others}):
        _onto(table, f"onto-{number}", common.networks[number].blocks, guarded)
        table.add(f"onto-{number}", goto="refuse")
    table.add("within", f"-s {common.tunnels}", goto="pass")
    table.add("within", goto="refuse")
    table.add("into", _ESTABLISHED, goto="pass")
    table.add("into", _TRANSLATED, goto="pass")
    for peer in common.peers:
        table.add("into", f"-s {peer}", goto="pass")
    table.add("into", target="DROP")
    for block, addresses in guarded.items():
        for address, number in addresses.items():
            table.add(_guards_of(block), f"-d {address}", goto=f"guard-{number}")
    _guards(table, common.guards)
    return table


def _onto(table: _Table, chain: str, blocks: Sequence[str], guarded: Mapping[str, object]) -> None:
    for block in blocks:
        if block in guarded:
            table.add(chain, f"-d {block}", then=_guards_of(block))
        table.add(chain, f"-d {block}", goto="pass")


def _guards_of(block: str) -> str:
    """The chain that finds the guard of an address: one for each block, since every new connection passes all of it."""
    return f"G-{block.partition('/')[0]}"


def _guards(table: _Table, guards: Sequence[Guard]) -> None:
    for number, guard in enumerate(guards):
        if not guard.replicas:
            continue
        for addresses, ports in guard.allowed:
            for source in ("",) if addresses is None else tuple(f"-s {address} " for address in addresses):
                for protocol, port in ports:
                    table.add(f"guard-{number}", f"{source}-p {protocol} --dport {port}", target="RETURN")
                if not ports:
                    table.add(f"guard-{number}", source, target="RETURN")
        table.add(f"guard-{number}", goto="refuse")


def _nat(table: _Table, common: Common, own: Own) -> _Table:
    within = common.containers
    table.hook("PREROUTING", "to")
    table.hook("OUTPUT", "to")
    table.hook("POSTROUTING", "from")
    table.chain("to")
    for each in common.backends:
        if each.replicas:
            _backends(table, each)
    table.add("to", "-m addrtype --dst-type LOCAL", then="ports")
    same: defaultdict[tuple[str, int], int] = defaultdict(int)
    for port in own.ports:
        if port.replicas:
            _port(table, port, same[port.protocol, port.port])
            same[port.protocol, port.port] += 1
    for block in own.blocks:
        table.add("from", f"-s {block}", _TRANSLATED, then="near")
        table.add("near", f"-d {block}", target="MASQUERADE")
    for device in own.devices:
        table.add("from", f"! -s {within} -d {within} -o {device}", _TRANSLATED, target="MASQUERADE")
    table.add("from", f"-s 127.0.0.0/8 -d {within}", target="MASQUERADE")
    for number, crossing in enumerate(own.crossings):
        for block in crossing.blocks:
            table.add("from", f"-d {block}", then=f"as-{number}")
        for address, source in crossing.sources:
            table.add(f"as-{number}", f"-s {address}", target=f"SNAT --to-source {source}")
    # nobody after this one gives it another source
    table.add("from", f"-s {within} -d {within}", target="ACCEPT")
    return table


def _backends(table: _Table, backends: Backends) -> None:
    for protocol, port, target in backends.ports:
        said = f"{backends.address} {protocol} {port}"
        chain = "A-" + hashlib.sha256(said.encode()).hexdigest()[:12]
        table.add("to", f"-d {backends.address} -p {protocol} --dport {port}", goto=chain)
        _choice(table, chain, backends.replicas, backends.affinity, f"-p {protocol}", f":{target}")
    chain = f"T-{backends.address}"
    table.add("to", f"-d {backends.address}", goto=chain)
    _choice(table, chain, backends.replicas, backends.affinity, "", "")


def _there(port: NodePort) -> tuple[str, ...]:
    """For each of the addresses on which it answers; once where it does on all."""
    return tuple(f"-d {only} " for only in port.only) or ("",)


def _port(table: _Table, port: NodePort, number: int) -> None:
    """`number`: among those of the same port, each of which has addresses of its own."""
    chain = f"P-{port.protocol}-{port.port}" + (f"-{number}" if number else "")
    for there in _there(port):
        table.add("ports", f"{there}-p {port.protocol} --dport {port.port}", goto=chain)
    _choice(table, chain, port.replicas, port.affinity, f"-p {port.protocol}", f":{port.target}")


def _choice(table: _Table, chain: str, replicas: Sequence[str], affinity: bool, words: str, port: str) -> None:
    """One of the replicas: each with the same chance, or for each share of the clients the one that it draws."""
    if affinity and len(replicas) > 1:
        match = f"-m cluster --cluster-total-nodes {SHARES} --cluster-hash-seed {AFFINITY_SEED:#x}"
        for share in range(SHARES):
            mine = f"{match} --cluster-local-node {share + 1}"
            table.add(chain, words, mine, target=f"DNAT --to-destination {_drawn(replicas, share)}{port}")
        return
    for left, replica in zip(range(len(replicas), 0, -1), replicas, strict=True):
        chance = f"-m statistic --mode random --probability {1 / left:.8f}" if left > 1 else ""
        table.add(chain, words, chance, target=f"DNAT --to-destination {replica}{port}")


def _drawn(replicas: Sequence[str], share: int) -> str:
    """The replica that draws the highest lot for a share: one that comes or goes moves only its own."""
    lots = {hashlib.blake2b(f"{share} {each}".encode(), digest_size=8).digest(): each for each in replicas}
    return lots[max(lots)]


def _filter(table: _Table, common: Common, routed: Sequence[str]) -> _Table:
    """Refused at once, instead of waiting for nothing: who may not connect, and where no replica is ready."""
    table.hook("FORWARD", "refused")
    table.hook("OUTPUT", "local")
    table.add("refused", f"-d {common.services}", target="REJECT")
    table.add("refused", f"-m mark {_MARKED}", target="REJECT --reject-with icmp-admin-prohibited")
    table.add("local", f"-d {common.services}", target="REJECT")
    for block in routed:
        # that there is a shorter way is what the node would tell them of each other
        table.add("local", f"-d {block} -p icmp --icmp-type redirect", target="DROP")
    return table


class Rules:
    """The rules of all nodes, each for what it has: nft, or else iptables. What many have in common is made once."""

    def __init__(self, common: Common) -> None:
        self._common, self._shared = common, rules.shared(common)

    def text(self, wiring: ObservedWiring, own: Own) -> str:
        """What the node loads."""
        return text(self._common, own) if without_nft(wiring) else rules.text(self._shared, own)

    def shape(self, wiring: ObservedWiring, own: Own) -> str:
        """Digest of all but the replicas."""
        return rules.shape(self._shared, own) + ("-iptables" if without_nft(wiring) else "")


def without_nft(wiring: ObservedWiring) -> bool:
    """Whether a node takes its rules by iptables."""
    return "nft" not in wiring.tools and "iptables" in wiring.tools
