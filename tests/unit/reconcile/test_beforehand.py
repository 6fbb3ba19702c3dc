"""Asking beforehand: an answer counts only for the same question, and only where nobody came in between."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from shipyard.base import clock
from shipyard.base.record import replace
from shipyard.model.canonical import dumps
from shipyard.model.observed import Observation, Silent
from shipyard.observe.probe import NodeRequest
from shipyard.reconcile import beforehand
from shipyard.reconcile.session import Session
from shipyard.store.glance import Glance

REQUEST = NodeRequest("node1", "c1", "docker", ("shop_default",), version=False, stray_networks=False)
ANSWER = Silent("node1", connected=True, kind="TimedOut", message="", hint=None)
FLEET: Any = SimpleNamespace()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[NodeRequest]:
    """Every request that reached the (fake) fleet."""
    found: list[NodeRequest] = []

    def observe(fleet: Any, requests: Any, *, timeout: float) -> tuple[Observation, ...]:
        wanted = tuple(requests)
        found.extend(wanted)
        return tuple(replace(ANSWER, name=request.name) for request in wanted)

    monkeypatch.setattr(beforehand, "observe", observe)
    return found


def known(**changed: Any) -> Glance:
    facts: dict[str, Any] = {
        "nodes": ("node1",),
        "questions": {"node1": dumps(REQUEST)},
        "epoch": 7,
        "result": "converged",
        "finished": clock.now() - 60,
        "times": 3,
    }
    return Glance(**{**facts, **changed})


def ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "shipyard-beforehand":
            thread.join()


def test_the_answer_to_the_same_question_is_had_once(asked: list[NodeRequest]) -> None:
    early = beforehand.ask(FLEET, known(), ["node1"], 5.0)
    assert early is not None
    session: Any = SimpleNamespace(_beforehand=early)
    assert Session.beforehand(session, FLEET, [REQUEST]) == (ANSWER,)
    assert Session.beforehand(session, FLEET, [REQUEST]) == ()
    assert asked == [REQUEST]


@pytest.mark.parametrize(
    "wanted",
    [replace(REQUEST, networks=()), replace(REQUEST, containers=("a" * 64,)), replace(REQUEST, name="node2")],
    ids=["networks", "containers", "node"],
)
def test_another_question_is_asked_anew(asked: list[NodeRequest], wanted: NodeRequest) -> None:
    early = beforehand.ask(FLEET, known(), ["node1"], 5.0)
    assert early is not None and early.take([wanted]) == ()


def test_other_connections_are_asked_anew(asked: list[NodeRequest]) -> None:
    early = beforehand.ask(FLEET, known(), ["node1"], 5.0)
    session: Any = SimpleNamespace(_beforehand=early)
    other: Any = SimpleNamespace()
    assert Session.beforehand(session, other, [REQUEST]) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"result": "changed"},
        {"result": None},
        {"finished": 1.0},
        {"times": 10},
        {"questions": {}},
        {"questions": {"node1": "{"}},
        {"questions": {"node1": '{"nonsense": 1}'}},
    ],
    ids=str,
)
def test_nothing_is_asked_where_the_next_pass_asks_more(asked: list[NodeRequest], changed: dict[str, Any]) -> None:
    assert beforehand.ask(FLEET, known(**changed), ["node1"], 5.0) is None
    ended()
    assert asked == []


@pytest.mark.parametrize(("epoch", "kept"), [(8, True), (9, False), (7, False)])
def test_an_answer_from_before_somebody_elses_pass_does_not_count(
    asked: list[NodeRequest], epoch: int, kept: bool
) -> None:
    early = beforehand.ask(FLEET, known(), ["node1"], 5.0)
    session: Any = SimpleNamespace(_beforehand=early, expected={"node1": REQUEST})
    Session.holds(session, epoch)
    assert Session.beforehand(session, FLEET, [REQUEST]) == ((ANSWER,) if kept else ())
    assert bool(session.expected) is kept
