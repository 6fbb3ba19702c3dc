"""A first glance at a store, without SQLAlchemy: what to do while everything else is still being imported."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from types import MappingProxyType
from urllib.parse import quote

from shipyard.base.errors import StoreError
from shipyard.base.record import Struct
from shipyard.store.location import parse

_NONE: Mapping[str, str] = MappingProxyType({})


class Glance(Struct, frozen=True):
    """What a store held for a moment. A hint only, since the store may be another a moment later.

    `nodes`: names of those it knows, sorted. `questions`: what the next pass will ask most probably, as canonical JSON
    by node; none while somebody holds the lease. `epoch`: of the newest lease. `result`, `finished`, `times`: of the
    last pass (PassRow).
    """

    nodes: tuple[str, ...] = ()
    questions: Mapping[str, str] = _NONE
    epoch: int = 0
    result: str | None = None
    finished: float | None = None
    times: int = 0


def glance(database: str) -> Glance:
    """Of a SQLite store; empty, or half of it, wherever it can't be had at once.

    Nothing is decided by it, so nothing is reported either: whoever opens the store properly does that.
    """
    found = Glance()
    with suppress(sqlite3.Error, StoreError, OSError):
        path = parse(database).path
        if path is None or not path.is_file():
            return found
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=0)) as connection:
            connection.execute("BEGIN")
            names = tuple(str(name) for (name,) in connection.execute("SELECT name FROM nodes ORDER BY name"))
            found = Glance(names)
            found = _more(connection, names)
    return found


def _more(connection: sqlite3.Connection, names: tuple[str, ...]) -> Glance:
    (epoch,) = connection.execute("SELECT epoch FROM store").fetchone()
    held = connection.execute("SELECT 1 FROM lease WHERE holder != ''").fetchone()
    last = connection.execute("SELECT result, finished, times FROM passes ORDER BY id DESC LIMIT 1").fetchone()
    if held or last is None:
        return Glance(names)
    questions = {str(node): str(body) for node, body in connection.execute("SELECT node, body FROM questions")}
    return Glance(names, questions, epoch, *last)
