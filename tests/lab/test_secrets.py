"""Secrets on real nodes: in the container and nowhere else, changed by a rolling update, gone when nobody has them."""

from __future__ import annotations

import secrets
import time

import pytest

from tests.lab.fleet import Fleet, Ran
from tests.lab.stacks import ids, replicas

STACK = """
- hosts: node2:node3
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
      secrets:
        - password
        - {source: key, target: /etc/key, uid: "1000", gid: "1001", mode: 0400}
  secrets:
    password: {environment: CANARY}
    key: {external: true}
"""
LOOK = """
echo "$(cat /run/secrets/password) $(cat /etc/key) $(stat -c "%u %g %a" /run/secrets/password /etc/key)"
echo x 2>/dev/null >/run/secrets/password || echo read only
"""
# What processes are told, as often as it can be had while the script of an apply is at work.
WATCH = """
rm -f /tmp/enough
(for i in $(seq 600); do
  [ ! -e /tmp/enough ] || break
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ
  sleep 0.1
done) >/tmp/told 2>/dev/null </dev/null &
"""
NODES = ("node2", "node3")


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


def everything_said(fleet: Fleet) -> str:
    """What people, and whoever can look at containers, images and the nodes' copies of revisions, get to see."""
    said = []
    for node in NODES:
        for name in fleet.containers(node):
            said.append(fleet.runtime_cli(node, "inspect", name))
        said.append(fleet.run(node, "sh", "-c", "cat /var/lib/shipyard/*/revisions/*"))
    for words in (("events",), ("status", "-o", "json"), ("diff", "shop")):
        ran = fleet.shipyard(*words).expect(0)
        said += [ran.stdout, ran.stderr]
    store = b"".join(path.read_bytes() for path in sorted((fleet.project / ".shipyard").glob("state.db*")))
    return "\n".join([*said, store.decode("latin-1")])


def kept(fleet: Fleet, node: str) -> list[str]:
    return fleet.run(node, "sh", "-c", "cd /var/lib/shipyard/*/secrets && ls -A").split()


def inside(fleet: Fleet, *command: str) -> set[str]:
    return {
        fleet.runtime_cli(replica["node"], "exec", replica["container"], *command)
        for replica in replicas(fleet).values()
    }


def test_a_secret_is_in_its_containers_and_nowhere_else(fleet: Fleet) -> None:
    password, key, later = canary(), canary(), canary()
    fleet.write("shop.yml", STACK)

    def said(ran: Ran) -> str:
        return ran.stdout + ran.stderr

    told = said(fleet.shipyard("secret", "set", "key", input=key).expect(0))
    for node in NODES:
        fleet.run(node, "sh", "-c", WATCH)
    told += said(fleet.shipyard("-v", "apply", "shop.yml", env={"CANARY": password}).expect(0))
    assert inside(fleet, "sh", "-c", LOOK) == {f"{password} {key} 0 0 444\n1000 1001 400\nread only\n"}
    for node in NODES:
        assert len(kept(fleet, node)) == 2
        assert fleet.run(node, "sh", "-c", "stat -c %a /var/lib/shipyard /var/lib/shipyard/*/secrets") == "700\n700\n"
        fleet.run(node, "touch", "/tmp/enough")
    before = ids(fleet)

    changed = fleet.shipyard("apply", "--check", "--diff", "-vv", "shop.yml", env={"CANARY": later}).expect(10)
    assert "secrets changed since revision 1" in said(changed)
    told += said(changed) + said(fleet.shipyard("-v", "apply", "shop.yml", env={"CANARY": later}).expect(0))
    assert not set(before.values()) & set(ids(fleet).values())
    assert inside(fleet, "cat", "/run/secrets/password") == {later}
    for node in NODES:
        assert len(kept(fleet, node)) == 2, "the old content is gone"
    told += everything_said(fleet)
    for node in NODES:
        processes = fleet.run(node, "cat", "/tmp/told")
        assert "shipyard-ready" in processes, "a script was at work while they were looked at"
        told += processes
    assert not [name for name, text in (("password", password), ("key", key), ("later", later)) if text in told]

    fleet.write("shop.yml", STACK[: STACK.index("      secrets:")])
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert [kept(fleet, node) for node in NODES] == [[], []]


@pytest.mark.matrix
def test_secrets_outlive_the_store_and_their_files_are_put_back(fleet: Fleet) -> None:
    password, key = canary(), canary()
    fleet.write("shop.yml", STACK)
    fleet.shipyard("secret", "set", "key", input=key).expect(0)
    fleet.shipyard("apply", "shop.yml", env={"CANARY": password}).expect(0)
    made = ids(fleet)
    for path in (fleet.project / ".shipyard").glob("state.db*"):
        path.unlink()
    rebuilt = fleet.shipyard("state", "rebuild").expect(0).stdout
    assert "`shipyard secret set` these again: key." in rebuilt
    fleet.run("node2", "sh", "-c", "rm /var/lib/shipyard/*/secrets/*")
    lacking = fleet.shipyard("reconcile", "--once")
    assert "is not in the store" in lacking.expect(2).stdout + lacking.stderr
    refused = fleet.shipyard("apply", "shop.yml", env={"CANARY": password}).expect(1)
    assert "shop.yml:15:5: [0].secrets.key: is external" in refused.stderr
    assert "shipyard secret set key" in refused.stderr
    fleet.shipyard("secret", "set", "key", input=key).expect(0)
    fleet.shipyard("apply", "shop.yml", env={"CANARY": password}).expect(0)
    assert ids(fleet) == made
    assert len(kept(fleet, "node2")) == 2
    fleet.lab.kill("node3")
    fleet.lab.start("node3")
    (name,) = fleet.containers("node3")
    said, until = "", time.monotonic() + 30
    while said != password and time.monotonic() < until:
        said = fleet.runtime_cli("node3", "exec", name, "cat", "/run/secrets/password", check=False)
    assert said == password, "it is there again after a power cut, without shipyard"


pytestmark = pytest.mark.lab
