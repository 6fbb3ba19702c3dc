"""The store's time never goes backwards, and never stands still for long."""

from __future__ import annotations

from shipyard.store.store import Store
from shipyard.store.timekeeping import PATIENCE


def test_time_is_the_clocks(store: Store) -> None:
    assert store.now(1000.0) == 1000.0


def test_a_clock_behind_what_is_recorded_is_waited_for(store: Store, url: str) -> None:
    store.acquire("alice@laptop", 1000.0, 60.0)
    with Store.open(url) as other:
        assert other.now(995.0) == 1000.0
        assert other.now(999.0) == 1000.0
        assert other.now(1001.0) == 1001.0


def test_a_clock_set_back_far_goes_on_from_where_it_was(store: Store, url: str) -> None:
    store.begin_pass(kind="apply", holder="a@b", now=1_000_000.0)
    assert store.now(5_000.0) == 1_000_000.0
    with Store.open(url) as other:
        assert other.now(5_060.0) == 1_000_060.0
        held = other.acquire("alice@laptop", other.now(5_070.0), 60.0)
        assert other.now(5_100.0) == 1_000_100.0
        assert held.expires == 1_000_130.0


def test_a_clock_put_right_again_is_believed(store: Store) -> None:
    store.raise_epoch(1)
    store.begin_pass(kind="apply", holder="a@b", now=1_000_000.0)
    store.now(0.0)
    assert store.now(1_000_500.0) == 1_000_500.0
    assert store.now(1_000_400.0) == 1_000_400.0


def test_it_never_goes_backwards_whatever_the_clock_does(store: Store) -> None:
    newest = 0.0
    for clock in (1e6, 1e6 - 5, 1e6 + 9, 10.0, 40.0, 5.0, 2e6, 2e6 - PATIENCE - 1, 3.0, 4.0, 1.9e6):
        now = store.now(clock)
        assert now >= newest
        number = store.begin_pass(kind="reconcile", holder="a@b", now=now)
        store.end_pass(number, result="converged", now=now, changes=0)
        newest = now
