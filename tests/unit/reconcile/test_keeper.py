"""Who comes second is refused; beside a watch they wait for its round to end, and are told of that once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, Refused
from shipyard.model.observed import Facts, ObservedNode
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.store.lease import WATCHING
from shipyard.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'state.db'}") as opened:
        yield opened


def test_a_round_of_a_watch_is_waited_for(store: Store) -> None:
    held = store.acquire("ann@bastion" + WATCHING, clock.now(), 60.0)
    told: list[str] = []

    def leave(error: LeaseHeld) -> None:
        told.append(error.message)
        store.release(held)

    with LeaseKeeper(store, wait=600.0, on_wait=leave) as keeper:
        assert keeper.epoch == held.epoch + 1
    assert len(told) == 1
    assert "ann@bastion, watching (pid" in told[0]


def test_a_round_is_called_one(store: Store) -> None:
    with LeaseKeeper(store, watching=True), pytest.raises(LeaseHeld, match="watching") as held, LeaseKeeper(store):
        pass
    assert held.value.yields


@pytest.mark.parametrize(("holder", "wait"), [("ann@bastion", 600.0), ("ann@bastion" + WATCHING, 0.0)])
def test_whoever_else_is_at_work_is_not_waited_for(store: Store, holder: str, wait: float) -> None:
    store.acquire(holder, clock.now(), 60.0)

    def waits(held: LeaseHeld) -> None:
        pytest.fail("waits")

    with pytest.raises(LeaseHeld, match="ann@bastion"), LeaseKeeper(store, wait=wait, on_wait=waits):
        pass


def node(epoch: int) -> ObservedNode:
    return ObservedNode("n1", Facts("id", "docker", ""), epoch=epoch)


def test_an_old_copy_of_the_store_is_let_in_by_no_number_of_attempts(store: Store) -> None:
    """The nodes saw three leases that it knows nothing of; or one, which has the number that comes next here."""
    for ahead in (3, 1):
        for _ in range(5):
            with (
                pytest.raises(Refused, match="has seen a newer holder") as refused,
                LeaseKeeper(store) as keeper,
            ):
                first = keeper.epoch
                keeper.compare([node(ahead)])
            assert (first, "state rebuild" in (refused.value.hint or "")) == (1, True)
    with LeaseKeeper(store) as keeper:
        keeper.compare([node(0)])
        keeper.acted = True
        keeper.compare([node(keeper.epoch)])
        with pytest.raises(Refused):
            keeper.compare([node(keeper.epoch + 1)])
    with LeaseKeeper(store) as later:
        assert later.epoch == keeper.epoch + 1, "one that was used is not given back"
