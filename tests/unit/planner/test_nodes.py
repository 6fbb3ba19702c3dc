"""Alive or lost: what silence comes to, when it counts, and when it is believed to be this machine's own."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model.memory import Memory
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Facts, Observation, ObservedNode, Silent
from shipyard.model.situation import Situation
from shipyard.planner.nodes import Judgement, judge

NAMES = ("n1", "n2", "n3", "n4", "n5")


def missed(name: str, via: str | None = None) -> Silent:
    return Silent(name=name, connected=False, kind="Unreachable", message="no route to host", via=via)


def seen(name: str) -> ObservedNode:
    return ObservedNode(name, Facts())


def situation(now: float, answers: dict[str, Observation], before: Judgement | None = None) -> Situation:
    """All five nodes were asked; those without an answer given are well."""
    observed = tuple(answers.get(name, seen(name)) for name in NAMES)
    memory = Memory(nodes=before.nodes if before is not None else ())
    return Situation("cafe", now, tuple(Node(name) for name in NAMES), observed=observed, memory=memory)


def passes(times: list[float], *silent: str) -> Judgement:
    """What passes at these times make of nodes that are silent in all of them."""
    judgement = None
    for now in times:
        judgement = judge(situation(now, {name: missed(name) for name in silent}, judgement))
    assert judgement is not None
    return judgement


@pytest.mark.parametrize(
    ("times", "state"),
    [
        ([0], NodeState.SUSPECT),
        ([0, 39], NodeState.SUSPECT),
        ([0, 40], NodeState.UNREACHABLE),
        ([0, 100, 200, 300], NodeState.UNREACHABLE),
        ([0, 100, 200, 300, 340], NodeState.LOST),
        ([0, 3600], NodeState.SUSPECT),
        ([0, 3600, 86400, 86400 + 120], NodeState.UNREACHABLE),
    ],
)
def test_silence_adds_up_between_misses_close_to_each_other(times: list[float], state: NodeState) -> None:
    assert passes(times, "n2").state("n2") == state


def test_an_answer_ends_it() -> None:
    lost = passes([0, 100, 200, 300, 400], "n2")
    assert lost.state("n2") == NodeState.LOST
    back = judge(situation(460, {}, lost))
    assert back.state("n2") == NodeState.READY
    assert judge(situation(520, {"n2": missed("n2")}, back)).state("n2") == NodeState.SUSPECT


@pytest.mark.parametrize("kind", ["AuthenticationFailed", "RuntimeBroken", "Truncated", "HostKeyUnknown"])
def test_who_can_be_connected_to_is_alive(kind: str) -> None:
    judgement = None
    for now in (0, 100, 200, 300, 400, 500):
        answer = Silent(name="n2", connected=True, kind=kind, message="why")
        judgement = judge(situation(now, {"n2": answer}, judgement))
    assert judgement is not None
    assert judgement.state("n2") == NodeState.UNOBSERVED


def test_most_nodes_silent_at_once_is_this_machines_own_trouble() -> None:
    judgement = passes([0, 100, 200, 300, 400, 500], "n1", "n2", "n3")
    assert "3 of 5 nodes" in judgement.brake
    assert NodeState.LOST not in {node.state for node in judgement.nodes}


def test_a_minority_is_not() -> None:
    judgement = passes([0, 100, 200, 300, 400], "n1", "n2")
    assert judgement.brake == ""
    assert [judgement.state(name) for name in NAMES[:3]] == [NodeState.LOST, NodeState.LOST, NodeState.READY]


@pytest.mark.parametrize(
    ("nodes", "silent", "brakes"),
    [
        (1, 1, False),
        (2, 1, False),
        (2, 2, True),
        (3, 1, False),
        (3, 2, True),
        (4, 2, False),
        (4, 3, True),
        (20, 10, False),
        (20, 11, True),
        (100, 54, False),
        (100, 55, True),
    ],
)
def test_it_takes_55_percent_of_the_nodes_and_two_at_least(nodes: int, silent: int, brakes: bool) -> None:
    """One node that is all there is may well be lost; half of a fleet may be a rack's power."""
    names = [f"n{number}" for number in range(nodes)]
    answers = tuple(missed(name) if number < silent else seen(name) for number, name in enumerate(names))
    judgement = judge(Situation("cafe", 0.0, tuple(Node(name) for name in names), observed=answers))
    assert judgement.brake == (
        f"{silent} of {nodes} nodes stopped answering at once: probably this machine's own network. Nothing is moved."
        if brakes
        else ""
    )


def test_a_fleet_of_one_node_loses_it() -> None:
    judgement, silent = None, (missed("n1"),)
    for now in (0.0, 100.0, 200.0, 300.0, 400.0):
        memory = Memory(nodes=judgement.nodes if judgement is not None else ())
        judgement = judge(Situation("cafe", now, (Node("n1"),), observed=silent, memory=memory))
    assert judgement is not None
    assert (judgement.state("n1"), judgement.brake) == (NodeState.LOST, "")


def test_nodes_behind_one_jump_host_are_one_failure() -> None:
    answers: dict[str, Observation] = {name: missed(name, via="bastion") for name in NAMES[:4]}
    assert judge(situation(0, answers)).brake == ""
    apart: dict[str, Observation] = {name: replace(missed(name), via=None) for name in NAMES[:4]}
    assert judge(situation(0, apart)).brake != ""


def test_nodes_that_are_lost_already_do_not_hold_the_brake() -> None:
    lost = passes([0, 100, 200, 300, 400], "n1", "n2")
    after = judge(situation(460, {name: missed(name) for name in ("n1", "n2")}, lost))
    assert after.brake == ""
    more = judge(situation(460, {name: missed(name) for name in ("n1", "n2", "n3", "n4")}, lost))
    assert "2 of 3 nodes" in more.brake
