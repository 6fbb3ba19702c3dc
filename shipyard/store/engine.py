"""Connections to the store, and the only two ways to use one: reading, and writing one transaction.

SQLite is used with a write-ahead log, so that `status` never waits for a pass. `synchronous` is FULL: an action is
carried out only once its record is on the disk, and NORMAL would lose that record in a power cut. Writers begin
IMMEDIATE, since a transaction that reads first and writes later can't wait for another writer. Servers are made to
do the same by locking the store's one row; who reads there sees one moment by reading repeatably.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from shipyard.base.errors import StoreError
from shipyard.base.shell import join
from shipyard.store.faults import store_error
from shipyard.store.schema import store

if TYPE_CHECKING:
    from sqlalchemy import Row

    from shipyard.store.location import Location

    AnyRow = Row[*tuple[Any, ...]]

DRIVER = "psycopg[binary]>=3.1"
"""As in pyproject.toml."""

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another writer: transactions are short."""

_SERVER: Mapping[str, object] = MappingProxyType(
    {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,  # milliseconds
        "application_name": "shipyard",
    }
)
"""How a server is connected to, unless the URL says otherwise: a silent one is an error within half a minute."""

_MAKING = 0x73686970
"""The server's lock for who makes or changes tables; a new store has no row yet that could be locked."""

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
        with self._connected(_BEGIN_READING) as connection:
            if connection.dialect.name != "sqlite":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
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
                    if not sqlite:
                        connection.execute(select(func.pg_advisory_xact_lock(_MAKING)))
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
            engine = _server_engine(location)
        else:
            place = URL.create("sqlite", database=str(location.path))
            engine = create_engine(place, connect_args={"timeout": BUSY_TIMEOUT})
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"the store {location.shown} needs a driver that is not installed: {error}",
            hint=f"install it: {join((sys.executable, '-m', 'pip', 'install', DRIVER))}",
        ) from error
    event.listen(engine, "handle_error", lambda context: _translate(location, context))
    if location.path is not None:
        event.listen(engine, "connect", lambda raw, _record: _prepare(location, raw))
        event.listen(engine, "begin", _begin)
    return engine


def _server_engine(location: Location) -> Engine:
    try:
        address = make_url(location.url)
    except (ArgumentError, ValueError):
        address = None
    if address is None or "@" in (address.host or ""):
        raise StoreError(
            f"{location.shown} is not the address of a store",
            hint="write postgresql://USER@HOST:PORT/NAME; in a user or password, % / : @ are %25 %2F %3A %40",
        )
    given = {*address.query, *(("connect_timeout",) if "PGCONNECT_TIMEOUT" in os.environ else ())}
    options = {name: value for name, value in _SERVER.items() if name not in given}
    # a server that was restarted between two rounds of a watch is connected to anew
    engine = create_engine(address, connect_args=options, pool_pre_ping=True)
    event.listen(engine, "connect", lambda raw, _record: _limit_waiting(raw))
    return engine


def _limit_waiting(raw: Any) -> None:
    """For other writers, as with SQLite. Not asked for while connecting: poolers in between refuse that."""
    raw.autocommit = True
    raw.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT * 1000)}")
    raw.autocommit = False


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
    if context.sqlalchemy_exception is None or context.is_pre_ping:
        return None
    return store_error(location, context.original_exception)
