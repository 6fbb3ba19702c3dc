"""What each node is asked by a pass that finds nothing to do. A cache: nothing is lost with it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from shipyard.store.schema import questions


def save(connection: Connection, wanted: Mapping[str, str]) -> None:
    """These, by node, are all there are then."""
    known = {str(row.node): str(row.body) for row in connection.execute(select(questions))}
    stale = [node for node, body in known.items() if wanted.get(node) != body]
    fresh = [{"node": node, "body": body} for node, body in sorted(wanted.items()) if known.get(node) != body]
    if stale:
        connection.execute(delete(questions).where(questions.c.node.in_(stale)))
    if fresh:
        connection.execute(insert(questions), fresh)
