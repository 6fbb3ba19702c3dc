"""Copies of the store, and a store put back from one. SQLite's own backup, so passes may go on meanwhile.

A copy is checked before it gets its name, and a store is replaced in one rename: whoever is killed in between leaves
either the old or the new one. Counters that must never go back (epochs, revision numbers, time) go on from
where the replaced store was, so a restored one is not fenced out by the nodes for being old.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, StoreError
from shipyard.store import counters, lease, opening, versions
from shipyard.store.engine import Database
from shipyard.store.faults import store_error
from shipyard.store.filelock import FileLock
from shipyard.store.location import MAGIC, Location, beside, cannot, check_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OTHERS_MAY_END = 2.0
"""Seconds to wait for processes that only have a look at the store."""


def save(database: Database, path: Path) -> None:
    """A checked copy at `path`; an older copy there is replaced, anything else is left alone."""
    source = _file_of(database.location)
    copy = Location(str(path), path)
    _check_replaceable(path, source)
    with _part(path, lambda error: _no_backup(path, error)) as part:
        _copy(copy, source, part)
        _put(part, path)


def restore(location: Location, path: Path) -> None:
    """Raises StoreError for what is no whole backup, LeaseHeld while a pass is at work."""
    target = _file_of(location)
    given = Location(str(path), path)
    if not check_file(given, path, create=False, writable=False):
        raise StoreError(f"the backup {path} is empty")
    exists = check_file(location, target, create=True, any_content=True)
    with closing(FileLock(location, target)) as lock:
        _get_alone(location, lock, exists=exists)
        with _part(target, lambda error: cannot(location, "be written", error)) as part:
            _copy(given, path, part)
            if exists:
                _keep(target)
            _freshen(Location(f"{path} (restored)", part), location if exists else None)
            _clear(target)
            _put(part, target)


def _file_of(location: Location) -> Path:
    if location.path is None:
        raise StoreError(
            f"{location.shown} is kept by a server, whose own tools save and restore it",
            hint="`pg_dump --format=custom --file=FILE NAME` saves it, also while passes go on; see pg_restore",
        )
    return location.path


def _check_replaceable(path: Path, source: Path) -> None:
    try:
        if not path.exists():
            return
        same = path.samefile(source)
        database = path.is_file() and _beginning(path) in (MAGIC, b"")
    except OSError as error:
        raise _no_backup(path, error) from error
    if same:
        raise StoreError(f"{path} is the store itself, not a place for its backup", hint="name another file")
    if not database:
        raise StoreError(f"{path} is there already, and is no backup", hint="name another file")


def _no_backup(path: Path, error: OSError) -> StoreError:
    """It is the place for the backup that is at fault, not the store's."""
    missing = isinstance(error, FileNotFoundError)
    advice = "make its directory first" if missing else "look at the rights and the free space of its directory"
    return StoreError(
        f"the backup {path} can't be written: {error.strerror or error}", hint=f"{advice}, or name another file"
    )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(MAGIC))


@contextmanager
def _part(path: Path, failed: Callable[[OSError], StoreError]) -> Iterator[Path]:
    """An empty private file beside `path`, gone afterwards unless it was renamed. `failed`: what an error comes to."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise failed(error) from error
    try:
        yield part
    except OSError as error:
        raise failed(error) from error
    finally:
        for name in (part, *beside(part)):
            name.unlink(missing_ok=True)


def _copy(shown: Location, source: Path, part: Path) -> None:
    """A whole store from `source` in `part`. Raises StoreError where it is damaged, or no store of a known version."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(part)) as new,
        ):
            old.backup(new)
            damage = [row[0] for row in new.execute("PRAGMA integrity_check")]
            if damage != ["ok"]:
                raise StoreError(f"{source} is damaged: {damage[0]}", hint="use an older backup")
    except sqlite3.Error as error:
        raise store_error(shown, error) from error
    with closing(Database(Location(str(source), part))) as database:
        version = versions.current(database)
        if version is None:
            raise StoreError(f"{source} is an empty database, not a store")
        versions.check_not_newer(database, version)
    _one_file(part)


def _one_file(path: Path) -> None:
    """Without a log beside it: it can be moved, and read where nothing can be written."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")


def _put(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _get_alone(location: Location, lock: FileLock, *, exists: bool) -> None:
    try:
        lock.alone(OTHERS_MAY_END)
    except StoreError as error:
        if exists:
            _name_holder(location, error)
        raise


def _name_holder(location: Location, error: StoreError) -> None:
    """Raises LeaseHeld where the store can say who is using it."""
    try:
        with closing(Database(location)) as database, database.reading() as connection:
            lease.check_free(connection, clock.now())
    except LeaseHeld as held:
        raise held from error
    except StoreError:
        return  # damaged, which may be why it is to be restored


def _freshen(part: Location, replaced: Location | None) -> None:
    """Today's tables in the copy, no lease, and counters that go on from the store that it replaces."""
    before = counters.NONE if replaced is None else counters.of_file(replaced)
    with closing(Database(part)) as database:
        opening.bring_up_to_date(database, None, create=False)
        with database.writing() as connection:
            counters.raise_to(connection, before)
    _one_file(_file_of(part))


def _keep(target: Path) -> None:
    """The store that is replaced, byte for byte, as `….before-restore`: before SQLite mends what it can in it."""
    kept = _free_name(target.with_name(target.name + ".before-restore"))
    for name, copy in [(target, kept), *zip(beside(target), beside(kept), strict=True)]:
        if name.exists():
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            shutil.copyfile(name, copy)


def _clear(target: Path) -> None:
    """No log is left that would be taken for its successor's; what was in it is in the store before it goes."""
    with suppress(sqlite3.Error):  # too damaged for that, or none at all
        if target.exists():
            _one_file(target)
    for name in beside(target):
        name.unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    name, number = path, 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}-{number}")
    return name
