"""Passes and their actions. An action is recorded before it is carried out, its outcome after.

A pass that changed nothing and ended as the one before takes that one's place, so that a pass a minute does not
fill the disk. Every write says whether the pass still is the lease holder's: one that slept through its lease
wakes up to an error, not to overwriting what its successor remembers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from shipyard.model.plan import verb
from shipyard.store import lease, timekeeping
from shipyard.store.records import ActionRow, PassRow
from shipyard.store.schema import actions, passes, store
from shipyard.store.schema import lease as lease_table

if TYPE_CHECKING:
    from shipyard.model.plan import Action, Outcome
    from shipyard.store.engine import AnyRow

"""Passes, with their actions."""

STARTED = "started"
KILLED = "killed"


def begin(connection: Connection, *, kind: str, holder: str, now: float) -> int:
    """A new pass. Those that never ended were killed: what became of their open actions is unknown."""
    open_passes = select(passes.c.id).where(passes.c.result.is_(None))
    connection.execute(
        update(actions)
        .where(actions.c.pass_id.in_(open_passes), actions.c.status == STARTED)
        .values(status="unknown", message="shipyard ended before the outcome was recorded")
    )
    connection.execute(update(passes).where(passes.c.result.is_(None)).values(result=KILLED))
    new = insert(passes).values(
        kind=kind,
        holder=holder,
        epoch=select(store.c.epoch).scalar_subquery(),
        since=now,
        started=now,
        changes=0,
        times=1,
    )
    timekeeping.record(connection, now)
    return int(connection.execute(new.returning(passes.c.id)).scalar_one())


def begin_wave(connection: Connection, pass_id: int, wave: tuple[Action, ...], now: float) -> None:
    """The actions, as started."""
    _check_current(connection, pass_id)
    timekeeping.record(connection, now)
    if not wave:
        return
    before = connection.execute(select(func.max(actions.c.wave)).where(actions.c.pass_id == pass_id)).scalar()
    connection.execute(insert(actions), [_action_row(pass_id, (before or 0) + 1, action, now) for action in wave])


def end_wave(connection: Connection, pass_id: int, outcomes: tuple[Outcome, ...], now: float) -> None:
    """What became of the actions of the newest wave."""
    _check_current(connection, pass_id)
    timekeeping.record(connection, now)
    if not outcomes:
        return
    mine = (actions.c.pass_id == pass_id, actions.c.number == bindparam("of"), actions.c.status == STARTED)
    connection.execute(update(actions).where(*mine), [_outcome(outcome, now) for outcome in outcomes])


def end(connection: Connection, pass_id: int, *, result: str, now: float, changes: int, kept: int) -> None:
    """The pass is over; `result` is a word such as `converged`. `kept`: how many of the newest are."""
    row = _check_current(connection, pass_id)
    timekeeping.record(connection, now)
    values: dict[str, Any] = {"result": result, "finished": now, "changes": changes}
    before = _newest(connection, below=pass_id)
    if before is not None and changes == 0 and _alike(connection, before, row, result):
        connection.execute(delete(passes).where(passes.c.id == before.id))
        values |= {"since": before.since, "times": before.times + 1}
    connection.execute(update(passes).where(passes.c.id == pass_id).values(**values))
    oldest = select(passes.c.id).order_by(passes.c.id.desc()).offset(kept).limit(1).scalar_subquery()
    connection.execute(delete(passes).where(passes.c.id <= oldest))


def newest_first(connection: Connection, limit: int) -> tuple[PassRow, ...]:
    """The newest passes."""
    rows = connection.execute(select(passes).order_by(passes.c.id.desc()).limit(limit))
    return tuple(_pass_row(row) for row in rows)


def actions_of(connection: Connection, pass_id: int) -> tuple[ActionRow, ...]:
    """In the order of their execution."""
    query = select(actions).where(actions.c.pass_id == pass_id).order_by(actions.c.wave, actions.c.number)
    return tuple(ActionRow(**row._mapping) for row in connection.execute(query))


def _check_current(connection: Connection, pass_id: int) -> AnyRow:
    row: AnyRow | None = connection.execute(select(passes).where(passes.c.id == pass_id)).first()
    if row is None or row.result is not None:
        raise lease.lost(connection)  # a successor has begun, and settled this one as killed
    holder = connection.execute(select(lease_table.c.epoch)).scalar()
    if holder is not None and holder > row.epoch:
        raise lease.lost(connection)
    return row


def _newest(connection: Connection, *, below: int) -> AnyRow | None:
    return connection.execute(select(passes).where(passes.c.id < below).order_by(passes.c.id.desc()).limit(1)).first()


def _alike(connection: Connection, before: AnyRow, row: AnyRow, result: str) -> bool:
    if before.kind != row.kind or before.result != result or before.changes:
        return False
    tried = select(actions.c.pass_id).where(actions.c.pass_id.in_((before.id, row.id))).limit(1)
    return connection.execute(tried).first() is None


def _pass_row(row: AnyRow) -> PassRow:
    ended = (row.finished, row.result)
    return PassRow(row.id, row.kind, row.holder, row.since, row.started, *ended, row.changes, row.times)


def _action_row(pass_id: int, wave: int, action: Action, now: float) -> dict[str, Any]:
    return {
        "pass_id": pass_id,
        "wave": wave,
        "number": action.id,
        "node": action.node,
        "verb": verb(action.step),
        "target": action.target,
        "reason": action.reason,
        "detail": action.detail,
        "status": STARTED,
        "message": "",
        "started": now,
        "seconds": 0.0,
    }


def _outcome(outcome: Outcome, now: float) -> dict[str, Any]:
    return {
        "of": outcome.action.id,
        "status": outcome.status.value,
        "message": outcome.message,
        "started": outcome.started or now,
        "seconds": outcome.seconds,
    }
