"""Nodes by load, in a service's own order: as if all had been sorted, however few of them are looked at."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from shipyard.planner.scheduling.levels import FEW, Levels


def fleet(count: int, seed: int, lots: int = 2**32) -> tuple[Levels, dict[str, tuple[int, int]]]:
    """Levels, and for each node its number of replicas and its lot: some moved once they were there."""
    chance = random.Random(seed)
    levels, known = Levels(), {}
    for number in range(count):
        name, total, lot = f"node{number}", chance.randrange(4), chance.randrange(lots)
        levels.add(total, lot, name)
        if chance.random() < 0.5:
            levels.move(total, total + 2, lot, name)
            total += 2
        known[name] = (total, lot)
    return levels, known


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, 500])
@pytest.mark.parametrize("lots", [2, 2**32], ids=["equal lots", "any lot"])
@pytest.mark.parametrize("salt", [0, 2**32 - 1, 0x5EED1234])
def test_the_order_is_that_of_load_lot_and_name(count: int, lots: int, salt: int) -> None:
    levels, known = fleet(count, seed=count + salt, lots=lots)
    wanted = sorted((total, lot ^ salt, name) for name, (total, lot) in known.items())
    assert list(levels.rising(salt)) == wanted
    assert list(islice(levels.rising(salt), 3)) == wanted[:3]


def test_a_level_is_as_it_is_when_it_is_reached() -> None:
    levels = Levels()
    for lot, name in enumerate(("a", "b")):
        levels.add(0, lot, name)
    rising = levels.rising(0)
    assert next(rising) == (0, 0, "a")
    levels.move(0, 1, 0, "a")
    levels.add(1, 7, "c")
    assert list(rising) == [(0, 1, "b"), (1, 0, "a"), (1, 7, "c")]
