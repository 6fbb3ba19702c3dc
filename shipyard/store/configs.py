"""Configs outside of stacks, as rows. What a revision has of one is in the revision."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from shipyard.store.records import ConfigRow
from shipyard.store.schema import configs


def rows(connection: Connection, names: Iterable[str] | None = None) -> tuple[ConfigRow, ...]:
    """All of them, or those of these names, sorted by name."""
    columns = configs.c
    query = select(columns.name, columns.content, columns.digest, columns.created, columns.author)
    if names is not None:
        query = query.where(columns.name.in_(sorted(set(names))))
    return tuple(sorted((ConfigRow(*row) for row in connection.execute(query)), key=lambda row: row.name))


def keep(connection: Connection, given: Iterable[ConfigRow]) -> None:
    """Each takes the place of the one of its name."""
    for row in given:
        remove(connection, (row.name,))
        connection.execute(
            insert(configs).values(
                name=row.name, content=row.content, digest=row.digest, created=row.created, author=row.author
            )
        )


def remove(connection: Connection, names: Iterable[str]) -> None:
    """Those that are there."""
    connection.execute(delete(configs).where(configs.c.name.in_(sorted(set(names)))))
