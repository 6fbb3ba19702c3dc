"""Events. Equal ones within an hour become one with a count, as in Kubernetes; old ones go by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from shipyard.model.event import Event
from shipyard.store.records import EventRow
from shipyard.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipyard.store.engine import AnyRow

FOLD = 3600.0
"""Seconds between equal events that count as one."""

KEPT = 10_000
KEPT_FOR = 30 * 86_400.0


def add(connection: Connection, given: Iterable[Event]) -> None:
    """In their order."""
    newest = 0.0
    for event in given:
        newest = max(newest, event.at)
        before = _equal(connection, event)
        if before is not None:
            connection.execute(delete(events).where(events.c.id == before.id))
        connection.execute(
            insert(events).values(
                first=event.at if before is None else before.first,
                at=event.at,
                reason=event.reason,
                target=event.target,
                node=event.node,
                message=event.message,
                warning=event.warning,
                times=1 if before is None else before.times + 1,
            )
        )
    if newest:
        oldest = select(events.c.id).order_by(events.c.id.desc()).offset(KEPT).limit(1).scalar_subquery()
        connection.execute(delete(events).where(or_(events.c.id <= oldest, events.c.at < newest - KEPT_FOR)))


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
