"""Who may run a pass now. One row; each acquisition raises the epoch by which nodes fence out older holders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld
from shipyard.store import timekeeping
from shipyard.store.process import Process, surely_dead, this_process
from shipyard.store.records import Lease
from shipyard.store.schema import lease as table
from shipyard.store.schema import store

if TYPE_CHECKING:
    from shipyard.store.engine import AnyRow


WATCHING = ", watching"
"""How a holder ends who lets others in after each of its rounds."""


def acquire(connection: Connection, holder: str, now: float, ttl: float) -> Lease:
    """The lease, under a new epoch. Raises LeaseHeld while somebody else, not surely dead, has it."""
    row = connection.execute(select(table)).first()
    if row is not None and _is_held(row, now):
        raise _held(row)
    epoch = connection.execute(select(store.c.epoch)).scalar_one() + 1
    me = this_process()
    connection.execute(update(store).values(epoch=epoch))
    connection.execute(delete(table))
    connection.execute(
        insert(table).values(
            epoch=epoch,
            holder=holder,
            host=me.host,
            pid=me.pid,
            process_started=me.started,
            since=now,
            expires=now + ttl,
        )
    )
    timekeeping.record(connection, now)
    return Lease(holder=holder, pid=me.pid, epoch=epoch, since=now, expires=now + ttl, ttl=ttl)


def renew(connection: Connection, lease: Lease, now: float) -> None:
    """Later expiry. Raises LeaseHeld when somebody else has acquired it meanwhile."""
    changed = connection.execute(
        update(table).where(table.c.epoch == lease.epoch, table.c.holder != "").values(expires=now + lease.ttl)
    )
    if changed.rowcount == 0:
        raise lost(connection)
    timekeeping.record(connection, now)


def release(connection: Connection, lease: Lease, *, unused: bool = False) -> None:
    """Given back; nothing happens when it was lost before. `unused`: the next one has its epoch."""
    changed = connection.execute(update(table).where(table.c.epoch == lease.epoch).values(holder=""))
    if unused and changed.rowcount:
        connection.execute(update(store).where(store.c.epoch == lease.epoch).values(epoch=lease.epoch - 1))


def raise_epoch(connection: Connection, at_least: int) -> None:
    """Leases acquired from now on have a larger epoch than `at_least`; one that is held keeps its own."""
    connection.execute(update(store).where(store.c.epoch < at_least).values(epoch=at_least))


def check_free(connection: Connection, now: float) -> None:
    """Raises LeaseHeld while somebody has it."""
    row = connection.execute(select(table)).first()
    if row is not None and _is_held(row, now):
        raise _held(row)


def is_held(connection: Connection, now: float) -> bool:
    """Whether somebody, not surely dead, has it."""
    row = connection.execute(select(table)).first()
    return row is not None and _is_held(row, now)


def lost(connection: Connection) -> LeaseHeld:
    """The error for a holder who no longer is one."""
    row = connection.execute(select(table)).first()
    taker = "nobody now" if row is None or not row.holder else f"{row.holder} (pid {row.pid})"
    return LeaseHeld(
        f"this pass has lost its lease, which it did not renew in time; {taker} has it",
        hint="nothing more was done; the next pass carries on from what the nodes show",
    )


def _is_held(row: AnyRow, now: float) -> bool:
    if not row.holder or now >= row.expires:
        return False
    return not surely_dead(Process(row.host, row.pid, row.process_started))


def _held(row: AnyRow) -> LeaseHeld:
    held = LeaseHeld(
        f"another pass is at work: {row.holder} (pid {row.pid}), since {clock.iso(row.since)}",
        hint=f"wait for it to end; should it have died elsewhere, its lease ends at {clock.iso(row.expires)}",
    )
    held.yields = row.holder.endswith(WATCHING)
    return held
