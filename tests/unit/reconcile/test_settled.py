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


def closely(tally: Tally, **changed: Any) -> frozenset[str] | None:
    last: dict[str, Any] = {"result": "converged", "finished": NOW - 60, "count": 1} | changed
    row = PassRow(7, "reconcile", "me@here", NOW - 70, NOW - 65, last["finished"], last["result"], 0, last["count"])
    store = SimpleNamespace(last_pass=lambda: None if changed.get("none") else row)
    session: Any = SimpleNamespace(store=store, now=lambda: NOW)
    return run._closely(session, tally)


def test_after_a_pass_that_found_all_as_declared() -> None:
    assert closely(Tally(passes=1)) == frozenset()


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
    ],
    ids=str,
)
def test_after_anything_else_it_looks_closely(changed: dict[str, Any]) -> None:
    assert closely(Tally(passes=1), **changed) is None


def test_later_passes_of_a_run_look_closely_where_something_was_done() -> None:
    assert closely(Tally(passes=2, touched=frozenset({"n2"})), result="changed") == {"n2"}
    assert closely(Tally(passes=2, touched=frozenset())) == frozenset()


def test_and_everywhere_where_that_failed() -> None:
    assert closely(Tally(passes=2, touched=None)) is None
