"""A store that was lost, a second one that wants the same nodes, and one put back from a backup."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, WITH_DATA, found_in, ids, replicas, states
from tests.lab.underway import REMOVING, held, until

CLUSTER = 'cluster = "c0ffee"\n'


def lose(fleet: Fleet) -> None:
    shutil.rmtree(fleet.project / ".shipyard")


def settings(fleet: Fleet, text: str | None) -> None:
    if text is not None:
        fleet.write("shipyard.toml", text)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(None, id="made-up cluster"),
        pytest.param(CLUSTER, id="cluster in shipyard.toml", marks=pytest.mark.matrix),
    ],
)
def test_a_second_store_is_refused_and_a_lost_one_rebuilt(fleet: Fleet, tmp_path: Path, written: str | None) -> None:
    """Neither of them changes or recreates anything."""
    settings(fleet, written)
    fleet.write("shop.yml", WITH_DATA)
    fleet.shipyard("apply", "shop.yml").expect(0)
    other = Fleet(fleet.lab, tmp_path / "other")
    settings(other, written)
    _a_second_store_is_refused(fleet, other)
    _a_lost_store_is_refused_until_it_is_rebuilt(fleet)


def _a_second_store_is_refused(fleet: Fleet, other: Fleet) -> None:
    before = ids(fleet)
    other.write("shop.yml", WITH_DATA.replace("GREETING", "WELCOME"))
    for command in (("plan", "shop.yml"), ("apply", "shop.yml"), ("apply", "shop.yml"), ("reconcile",)):
        refused = other.shipyard(*command).expect(1)
        assert "state rebuild" in refused.stderr
    assert ids(fleet) == before
    fleet.shipyard("reconcile").expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)
    assert ids(fleet) == before


def _a_lost_store_is_refused_until_it_is_rebuilt(fleet: Fleet) -> None:
    before, placed = ids(fleet), replicas(fleet)
    lose(fleet)
    refused = fleet.shipyard("apply", "shop.yml").expect(1)
    assert "state rebuild" in refused.stderr
    assert ids(fleet) == before
    rebuilt = fleet.shipyard("state", "rebuild", "-o", "json").expect(0).json
    assert rebuilt["stacks"] == [{"name": "shop", "revision": 1}]
    assert rebuilt["placements"] == len(before)
    planned = fleet.shipyard("plan", "shop.yml", "-o", "json").expect(0).json
    assert planned["actions"] == []
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ids(fleet) == before
    fleet.shipyard("reconcile", "--check").expect(0)
    status = fleet.shipyard("status", "-o", "json").json
    assert status["converged"] is True
    now = found_in(status)
    assert {name: (found["node"], found["revision"]) for name, found in now.items()} == {
        name: (found["node"], found["revision"]) for name, found in placed.items()
    }
    found = now["web.1"]
    fleet.runtime_cli(found["node"], "rm", "-f", found["container"])
    fleet.runtime_cli(found["node"], "volume", "rm", "shop_data")
    assert "VolumeLost" in fleet.shipyard("reconcile").expect(2).stdout, "volumes are known again, too"


@pytest.mark.matrix
def test_a_rebuilt_store_knows_which_nodes_are_cordoned_and_drained(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    there = fleet.containers("node1")
    fleet.shipyard("cordon", "node1").expect(0)
    fleet.shipyard("drain", "node2").expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)
    assert there and fleet.containers("node1") == there, "a cordon keeps what runs, and node2's work goes to others"
    before = replicas(fleet)
    lose(fleet)
    rebuilt = fleet.shipyard("state", "rebuild").expect(0).stdout
    assert "node1 is cordoned, as before" in rebuilt
    assert "node2 is drained, as before" in rebuilt
    nodes = fleet.shipyard("status", "-o", "json").json["nodes"]
    assert {node["name"]: node["availability"] for node in nodes if node["availability"] != "active"} == {
        "node1": "pause",
        "node2": "drain",
    }
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert {name: each["node"] for name, each in replicas(fleet).items()} == {
        name: each["node"] for name, each in before.items()
    }, "nothing goes back to them"
    fleet.shipyard("activate", "node1").expect(0)
    fleet.shipyard("activate", "node2").expect(0)
    fleet.shipyard("reconcile").expect(0)
    lose(fleet)
    assert "as before" not in fleet.shipyard("state", "rebuild").expect(0).stdout


@pytest.mark.matrix
def test_a_store_lost_in_the_middle_of_an_update(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    fleet.write("shop.yml", WEB.replace("GREETING", "WELCOME"))
    with held(fleet, REMOVING, ("node1",)) as reached, fleet.start("apply", "shop.yml") as applying:
        until(reached, applying, every=0.2)
        applying.send_signal(signal.SIGKILL)
        assert applying.wait() == -signal.SIGKILL
    lose(fleet)
    fleet.shipyard("state", "rebuild").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    after = ids(fleet)
    assert len(after) == 3
    assert not set(before.values()) & set(after.values())
    assert set(states(fleet).values()) == {"running"}
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.mark.matrix
def test_a_rebuild_that_a_node_prevents_can_be_done_again(fleet: Fleet) -> None:
    """A node that is silent, or answers and can't be observed: what runs there must not be started elsewhere."""
    settings(fleet, "[timeouts]\nconnect = 2\n")
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    lose(fleet)
    fleet.lab.cut("node2")
    assert "node2" in fleet.shipyard("state", "rebuild").expect(1).stderr
    fleet.lab.join("node2")
    shim = "printf '#!/bin/sh\\necho its database is locked >&2\\nexit 125\\n' >/run/shim && chmod 755 /run/shim"
    fleet.run("node1", "sh", "-c", f'{shim} && mount --bind /run/shim "$(command -v {fleet.runtime("node1")})"')
    try:
        prevented = fleet.shipyard("state", "rebuild")
        assert prevented.code != 0
        assert "its database is locked" in prevented.stderr
    finally:
        fleet.run("node1", "sh", "-c", f'umount "$(command -v {fleet.runtime("node1")})"')
    fleet.shipyard("state", "rebuild").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ids(fleet) == before


