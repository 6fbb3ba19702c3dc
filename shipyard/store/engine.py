"""Connections to the store, and the only two ways to use one: reading, and writing one transaction.

SQLite is used with a write-ahead log, so that `status` never waits for a pass. `synchronous` is FULL: an action is
carried out only once its record is on the disk, and NORMAL would lose that record in a power cut. Writers begin
IMMEDIATE, since a transaction that reads first and writes later can't wait for another writer. Servers are made to
do the same by locking the store's one row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, select
from sqlalchemy.exc import NoSuchModuleError

from shipyard.base.errors import StoreError
from shipyard.store.faults import store_error
from shipyard.store.schema import store

if TYPE_CHECKING:
    from sqlalchemy import Row

    from shipyard.store.location import Location

    AnyRow = Row[*tuple[Any, ...]]

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another writer: transactions are short."""

_BEGIN_READING = "BEGIN"
_BEGIN_WRITING = "BEGIN IMMEDIATE"


class Database:
    """The engine of one store."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.engine = _engine(location)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the store."""
        with self._connected(_BEGIN_READING) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, alone among writers; all of it happens, or nothing."""
        with self._connected(_BEGIN_WRITING) as connection, connection.begin():
            if connection.dialect.name != "sqlite":
                connection.execute(select(store.c.id).with_for_update())
            yield connection

    @contextmanager
    def restructuring(self) -> Iterator[Connection]:
        """A writing transaction that may make and change tables: foreign keys are checked at its end, not within."""
        with self._connected(_BEGIN_WRITING) as connection:
            sqlite = connection.dialect.name == "sqlite"
            raw: Any = connection.connection.driver_connection
            if sqlite:
                raw.execute("PRAGMA foreign_keys = OFF")  # has no effect once a transaction has begun
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all() if sqlite else []
                    if broken:
                        raise StoreError(
                            f"the store {self.location.shown} has rows that belong to none: {broken[0][0]}"
                        )
            finally:
                if sqlite:
                    raw.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def _connected(self, begin: str) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection.execution_options(shipyard_begin=begin)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def _engine(location: Location) -> Engine:
    try:
        if location.path is None:
            engine = create_engine(location.url)
        else:
            place = URL.create("sqlite", database=str(location.path))
            engine = create_engine(place, connect_args={"timeout": BUSY_TIMEOUT})
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"the store {location.shown} needs a driver that is not installed: {error}",
            hint="install shipyard[postgresql]",
        ) from error
    event.listen(engine, "handle_error", lambda context: _translate(location, context))
    if location.path is not None:
        event.listen(engine, "connect", lambda raw, _record: _prepare(location, raw))
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(location: Location, raw: Any) -> None:
    """Transactions are begun by `_begin` alone, not by the driver before some statements."""
    raw.isolation_level = None
    try:
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raw.close()
        raise store_error(location, error) from error


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("shipyard_begin", _BEGIN_READING))


def _translate(location: Location, context: ExceptionContext) -> BaseException | None:
    if context.sqlalchemy_exception is None:
        return None
    return store_error(location, context.original_exception)
