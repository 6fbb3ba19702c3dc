"""When a pass may look less closely: only where nothing can have been left behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shipyard.reconcile import run
from shipyard.reconcile.run import Tally
from shipyard.reconcile.settled import CLOSELY, CLOSELY_AGAIN
from shipyard.store.records import PassRow

NOW = 10_000.0


def settled(*, passes: int = 1, **changed: Any) -> bool:
    last: dict[str, Any] = {"result": "converged", "finished": NOW - 60, "count": 1} | changed
    row = PassRow(7, "reconcile", "me@here", NOW - 70, NOW - 65, last["finished"], last["result"], 0, last["count"])
    store = SimpleNamespace(last_pass=lambda: None if changed.get("none") else row)
    session: Any = SimpleNamespace(store=store, now=lambda: NOW)
    return run._settled(session, Tally(passes=passes))


def test_after_a_pass_that_found_all_as_declared() -> None:
    assert settled()


@pytest.mark.parametrize(
    "changed",
    [
        {"none": True},
        {"result": "changed"},
        {"result": "failed"},
        {"result": "blocked"},
        {"result": "waiting"},
        {"result": "killed", "finished": None},
        {"result": None, "finished": None},
        {"finished": NOW - CLOSELY - 1},
        {"finished": NOW + 5},
        {"count": CLOSELY_AGAIN},
        {"count": 3 * CLOSELY_AGAIN},
        {"passes": 2},
    ],
    ids=str,
)
def test_after_anything_else_it_looks_closely(changed: dict[str, Any]) -> None:
    assert not settled(**changed)
