"""The store: one object, each method one transaction. What the rest of shipyard knows of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from shipyard.base.errors import StoreError
from shipyard.model.retention import Retention
from shipyard.store import (
    backup,
    configs,
    events,
    lease,
    location,
    memory,
    nodes,
    opening,
    passes,
    questions,
    resealing,
    revisions,
    secrets,
    timekeeping,
)
from shipyard.store.contents import Contents
from shipyard.store.records import Head
from shipyard.store.schema import store as identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection

    from shipyard.model.event import Event
    from shipyard.model.memory import Hold, Memory
    from shipyard.model.node import Node
    from shipyard.model.plan import Action, Outcome
    from shipyard.model.spec import Revision, StackSpec
    from shipyard.store.bodies import Keys
    from shipyard.store.engine import AnyRow, Database
    from shipyard.store.filelock import FileLock
    from shipyard.store.records import (
        ActionRow,
        ConfigRow,
        EventRow,
        Lease,
        PassRow,
        RevisionRow,
        SealedSecret,
        StoredNode,
    )
    from shipyard.store.sealing import Keyring


class Store(Contents):
    """An open store; may be used by several threads. Every method raises StoreError where the database fails.

    `cluster`: the random id of the cluster, on every label. `uuid`: of this store; nodes belong to one.
    `now` arguments are the store's own time, as `now()` gives it. `keys`: who has the keys of what is encrypted, asked
    once something is. `retention`: how much of what has been is kept.
    """

    keys: Callable[[], Keys] | None = None
    retention: Retention = Retention()

    def __init__(self, database: Database, lock: FileLock | None) -> None:
        self._database = database
        self._lock = lock
        self._revisions: revisions.Cache = {}
        self._memory: memory.Remembered | None = None
        with database.reading() as connection:
            self.cluster, self.uuid = connection.execute(select(identity.c.cluster, identity.c.uuid)).one()

    @classmethod
    def open(cls, url: str, *, create: bool = True, cluster: str | None = None) -> Store:
        """The store at a path, `sqlite:///…` or `postgresql://…`, made where there is none and `create` says so.

        `cluster`: its id, where the store is made; None for a random one.
        """
        database, lock = opening.open_database(location.parse(url), create=create, cluster=cluster)
        try:
            return cls(database, lock)
        except BaseException:
            database.close()
            if lock is not None:
                lock.close()
            raise

    @classmethod
    def create(cls, url: str, *, cluster: str | None = None) -> Store:
        """A new store. Raises StoreError where there is one already."""
        place = location.parse(url)
        if place.path is not None and location.check_file(place, place.path, create=True):
            raise StoreError(f"there is a store at {place.shown} already", hint="move it away, or name another place")
        return cls.open(url, cluster=cluster)

    def close(self) -> None:
        """Let go of the database; harmless when done twice."""
        self._database.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def adopt_cluster(self, cluster: str) -> None:
        """Become the store of a cluster that is there already. StoreError where this one knows stacks of its own."""
        with self._database.writing() as connection:
            if cluster != self.cluster and revisions.any_stack(connection):
                raise StoreError(
                    f"this store is that of the cluster {self.cluster}, and can't become that of {cluster}",
                    hint="move it away, or name another with --database",
                )
            connection.execute(update(identity).values(cluster=cluster))
        self.cluster = cluster

    def now(self, clock_now: float) -> float:
        """Unix seconds that never go backwards, whichever process asks."""
        with self._database.reading() as connection:
            newest, ahead = timekeeping.read(connection)
        now, ahead_now = timekeeping.advance(clock_now, newest, ahead)
        if ahead_now != ahead:
            with self._database.writing() as connection:
                timekeeping.set_ahead(connection, ahead_now)
        return now

    # The lease

    def acquire(self, holder: str, now: float, ttl: float) -> Lease:
        """The right to run passes for `ttl` seconds, under a new epoch. `holder`: user@host.

        Taken over where it expired or its holder's process is surely dead. Raises LeaseHeld otherwise.
        """
        with self._database.writing() as connection:
            return lease.acquire(connection, holder, now, ttl)

    def renew(self, held: Lease, now: float) -> None:
        """For another `ttl` seconds. Raises LeaseHeld when somebody else has it by now."""
        with self._database.writing() as connection:
            lease.renew(connection, held, now)

    def release(self, held: Lease, *, unused: bool = False) -> None:
        """Given back; nothing happens when it was lost. `unused`: no node has heard of it; the next has its number."""
        with self._database.writing() as connection:
            lease.release(connection, held, unused=unused)

    def is_leased(self, now: float) -> bool:
        """Whether somebody, not surely dead, has the lease: only then is a pass without a result still at work."""
        with self._database.reading() as connection:
            return lease.is_held(connection, now)

    def raise_epoch(self, at_least: int) -> None:
        """Leases acquired from now on are newer than any that a node has seen; the held one keeps its epoch."""
        with self._database.writing() as connection:
            lease.raise_epoch(connection, at_least)

    # Revisions

    def add_revision(
        self,
        spec: StackSpec,
        *,
        author: str,
        files: tuple[str, ...],
        now: float,
        note: str = "",
        sealed: Iterable[SealedSecret] = (),
    ) -> Revision:
        """The stack's next revision, now its head; the head itself where it says the same.

        `sealed`: contents that it mentions. Those that no revision mentions any more go.
        """
        ring = self._ring_for((spec,))
        with self._database.writing() as connection:
            self._check_ring(connection, ring)
            secrets.keep(connection, sealed)
            revision = revisions.add(
                connection,
                spec,
                author=author,
                files=files,
                now=now,
                kept=self.retention.revisions,
                note=note,
                ring=ring,
            )
            secrets.tidy(connection, spec.name, {secret.name for secret in spec.secrets})
            return revision

    def amend_revision(
        self, revision: Revision, spec: StackSpec, *, wanted: Memory, happened: Iterable[Event], now: float
    ) -> Revision:
        """The stack's head, saying so under the same number; with the memory and events that go with it.

        Raises StoreError where it is not the head any more.
        """
        ring = self._ring_for((spec,))
        with self._database.writing() as connection:
            self._check_ring(connection, ring)
            amended = revisions.amend(connection, revision, spec, now=now, ring=ring)
            remembered = memory.save(connection, wanted, self._memory)
            events.add(connection, happened, self.retention.events)
        self._memory = remembered
        return amended

    def import_state(
        self,
        kept: Iterable[Revision],
        wanted: Memory,
        *,
        unread: Iterable[tuple[str, int]] = (),
        outside: Iterable[ConfigRow] = (),
    ) -> None:
        """What nodes kept, all of it or nothing: revisions under their numbers, the newest as heads; and the memory.

        `unread`: stacks of which nobody can read what nodes kept, and its number, which is not given again. `outside`:
        external configs as revisions have them.
        """
        kept = tuple(kept)
        rings = {revision.stack: self._ring_for((revision.spec,)) for revision in kept}
        with self._database.writing() as connection:
            for revision in kept:
                revisions.import_revision(connection, revision, rings[revision.stack])
            for stack, number in unread:
                revisions.import_number(connection, stack, number)
            configs.keep(connection, outside)
            remembered = memory.save(connection, wanted, self._memory)
        self._memory = remembered

    def heads(self) -> tuple[Head, ...]:
        """Every stack's newest revision, sorted by stack."""
        with self._database.reading() as connection:
            found = revisions.heads(connection, self._revisions)
        heads = (Head(self._read(each), removing) for each, removing in found)
        return tuple(sorted(heads, key=lambda head: head.revision.stack))

    def revision(self, stack: str, number: int) -> Revision | None:
        """None where it is not kept."""
        with self._database.reading() as connection:
            found = revisions.one(connection, self._revisions, stack, number)
        return None if found is None else self._read(found)

    def _read(self, found: Revision | AnyRow) -> Revision:
        return revisions.read(found, self._revisions, None if self.keys is None else self.keys())

    def _ring_for(self, specs: Iterable[StackSpec]) -> Keyring | None:
        """What seals these; None where they hold no secrets. Asked before a transaction: a program may tell the key."""
        from shipyard.model.hiding import holds_secrets

        if not any(map(holds_secrets, specs)):
            return None
        if self.keys is None:
            raise StoreError("a revision that holds secrets can't be stored without a key")
        return self.keys().sealing()

    def _check_ring(self, connection: Connection, ring: Keyring | None) -> None:
        if ring is not None and not resealing.keys(connection) <= {*ring.ids}:
            raise StoreError("the key of secrets was replaced at this very moment", hint="run this again")

    def has_stack(self, stack: str) -> bool:
        """Whether there is one of this name; needs no key."""
        with self._database.reading() as connection:
            return revisions.known(connection, stack)

    def revisions(self, stack: str) -> tuple[RevisionRow, ...]:
        """The stack's history, newest first; empty for an unknown stack."""
        with self._database.reading() as connection:
            return revisions.history(connection, stack)

    def mark_removing(self, stack: str, now: float) -> None:
        """The stack is no longer wanted; passes remove what is left of it. StoreError where there is none."""
        with self._database.writing() as connection:
            revisions.mark_removing(connection, stack, now)

    def forget_stack(self, stack: str) -> None:
        """Once nothing of it is left: revisions, placements, failures. Its numbers are not given again."""
        with self._database.writing() as connection:
            revisions.forget(connection, stack)
            secrets.tidy(connection, stack)
            memory.changed(connection)

    # Memory and nodes

    def memory(self) -> Memory:
        """What the planner remembers."""
        with self._database.reading() as connection:
            remembered = memory.load(connection, self._memory)
        self._memory = remembered
        return remembered.memory

    def save_memory(self, wanted: Memory) -> None:
        """Writes what differs."""
        with self._database.writing() as connection:
            remembered = memory.save(connection, wanted, self._memory)
        self._memory = remembered

    def pause_updates(self, wanted: Hold) -> None:
        """Pause a stack's updates, also while a pass is at work: the next one sees it. Takes no lease."""
        with self._database.writing() as connection:
            memory.hold(connection, wanted)

    def resume_updates(self, stack: str) -> None:
        """Let a stack's updates go on."""
        with self._database.writing() as connection:
            memory.release(connection, stack)

    def nodes(self) -> tuple[StoredNode, ...]:
        """Every node known, orphaned ones included, sorted by name."""
        with self._database.reading() as connection:
            return nodes.load(connection)

    def save_nodes(self, given: Iterable[StoredNode]) -> None:
        """Adds or changes these; others stay. Passwords are not stored."""
        with self._database.writing() as connection:
            nodes.save(connection, given)

    def decide(self, node: Node) -> None:
        """Keeps what people decided about a known node: `availability`, `drain_until` and `dead`."""
        with self._database.writing() as connection:
            nodes.decide(connection, node.name, node)

    def remove_node(self, name: str) -> None:
        """Forgets the node, how it answered, and the volumes on it."""
        with self._database.writing() as connection:
            nodes.remove(connection, name)
            memory.changed(connection)

    # Passes and events

    def begin_pass(self, *, kind: str, holder: str, now: float) -> int:
        """The id of a new pass; earlier ones that never ended are settled as killed."""
        with self._database.writing() as connection:
            return passes.begin(connection, kind=kind, holder=holder, now=now)

    def begin_wave(self, pass_id: int, wave: tuple[Action, ...], wanted: Memory, now: float) -> None:
        """Before anything is carried out: the actions as started, and the memory. LeaseHeld where the lease is lost."""
        with self._database.writing() as connection:
            passes.begin_wave(connection, pass_id, wave, now)
            remembered = memory.save(connection, wanted, self._memory)
        self._memory = remembered

    def end_wave(
        self, pass_id: int, outcomes: tuple[Outcome, ...], wanted: Memory, happened: tuple[Event, ...], now: float
    ) -> None:
        """Outcomes, memory and events, together. LeaseHeld where the lease is lost."""
        with self._database.writing() as connection:
            passes.end_wave(connection, pass_id, outcomes, now)
            remembered = memory.save(connection, wanted, self._memory)
            events.add(connection, happened, self.retention.events)
        self._memory = remembered

    def end_pass(self, pass_id: int, *, result: str, now: float, changes: int) -> None:
        """One without changes that ended like the pass before takes its place."""
        with self._database.writing() as connection:
            passes.end(connection, pass_id, result=result, now=now, changes=changes, kept=self.retention.passes)

    def save_questions(self, wanted: Mapping[str, str]) -> None:
        """What each node is asked by a pass that finds nothing to do, as canonical JSON."""
        with self._database.writing() as connection:
            questions.save(connection, wanted)

    def last_pass(self) -> PassRow | None:
        """The newest."""
        return next(iter(self.passes(1)), None)

    def passes(self, limit: int = 100) -> tuple[PassRow, ...]:
        """Newest first."""
        with self._database.reading() as connection:
            return passes.newest_first(connection, limit)

    def actions(self, pass_id: int) -> tuple[ActionRow, ...]:
        """Of one pass, in the order of their execution."""
        with self._database.reading() as connection:
            return passes.actions_of(connection, pass_id)

    def add_events(self, happened: Iterable[Event]) -> None:
        """Equal ones within an hour are counted."""
        with self._database.writing() as connection:
            events.add(connection, happened, self.retention.events)

    def events(
        self, *, stack: str | None = None, node: str | None = None, since_id: int = 0, limit: int = 100
    ) -> tuple[EventRow, ...]:
        """Oldest first: the newest `limit`, or with `since_id` the first `limit` after it."""
        with self._database.reading() as connection:
            return events.find(connection, stack=stack, node=node, since_id=since_id, limit=limit)

    # Backup

    def backup(self, path: Path) -> None:
        """A whole, checked copy at `path`, while passes go on."""
        backup.save(self._database, path)

    @staticmethod
    def restore(url: str, path: Path) -> None:
        """The store becomes the backup at `path`; what it was stays beside it as `….before-restore`."""
        backup.restore(location.parse(url), path)
