"""What is told of the newest pass, also of one that never came to its end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from shipyard.reconcile.operations import Operations
from shipyard.reconcile.session import Session
from shipyard.store import default_url
from shipyard.store.store import Store


def test_a_pass_without_an_end_is_at_work_only_while_somebody_has_the_lease(tmp_path: Path) -> None:
    with Store.open(default_url(tmp_path)) as store:
        session = SimpleNamespace(store=store, now=lambda: 105.0)
        fleet = Operations(cast(Session, session), {})
        assert fleet.last_pass() is None
        held = store.acquire("ann@bastion", 100.0, 60.0)
        store.begin_pass(kind="apply", holder="ann@bastion", now=101.0)
        under_way = fleet.last_pass()
        assert under_way is not None
        assert (under_way.finished, under_way.result) == (None, "running")
        store.release(held)  # as Ctrl-C leaves it
        ended = fleet.last_pass()
        assert ended is not None
        assert (ended.started, ended.finished, ended.result) == (101.0, None, "interrupted")
