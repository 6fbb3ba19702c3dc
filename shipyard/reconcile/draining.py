"""What people decide about a node's work: no more of it (cordon), none of it (drain), as usual (activate).

The decision is kept in the store before any pass, and without the lease: whichever pass runs next carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence

from shipyard.base.errors import LeaseHeld, UsageError
from shipyard.files.inventory import connection_of
from shipyard.files.patterns import match
from shipyard.model.event import Event
from shipyard.model.node import Availability, Node
from shipyard.model.progress import Ending, Progress
from shipyard.model.request import DrainRequest
from shipyard.reconcile.run import Wish, converge, with_lease
from shipyard.reconcile.session import Session
from shipyard.store.records import StoredNode

_WORDS = {
    Availability.ACTIVE: ("NodeActivated", "takes replicas again"),
    Availability.PAUSE: ("NodeCordoned", "keeps its replicas, and takes no more"),
    Availability.DRAIN: ("NodeDrained", "gives its replicas away"),
}


def decide(session: Session, pattern: str, availability: Availability, *, until: float = 0.0) -> tuple[str, ...]:
    """Keep the decision for each node that the pattern names. Returns the nodes, sorted."""
    known = {record.node.name for record in session.store.nodes()}
    named = set(match(pattern, session.inventory).hosts) or ({pattern} & known)
    if not named:
        raise UsageError(f"{pattern} matches no host of the inventory and no known node")
    names = tuple(sorted(named))
    session.store.save_nodes([_unmet(session, name) for name in names if name not in known])
    for name in names:
        session.store.decide(Node(name, availability=availability, drain_until=until))
    reason, words = _WORDS[availability]
    session.store.add_events([Event(session.now(), reason, name, f"{name} {words}", name) for name in names])
    return names


def _unmet(session: Session, name: str) -> StoredNode:
    """A node of the inventory that no pass has met yet."""
    host = session.inventory.host(name)
    assert host is not None, "the pattern matched it"
    return StoredNode(Node(name), connection_of(session.inventory, host))


def drain(session: Session, request: DrainRequest, progress: Progress) -> Ending:
    """Give all work of some nodes to others, and see to it. Raises LeaseHeld where another pass will.

    That pass has the decision before it ends, so without waiting (`--no-wait`) it is not waited for, either.
    """
    until = session.now() + request.deadline
    names = decide(session, request.pattern, Availability.DRAIN, until=until)
    wish = Wish(kind="drain", timeout=request.timeout, once=not request.wait)
    try:
        wait = request.timeout if request.wait else 0.0
        return with_lease(session, lambda keeper: converge(session, keeper, wish, progress), progress, wait=wait)
    except LeaseHeld as held:
        hint = f"{', '.join(names)}: the decision is kept, and that pass carries it out"
        raise LeaseHeld(held.message, hint=hint) from held


def left_on(session: Session, pattern: str) -> Sequence[tuple[str, str]]:
    """Replicas that are still placed on the nodes, each with its node."""
    named = set(match(pattern, session.inventory).hosts) or {pattern}
    placed = (each for each in session.store.memory().placements if each.node in named)
    return [(f"{each.stack}/{each.service}.{each.slot}", each.node) for each in placed]
