"""A host that joins the inventory gets a container with its own values without an apply; the history stays as it is."""

from __future__ import annotations

import shutil
from dataclasses import replace

import yaml

from tests.lab.fleet import Fleet

EACH = """
- hosts: lab
  stack: shop
  services:
    each:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      environment: {NAME: "{{ inventory_hostname }}"}
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
"""


def with_hosts(fleet: Fleet, *nodes: str) -> Fleet:
    """The fleet with an inventory of these of its hosts."""
    groups = yaml.safe_load(fleet.lab.inventory.read_text())
    for group in groups.values():
        group["hosts"] = {name: values for name, values in group["hosts"].items() if name in nodes}
    return replace(fleet, hosts=fleet.write("hosts.yml", yaml.safe_dump(groups)))


def names(fleet: Fleet) -> dict[str, str]:
    """What the containers on each node are told that their node is called."""
    found = {}
    for node in fleet.names:
        for box in fleet.containers(node):
            said = dict(each.partition("=")[::2] for each in fleet.inspect(node, box)["Config"]["Env"])
            found[node] = said["NAME"]
    return found


def test_a_host_that_joins_is_given_its_own_once(fleet: Fleet) -> None:
    fleet.write("shop.yml", EACH)
    fleet = with_hosts(fleet, "node1", "node3")
    fleet.shipyard("apply", "shop.yml").expect(0)
    applied = fleet.containers()
    assert names(fleet) == {"node1": "node1", "node3": "node3"}

    fleet = with_hosts(fleet, "node1", "node2", "node3")
    fleet.write("shop.yml", EACH.replace("NAME:", "MODE: new, NAME:"))
    refused = fleet.shipyard("reconcile").expect(2)
    assert (
        "node2 is new, and without the values per node that shop.yml has: that, or its variables, say" in refused.stdout
    )
    assert fleet.containers() == applied

    fleet.write("shop.yml", EACH)
    assert "node2" in fleet.shipyard("reconcile", "--check").expect(10).stdout
    assert "NodeRendered" not in fleet.shipyard("events", "-o", "json").stdout, "a look stores nothing"
    assert "NodeRendered" in fleet.shipyard("reconcile").expect(0).stdout
    assert names(fleet) == {name: name for name in fleet.names}
    everything = fleet.containers()
    assert everything.items() > applied.items()
    assert len(fleet.shipyard("history", "shop", "-o", "json").json) == 1
    told = [event for event in fleet.shipyard("events", "-o", "json").json if event["reason"] == "NodeRendered"]
    assert [(event["target"], event["node"]) for event in told] == [("shop/each", "node2")]
    fleet.shipyard("reconcile", "--check").expect(0)

    shutil.rmtree(fleet.project / ".shipyard")
    fleet.shipyard("state", "rebuild").expect(0)
    (fleet.project / "shop.yml").unlink()
    fleet.shipyard("reconcile").expect(0)
    assert fleet.containers() == everything, "the nodes' copies have what the host joined with, too"
