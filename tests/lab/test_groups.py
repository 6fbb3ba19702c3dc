"""Replicas of several containers on real nodes: one network namespace, and who survives whom."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

TOGETHER = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "8080", -h, /data]
      stop_grace_period: 0s
      hostname: front
      volumes: ["data:/data"]
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
      x-shipyard:
        init_containers:
          - name: seed
            image: shipyard.test/busybox:1
            command: [sh, -c, "sleep 0.3; echo seeded > /data/page"]
            volumes: ["data:/data"]
    log:
      image: shipyard.test/busybox:1
      network_mode: service:web
      command: [sleep, "100000"]
      stop_grace_period: 0s
  volumes: {data: {}}
"""


def holder_of(fleet: Fleet, replica: dict[str, str]) -> str:
    return fleet.containers(replica["node"])[f"{replica['container_name']}.holder"]


def check(fleet: Fleet) -> None:
    """Each replica's sidecar reaches its main container on 127.0.0.1, where it finds what the init container left.

    They are in the namespace that their holder has now: another one, that all of them are left in, leads nowhere else.
    """
    for replica in replicas(fleet).values():
        boxes = (replica["container"], f"{replica['container_name']}.log", holder_of(fleet, replica))
        pids = fleet.runtime_cli(replica["node"], "inspect", "--format", "/proc/{{.State.Pid}}/ns/net", *boxes).split()
        assert len(set(fleet.run(replica["node"], "readlink", *pids).split())) == 1, "one namespace for all of them"
        ask = ("exec", f"{replica['container_name']}.log", "sh", "-c")
        page = fleet.runtime_cli(replica["node"], *ask, "wget -q -O - http://127.0.0.1:8080/page; hostname")
        assert page.split() == ["seeded", "front"]
        joined = fleet.inspect(replica["node"], holder_of(fleet, replica))["NetworkSettings"]["Networks"]
        assert set(joined) == {"shop_default"}
        assert replica["addresses"].keys() == {"default"}


def heal(fleet: Fleet) -> None:
    fleet.shipyard("reconcile", "--timeout", "60").expect(0)
    check(fleet)
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.fixture
def together(fleet: Fleet) -> Fleet:
    fleet.write("shop.yml", TOGETHER)
    fleet.shipyard("apply", "shop.yml", "--timeout", "60").expect(0)
    check(fleet)
    return fleet


def test_whatever_befalls_a_replica_it_is_whole_again_and_when_it_is_removed_nothing_is_left(together: Fleet) -> None:
    _nodes_that_crash_come_back_with_whole_replicas(together)  # later, what had crashed would wait for its turn
    _a_holder_that_ends_is_started_and_the_others_follow(together)
    _who_crashes_comes_back_alone_into_the_same_namespace(together)
    _a_change_of_the_sidecar_replaces_the_replica(together)
    together.shipyard("rm", "shop", "--yes").expect(0)
    assert not ids(together)


def _who_crashes_comes_back_alone_into_the_same_namespace(together: Fleet) -> None:
    together.shipyard("reconcile", "--check").expect(0)
    before = ids(together)
    assert len(before) == 4 * len(together.names)
    for replica in replicas(together).values():
        together.runtime_cli(replica["node"], "kill", replica["container"])
    heal(together)
    assert ids(together) == before


def _a_holder_that_ends_is_started_and_the_others_follow(together: Fleet) -> None:
    before = ids(together)
    for replica in replicas(together).values():
        together.runtime_cli(replica["node"], "kill", holder_of(together, replica))
    heal(together)
    assert ids(together) == before


def _a_change_of_the_sidecar_replaces_the_replica(together: Fleet) -> None:
    before = ids(together)
    together.write("shop.yml", TOGETHER.replace('"100000"', '"200000"'))
    together.shipyard("apply", "shop.yml", "--timeout", "90").expect(0)
    check(together)
    assert len(ids(together)) == len(before)
    assert not set(ids(together).values()) & set(before.values())


def _nodes_that_crash_come_back_with_whole_replicas(together: Fleet) -> None:
    for node in together.names:
        together.lab.kill(node)
        together.lab.start(node)
    heal(together)


def test_a_failed_init_container_is_told_with_its_words(fleet: Fleet) -> None:
    fleet.write("shop.yml", TOGETHER.replace("sleep 0.3; echo seeded > /data/page", "echo no database; exit 3"))
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "8").expect(2)
    assert "no database" in ran.stdout + ran.stderr
    assert not [name for name in ids(fleet) if "." not in name]
    said = fleet.shipyard("logs", "shop/web.1", "--container", "seed").expect(0)
    assert "no database" in said.stdout


@pytest.mark.matrix
def test_who_is_left_behind_by_a_holder_that_came_back_by_itself_follows(together: Fleet) -> None:
    before = ids(together)
    for replica in replicas(together).values():
        together.runtime_cli(replica["node"], "restart", "-t", "0", holder_of(together, replica))
    heal(together)
    assert ids(together) == before
