"""Probed containers are known by when they were started, no longer by how old they were."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

remembered = sa.table("remembered", sa.column("kind", sa.Text), sa.column("key", sa.Text), sa.column("body", sa.Text))


def upgrade() -> None:
    """When that was is not known of these: a look that finds as many restarts takes them for the same run."""
    connection = op.get_bind()
    of_probes = sa.select(remembered.c.key, remembered.c.body).where(remembered.c.kind == "probed")
    for key, body in connection.execute(of_probes).all():
        known = json.loads(body)
        known.pop("age", None)
        kept = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        row = (remembered.c.kind == "probed") & (remembered.c.key == key)
        connection.execute(sa.update(remembered).where(row).values(body=kept))
