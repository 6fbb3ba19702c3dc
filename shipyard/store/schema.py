"""The tables. A fresh store is made from these; an older one gets here by `migrations`, and a test compares.

Bodies (specs, nodes) are canonical JSON: they are read whole or not at all, and new fields need no migration.
What is filtered or changed by itself has a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect

VERSION = "0006"
"""Of the tables below: the newest migration. Versions are compared as text."""

MOST_WORDS = 16_384
"""Characters kept of a text that people or nodes said; its end is cut off."""


class Words(TypeDecorator[str]):
    """What people and nodes say: any text at all, made into one that every database takes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value[:MOST_WORDS].replace("\0", "").encode(errors="replace").decode()


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

# One row. `clock`: the newest time recorded; `clock_ahead`: what is added to a clock that was set back.
# `epoch`: of the newest lease. `memory_version`: changes whenever anything of the memory does.
store = Table(
    "store",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("written_by", Text, nullable=False),
    Column("clock", Float, nullable=False),
    Column("clock_ahead", Float, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("memory_version", Integer, nullable=False),
)

# At most one row: the newest lease; `holder` is empty once it was released.
lease = Table(
    "lease",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("holder", Words, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

# `head` NULL: forgotten. The row stays for `last_number`, so that no number is given twice.
stacks = Table(
    "stacks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("head", Integer),
    Column("last_number", Integer, nullable=False),
    Column("removing", Boolean, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("stack", Text, ForeignKey("stacks.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("author", Words, nullable=False),
    Column("files", Text, nullable=False),
    Column("note", Words, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("stack", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("stack", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("spec", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("retry_at", Float, nullable=False),
    Column("reason", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("container", Text, nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("last", Float, nullable=False),
)

node_memory = Table(
    "node_memory",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("misses", Integer, nullable=False),
    Column("silent_for", Float, nullable=False),
    Column("last_miss", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Words, nullable=False),
)

volumes = Table(
    "volumes",
    metadata,
    Column("node", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("stack", Text, nullable=False),
)

# The rest of the memory: kinds of which nothing is ever looked for by itself, as bodies.
remembered = Table(
    "remembered",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("facts", Text),
)

# `digest`: an HMAC of the content; `sealed`: the content, encrypted with the key of this id; both bound to the name.
# `current`: what `external: true` means now. The others are there for the revisions that mention them.
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("author", Words, nullable=False),
)

# What `external: true` means now. Revisions have contents of their own, so none is kept for them here.
configs = Table(
    "configs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("author", Words, nullable=False),
)

passes = Table(
    "passes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("holder", Words, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("started", Float, nullable=False),
    Column("finished", Float),
    Column("result", Text),
    Column("changes", Integer, nullable=False),
    Column("times", Integer, nullable=False),
    sqlite_autoincrement=True,
)

actions = Table(
    "actions",
    metadata,
    Column("pass_id", Integer, primary_key=True, autoincrement=False),
    Column("wave", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("target", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Words, nullable=False),
    Column("started", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    ForeignKeyConstraint(["pass_id"], ["passes.id"], ondelete="CASCADE"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("first", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("node", Text, nullable=False),
    Column("message", Words, nullable=False),
    Column("warning", Boolean, nullable=False),
    Column("times", Integer, nullable=False),
    Index(None, "target", "reason"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# What a node is asked by a pass that finds nothing to do, as canonical JSON: the next one asks it early.
questions = Table(
    "questions",
    metadata,
    Column("node", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
