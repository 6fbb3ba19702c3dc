"""Stacks and their revisions: immutable, numbered, never renumbered. What `apply` writes and every pass reads.

Only one thing is ever added to one: what its containers are on nodes that joined since (`amend`).

A body that holds secrets is encrypted (`bodies`). Rows are handed out as they are and opened by `read` once the
transaction is over, since a key may have to be asked for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.model import canonical
from shipyard.model.memory import Rollout
from shipyard.model.spec import Revision, StackSpec
from shipyard.store import bodies, resealing, timekeeping
from shipyard.store.bodies import Place
from shipyard.store.decoding import decoded
from shipyard.store.records import RevisionRow
from shipyard.store.schema import failures, placements, remembered, revisions, stacks

if TYPE_CHECKING:
    from shipyard.store.bodies import Keys
    from shipyard.store.engine import AnyRow
    from shipyard.store.sealing import Keyring

Cache = dict[tuple[str, int, str], Revision]
"""Revisions once decoded, by stack, number and digest: they never change, and every pass reads the heads."""


def add(
    connection: Connection,
    spec: StackSpec,
    *,
    author: str,
    files: tuple[str, ...],
    now: float,
    kept: int,
    note: str = "",
    ring: Keyring | None = None,
) -> Revision:
    """The next revision, or the head where it says the same. A stack that was being removed is wanted again.

    `kept`: how many of the newest are. `ring`: seals it, and what of the stack an older shipyard left in plain text;
    None where it holds no secrets.
    """
    body = canonical.dumps(spec)
    try:
        plain = canonical.digest(body)
    except UnicodeEncodeError as error:
        raise StoreError(
            f"the stack {spec.name} holds half a character ({error.object[error.start]!r}), which no container can",
            hint="write it whole; it may have come from the environment",
        ) from error
    timekeeping.record(connection, now)
    digests = (plain,) if ring is None else ring.body_digests(body)
    if ring is not None:
        resealing.seal_plain(connection, ring, spec.name)
    stack = connection.execute(select(stacks).where(stacks.c.name == spec.name)).first()
    if stack is not None and stack.head is not None:
        head = _row(connection, spec.name, stack.head)
        if head.digest in digests:
            _set_stack(connection, spec.name, removing=False)
            return _made(head, spec)
    number = 1 if stack is None else stack.last_number + 1
    if stack is None:
        connection.execute(insert(stacks).values(name=spec.name, head=None, last_number=0, removing=False))
    revision = Revision(spec.name, number, spec, digests[0], now, author, files)
    _insert(connection, revision, body, note, ring)
    _set_stack(connection, spec.name, head=number, last_number=number, removing=False)
    _forget_old(connection, spec.name, kept)
    return revision


def amend(connection: Connection, revision: Revision, spec: StackSpec, *, now: float, ring: Keyring | None) -> Revision:
    """The head of a stack, with what is the case on further nodes. `ring`: as for `add`.

    Raises StoreError where `revision` is not the head any more.
    """
    name, number = revision.stack, revision.number
    stack = connection.execute(select(stacks).where(stacks.c.name == name)).first()
    found = connection.execute(_one(name, number)).first()
    if stack is None or found is None or (stack.head, found.digest) != (number, revision.digest):
        raise StoreError(f"the stack {name} was changed at this very moment", hint="run this again")
    timekeeping.record(connection, now)
    body = canonical.dumps(spec)
    digest = canonical.digest(body) if ring is None else ring.body_digests(body)[0]
    if ring is not None:
        resealing.seal_plain(connection, ring, name)
    amended = replace(revision, spec=spec, digest=digest)
    connection.execute(
        update(revisions)
        .where(revisions.c.stack == name, revisions.c.number == number)
        .values(digest=digest, body=_kept(amended, body, ring))
    )
    return amended


def import_revision(connection: Connection, revision: Revision, ring: Keyring | None) -> None:
    """As the nodes kept it, number included; the head where it is the newest. `ring`: as for `add`."""
    name, body = revision.stack, canonical.dumps(revision.spec)
    digests = (canonical.digest(body),) if ring is None else ring.body_digests(body)
    stack = connection.execute(select(stacks).where(stacks.c.name == name)).first()
    if stack is None:
        connection.execute(insert(stacks).values(name=name, head=None, last_number=0, removing=False))
    known = connection.execute(_one(name, revision.number)).first()
    if known is not None and known.digest not in digests:
        raise StoreError(
            f"revision {revision.number} of {name} is already in the store, and says something else",
            hint="rebuild into an empty store",
        )
    if known is None:
        _insert(connection, replace(revision, digest=digests[0]), body, "rebuilt from the nodes", ring)
    head = max(revision.number, (stack.head or 0) if stack else 0)
    _set_stack(connection, name, head=head, last_number=max(head, stack.last_number if stack else 0))


def import_number(connection: Connection, stack: str, number: int) -> None:
    """A stack that nodes have this revision of, which nobody can read: forgotten, but the number is not given again."""
    if connection.execute(select(stacks.c.name).where(stacks.c.name == stack)).first() is None:
        connection.execute(insert(stacks).values(name=stack, head=None, last_number=number, removing=False))


def heads(connection: Connection, cache: Cache) -> list[tuple[Revision | AnyRow, bool]]:
    """Every stack's newest revision, and whether it is being removed. Those that are not in `cache` as rows."""
    join = stacks.join(revisions, (revisions.c.stack == stacks.c.name) & (revisions.c.number == stacks.c.head))
    rows = connection.execute(
        select(revisions.c.stack, revisions.c.number, revisions.c.digest, stacks.c.removing).select_from(join)
    ).all()
    return [(_cached(connection, cache, stack, number, digest), removing) for stack, number, digest, removing in rows]


