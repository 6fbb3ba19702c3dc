"""What is tried again, and when, where a node's part of the cluster's network can't be put right."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shipyard.base.record import replace
from shipyard.model.plan import EnsureItem, WriteHosts
from tests.simulated import SimulatedFleet, SimulatedNode
from tests.unit.planner.fleets import on_one_segment
from tests.unit.planner.test_network import NODES, TOOLS, stacks, steps, web

DECLARED = stacks(web())


@pytest.fixture
def fleet() -> SimulatedFleet:
    made = on_one_segment(NODES, TOOLS)
    made.converge(DECLARED)
    return made


def spoil(node: SimulatedNode) -> None:
    """Its hosts files are not as they were written."""
    assert node.wiring is not None and node.wiring.files
    node.wiring = replace(node.wiring, files=tuple((name, "0" * 64) for name, _ in node.wiring.files))


def test_hosts_files_of_a_full_disk_are_tried_again_later_and_later_and_soon_once_all_was_well(
    fleet: SimulatedFleet,
) -> None:
    node = fleet.nodes["n1"]
    for _ in range(2):
        spoil(node)
        node.full = True
        tried = []
        for _ in range(120):
            decided = fleet.one_pass(DECLARED)
            if steps(decided, WriteHosts, "n1"):
                tried.append(fleet.now)
            elif tried:
                ((who, why, words),) = ((each.target, each.reason, each.detail) for each in decided.waiting)
                assert (who, why) == ("n1", "BackOff") and "No space left on device" in words
            fleet.sleep(1)
        gaps = [after - before for before, after in pairwise(tried)]
        assert 10 <= gaps[0] < 15 and all(after >= 1.5 * before for before, after in pairwise(gaps)), gaps
        node.full = False
        fleet.sleep(300)
        assert not fleet.converge(DECLARED).actions


def test_hosts_files_are_written_while_the_rest_of_a_nodes_network_is_held_back(fleet: SimulatedFleet) -> None:
    spoil(fleet.nodes["n1"])
    failed = (replace(each, failures=3, retry_at=fleet.now + 60) for each in fleet.memory.wired if each.node == "n1")
    others = (each for each in fleet.memory.wired if each.node != "n1")
    fleet.memory = replace(fleet.memory, wired=(*failed, *others))
    assert steps(fleet.one_pass(DECLARED), WriteHosts, "n1")


def test_what_can_not_be_put_back_on_its_bridge_keeps_nobody_else_waiting(fleet: SimulatedFleet) -> None:
    node = fleet.nodes["n1"]
    assert node.wiring is not None
    node.wiring = replace(node.wiring, ports=(("s_default", 0),))
    node.lost = True
    (action,) = fleet.one_pass(DECLARED).actions
    assert isinstance(action.step, EnsureItem)
    decided = fleet.one_pass(DECLARED)
    assert not decided.actions
    (blocked,) = decided.blocked
    assert (blocked.target, blocked.reason) == ("n1", "CutOff") and "no longer has its address" in blocked.detail
    newer = stacks(web(image="app:2"), number=2)
    began = fleet.now
    while {box.image for _, box in fleet.running()} != {"app:2"}:
        fleet.one_pass(newer)
        assert fleet.now < began + 120, "an update waits for nothing of it"
    node.wiring = replace(node.wiring, ports=(("s_default", 1),))
    assert not fleet.converge(newer).blocked
    assert all(each.plug_failures == 0 for each in fleet.memory.wired)
