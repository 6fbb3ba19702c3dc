"""The planner's memory, kept between passes. Only rows that differ are written, all in one transaction.

Most kinds of the memory's records have a table, a column for a field, so that what is written here can be read,
and put right, with nothing but a SQL prompt. The rest share one, as bodies.
"""

from __future__ import annotations

import json
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from shipyard.base.record import Struct, names, replace
from shipyard.model.canonical import dumps
from shipyard.model.job import Job
from shipyard.model.memory import (
    Attempts,
    Departed,
    Evacuation,
    FailedFencing,
    Failures,
    Hold,
    Home,
    KnownVolume,
    Memory,
    Nameless,
    NodeMemory,
    Placement,
    Probed,
    Relocation,
    Rollout,
    Scale,
    Stuck,
    Stumbles,
    Tainted,
)
from shipyard.model.netbook import (
    AddressLease,
    Draining,
    Endpoint,
    NetworkBlock,
    NetworkDriver,
    NetworkNode,
    ServiceAddress,
    Wired,
)
from shipyard.model.node import NodeState
from shipyard.store.decoding import decoded
from shipyard.store.schema import failures, node_memory, placements, remembered, store, volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Table

T = TypeVar("T", Placement, Failures, NodeMemory, KnownVolume)
B = TypeVar("B", bound="Keyed")


class Keyed(Protocol):
    """What is remembered as a body. `key`: text and numbers that tell it from others of its kind."""

    @property
    def key(self) -> tuple[str | int, ...]: ...


class _Kind(Generic[T]):
    """One kind of thing remembered, and its table."""

    def __init__(self, table: Table, make: Callable[..., T], kind: type[T]) -> None:
        self.table = table
        self.make: Callable[..., T] = make
        self.fields = names(kind)
        self.key_names = tuple(column.name for column in table.primary_key)
        self.key: Callable[[T], Any] = attrgetter(*self.key_names)

    def load(self, connection: Connection) -> tuple[T, ...]:
        """All rows, sorted by key as Python sorts."""
        rows = connection.execute(select(*(self.table.c[name] for name in self.fields)))
        return tuple(sorted((self.make(*row) for row in rows), key=self.key))

    def save(self, connection: Connection, before: Iterable[T], after: Iterable[T]) -> None:
        """The table, which holds `before`, holds `after` then."""
        old = {self.key(item): item for item in before}
        new = {self.key(item): item for item in after}
        stale = [item for key, item in old.items() if new.get(key) != item]
        fresh = [item for key, item in new.items() if old.get(key) != item]
        if stale:
            matches = (self.table.c[name] == bindparam(f"old_{name}") for name in self.key_names)
            keys = [{f"old_{name}": _plain(getattr(item, name)) for name in self.key_names} for item in stale]
            connection.execute(delete(self.table).where(*matches), keys)
        if fresh:
            rows = [{name: _plain(getattr(item, name)) for name in self.fields} for item in fresh]
            connection.execute(insert(self.table), rows)


class _Bodies(Generic[B]):
    """One kind of thing remembered as canonical JSON. `field`: of the memory, and what the rows say they are."""

    def __init__(self, field: str, kind: type[B]) -> None:
        self.field = field
        self.kind = kind

    def load(self, connection: Connection) -> tuple[B, ...]:
        """All of this kind, sorted by key as Python sorts."""
        rows = connection.execute(select(remembered.c.body).where(remembered.c.kind == self.field))
        return self.read(body for (body,) in rows)

    def read(self, bodies: Iterable[str]) -> tuple[B, ...]:
        """Of these bodies, which may be in any order."""
        what = f"what the store remembers as {self.field}"
        return tuple(sorted((decoded(self.kind, body, what) for body in bodies), key=attrgetter("key")))

    def save(self, connection: Connection, before: Iterable[B], after: Iterable[B]) -> None:
        """The table, which holds `before` of this kind, holds `after` then."""
        old = {json.dumps(item.key): item for item in before}
        new = {json.dumps(item.key): item for item in after}
        stale = [{"old_key": key} for key, item in old.items() if new.get(key) != item]
        fresh = [
            {"kind": self.field, "key": key, "body": dumps(item)} for key, item in new.items() if old.get(key) != item
        ]
        if stale:
            ours = remembered.c.kind == self.field
            connection.execute(delete(remembered).where(ours, remembered.c.key == bindparam("old_key")), stale)
        if fresh:
            connection.execute(insert(remembered), fresh)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _node_memory(name: str, state: str, *rest: Any) -> NodeMemory:
    return NodeMemory(name, NodeState(state), *rest)


