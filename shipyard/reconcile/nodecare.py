"""Single nodes: are they fit, who are they, and how are they let go."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shipyard.base.errors import NodeError, UsageError
from shipyard.base.record import replace
from shipyard.files.inventory import connection_of
from shipyard.files.patterns import match
from shipyard.model.event import Event
from shipyard.model.node import Availability
from shipyard.model.observed import ObservedNode, Silent
from shipyard.model.progress import Unwatched
from shipyard.model.request import HostKey, NodeCheck
from shipyard.planner.network import choosing
from shipyard.planner.network.tables import without_nft
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.reconcile.looking import look, remember_nodes
from shipyard.reconcile.membership import Membership
from shipyard.reconcile.run import Wish, converge
from shipyard.reconcile.session import Session
from shipyard.store.records import StoredNode
from shipyard.transport import hostkeys
from shipyard.transport.knownhosts import Verdict

SCAN_TIMEOUT = 10.0


def _hosts(session: Session, pattern: str) -> tuple[str, ...]:
    known = {record.node.name for record in session.store.nodes()}
    hosts = match(pattern, session.inventory).hosts or ((pattern,) if pattern in known else ())
    if not hosts:
        raise UsageError(f"{pattern} matches no host of the inventory and no known node")
    return tuple(hosts)


def _membership(session: Session, names: Sequence[str]) -> Membership:
    membership = session.membership([name for name in names if session.inventory.host(name)])
    nodes = tuple(node for node in membership.nodes if node.name in set(names))
    return replace(membership, nodes=nodes)


def check(session: Session, pattern: str) -> list[NodeCheck]:
    """Observe each node, and say what is missing and how to mend it."""
    membership = _membership(session, _hosts(session, pattern))
    situation = look(
        session, membership, session.situation(membership, session.stacks()), images={}, versions=True, tools=True
    )
    known = {record.node.name for record in session.store.nodes()}
    remember_nodes(session, membership, replace(situation, nodes=tuple(n for n in situation.nodes if n.name in known)))
    return [_seen(answer) if isinstance(answer, ObservedNode) else _silent(answer) for answer in situation.observed]


def _silent(answer: Silent) -> NodeCheck:
    return NodeCheck(answer.name, ok=False, reached=answer.connected, problems=((answer.message, answer.hint or ""),))


def _seen(node: ObservedNode) -> NodeCheck:
    facts = node.facts
    problems = []
    if facts.runtime == "podman" and not facts.systemd:
        why = "no systemd: podman runs no health checks by itself; each pass runs them instead"
        problems.append((why, "run passes often (cron, or reconcile --watch), or use systemd"))
        why = "no systemd: podman starts nothing after a reboot by itself; the next pass does"
        problems.append((why, ""))
    if why := choosing.incapable(node):
        problems.append((f"networks across nodes can't reach it: {why}", "leave it out of them, or mend that"))
    elif not facts.systemd:
        why = "no systemd: nothing on it brings networks across nodes back after a reboot; the next pass does"
        problems.append((why, "have /var/lib/shipyard/*/net/up run at boot, before the runtime starts"))
    if node.wiring is not None and without_nft(node.wiring) and "ebtables" not in node.wiring.tools:
        why = "neither nft nor ebtables: networks across nodes go by iptables, and can't have x-shipyard.allow"
        problems.append((why, "install nftables"))
    return NodeCheck(
        node.name,
        ok=True,
        runtime=facts.runtime,
        version=facts.runtime_version,
        facts=(
            ("os", f"{facts.os} {facts.kernel} {facts.arch}".strip()),
            ("user", facts.user + (" (rootless)" if facts.rootless else "")),
            ("cpus", str(facts.cpus)),
            ("memory", f"{facts.memory / 2**30:.1f} GiB"),
        ),
        problems=tuple(problems),
    )


_WORDS = {Verdict.KNOWN: "same", Verdict.CHANGED: "changed"}


def host_keys(session: Session, pattern: str) -> tuple[list[HostKey], list[NodeError]]:
    """The keys that the hosts show now, beside what known_hosts has; and why hosts showed none.

    Without those that are reached without SSH.
    """
    names = [name for name in _hosts(session, pattern) if not _is_local(session, name)]
    keys: list[HostKey] = []
    errors: list[NodeError] = []
    with ThreadPoolExecutor(max(1, min(session.settings.forks, len(names)))) as pool:
        answers = [(name, pool.submit(_scan, session, name)) for name in names]
    for name, answer in answers:
        try:
            shown = answer.result()
        except NodeError as error:
            errors.append(error)
            continue
        for key in shown:
            word = _WORDS.get(key.verdict, "new")
            keys.append(HostKey(name, key.host, key.type, hostkeys.fingerprint(key.blob), word))
    return keys, errors


def _is_local(session: Session, name: str) -> bool:
    host = session.inventory.host(name)
    return host is not None and connection_of(session.inventory, host).kind == "local"


def _scan(session: Session, name: str) -> tuple[hostkeys.HostKey, ...]:
    host = session.inventory.host(name)
    if host is None:
        raise UsageError(f"{name} is not in the inventory")
    connection = connection_of(session.inventory, host)
    return hostkeys.scan(name, connection, session.opening.options, timeout=SCAN_TIMEOUT)


def record_host_keys(session: Session, keys: Sequence[HostKey]) -> Path:
    """Scan again, and write those keys that still are the ones shown. Returns the file that was written last."""
    shown = {(key.node, key.fingerprint) for key in keys}
    paths: tuple[Path, ...] = ()
    for name in sorted({key.node for key in keys}):
        now = _scan(session, name)
        if any((name, hostkeys.fingerprint(key.blob)) not in shown for key in now):
            raise NodeError(name, "showed another key now than a moment ago; nothing was written")
        paths = hostkeys.record(now, replace=True)
    if not paths:
        raise UsageError("there are no keys to write")
    return paths[-1]


def known_node(session: Session, name: str) -> StoredNode:
    """What the store has of a node. UsageError where it knows none of this name."""
    records = session.store.nodes()
    for record in records:
        if record.node.name == name:
            return record
    known = ", ".join(sorted(record.node.name for record in records)) or "none yet"
    raise UsageError(f"{name} is not a known node; known are: {known}")


def confirm_dead(session: Session, name: str) -> None:
    """A person says that the node is off for good: until it answers it counts as lost, whatever the clock says."""
    record = known_node(session, name)
    known = next((node for node in session.store.memory().nodes if node.name == name), None)
    if known is None:
        raise UsageError(f"{name} was never asked yet; only a silent node can be dead", hint="shipyard reconcile")
    if known.misses == 0:
        raise UsageError(f"{name} answered when it was last asked ({known.state}); only a silent node can be dead")
    session.store.decide(replace(record.node, dead=True))
    why = "a person confirmed that it is switched off"
    session.store.add_events((Event(session.now(), "NodeConfirmedDead", name, why, name, warning=True),))


def remove(session: Session, name: str, force: bool) -> tuple[str, ...]:
    """Drain a node that the inventory no longer names, and forget it.

    Raises NodeError for what can't leave it; with `force` it is forgotten too, and returned.
    """
    record = known_node(session, name)
    if session.inventory.host(name) is not None:
        raise UsageError(f"{name} is still in the inventory; take it out there first")
    with LeaseKeeper(session.store, wait=session.settings.timeouts.converge) as keeper:
        session.store.save_nodes((replace(record, node=replace(record.node, orphaned=True)),))
        session.store.decide(replace(record.node, availability=Availability.DRAIN))
        ending = converge(session, keeper, Wish(kind="nodes remove"), Unwatched())
        memory = session.store.memory()
        stuck = tuple(
            f"{placed.stack}/{placed.service}.{placed.slot}" for placed in memory.placements if placed.node == name
        )
        if stuck and not force:
            why = "; ".join(each.detail for each in ending.blocked if each.target in (*stuck, name))
            why = why or "it does not answer"
            hint = (
                "--force forgets it all the same: what runs there keeps running, unmanaged; elsewhere the replicas "
                "begin without the data that is on it"
            )
            raise NodeError(name, f"can't let go of {', '.join(stuck)}: {why}", hint=hint)
        kept = tuple(placed for placed in memory.placements if placed.node != name)
        volumes = tuple(volume for volume in memory.volumes if volume.node != name)
        session.store.save_memory(replace(memory, placements=kept, volumes=volumes))
        session.store.remove_node(name)
    return stuck


def repin(session: Session, name: str) -> None:
    """Take the node's runtime, user and id as they are at the next contact."""
    record = known_node(session, name)
    session.store.save_nodes((replace(record, node=replace(record.node, runtime=None, user=None, node_id=None)),))