def one(connection: Connection, cache: Cache, stack: str, number: int) -> Revision | AnyRow | None:
    """None where it is not kept; as a row where it is not in `cache`."""
    row = connection.execute(
        select(revisions.c.digest).where(revisions.c.stack == stack, revisions.c.number == number)
    ).first()
    return None if row is None else _cached(connection, cache, stack, number, row.digest)


def read(found: Revision | AnyRow, cache: Cache, keys: Keys | None) -> Revision:
    """What `heads` or `one` gave, into `cache` where it is not yet. Raises StoreError for what can't be read."""
    if isinstance(found, Revision):
        return found
    place = Place("row", found.stack, found.number, found.digest)
    body = bodies.read(keys, place, found.body)
    spec = decoded(StackSpec, body, f"revision {found.number} of {found.stack}")
    cache[found.stack, found.number, found.digest] = revision = _made(found, spec)
    return revision


def known(connection: Connection, stack: str) -> bool:
    """Whether there is such a stack."""
    query = select(stacks.c.name).where(stacks.c.name == stack, stacks.c.head.is_not(None))
    return connection.execute(query).first() is not None


def any_stack(connection: Connection) -> bool:
    """Whether a stack was ever stored here and not forgotten."""
    return connection.execute(select(stacks.c.name).where(stacks.c.head.is_not(None)).limit(1)).first() is not None


def history(connection: Connection, stack: str) -> tuple[RevisionRow, ...]:
    """Newest first."""
    table = revisions.c
    query = select(table.stack, table.number, table.digest, table.created, table.author, table.files, table.note).where(
        table.stack == stack
    )
    return tuple(
        RevisionRow(row.stack, row.number, row.digest, row.created, row.author, _files(row), row.note)
        for row in connection.execute(query.order_by(table.number.desc()))
    )


def mark_removing(connection: Connection, stack: str, now: float) -> None:
    """Nothing of it should be left; raises StoreError for a stack that is not there."""
    changed = connection.execute(
        update(stacks).where(stacks.c.name == stack, stacks.c.head.is_not(None)).values(removing=True)
    )
    if changed.rowcount == 0:
        raise _missing_stack(connection, stack)
    timekeeping.record(connection, now)


def forget(connection: Connection, stack: str) -> None:
    """Its revisions, placements and failures. Its volumes stay known: data outlives the stack that made it."""
    connection.execute(delete(revisions).where(revisions.c.stack == stack))
    connection.execute(delete(placements).where(placements.c.stack == stack))
    connection.execute(delete(failures).where(failures.c.stack == stack))
    _set_stack(connection, stack, head=None, removing=False)


def _one(stack: str, number: int) -> Any:
    return select(revisions).where(revisions.c.stack == stack, revisions.c.number == number)


def _row(connection: Connection, stack: str, number: int) -> AnyRow:
    row: AnyRow = connection.execute(_one(stack, number)).one()
    return row


def _cached(connection: Connection, cache: Cache, stack: str, number: int, digest: str) -> Revision | AnyRow:
    found = cache.get((stack, number, digest))
    return _row(connection, stack, number) if found is None else found


def _made(row: AnyRow, spec: StackSpec) -> Revision:
    return Revision(row.stack, row.number, spec, row.digest, row.created, row.author, _files(row))


def _files(row: AnyRow) -> tuple[str, ...]:
    return tuple(json.loads(row.files))


def _insert(connection: Connection, revision: Revision, body: str, note: str, ring: Keyring | None) -> None:
    connection.execute(
        insert(revisions).values(
            stack=revision.stack,
            number=revision.number,
            digest=revision.digest,
            body=_kept(revision, body, ring),
            created=revision.created,
            author=revision.author,
            files=json.dumps(revision.files),
            note=note,
        )
    )


def _kept(revision: Revision, body: str, ring: Keyring | None) -> str:
    """The body as its row has it."""
    if ring is None:
        return body
    place = Place("row", revision.stack, revision.number, revision.digest)
    return bodies.seal(ring, place, body, bodies.mentioned(revision.spec))


def _set_stack(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(stacks).where(stacks.c.name == name).values(**values))


def _forget_old(connection: Connection, stack: str, most: int) -> None:
    numbers = revisions.c.number
    mine = revisions.c.stack == stack
    kept = connection.execute(select(numbers).where(mine).order_by(numbers.desc()).limit(most)).scalars().all()
    used = select(placements.c.revision).where(placements.c.stack == stack)
    gone = delete(revisions).where(mine, numbers < min(kept), numbers.not_in(used))
    connection.execute(gone.where(numbers.not_in(_rolling(connection, stack))))


def _rolling(connection: Connection, stack: str) -> set[int]:
    """The revisions that the stack's updates go to, and those that they can go back to."""
    bodies = connection.execute(select(remembered.c.body).where(remembered.c.kind == "rollouts")).scalars()
    rollouts = [decoded(Rollout, body, "what the store remembers of updates") for body in bodies]
    return {number for each in rollouts if each.stack == stack for number in (each.revision, each.before)}


def _missing_stack(connection: Connection, stack: str) -> StoreError:
    names = connection.execute(select(stacks.c.name).where(stacks.c.head.is_not(None))).scalars().all()
    known = ", ".join(sorted(names)) or "none"
    return StoreError(f"there is no stack {stack} in the store", hint=f"stacks that are: {known}")
