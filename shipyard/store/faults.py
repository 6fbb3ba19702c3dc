"""What a database says when it fails, in words for people: what is wrong with the store, and what to do."""

from __future__ import annotations

import re
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


# The beginning of PostgreSQL's code for the error, and what its words hold where there is no code, which is so while
# connecting: what is wrong, what to do.
_SERVER_WORDS: tuple[tuple[str, str, str, str], ...] = (
    (
        "28",
        "no password supplied|authentication failed|no pg_hba.conf entry|no password file entry|role .* does not exist",
        "does not let this user in",
        "the user stands in its URL; the password in ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 0600),"
        " or in $PGPASSWORD",
    ),
    (
        "3D000",
        "database .* does not exist",
        "can't be opened: there is no such database",
        "make an empty one (createdb --owner=USER NAME), or name another with --database",
    ),
    (
        "42501",
        "permission denied",
        f"can't be used by this user; {UNDONE}",
        "looking takes SELECT on all its tables; all else is for the owner of the database",
    ),
    (
        "25006",
        "read-only transaction",
        f"can't be written; {UNDONE}",
        "is this a standby? name the primary server; was the user made read-only? name another",
    ),
    ("53100", "No space left", f"can't grow: the server's disk is full; {UNDONE}", "free some space there"),
    ("55P03", "lock timeout", f"is kept busy by another process; {UNDONE}", "try again; pg_stat_activity names it"),
    (
        "53300|57P03",
        "too many clients|starting up|shutting down",
        "lets nobody in for the moment",
        "try again; what has begun is carried on by the next pass",
    ),
    (
        "08|57P0",
        "connect|resolve host|timeout|SSL|certificate",
        f"can't be reached; {UNDONE}",
        "is its server up, and is the address right? what has begun is carried on by the next pass",
    ),
)


def store_error(location: Location, error: BaseException) -> StoreError:
    """A driver's error as ours."""
    words = one_line(str(error))
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorname", "")
        for name, wrong, advice in _WORDS:
            if code.startswith(name):
                return StoreError(f"the store {location.shown} {wrong} ({words})", hint=advice)
    else:
        code = getattr(error, "sqlstate", None)
        for codes, said, wrong, advice in _SERVER_WORDS:
            if re.match(codes, code) if code else re.search(said, words):
                return StoreError(f"the store {location.shown} {wrong} ({words})", hint=advice)
    return StoreError(f"the store {location.shown} refused: {words}; {UNDONE}")
