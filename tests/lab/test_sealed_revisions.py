"""Secrets in a container's environment, on real nodes: sealed where revisions are kept, with the key and without."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

STACK = """
- hosts: node2:node3
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      environment:
        DB_PASSWORD: CANARY
        MODE: fast
      deploy:
        mode: global
        update_config: &at-once {parallelism: 0, monitor: 0s}
        rollback_config: *at-once
"""
NODES = ("node2", "node3")


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


def applied(fleet: Fleet, password: str) -> dict[str, str]:
    fleet.write("shop.yml", STACK.replace("CANARY", password))
    fleet.shipyard("apply", "shop.yml").expect(0)
    return ids(fleet)


def key(fleet: Fleet) -> Path:
    return fleet.project / ".shipyard" / "secrets.key"


def lose_the_store(fleet: Fleet) -> None:
    for path in (fleet.project / ".shipyard").glob("state.db*"):
        path.unlink()


def ids_of_containers(fleet: Fleet) -> list[list[str]]:
    return [fleet.containers(node) for node in NODES]


def copies(fleet: Fleet) -> list[str]:
    return [fleet.run(node, "sh", "-c", "cat /var/lib/shipyard/*/revisions/shop") for node in NODES]


def without_key(fleet: Fleet, work: Callable[[], str]) -> str:
    kept = key(fleet).read_bytes()
    key(fleet).unlink()
    said = work()
    assert not key(fleet).exists(), "none is made in its place"
    key(fleet).touch(mode=0o600)
    key(fleet).write_bytes(kept)
    return said


def passwords(fleet: Fleet) -> set[str]:
    return {
        fleet.runtime_cli(each["node"], "exec", each["container"], "sh", "-c", 'printf %s "$DB_PASSWORD"')
        for each in replicas(fleet).values()
    }


def test_it_is_in_no_store_and_in_no_folder_of_a_node(fleet: Fleet) -> None:
    first, second = canary(), canary()
    applied(fleet, first)
    made = applied(fleet, second)
    assert passwords(fleet) == {second}

    def nowhere() -> None:
        for node in NODES:
            looked = "grep -rlF -e canary- /var/lib/shipyard || true; ls /var/lib/shipyard/*/revisions"
            assert fleet.run(node, "sh", "-c", looked) == "shop\n"
        store = b"".join(path.read_bytes() for path in (fleet.project / ".shipyard").iterdir() if path.is_file())
        assert b"canary-" not in store
        for words in (("diff", "shop"), ("history", "shop", "-o", "json"), ("events",), ("plan", "-vv", "shop.yml")):
            ran = fleet.shipyard(*words).expect(0)
            assert "canary-" not in ran.stdout + ran.stderr

    nowhere()
    assert '"changed"' in fleet.shipyard("diff", "shop").expect(0).stdout
    before = copies(fleet)
    assert all(" sealed v1 " in f" {each.partition(chr(10))[2]}" for each in before)
    fleet.shipyard("reconcile", "--check").expect(0)

    assert "2 revisions are encrypted" in fleet.shipyard("secret", "rotate-key").expect(0).stdout
    fleet.shipyard("reconcile").expect(0)
    assert not set(before) & set(copies(fleet)), "the nodes' copies open with the new key"
    assert ids(fleet) == made
    nowhere()
    fleet.shipyard("rollback", "shop", "1").expect(0)
    assert passwords(fleet) == {first}
    nowhere()


def test_without_its_key_a_store_says_so_and_nothing_happens(fleet: Fleet) -> None:
    made = applied(fleet, canary())

    def refused() -> str:
        ran = [fleet.shipyard(*words).expect(1) for words in (("status",), ("reconcile",), ("apply", "shop.yml"))]
        assert fleet.shipyard("history", "shop").expect(0)
        assert ids_of_containers(fleet) == containers
        return "\n".join(each.stderr for each in ran)

    containers = ids_of_containers(fleet)
    said = without_key(fleet, refused)
    assert said.count("the key of secrets is gone") == 3
    assert "revision 1 of shop" in said
    assert "rotate-key --lost" in said
    fleet.shipyard("reconcile", "--check").expect(0)
    assert ids(fleet) == made


@pytest.mark.matrix
def test_a_key_that_is_lost_for_good(fleet: Fleet) -> None:
    password = canary()
    made = applied(fleet, password)
    key(fleet).unlink()
    refused = fleet.shipyard("secret", "rotate-key", "--lost").expect(5)
    assert "revision 1 of shop" in refused.stderr
    told = fleet.shipyard("--yes", "secret", "rotate-key", "--lost").expect(0).stdout
    assert "Apply the files of shop again" in told
    fleet.shipyard("reconcile").expect(0)
    assert "UnknownStack" in fleet.shipyard("reconcile", "--check", "-v").stdout
    assert applied(fleet, password) == made
    assert {each["revision"] for each in replicas(fleet).values()} == {1}
    fleet.shipyard("reconcile", "--check").expect(0)


@pytest.mark.matrix
def test_a_lost_store_is_rebuilt_with_the_key_alone(fleet: Fleet) -> None:
    password = canary()
    made = applied(fleet, password)
    lose_the_store(fleet)
    said = without_key(fleet, lambda: fleet.shipyard("state", "rebuild").expect(1).stderr)
    assert "nodes keep shop, which can't be read" in said
    assert "state rebuild --lost" in said
    assert "shop (revision 1)" in fleet.shipyard("state", "rebuild").expect(0).stdout
    fleet.shipyard("reconcile", "--check").expect(0)
    assert ids(fleet) == made
    lose_the_store(fleet)
    key(fleet).unlink()
    rebuilt = fleet.shipyard("state", "rebuild", "--lost", "-o", "json").expect(0).json
    assert (rebuilt["stacks"], rebuilt["unread"], rebuilt["placements"]) == ([], ["shop"], len(made))
    assert applied(fleet, password) == made
    assert fleet.shipyard("history", "shop", "-o", "json").expect(0).json[0]["revision"] == 2
    fleet.shipyard("reconcile", "--check").expect(0)


MANIFEST = """
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {user: CANARY}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: shipyard.test/busybox:1
        command: [sleep, "100000"]
        env:
        - {name: OWNER, valueFrom: {secretKeyRef: {name: keys, key: user}}}
        - {name: GREETING, value: "hello $(OWNER)"}
"""


def test_nor_is_what_a_manifest_takes_from_a_secret_whatever_it_calls_it(fleet: Fleet) -> None:
    word = canary()
    fleet.write("web.yaml", MANIFEST.replace("CANARY", word))
    refused = fleet.shipyard("apply", "web.yaml", "--hosts", "lab", "--strict").expect(1)
    assert "puts the Secret keys into the environment" in refused.stderr
    ran = fleet.shipyard("apply", "web.yaml", "--hosts", "lab").expect(0)
    (replica,) = replicas(fleet, "default").values()
    inside = fleet.runtime_cli(replica["node"], "exec", replica["container"], "sh", "-c", 'printf %s "$GREETING"')
    assert inside == f"hello {word}"
    assert word not in ran.stdout + ran.stderr
    for node in fleet.names:
        looked = f"grep -rlF -e {word} /var/lib/shipyard || true; ls /var/lib/shipyard/*/revisions"
        assert fleet.run(node, "sh", "-c", looked) == "default\n"
    store = b"".join(path.read_bytes() for path in (fleet.project / ".shipyard").iterdir() if path.is_file())
    assert word.encode() not in store
