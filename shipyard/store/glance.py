"""A first glance at a store, without SQLAlchemy: which nodes to call while everything else is still being imported."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from shipyard.base.errors import StoreError
from shipyard.store.location import parse


def known_nodes(database: str) -> tuple[str, ...]:
    """Names of the nodes that a SQLite store knows, sorted. A hint only: () wherever it can't be had at once.

    Nothing is decided by it, so nothing is reported either: whoever opens the store properly does that.
    """
    try:
        path = parse(database).path
        if path is None or not path.is_file():
            return ()
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=0)) as connection:
            return tuple(str(name) for (name,) in connection.execute("SELECT name FROM nodes ORDER BY name"))
    except (sqlite3.Error, StoreError, OSError):
        return ()
