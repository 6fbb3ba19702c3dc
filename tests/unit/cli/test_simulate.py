"""`simulate` and `rebalance` over a fake fleet: what they ask for, what they print, and what they exit with."""

from __future__ import annotations

import json

import pytest

from shipyard.model.memory import Placement
from shipyard.model.outlook import Outlook
from shipyard.model.progress import Ending
from shipyard.model.request import MoreNodes, SimulateRequest
from shipyard.planner.rebalance import Move
from tests.unit.cli import cli_samples as samples
from tests.unit.cli.fake_operations import FakeOperations
from tests.unit.cli.test_commands import Shipyard, fleet, shipyard

__all__ = ["fleet", "shipyard"]

MOVES = tuple(
    Move(Placement("guestbook", "web", slot, "node1", 1, 1), "node2", "node1 has 3 of it, node2 has 0")
    for slot in (1, 2)
)


def test_simulate_passes_on_what_was_said(shipyard: Shipyard, fleet: FakeOperations) -> None:
    options = ["--without", "node3,rack1", "--without", "node4", "--add", "2:like=node1", "--add", "1:LIKE=node2"]
    code, _, _ = shipyard("simulate", "site.yml", "-f", "more.yml", "-e", "a=1", *options, "--scale", "shop/web=5")
    assert code == 0
    assert fleet.last("simulate") == SimulateRequest(
        files=("site.yml", "more.yml"),
        extra_vars=("a=1",),
        without=("node3", "rack1", "node4"),
        add=(MoreNodes(2, "node1"), MoreNodes(1, "node2")),
        scale=(("shop", "web", 5),),
    )


@pytest.mark.parametrize(
    "option", ["--add=node1", "--add=0:like=node1", "--scale=web=5", "--scale=shop/web=-1", "--scale=shop/web"]
)
def test_what_can_not_be_simulated(shipyard: Shipyard, fleet: FakeOperations, option: str) -> None:
    code, _, err = shipyard("simulate", option)
    assert (code, "is not like" in err) == (5, True)
    assert not fleet.asked


def test_a_replica_without_a_place_is_an_exit_code(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.outlook = samples.outlook()
    code, out, _ = shipyard("simulate", "--without", "node3")
    assert code == 2
    assert out.endswith(
        "1 would move, 1 would be new, 1 would go, 1 would find no node, 1 would stay. Nothing was touched.\n"
    )
    data = json.loads(shipyard("simulate", "-o", "json")[1])
    assert [each["outcome"] for each in data["replicas"]] == ["unschedulable", "stays", "moves", "new", "removed"]
    assert data["nodes"][0]["after"] == {"replicas": 2, "cpus": 1, "memory": 2 * 2**30}


def test_an_empty_fleet(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.outlook = Outlook((), ())
    assert shipyard("simulate")[:2] == (0, "There are no replicas. Nothing was touched.\n")


def test_rebalance_shows_and_asks(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.moves = MOVES
    code, out, err = shipyard("rebalance", "--max-moves", "1")
    assert (code, "nothing was moved" in err) == (5, True)
    assert "guestbook/web.1  node1 -> node2: node1 has 3 of it, node2 has 0" in out
    assert "1 more could be moved: --max-moves 2" in out
    assert "rebalance" not in [name for name, _ in fleet.asked]


def test_rebalance_moves_on_a_yes(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.moves = MOVES
    fleet.ending = Ending(converged=False, timed_out=True)
    assert shipyard("rebalance", "--yes", "--timeout", "7")[0] == fleet.ending.exit_code()
    assert fleet.last("rebalance") == (MOVES, 7.0)


def test_rebalance_check(shipyard: Shipyard, fleet: FakeOperations) -> None:
    assert shipyard("rebalance", "--check")[:2] == (0, "No replica would be better off on another node.\n")
    fleet.moves = MOVES
    code, out, _ = shipyard("rebalance", "--check", "-o", "json")
    assert code == 10
    assert json.loads(out)["moves"][0] == {
        "target": "guestbook/web.1",
        "from": "node1",
        "to": "node2",
        "why": "node1 has 3 of it, node2 has 0",
    }
