"""The fence command: run for a lost node that may still write, in a trusted project, and not again and again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipyard.base.record import replace
from shipyard.base.trust import NOTHING, Trust
from shipyard.model.event import Event
from shipyard.model.node import Node
from shipyard.model.situation import Situation
from shipyard.reconcile.fencing import AGAIN, fence
from shipyard.reconcile.session import Session

SAYS = "import json, os, sys; json.dump([sys.argv[1:], os.environ['SHIPYARD_NODE']], open('said', 'a')); sys.exit({})"
SITUATION = Situation("cafe", 1000.0, (Node("n1", "10.0.0.1"), Node("n2 $(id)", "10.0.0.2")))


class Kept:
    """A fake: of the store, what fencing writes to."""

    def __init__(self) -> None:
        self.decided: list[Node] = []
        self.events: list[Event] = []

    def decide(self, node: Node) -> None:
        self.decided.append(node)

    def add_events(self, happened: tuple[Event, ...]) -> None:
        self.events.extend(happened)


def session(folder: Path, status: int, *, trusted: bool = True) -> Session:
    argv = (sys.executable, "-c", SAYS.format(status), "off", "{node}@{address}")
    made: Any = SimpleNamespace(
        settings=SimpleNamespace(fence=argv, root=folder),
        opening=SimpleNamespace(trusted=Trust.all() if trusted else NOTHING),
        environ=dict(os.environ),
        store=Kept(),
    )
    return cast("Session", made)


def kept(of: Session) -> Kept:
    return cast("Kept", of.store)


def test_what_it_switched_off_is_dead(tmp_path: Path) -> None:
    here = session(tmp_path, 0)
    after = fence(here, SITUATION, ("n2 $(id)",))
    assert json.loads((tmp_path / "said").read_text()) == [["off", "n2 $(id)@10.0.0.2"], "n2 $(id)"]
    assert [node.dead for node in after.nodes] == [False, True]
    assert [(node.name, node.dead) for node in kept(here).decided] == [("n2 $(id)", True)]
    assert [event.reason for event in kept(here).events] == ["NodeFenced"]
    assert after.memory.fencings == ()


@pytest.mark.parametrize(("status", "trusted", "why"), [(3, True, "status 3"), (0, False, "trust-project")])
def test_what_it_did_not_is_not_and_is_tried_again_later(tmp_path: Path, status: int, trusted: bool, why: str) -> None:
    here = session(tmp_path, status, trusted=trusted)
    after = fence(here, SITUATION, ("n1",))
    (failed,) = after.memory.fencings
    assert why in failed.message
    assert (tmp_path / "said").exists() is trusted
    assert not any(node.dead for node in after.nodes)
    assert kept(here).decided == []
    assert fence(here, replace(after, now=after.now + AGAIN - 1), ("n1",)).memory == after.memory
    assert len(kept(here).events) == 1
    fence(here, replace(after, now=after.now + AGAIN), ("n1",))
    assert len(kept(here).events) == 2
