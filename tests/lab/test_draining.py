"""Nodes that give their work away, and nodes that are lost and come back: on real ones."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, ids, replicas

GENTLE = WEB.replace("monitor: 0s", "monitor: 0s, order: start-first")
HURRIED = "[timing]\nunreachable_after = 0.1\nlost_after = 0.1\n[timeouts]\nconnect = 1\n"
STORE = """
- hosts: lab
  stack: store
  services:
    db:
      image: shipyard.test/busybox:1
      command: [sh, -c, "hostname >>/data/names; exec sleep 100000"]
      stop_grace_period: 0s
      volumes: ["data:/data"]
      deploy: {replicas: 2, placement: {max_replicas_per_node: 1}}
      x-shipyard: {order: ordered}
  volumes: {data: {x-shipyard: {per_replica: true}}}
"""


def test_a_drain_starts_elsewhere_first_and_lists_what_can_not_move(fleet: Fleet) -> None:
    fleet.write("shop.yml", GENTLE)
    fleet.write("store.yml", STORE)
    fleet.shipyard("apply", "shop.yml", "store.yml").expect(0)
    node = replicas(fleet, "store")["db.2"]["node"]
    drained = fleet.shipyard("drain", node).expect(2)
    assert "store/db.2" in drained.stdout
    assert "store_data_2" in drained.stdout, "the volume that holds it there is named"
    assert not any(name.startswith("shop-") for name in fleet.containers(node))
    moved = [each for each in fleet.shipyard("events", "-o", "json").json if each["target"].startswith("shop/web")]
    order = [each["reason"] for each in moved][-2:]
    assert order == ["Created", "Removed"], "the new one was there before the old one went"
    fleet.shipyard("activate", node).expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.mark.matrix
def test_each_replica_has_its_own_data_wherever_the_others_are(fleet: Fleet) -> None:
    fleet.write("store.yml", STORE)
    fleet.shipyard("apply", "store.yml").expect(0)
    before = {name: found["node"] for name, found in replicas(fleet, "store").items()}
    fleet.write("store.yml", STORE.replace("replicas: 2", "replicas: 1"))
    fleet.shipyard("apply", "store.yml").expect(0)
    fleet.write("store.yml", STORE)
    fleet.shipyard("apply", "store.yml").expect(0)
    after = replicas(fleet, "store")
    assert {name: found["node"] for name, found in after.items()} == before
    for name, found in after.items():
        slot = name.partition(".")[2]
        names = fleet.runtime_cli(found["node"], "exec", found["container"], "cat", "/data/names").split()
        assert set(names) == {f"db-{slot}"}
        assert len(names) == (1 if slot == "1" else 2)


@pytest.mark.matrix
def test_the_old_one_is_kept_when_its_node_returns(fleet: Fleet) -> None:
    fleet.write("shipyard.toml", HURRIED)
    fleet.write("shop.yml", WEB + "      x-shipyard: {reschedule: {when_back: keep_old}}\n")
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    fleet.lab.cut("node2")
    for _ in range(3):
        fleet.shipyard("reconcile", "--once")
    assert sum(len(fleet.containers(node)) for node in ("node1", "node3")) == 3
    fleet.lab.join("node2")
    fleet.shipyard("reconcile").expect(0)
    assert ids(fleet) == before
    fleet.shipyard("reconcile", "--check").expect(0)
