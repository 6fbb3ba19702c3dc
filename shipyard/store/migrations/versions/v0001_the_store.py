"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    identity()
    desired_state()
    memory()
    history()


def identity() -> None:
    op.create_table(
        "store",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("written_by", sa.Text, nullable=False),
        sa.Column("clock", sa.Float, nullable=False),
        sa.Column("clock_ahead", sa.Float, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("memory_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
    )
    op.create_table(
        "lease",
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("epoch", name="pk_lease"),
    )


def desired_state() -> None:
    op.create_table(
        "stacks",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("head", sa.Integer),
        sa.Column("last_number", sa.Integer, nullable=False),
        sa.Column("removing", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_stacks"),
    )
    op.create_table(
        "revisions",
        sa.Column("stack", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stack", "number", name="pk_revisions"),
        sa.ForeignKeyConstraint(["stack"], ["stacks.name"], name="fk_revisions_stack"),
    )


def memory() -> None:
    op.create_table(
        "placements",
        sa.Column("stack", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("slot", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("incarnation", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("stack", "service", "slot", name="pk_placements"),
    )
    op.create_table(
        "failures",
        sa.Column("stack", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("slot", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("restarts", sa.Integer, nullable=False),
        sa.Column("last", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("stack", "service", "slot", "spec", name="pk_failures"),
    )
    op.create_table(
        "node_memory",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("misses", sa.Integer, nullable=False),
        sa.Column("silent_for", sa.Float, nullable=False),
        sa.Column("last_miss", sa.Float, nullable=False),
        sa.Column("last_seen", sa.Float, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_node_memory"),
    )
    op.create_table(
        "volumes",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("stack", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("node", "name", name="pk_volumes"),
    )
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("first_seen", sa.Float, nullable=False),
        sa.Column("facts", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_nodes"),
    )


def history() -> None:
    op.create_table(
        "passes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("result", sa.Text),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passes"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "actions",
        sa.Column("pass_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("wave", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("pass_id", "wave", "number", name="pk_actions"),
        sa.ForeignKeyConstraint(["pass_id"], ["passes.id"], name="fk_actions_pass_id", ondelete="CASCADE"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("first", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("warning", sa.Boolean, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_target_reason", "events", ["target", "reason"])
    op.create_index("ix_events_at", "events", ["at"])
