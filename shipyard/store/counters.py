"""What must never go back, not even when an older store is put in the place of a newer one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from shipyard.base.errors import StoreError
from shipyard.base.record import Struct
from shipyard.store import lease, timekeeping
from shipyard.store.engine import Database
from shipyard.store.schema import lease as lease_table
from shipyard.store.schema import stacks, store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shipyard.store.location import Location


class Counters(Struct, frozen=True):
    """`epoch`: of the newest lease. `numbers`: the last revision number given, by stack. `newest`: time recorded."""

    epoch: int = 0
    numbers: tuple[tuple[str, int], ...] = ()
    newest: float = 0.0


NONE = Counters()


def of_file(location: Location) -> Counters:
    """Those of a store; none where it can't be read."""
    try:
        with closing(Database(location)) as database, database.reading() as connection:
            epoch = connection.execute(select(store.c.epoch)).scalar_one()
            numbers = connection.execute(select(stacks.c.name, stacks.c.last_number)).all()
            newest, _ = timekeeping.read(connection)
            return Counters(epoch, tuple((name, number) for name, number in numbers), newest)
    except StoreError:
        return NONE


def raise_to(connection: Connection, least: Counters) -> None:
    """No counter of this store is below those, and nobody holds its lease."""
    connection.execute(delete(lease_table))
    lease.raise_epoch(connection, least.epoch)
    timekeeping.record(connection, least.newest)
    known = set(connection.execute(select(stacks.c.name)).scalars())
    for name, number in least.numbers:
        if name not in known:
            connection.execute(insert(stacks).values(name=name, head=None, last_number=number, removing=False))
        stack = update(stacks).where(stacks.c.name == name, stacks.c.last_number < number)
        connection.execute(stack.values(last_number=number))
