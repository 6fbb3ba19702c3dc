"""Volumes that nobody named: their data stays with the replica when its container is made anew."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

ANONYMOUS = """
- hosts: lab
  stack: shop
  services:
    db:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      environment: {MODE: first}
      volumes: ["/data"]
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
"""


def volumes(fleet: Fleet) -> dict[str, set[str]]:
    """Names by node."""
    return {node: set(fleet.runtime_cli(node, "volume", "ls", "--format", "{{.Name}}").split()) for node in fleet.names}


def write(fleet: Fleet) -> None:
    for replica in replicas(fleet).values():
        said = f"echo {replica['node']} >/data/file"
        fleet.runtime_cli(replica["node"], "exec", replica["container"], "sh", "-c", said)


def check(fleet: Fleet) -> None:
    """Every node has one container, and it has what was written on that node."""
    assert len(replicas(fleet)) == len(ids(fleet)) == len(fleet.names)
    for replica in replicas(fleet).values():
        said = fleet.runtime_cli(replica["node"], "exec", replica["container"], "cat", "/data/file")
        assert said == f"{replica['node']}\n"


@pytest.mark.matrix
def test_data_survives_a_changed_environment_on_every_runtime(fleet: Fleet) -> None:
    assert {fleet.runtime(node) for node in fleet.names} == {"docker", "podman"}
    fleet.write("shop.yml", ANONYMOUS)
    fleet.shipyard("apply", "shop.yml").expect(0)
    write(fleet)
    before, there = ids(fleet), volumes(fleet)
    fleet.write("shop.yml", ANONYMOUS.replace("first", "second"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    check(fleet)
    assert not set(before.values()) & set(ids(fleet).values())
    assert volumes(fleet) == there
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.mark.matrix
def test_data_survives_a_successor_that_can_not_be_made(fleet: Fleet) -> None:
    fleet.write("shop.yml", ANONYMOUS)
    fleet.shipyard("apply", "shop.yml").expect(0)
    write(fleet)
    there = volumes(fleet)
    bad = '["/data", {type: bind, source: /does/not/exist, target: /x}]'
    fleet.write("shop.yml", ANONYMOUS.replace('["/data"]', bad))
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "8").expect(2)
    assert "BindSourceMissing" in ran.stdout + ran.stderr
    fleet.write("shop.yml", ANONYMOUS)
    fleet.shipyard("apply", "shop.yml").expect(0)
    check(fleet)
    assert volumes(fleet) == there
