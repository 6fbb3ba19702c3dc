"""What is tried again, and when, where a node's part of the cluster's network can't be put right."""

from __future__ import annotations

from itertools import pairwise

from shipyard.base.record import replace
from shipyard.model.plan import WriteHosts
from tests.simulated import SimulatedFleet
from tests.unit.planner.test_network import NODES, stacks, steps, web, wiring


def test_hosts_files_of_a_full_disk_are_tried_again_later_and_later_and_soon_once_all_was_well() -> None:
    fleet = SimulatedFleet(NODES)
    for number, name in enumerate(NODES, 1):
        fleet.nodes[name].wiring = wiring(number)
    declared = stacks(web())
    fleet.converge(declared)
    node = fleet.nodes["n1"]
    for least in (10, 10):
        assert node.wiring is not None
        node.wiring = replace(node.wiring, files=tuple((name, "0" * 64) for name, _ in node.wiring.files))
        node.full = True
        tried = []
        for _ in range(120):
            decided = fleet.one_pass(declared)
            if steps(decided, WriteHosts, "n1"):
                tried.append(fleet.now)
            elif tried:
                ((who, why, words),) = ((each.target, each.reason, each.detail) for each in decided.waiting)
                assert (who, why) == ("n1", "BackOff") and "No space left on device" in words
            fleet.sleep(1)
        gaps = [after - before for before, after in pairwise(tried)]
        assert gaps[0] >= least and all(after >= 1.5 * before for before, after in pairwise(gaps)), gaps
        node.full = False
        fleet.sleep(300)
        assert not fleet.converge(declared).actions
        fleet.one_pass(declared)


def test_hosts_files_are_written_while_the_rest_of_a_nodes_network_is_held_back() -> None:
    fleet = SimulatedFleet(NODES)
    for number, name in enumerate(NODES, 1):
        fleet.nodes[name].wiring = wiring(number)
    declared = stacks(web())
    fleet.converge(declared)
    node = fleet.nodes["n1"]
    assert node.wiring is not None
    node.wiring = replace(node.wiring, files=tuple((name, "0" * 64) for name, _ in node.wiring.files))
    failed = (replace(each, failures=3, retry_at=fleet.now + 60) for each in fleet.memory.wired if each.node == "n1")
    others = (each for each in fleet.memory.wired if each.node != "n1")
    fleet.memory = replace(fleet.memory, wired=(*failed, *others))
    assert steps(fleet.one_pass(declared), WriteHosts, "n1")
