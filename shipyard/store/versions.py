"""From an empty database, or an older store, to today's tables; a newer store is left alone.

Alembic is slow to import, so it is only where a store is older. A fresh store is made from `schema` at once.
"""

from __future__ import annotations

import re
import secrets
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, update

from shipyard import __version__
from shipyard.base.errors import StoreError
from shipyard.store.schema import VERSION, alembic_version, metadata, store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shipyard.store.engine import Database

SCRIPTS = Path(__file__).parent / "migrations"


def current(database: Database) -> str | None:
    """The version of the tables there; None where there are none. Raises StoreError where they are not a store's."""
    with database.reading() as connection:
        names = set(inspect(connection).get_table_names())
        if not names:
            return None
        if {alembic_version.name, store.name} <= names:
            version = connection.execute(select(alembic_version.c.version_num)).scalar()
            if isinstance(version, str) and re.fullmatch(r"\d{4}", version):
                return version
    raise StoreError(
        f"{database.location.shown} is a database, but not a store: it holds other tables",
        hint="check --database and `database` in shipyard.toml",
    )


def make(database: Database, cluster: str | None) -> None:
    """Tables and identity of a new store. Does nothing when somebody else was faster."""
    with database.restructuring() as connection:
        if inspect(connection).get_table_names():
            return
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(alembic_version).values(version_num=VERSION))
        connection.execute(
            insert(store).values(
                id=1,
                cluster=cluster or secrets.token_hex(6),
                uuid=str(uuid.uuid4()),
                written_by=__version__,
                clock=0.0,
                clock_ahead=0.0,
                epoch=0,
                memory_version=0,
            )
        )


def check_not_newer(database: Database, version: str) -> None:
    """Raises StoreError for a store that this shipyard is too old for."""
    if version <= VERSION:
        return
    with database.reading() as connection:
        writer = connection.exec_driver_sql("SELECT written_by FROM store").scalar()
    raise StoreError(
        f"the store {database.location.shown} has schema {version}, made by shipyard {writer};"
        f" this is shipyard {__version__}, which knows schemas up to {VERSION}",
        hint="install that shipyard or a newer one; going back needs a backup made before the upgrade",
    )


def upgrade(database: Database, scripts: Path = SCRIPTS, to: str = "head") -> None:
    """Every migration that is missing, in one transaction: all or none."""
    with database.restructuring() as connection:
        run(connection, scripts, to)
        connection.execute(update(store).values(written_by=__version__))


def run(connection: Connection, scripts: Path, to: str) -> None:
    """Alembic's upgrade on a connection in a transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
