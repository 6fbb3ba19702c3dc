"""A wave over several nodes: whatever becomes of one node, every action has an honest outcome."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from shipyard.base.errors import AuthFailed, Refused, SudoFailed, TimedOut, Truncated, Unreachable
from shipyard.execute.run import Interrupted, WaveRefused, execute, take
from shipyard.execute.script import Fence
from shipyard.model.plan import Outcome, Status
from shipyard.runtime import nodedir
from tests.shellnode import FakeDialect, FakeFleet, ShellNode, action, call

FENCE = Fence(uuid.uuid4().hex, "store-1", 3)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ShellNode]:
    """Two nodes of different users would have two directories; here the shell's own HOME does that for root too."""
    monkeypatch.setattr(nodedir, "ROOT", "$HOME/var")
    monkeypatch.setattr(nodedir, "BASE", 'sy_base="@ROOT@"\n')
    return {name: ShellNode(name, tmp_path / name) for name in ("n1", "n2")}


def wave(*nodes: str) -> list:
    return [action(number, node=node) for number, node in enumerate(nodes, start=1)]


def statuses(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [outcome.status.value for outcome in outcomes]


def test_each_action_has_an_outcome_in_the_waves_order(nodes: dict[str, ShellNode]) -> None:
    dialect = FakeDialect((call("a"),), (call("b"),), (call("c"),))
    seen: list[Outcome] = []
    actions = wave("n2", "n1", "n2")
    outcomes = execute(FakeFleet(nodes), actions, dict.fromkeys(nodes, dialect), FENCE, on_outcome=seen.append)
    assert [outcome.action for outcome in outcomes] == actions
    assert statuses(outcomes) == ["done", "done", "done"]
    assert nodes["n2"].calls() == [("a",), ("c",)]
    assert nodes["n2"].execs == 1
    assert sorted(outcome.action.id for outcome in seen) == [1, 2, 3]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("n2", "no route"), Status.SKIPPED),
        (AuthFailed("n2", "no key"), Status.SKIPPED),
        (SudoFailed("n2", "a password is required"), Status.SKIPPED),
        (TimedOut("n2", "60 s"), Status.UNKNOWN),
        (Truncated("n2", "connection lost"), Status.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_node_that_fails_holds_up_no_other(nodes: dict[str, ShellNode], error: Exception, status: Status) -> None:
    class Failing(ShellNode):
        def run(self, script: bytes, *, timeout: float, max_bytes: int = 0) -> object:
            raise error

    fleet = FakeFleet({"n1": nodes["n1"], "n2": Failing("n2", nodes["n2"].root)})
    dialect = FakeDialect((call("a"),), (call("b"),))
    outcomes = execute(fleet, wave("n2", "n1"), {"n1": dialect, "n2": dialect}, FENCE)
    assert [outcome.status for outcome in outcomes] == [status, Status.DONE]
    assert str(error) in outcomes[0].message


def test_a_node_that_was_never_reached_began_nothing(nodes: dict[str, ShellNode]) -> None:
    fleet = FakeFleet({"n1": nodes["n1"], "n2": Unreachable("n2", "no route")})
    dialect = FakeDialect((call("a"),), (call("b"),))
    outcomes = execute(fleet, wave("n2", "n1"), {"n1": dialect, "n2": dialect}, FENCE)
    assert statuses(outcomes) == ["skipped", "done"]


def test_a_refusal_is_raised_once_all_nodes_have_ended(nodes: dict[str, ShellNode]) -> None:
    fleet = FakeFleet(nodes)
    assert take(fleet, ["n1"], Fence(FENCE.cluster, "store-2", 1)) == {"n1": None}
    dialect = FakeDialect((call("a"),), (call("b"),))
    with pytest.raises(WaveRefused, match="belongs to another store") as caught:
        execute(fleet, wave("n1", "n2"), dict.fromkeys(nodes, dialect), FENCE)
    assert statuses(caught.value.outcomes) == ["failed", "done"]
    assert caught.value.node == "n1"
    assert caught.value.exit_code == 1
    assert nodes["n1"].calls() == []


def test_taking_what_another_owns_needs_to_be_asked_for(nodes: dict[str, ShellNode]) -> None:
    fleet = FakeFleet(nodes)
    take(fleet, ["n1"], Fence(FENCE.cluster, "store-2", 9))
    refused = take(fleet, ["n1", "n2"], FENCE)
    assert isinstance(refused["n1"], Refused)
    assert refused["n2"] is None
    over = Fence(FENCE.cluster, "store-1", 3, take_over=True)
    assert take(fleet, ["n1"], over) == {"n1": None}


def test_ctrl_c_tells_what_may_have_happened_from_what_did_not_begin(nodes: dict[str, ShellNode]) -> None:
    class Interrupting(ShellNode):
        def run(self, script: bytes, *, timeout: float, max_bytes: int = 0) -> object:
            raise KeyboardInterrupt

    fleet = FakeFleet(
        {"n1": nodes["n1"], "n2": Interrupting("n2", nodes["n2"].root), "n3": ShellNode("n3", nodes["n1"].root)}
    )
    dialect = FakeDialect((call("a"),), (call("b"),), (call("c"),))
    with pytest.raises(Interrupted) as caught:
        execute(fleet, wave("n1", "n2", "n3"), dict.fromkeys(("n1", "n2", "n3"), dialect), FENCE)
    assert statuses(caught.value.outcomes) == ["done", "unknown", "skipped"]
    assert isinstance(caught.value, KeyboardInterrupt)


def test_a_failure_is_called_by_the_runtimes_words(nodes: dict[str, ShellNode]) -> None:
    calls = (
        call("fail", "125", "Bind for 0.0.0.0:80 failed: port is already allocated"),
        call("fail", "1", "words that nobody knows"),
        call("a"),
    )
    dialect = FakeDialect(*((each,) for each in calls))
    outcomes = execute(FakeFleet(nodes), wave("n1", "n1", "n1"), {"n1": dialect}, FENCE)
    assert statuses(outcomes) == ["failed", "failed", "done"]
    assert [outcome.reason for outcome in outcomes] == ["PortTaken", "", ""]
