"""The same rules as `rules` makes for `nft -f`, for `iptables-restore`: for nodes that have no nft.

Nothing is looked up in a map here, so a connection passes one rule for each service before its own. What else is less
than with nft: who is refused learns so where the runtime's own rules let us tell, and else waits. Nothing tells
containers of one bridge apart, so `x-shipyard.allow` is not kept there, which `members` sees to. A client that stays
with one replica may have another one by a node with nft.

The text is for `runtime/netiptables.py`: chains of our own with their rules, and in lines `# hook CHAIN OURS` those
that are entered first from one of the kernel's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from shipyard.model.wire import ACCEPT_MARK, IPTABLES, REFUSE_MARK, ObservedWiring
from shipyard.planner.network import rules
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
    return f"{IPTABLES} {prefix}\n" + "".join(table.text() for table in _tables(prefix, common, own))


def _tables(prefix: str, common: Common, own: Own) -> Iterator[_Table]:
    yield _raw(_Table("raw", prefix))
    yield _mangle(_Table("mangle", prefix), common)
    yield _nat(_Table("nat", prefix), common, own)
    yield _filter(_Table("filter", prefix), common)


def _raw(table: _Table) -> _Table:
    """A node's own services stay its own, although packets to 127.0.0.0/8 may be routed for the sake of its ports."""
    table.hook("PREROUTING", "raw")
    table.add("raw", "! -i lo -d 127.0.0.0/8", target="DROP")
    return table


def _mangle(table: _Table, common: Common) -> _Table:
    """Who may pass. What may not is marked, since only the filter table can refuse; what gets by there is dropped."""
    within = common.containers
    table.hook("FORWARD", "fwd")
    table.hook("POSTROUTING", "last")
    table.add("last", f"-m mark {_MARKED}", target="DROP")
    table.add("pass", target=f"MARK --or-mark {ACCEPT_MARK:#x}")
    table.add("pass", target="ACCEPT")
    table.add("refuse", target=f"MARK --or-mark {REFUSE_MARK:#x}")
    table.add("refuse", target="ACCEPT")
    table.add("fwd", f"-d {common.services}", goto="refuse")
    table.add("fwd", f"-s {within} -d {within}", goto="within")
    table.add("fwd", f"-d {within}", goto="into")
    # answers to clients outside, which the runtime knows nothing of where the replica is on another node
    table.add("fwd", f"-s {within}", _ESTABLISHED, goto="pass")
    for network in common.networks:
        for block in network.blocks if network.internal else ():
            table.add("fwd", f"-s {block} -m conntrack --ctstate NEW", target="DROP")
    table.add("within", _ESTABLISHED, goto="pass")
    for number, network in enumerate(common.networks):
        for block in network.blocks:
            table.add("within", f"-s {block}", goto=f"net-{number}")
            if common.guards:
                table.add(f"net-{number}", f"-d {block}", then="guard")
            table.add(f"net-{number}", f"-d {block}", goto="pass")
        table.add(f"net-{number}", goto="refuse")
    table.add("within", f"-s {common.tunnels}", goto="pass")
    table.add("within", goto="refuse")
    table.add("into", _ESTABLISHED, goto="pass")
    table.add("into", _TRANSLATED, goto="pass")
    for peer in common.peers:
        table.add("into", f"-s {peer}", goto="pass")
    table.add("into", target="DROP")
    _guard(table, common.guards)
    return table


def _guard(table: _Table, guards: Sequence[Guard]) -> None:
    for number, guard in enumerate(guards):
        for address in guard.replicas:
            table.add("guard", f"-d {address}", goto=f"guard-{number}")
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
    for port in own.ports:
        if port.replicas:
            _port(table, port)
    for block in own.blocks:
        table.add("from", f"-s {block} -d {block}", _TRANSLATED, target="MASQUERADE")
    for device in own.devices:
        table.add("from", f"! -s {within} -d {within} -o {device}", _TRANSLATED, target="MASQUERADE")
    table.add("from", f"-s 127.0.0.0/8 -d {within}", target="MASQUERADE")
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


def _port(table: _Table, port: NodePort) -> None:
    chain = f"P-{port.protocol}-{port.port}"
    for only in port.only or ("",):
        there = f"-d {only} " if only else ""
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


def _filter(table: _Table, common: Common) -> _Table:
    """Refused at once, instead of waiting for nothing: who may not connect, and where no replica is ready."""
    table.hook("FORWARD", "refused")
    table.hook("OUTPUT", "local")
    table.add("refused", f"-d {common.services}", target="REJECT")
    table.add("refused", f"-m mark {_MARKED}", target="REJECT --reject-with icmp-admin-prohibited")
    table.add("local", f"-d {common.services}", target="REJECT")
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
