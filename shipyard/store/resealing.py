"""Sealing revisions that are there: with another key, and those that an older shipyard left in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, select, update

from shipyard.model import canonical
from shipyard.model.spec import StackSpec
from shipyard.store import bodies
from shipyard.store.bodies import Place
from shipyard.store.schema import revisions, secrets, stacks

if TYPE_CHECKING:
    from shipyard.store.engine import AnyRow
    from shipyard.store.sealing import Keyring


def keys(connection: Connection) -> set[str]:
    """Ids of the keys that anything here was sealed with."""
    return {key for key, _, _ in _sealed(connection)} | set(connection.execute(select(secrets.c.key)).scalars())


def by_key(connection: Connection) -> list[tuple[str, str]]:
    """What is sealed, a stack's revisions as one, in words; and the key of each."""
    found: dict[tuple[str, str], list[int]] = {}
    for key, stack, number in _sealed(connection):
        found.setdefault((key, stack), []).append(number)
    return [(key, in_words(stack, numbers)) for (key, stack), numbers in found.items()]


def in_words(stack: str, numbers: Sequence[int]) -> str:
    """`revisions 3, 4 of shop`."""
    return f"revision{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} of {stack}"


def has_plain(connection: Connection) -> bool:
    """Whether a revision holds secrets in plain text."""
    return any(True for _ in _plain(connection, None))


def seal_plain(connection: Connection, ring: Keyring, stack: str | None) -> int:
    """Seal the revisions of a stack, or of all, that hold secrets in plain text; how many there were."""
    found = list(_plain(connection, stack))
    if found and connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # or the plain text would stay in unused pages
    for row, spec in found:
        _seal_row(connection, ring, row, row.body, spec)
    return len(found)


def reseal(connection: Connection, ring: Keyring, *, lost: bool) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Seal all that hold secrets with the ring's first key: how many these are, and those dropped.

    `lost`: what no key opens is dropped, and is an error otherwise. A stack whose newest revision goes is forgotten as
    far as it goes by numbers: what runs stays placed, and applying its files makes the next one.
    """
    count, dropped = 0, []
    rows = connection.execute(select(revisions).where(revisions.c.body.like(bodies.PATTERN))).all()
    for row in rows:
        if lost and bodies.key_of(row.body) not in ring.ids:
            dropped.append((row.stack, row.number))
            connection.execute(delete(revisions).where(*_this(row)))
            connection.execute(
                update(stacks).where(stacks.c.name == row.stack, stacks.c.head == row.number).values(head=None)
            )
            continue
        body = bodies.opened(ring, Place("row", row.stack, row.number, row.digest), row.body)
        _seal_row(connection, ring, row, body)
        count += 1
    return count + seal_plain(connection, ring, None), tuple(sorted(dropped))


def _sealed(connection: Connection) -> list[tuple[str, str, int]]:
    """Of each sealed revision the id of its key, the stack and the number, sorted."""
    key = func.substr(revisions.c.body, bodies.KEY_AT + 1, bodies.KEY_LENGTH)
    query = select(key, revisions.c.stack, revisions.c.number).where(revisions.c.body.like(bodies.PATTERN))
    return sorted((key, stack, number) for key, stack, number in connection.execute(query))


def _plain(connection: Connection, stack: str | None) -> Iterator[tuple[AnyRow, StackSpec]]:
    """Revisions of a stack, or of all, that hold secrets in plain text."""
    from shipyard.model.hiding import holds_secrets

    query = select(revisions).where(revisions.c.body.not_like("sealed %"))
    for row in connection.execute(query if stack is None else query.where(revisions.c.stack == stack)).all():
        with suppress(ValueError):  # one that can't be read says so to whoever needs it
            spec = canonical.loads(StackSpec, row.body)
            if holds_secrets(spec):
                yield row, spec


def _seal_row(connection: Connection, ring: Keyring, row: AnyRow, body: str, spec: StackSpec | None = None) -> None:
    digest = ring.body_digests(body)[0]
    told = bodies.mentioned(canonical.loads(StackSpec, body) if spec is None else spec)
    sealed = bodies.seal(ring, Place("row", row.stack, row.number, digest), body, told)
    connection.execute(update(revisions).where(*_this(row)).values(digest=digest, body=sealed))


def _this(row: AnyRow) -> tuple[Any, ...]:
    return revisions.c.stack == row.stack, revisions.c.number == row.number
