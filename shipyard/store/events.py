"""Events. Equal ones within an hour become one with a count, as in Kubernetes; old ones go by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select

from shipyard.model.event import Event
from shipyard.store.records import EventRow
from shipyard.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipyard.store.engine import AnyRow

FOLD = 3600.0
"""Seconds between equal events that count as one."""

KEPT_FOR = 30 * 86_400.0
"""Seconds, however few there are."""


def add(connection: Connection, given: Iterable[Event], kept: int) -> None:
    """In their order. `kept`: how many of the newest are."""
    fresh: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    replaced = []
    for event in given:
        key = (event.target, event.reason, event.node, event.message)
        before = fresh.pop(key, None)
        if before is None:
            stored = _equal(connection, event)
            if stored is not None:
                replaced.append({"replaced": stored.id})
                before = {"first": stored.first, "times": stored.times}
        fresh[key] = _row(event, before)
    if not fresh:
        return
    if replaced:
        connection.execute(delete(events).where(events.c.id == bindparam("replaced")), replaced)
    connection.execute(insert(events), list(fresh.values()))
    oldest = select(events.c.id).order_by(events.c.id.desc()).offset(kept).limit(1).scalar_subquery()
    newest = max(row["at"] for row in fresh.values())
    connection.execute(delete(events).where(or_(events.c.id <= oldest, events.c.at < newest - KEPT_FOR)))


def _row(event: Event, before: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "first": event.at if before is None else before["first"],
        "at": event.at,
        "reason": event.reason,
        "target": event.target,
        "node": event.node,
        "message": event.message,
        "warning": event.warning,
        "times": 1 if before is None else before["times"] + 1,
    }


def find(
    connection: Connection, *, stack: str | None, node: str | None, since_id: int, limit: int
) -> tuple[EventRow, ...]:
    """Oldest first: the newest `limit`, or the first `limit` after `since_id`."""
    query = select(events).where(events.c.id > since_id).limit(limit)
    if stack is not None:
        query = query.where(_of_stack(stack))
    if node is not None:
        query = query.where(or_(events.c.node == node, events.c.target == node))
    query = query.order_by(events.c.id if since_id else events.c.id.desc())
    rows = connection.execute(query).all()
    return tuple(_event_row(row) for row in (rows if since_id else reversed(rows)))


def _equal(connection: Connection, event: Event) -> AnyRow | None:
    query = select(events.c.id, events.c.first, events.c.times).where(
        events.c.target == event.target,
        events.c.reason == event.reason,
        events.c.node == event.node,
        events.c.message == event.message,
        events.c.at >= event.at - FOLD,
    )
    return connection.execute(query.order_by(events.c.id.desc()).limit(1)).first()


def _of_stack(stack: str) -> ColumnElement[bool]:
    """Its own, those of its services (`stack/service.slot`), networks and volumes (`stack_name`)."""
    target = events.c.target
    service = target.startswith(f"{stack}/", autoescape=True)
    network = target.startswith(f"{stack}_", autoescape=True) & ~target.contains("/")
    return or_(target == stack, service, network)


def _event_row(row: AnyRow) -> EventRow:
    event = Event(row.at, row.reason, row.target, row.message, row.node, row.warning)
    return EventRow(row.id, event, row.first, row.times)
