"""A store's database, opened: found or made, brought up to date, and shared with whoever else has it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipyard.base.errors import StoreError
from shipyard.store import versions
from shipyard.store.engine import Database
from shipyard.store.filelock import FileLock
from shipyard.store.location import check_file, make_empty
from shipyard.store.schema import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from shipyard.store.location import Location


def open_database(location: Location, *, create: bool, cluster: str | None = None) -> tuple[Database, FileLock | None]:
    """Raises StoreError where there is none (and `create` is not set), or none that can be used."""
    if location.path is None:
        database = Database(location)
        try:
            bring_up_to_date(database, None, create=create, cluster=cluster)
        except BaseException:
            database.close()
            raise
        return database, None
    return _open_file(location, location.path, create=create, cluster=cluster)


def _open_file(location: Location, path: Path, *, create: bool, cluster: str | None) -> tuple[Database, FileLock]:
    exists = check_file(location, path, create=create)
    lock = FileLock(location, path)
    database: Database | None = None
    try:
        lock.shared()
        if not exists:
            make_empty(location, path)
        database = Database(location)
        bring_up_to_date(database, lock, create=create, cluster=cluster)
    except BaseException:
        if database is not None:
            database.close()
        lock.close()
        raise
    return database, lock


def bring_up_to_date(database: Database, lock: FileLock | None, *, create: bool, cluster: str | None = None) -> None:
    """Today's tables in it, whatever was there; `lock` is shared before and after."""
    version = versions.current(database)
    if version == VERSION:
        return
    if version is None and not create:
        raise StoreError(
            f"the database {database.location.shown} is empty: there is no store in it",
            hint="`shipyard apply` makes one; elsewhere? see --database and `database` in shipyard.toml",
        )
    if lock is not None:
        lock.alone()
    version = versions.current(database)  # somebody else may have been at it until now
    if version is None:
        versions.make(database, cluster)
    elif version != VERSION:
        versions.check_not_newer(database, version)
        versions.upgrade(database)
    if lock is not None:
        lock.shared()
