"""The store's clock: it never goes backwards, whichever process asks, and it never stands still for long.

Back-offs and leases are differences of times in the store. A clock that was set back a little is waited for; one
that was set back far (a dead battery, a typing error put right) is read with what it lacks added, since a time
that stood still would keep every back-off and lease for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from shipyard.store.schema import store

if TYPE_CHECKING:
    from sqlalchemy import Connection

PATIENCE = 30.0
"""Seconds for which the store's time may stand still."""


def advance(clock_now: float, newest: float, ahead: float) -> tuple[float, float]:
    """The store's time, and what is added to the clock from now on (`ahead`: until now)."""
    if clock_now >= newest:
        return clock_now, 0.0
    if clock_now + ahead >= newest:
        return clock_now + ahead, ahead
    if newest - (clock_now + ahead) <= PATIENCE:
        return newest, ahead
    return newest, newest - clock_now


def read(connection: Connection) -> tuple[float, float]:
    """The newest time recorded, and what is added to the clock."""
    newest, ahead = connection.execute(select(store.c.clock, store.c.clock_ahead)).one()
    return newest, ahead


def set_ahead(connection: Connection, ahead: float) -> None:
    """Remember what the clock lacks."""
    connection.execute(update(store).values(clock_ahead=ahead))


def record(connection: Connection, now: float) -> None:
    """Time in the store is at least `now`."""
    connection.execute(update(store).where(store.c.clock < now).values(clock=now))
