"""An inventory that lost its hosts is not believed unasked; believed, it still moves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shipyard.base.record import replace
from tests.lab.fleet import Fleet, Ran
from tests.lab.stacks import WEB, ids, replicas


class Inventory:
    """The lab's inventory, of which hosts can be taken away."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._whole = fleet.lab.inventory.read_text()
        self.path: Path = fleet.write("hosts.yml", self._whole)

    def keep(self, *nodes: str) -> None:
        groups = yaml.safe_load(self._whole)
        for group in groups.values():
            group["hosts"] = {name: values for name, values in group["hosts"].items() if name in nodes}
        self.path.write_text(yaml.safe_dump(groups) if nodes else "")

    def shipyard(self, *args: str) -> Ran:
        return replace(self._fleet, hosts=self.path).shipyard(*args)


@pytest.mark.parametrize(
    "left",
    [pytest.param((), id="empty"), pytest.param(("node1",), id="most hosts gone", marks=pytest.mark.matrix)],
)
def test_an_inventory_that_lost_its_hosts_stops_the_pass(fleet: Fleet, left: tuple[str, ...]) -> None:
    inventory = Inventory(fleet)
    fleet.write("shop.yml", WEB)
    inventory.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    inventory.keep(*left)
    box = next(iter(fleet.containers("node1").values()))
    fleet.runtime_cli("node1", "stop", "-t", "0", box)
    for command in (("reconcile",), ("reconcile", "--check")):
        stopped = inventory.shipyard(*command).expect(1)
        assert str(inventory.path) in stopped.stderr
        assert "--yes" in stopped.stderr
        assert "3" in stopped.stderr, "how many were known"
    inventory.shipyard("apply", "shop.yml").expect(1)
    assert fleet.inspect("node1", box)["State"]["Status"] == "exited", "nothing was touched"
    for _ in range(2):
        inventory.shipyard("--yes", "reconcile").expect(0)
        assert ids(fleet) == before, "nothing was moved"
    assert fleet.inspect("node1", box)["State"]["Status"] == "running", "kept nodes are still looked after"
    nodes = {each["name"]: each for each in inventory.shipyard("--yes", "status", "-o", "json").json["nodes"]}
    assert set(nodes) == set(fleet.names)


DATA = """
- hosts: lab
  stack: store
  services:
    db:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      network_mode: none
      volumes: ["data:/data"]
      deploy: {mode: global}
  volumes: {data: {}}
"""


NOWHERE = """
- hosts: lab
  stack: nowhere
  services:
    web:
      image: shipyard.test/busybox:1
      network_mode: none
      deploy: {placement: {constraints: ["node.hostname == no.such.node"]}}
"""


def _what_can_not_leave_it_keeps_it(fleet: Fleet, inventory: Inventory) -> None:
    fleet.write("nowhere.yml", NOWHERE)
    inventory.shipyard("apply", "nowhere.yml").expect(2)
    refused = inventory.shipyard("--yes", "nodes", "remove", "node3")
    assert refused.code != 0
    assert "no.such.node" not in refused.stderr, "what others lack keeps nobody"
    assert "can't let go of store/db." in refused.stderr and "--force" in refused.stderr
    assert "store_data" in refused.stderr
    fleet.shipyard("rm", "nowhere", "--yes").expect(2)  # the other one is still in the way of a drain
    fleet.shipyard("rm", "store", "--yes").expect(0)


@pytest.mark.matrix
def test_a_node_is_drained_when_it_is_removed(fleet: Fleet) -> None:
    inventory = Inventory(fleet)
    fleet.write("shop.yml", WEB)
    fleet.write("store.yml", DATA)
    inventory.shipyard("apply", "shop.yml", "store.yml").expect(0)
    before = ids(fleet)
    inventory.keep("node1", "node2")
    inventory.shipyard("reconcile").expect(0)
    assert ids(fleet) == before
    _what_can_not_leave_it_keeps_it(fleet, inventory)
    inventory.shipyard("--yes", "nodes", "remove", "node3").expect(0)
    assert fleet.containers("node3") == {}
    assert len(ids(fleet)) == 3
    assert {found["node"] for found in replicas(fleet).values()} <= set(fleet.names)
    inventory.shipyard("reconcile", "--check").expect(0)
