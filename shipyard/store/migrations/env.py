"""Run by alembic, on the connection that `versions.run` passes; there is no alembic.ini."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

from shipyard.store.schema import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,
)
context.run_migrations()
