"""Secrets as rows: names and digests to be read by anyone, contents sealed. Nothing here knows a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, or_, select, update

from shipyard.store.records import SealedSecret, SecretRow
from shipyard.store.schema import revisions, secrets

if TYPE_CHECKING:
    from shipyard.store.engine import AnyRow

_TOLD = (
    secrets.c.name,
    secrets.c.digest,
    secrets.c.key,
    secrets.c.current,
    secrets.c.created,
    secrets.c.author,
)


def rows(connection: Connection) -> tuple[SecretRow, ...]:
    """Sorted by name, a name's newest first."""
    found = (SecretRow(*row) for row in connection.execute(select(*_TOLD)))
    return tuple(sorted(found, key=lambda row: (row.name, -row.created, row.digest)))


def sealed(connection: Connection, name: str, digest: str) -> SealedSecret | None:
    """None where it is not kept."""
    row = connection.execute(_with_body().where(secrets.c.name == name, secrets.c.digest == digest)).first()
    return None if row is None else _sealed(row)


def keep(connection: Connection, given: Iterable[SealedSecret]) -> None:
    """Add these contents, or take their new seals; a current one takes the place of the one before."""
    for each in given:
        row = each.row
        mine = secrets.c.name == row.name
        if row.current:
            connection.execute(update(secrets).where(mine).values(current=False))
        this = (mine, secrets.c.digest == row.digest)
        values: dict[str, object] = {"key": row.key, "sealed": each.sealed}
        if row.current:
            values |= {"current": True, "created": row.created, "author": row.author}
        if connection.execute(update(secrets).where(*this).values(**values)).rowcount == 0:
            connection.execute(
                insert(secrets).values(
                    name=row.name,
                    digest=row.digest,
                    current=row.current,
                    created=row.created,
                    author=row.author,
                    key=row.key,
                    sealed=each.sealed,
                )
            )


def remove(connection: Connection, name: str) -> None:
    """All contents of this name."""
    connection.execute(delete(secrets).where(secrets.c.name == name))


def reseal(connection: Connection, anew: Callable[[SealedSecret], SealedSecret | None]) -> tuple[str, ...]:
    """Every row as `anew` makes it; None drops it. Returns the names of those dropped."""
    dropped = set()
    for row in connection.execute(_with_body()).all():
        before = _sealed(row)
        after = anew(before)
        this = (secrets.c.name == before.row.name, secrets.c.digest == before.row.digest)
        if after is None:
            dropped.add(before.row.name)
            connection.execute(delete(secrets).where(*this))
        elif after != before:
            connection.execute(update(secrets).where(*this).values(key=after.row.key, sealed=after.sealed))
    return tuple(sorted(dropped))


def tidy(connection: Connection, stack: str | None, names: Iterable[str] = ()) -> None:
    """Drop contents of these names, and of all that are the stack's own, which no revision mentions any more."""
    meant: list[ColumnElement[bool]] = [secrets.c.name.in_(sorted(names))]
    if stack is not None:
        meant.append(secrets.c.name.startswith(f"{stack}/", autoescape=True))
    query = select(secrets.c.name, secrets.c.digest).where(secrets.c.current.is_(False), or_(*meant))
    for name, digest in connection.execute(query).all():
        mentioned = select(revisions.c.number).where(revisions.c.body.contains(digest, autoescape=True))
        if "/" in name:
            mentioned = mentioned.where(revisions.c.stack == name.partition("/")[0])
        if connection.execute(mentioned.limit(1)).first() is None:
            connection.execute(delete(secrets).where(secrets.c.name == name, secrets.c.digest == digest))


def _with_body() -> Select[Any]:
    return select(*_TOLD, secrets.c.sealed)


def _sealed(row: AnyRow) -> SealedSecret:
    *told, body = row
    return SealedSecret(SecretRow(*told), body)