def test_a_backup_put_back(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.shipyard("state", "backup", "old.db").expect(0)
    # it goes on from where the replaced store was: what it says is older is made so, and by the newest holder
    fleet.shipyard("reconcile").expect(0)
    before = ids(fleet)
    fleet.shipyard("state", "restore", "old.db", "--yes").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ids(fleet) == before
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.mark.matrix
def test_a_backup_put_back_where_there_was_no_store_is_fenced_out(fleet: Fleet) -> None:
    """The nodes have seen newer passes than this copy knows of: they let it change nothing."""
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.shipyard("state", "backup", "old.db").expect(0)
    newer = WEB.replace("GREETING", "WELCOME")
    for text in (newer, newer.replace("WELCOME", "FAREWELL"), newer):
        fleet.write("shop.yml", text)
        fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    lose(fleet)
    fleet.shipyard("state", "restore", "old.db", "--yes").expect(0)
    for command in (*[("reconcile",)] * 3, ("apply", "shop.yml")):  # no attempt brings it closer
        refused = fleet.shipyard(*command).expect(1)
        assert "state rebuild" in refused.stderr
        assert ids(fleet) == before
    lose(fleet)
    fleet.shipyard("state", "rebuild").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ids(fleet) == before


@pytest.mark.matrix
def test_labels_of_a_stack_that_nobody_knows_are_reported_and_left(fleet: Fleet) -> None:
    """The nodes that held the revision lost it, too: what runs is not taken for rubbish."""
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    for node in fleet.names:
        fleet.run(node, "sh", "-c", "rm -r /var/lib/shipyard/*/revisions/shop")
    lose(fleet)
    fleet.shipyard("state", "rebuild").expect(0)
    fleet.write("other.yml", WEB.replace("stack: shop", "stack: other"))
    fleet.shipyard("apply", "other.yml").expect(0)
    assert ids(fleet) == before
    assert "UnknownStack" in fleet.shipyard("reconcile", "--check", "-v").expect(0).stdout
