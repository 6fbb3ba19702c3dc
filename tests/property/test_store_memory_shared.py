"""Whatever two processes do to the memory in turn, each reads what was saved last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipyard.model.memory import Failures, KnownVolume, Memory, NodeMemory, Placement
from shipyard.model.node import NodeState
from shipyard.store.store import Store

pytestmark = pytest.mark.thorough

NAMES = st.sampled_from(["a", "b", "ä", "B", "a-1"])
SMALL = st.integers(0, 3)
TIMES = st.floats(0, 2e9)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)

PLACEMENTS = st.builds(Placement, NAMES, NAMES, SMALL, NAMES, SMALL, SMALL)
FAILURES = st.builds(Failures, NAMES, NAMES, SMALL, NAMES, SMALL, TIMES, WORDS, WORDS, WORDS, SMALL, TIMES)
NODES = st.builds(NodeMemory, NAMES, st.sampled_from(NodeState), TIMES, SMALL, TIMES, TIMES, TIMES, WORDS, WORDS)
VOLUMES = st.builds(KnownVolume, NAMES, NAMES, NAMES)


def many(strategy: st.SearchStrategy, key) -> st.SearchStrategy:
    """A tuple sorted by key, no key twice."""
    return st.lists(strategy, max_size=8, unique_by=key).map(lambda items: tuple(sorted(items, key=key)))


MEMORIES = st.builds(
    Memory,
    many(PLACEMENTS, lambda placed: placed.key),
    many(FAILURES, lambda failed: (*failed.key, failed.spec)),
    many(NODES, lambda node: node.name),
    many(VOLUMES, lambda volume: (volume.node, volume.name)),
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    path = str(tmp_path / "state.db")
    with Store.open(path) as first, Store.open(path) as second:
        yield [first, second]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # the store goes on from example to example, on purpose
)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), MEMORIES), min_size=1, max_size=5))
def test_what_was_saved_last_is_what_is_read(stores: list[Store], steps: list[tuple[int, bool, Memory]]) -> None:
    for who, looks_first, memory in steps:
        if looks_first:
            stores[who].memory()
        stores[who].save_memory(memory)
        assert stores[1 - who].memory() == memory
        assert stores[who].memory() == memory
