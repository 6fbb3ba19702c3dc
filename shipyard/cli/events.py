"""`events`: what happened, oldest first, from the store; with `--follow` as it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from shipyard.base import clock
from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell, sentence
from shipyard.cli.output import Line, Output

if TYPE_CHECKING:
    from shipyard.reconcile.operations import Operations
    from shipyard.store.records import EventRow

POLL = 1.0
"""Seconds between two looks for newer events."""


@click.command(
    epilog="\b\nExamples:\n  shipyard events\n  shipyard events guestbook --limit 20\n  shipyard events -f -o json"
)
@click.argument("stack", required=False, shell_complete=completing.stacks)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on, and show what happens next (a JSON value a line with -o json)."
)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, the newest.")
@pass_app
def events(app: App, stack: str | None, follow: bool, limit: int) -> None:
    """What happened, and why."""
    with opened(app) as fleet:
        rows = fleet.events(stack=stack, after=0, limit=limit)
        if not rows and not follow:
            _explain(app, fleet, stack)
        if app.out.json and not follow:
            app.out.data([event_json(row) for row in rows])
            return
        _show(app.out, rows)
        while follow:
            clock.sleep(POLL)
            rows = _newer(fleet, stack, rows)
            _show(app.out, rows[1:] if rows else rows)


def _explain(app: App, fleet: Operations, stack: str | None) -> None:
    """Why there is none to show. A stack that was removed still has some; one that never was is an error."""
    known = fleet.stacks()
    if stack is not None and stack not in known:
        raise UsageError(
            f"there is no stack {stack!r}, and no event tells of one; there are: {', '.join(known) or 'none'}"
        )
    if not app.out.json:
        app.out.line(f"No event tells of {stack}." if stack else "Nothing has happened yet.")


def _newer(fleet: Operations, stack: str | None, rows: Sequence[EventRow]) -> Sequence[EventRow]:
    return [*rows[-1:], *fleet.events(stack=stack, after=rows[-1].id if rows else 0, limit=1000)]


def _show(out: Output, rows: Sequence[EventRow]) -> None:
    for row in rows:
        if out.json:
            out.record(event_json(row))
        else:
            out.line(*event_line(row))


def event_line(row: EventRow) -> Line:
    """`2026-11-22 10:00:00Z  Missing  guestbook/web.1  …`."""
    event = row.event
    when = clock.iso(event.at)
    times = f" ({row.count} times since {clock.iso(row.first)})" if row.count > 1 else ""
    node = f" on {cell(event.node)}" if event.node and event.node != event.target else ""
    reason = (cell(event.reason), "yellow" if event.warning else "green")
    return ((when, "dim"), "  ", reason, f"  {cell(event.target)}{node}: {sentence('', event.message)}{times}")


def event_json(row: EventRow) -> dict[str, Any]:
    """One event."""
    event = row.event
    return {
        "id": row.id,
        "at": clock.iso(event.at),
        "reason": event.reason,
        "target": event.target,
        "node": event.node or None,
        "message": event.message,
        "warning": event.warning,
        "first": clock.iso(row.first),
        "count": row.count,
    }