_PLACEMENTS = _Kind(placements, Placement, Placement)
_FAILURES = _Kind(failures, Failures, Failures)
_NODES = _Kind(node_memory, _node_memory, NodeMemory)
_VOLUMES = _Kind(volumes, KnownVolume, KnownVolume)
_HOLDS = _Bodies("holds", Hold)
_BODIES: tuple[_Bodies[Any], ...] = (
    _Bodies("rollouts", Rollout),
    _HOLDS,
    _Bodies("stumbles", Stumbles),
    _Bodies("attempts", Attempts),
    _Bodies("nameless", Nameless),
    _Bodies("departed", Departed),
    _Bodies("homes", Home),
    _Bodies("evacuations", Evacuation),
    _Bodies("fencings", FailedFencing),
    _Bodies("jobs", Job),
    _Bodies("probed", Probed),
    _Bodies("scales", Scale),
    _Bodies("relocations", Relocation),
    _Bodies("network_nodes", NetworkNode),
    _Bodies("blocks", NetworkBlock),
    _Bodies("service_addresses", ServiceAddress),
    _Bodies("leases", AddressLease),
    _Bodies("wired", Wired),
    _Bodies("endpoints", Endpoint),
    _Bodies("draining", Draining),
    _Bodies("stuck", Stuck),
    _Bodies("network_drivers", NetworkDriver),
    _Bodies("tainted", Tainted),
)


class Remembered(Struct, frozen=True):
    """The memory as it was at a version; while the store still has that version, it need not be read again."""

    version: int
    memory: Memory


def load(connection: Connection, known: Remembered | None) -> Remembered:
    """The memory; from `known` where nothing has changed since."""
    version = int(connection.execute(select(store.c.memory_version)).scalar_one())
    if known is not None and known.version == version:
        return known
    memory = Memory(
        placements=_PLACEMENTS.load(connection),
        failures=_FAILURES.load(connection),
        nodes=_NODES.load(connection),
        volumes=_VOLUMES.load(connection),
        **_bodies(connection),
    )
    return Remembered(version, memory)


def _bodies(connection: Connection) -> dict[str, tuple[Any, ...]]:
    """All kinds that are kept as bodies, by field: in one query."""
    found: dict[str, list[str]] = {}
    for kind, body in connection.execute(select(remembered.c.kind, remembered.c.body)):
        found.setdefault(kind, []).append(body)
    return {kind.field: kind.read(found.get(kind.field, ())) for kind in _BODIES}


def save(connection: Connection, memory: Memory, known: Remembered | None) -> Remembered:
    """The store's memory is `memory` then. The value returned holds once the transaction is committed.

    Not so the holds: people pause updates while a pass is at work, which knows nothing of it yet.
    """
    before = load(connection, known)
    memory = replace(memory, holds=before.memory.holds)
    if before.memory == memory:
        return before
    _PLACEMENTS.save(connection, before.memory.placements, memory.placements)
    _FAILURES.save(connection, before.memory.failures, memory.failures)
    _NODES.save(connection, before.memory.nodes, memory.nodes)
    _VOLUMES.save(connection, before.memory.volumes, memory.volumes)
    for kind in _BODIES:
        kind.save(connection, getattr(before.memory, kind.field), getattr(memory, kind.field))
    changed(connection)
    return Remembered(before.version + 1, memory)


def hold(connection: Connection, wanted: Hold) -> None:
    """Remember that the stack's updates are paused; by whom first, if they are."""
    there = _HOLDS.load(connection)
    if wanted.key not in {each.key for each in there}:
        _HOLDS.save(connection, there, (*there, wanted))
        changed(connection)


def release(connection: Connection, stack: str) -> None:
    """The stack's updates are not paused any more."""
    there = _HOLDS.load(connection)
    _HOLDS.save(connection, there, [each for each in there if each.stack != stack])
    changed(connection)


def changed(connection: Connection) -> None:
    """Whoever has the memory must read it again."""
    connection.execute(update(store).values(memory_version=store.c.memory_version + 1))
