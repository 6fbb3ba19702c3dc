"""What a database says when it fails, in words for people: what is wrong with the store, and what to do."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from shipyard.base.errors import StoreError
from shipyard.base.text import one_line

if TYPE_CHECKING:
    from shipyard.store.location import Location

UNDONE = "nothing was half-written"

# The beginning of SQLite's name for the error: what is wrong, what to do.
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("SQLITE_FULL", f"can't grow: the disk is full; {UNDONE}", "free some space on its file system, then try again"),
    (
        "SQLITE_READONLY",
        f"can't be written: it, its directory or its file system is read-only; {UNDONE}",
        "look at the rights and the mount of its directory",
    ),
    (
        "SQLITE_CORRUPT",
        "is damaged",
        "restore a backup with `shipyard state restore`, or move it away and run `shipyard state rebuild`",
    ),
    (
        "SQLITE_NOTADB",
        "is no SQLite database, or its beginning is damaged",
        "restore a backup with `shipyard state restore`, or move it away and run `shipyard state rebuild`",
    ),
    ("SQLITE_BUSY", f"is kept busy by another process; {UNDONE}", "try again; `fuser` on its file names the process"),
    ("SQLITE_LOCKED", f"is kept busy by another process; {UNDONE}", "try again; `fuser` on its file names the process"),
    (
        "SQLITE_CANTOPEN",
        "can't be opened",
        "look at the rights of its file and directory, and at the number of open files allowed",
    ),
    (
        "SQLITE_IOERR",
        f"can't be read or written: the disk reports an error, or is full; {UNDONE}",
        "look at the free space and at the kernel's log (dmesg)",
    ),
    ("SQLITE_PERM", "can't be used by this user", "run as its owner"),
)


def store_error(location: Location, error: BaseException) -> StoreError:
    """A driver's error as ours."""
    words = one_line(str(error))
    code = getattr(error, "sqlite_errorname", "") if isinstance(error, sqlite3.Error) else ""
    for name, wrong, advice in _WORDS:
        if code.startswith(name):
            return StoreError(f"the store {location.shown} {wrong} ({words})", hint=advice)
    return StoreError(f"the store {location.shown} refused: {words}; {UNDONE}")
