"""The fleet as it was last seen, so that a node that left the inventory can still be reached, and pins hold."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection, delete, insert, select

from shipyard.base.record import replace
from shipyard.model import canonical
from shipyard.model.inventory import Connection as Way
from shipyard.model.node import Node
from shipyard.model.observed import Facts
from shipyard.store.decoding import decoded
from shipyard.store.records import StoredNode
from shipyard.store.schema import node_memory, nodes, volumes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

T = TypeVar("T")


def load(connection: Connection) -> tuple[StoredNode, ...]:
    """Sorted by name."""
    found = []
    for row in connection.execute(select(nodes)):
        facts = None if row.facts is None else _decode(Facts, row.facts, row.name)
        way = _decode(Way, row.connection, row.name)
        found.append(StoredNode(_decode(Node, row.node, row.name), way, row.first_seen, facts))
    return tuple(sorted(found, key=lambda stored: stored.node.name))


def save(connection: Connection, given: Iterable[StoredNode]) -> None:
    """These nodes; others stay as they are. A node keeps the time at which it was first seen.

    It also keeps what people decided about it: a pass that began before that knows nothing of it.

    What changes at every look (a clock, an uptime) is no reason to write.
    """
    known = {stored.node.name: stored for stored in load(connection)}
    changed = {}
    for stored in given:
        name = stored.node.name
        before = known.get(name)
        seen = before.first_seen if before is not None and before.first_seen else stored.first_seen
        node = stored.node if before is None else _as_decided(stored.node, before.node)
        after = replace(stored, node=node, connection=without_passwords(stored.connection), first_seen=seen)
        if before is None or _lasting(before) != _lasting(after):
            changed[name] = after
    for name in changed.keys() & known.keys():
        connection.execute(delete(nodes).where(nodes.c.name == name))
    if changed:
        connection.execute(insert(nodes), [_row(stored) for _, stored in sorted(changed.items())])


def decide(connection: Connection, name: str, decided: Node) -> None:
    """What people decided about a node that is known: its `availability`, `drain_until` and `dead`."""
    for stored in load(connection):
        if stored.node.name == name:
            after = replace(stored, node=_as_decided(stored.node, decided))
            connection.execute(delete(nodes).where(nodes.c.name == name))
            connection.execute(insert(nodes), [_row(after)])


def _as_decided(node: Node, decided: Node) -> Node:
    return replace(node, availability=decided.availability, drain_until=decided.drain_until, dead=decided.dead)


def remove(connection: Connection, name: str) -> None:
    """The node, how it answered, and the volumes known to be on it."""
    connection.execute(delete(nodes).where(nodes.c.name == name))
    connection.execute(delete(node_memory).where(node_memory.c.name == name))
    connection.execute(delete(volumes).where(volumes.c.node == name))


def without_passwords(way: Way) -> Way:
    """What may be written to a disk."""
    become = None if way.become is None else replace(way.become, password=None)
    return replace(way, password=None, become=become)


def _lasting(stored: StoredNode) -> StoredNode:
    if stored.facts is None:
        return stored
    return replace(stored, facts=replace(stored.facts, clock=0.0, uptime=0.0))


def _row(stored: StoredNode) -> dict[str, object]:
    return {
        "name": stored.node.name,
        "node": canonical.dumps(stored.node),
        "connection": canonical.dumps(stored.connection),
        "first_seen": stored.first_seen,
        "facts": None if stored.facts is None else canonical.dumps(stored.facts),
    }


@functools.lru_cache(maxsize=16_384)
def _read(kind: Any, text: str, name: str) -> object:
    # nodes seldom change, and a pass looks at them several times
    return decoded(kind, text, f"what the store says of the node {name}")


def _decode(kind: type[T], text: str, name: str) -> T:
    return cast(T, _read(cast("Hashable", kind), text, name))
