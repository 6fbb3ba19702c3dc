"""Who comes second waits for the lease, for as long as they said, and is told of it once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'state.db'}") as opened:
        yield opened


def test_it_is_waited_for_until_it_is_free(store: Store) -> None:
    held = store.acquire("ann@bastion", clock.now(), 60.0)
    told: list[str] = []

    def leave(error: LeaseHeld) -> None:
        told.append(error.message)
        store.release(held)

    with LeaseKeeper(store, wait=600.0, on_wait=leave) as keeper:
        assert keeper.epoch == held.epoch + 1
    assert len(told) == 1
    assert "ann@bastion" in told[0]


def test_who_does_not_wait_is_refused_at_once_and_not_told_to_wait(store: Store) -> None:
    store.acquire("ann@bastion", clock.now(), 60.0)
    with pytest.raises(LeaseHeld, match="ann@bastion"), LeaseKeeper(store, on_wait=lambda held: pytest.fail("waits")):
        pass
