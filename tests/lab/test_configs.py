"""External configs on real nodes: as they were set, rolled out when applied again, and back after a lost store."""

from __future__ import annotations

import base64
import hashlib
import random
import shutil

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
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
      configs:
        - motd
        - {source: table, target: /etc/table.bin, uid: "1000", gid: "1001", mode: 0400}
  configs:
    motd: {external: true}
    table: {external: true, name: table.bin}
"""
LOOK = """
echo "$(cat /motd)"
echo $(sha256sum </etc/table.bin) $(stat -c "%u %g %a" /motd /etc/table.bin)
echo x 2>/dev/null >/motd || echo read only
"""
TABLE = random.Random(7).randbytes(1000 * 1024)
"""As large as they may be, and no text."""
DIGEST = hashlib.sha256(TABLE).hexdigest()


def seen(motd: str) -> set[str]:
    return {f"{motd}\n{DIGEST} - 0 0 444 1000 1001 400\nread only\n"}


def inside(fleet: Fleet) -> set[str]:
    return {
        fleet.runtime_cli(replica["node"], "exec", replica["container"], "sh", "-c", LOOK)
        for replica in replicas(fleet).values()
    }


def set_motd(fleet: Fleet, content: str) -> str:
    return fleet.shipyard("configs", "set", "motd", "-", input=content).expect(0).stdout


@pytest.mark.matrix
def test_an_external_config_is_in_its_containers_and_a_new_content_rolls_out(fleet: Fleet) -> None:
    fleet.write("shop.yml", STACK)
    (fleet.project / "table.bin").write_bytes(TABLE)
    refused = fleet.shipyard("apply", "shop.yml").expect(1).stderr
    assert "shop.yml:14:5: [0].configs.motd: is external, and the store has no config motd (nor shop/motd)" in refused
    assert "shipyard configs set motd FILE" in refused
    assert "shop.yml:15:5: [0].configs.table: is external" in refused
    assert fleet.containers() == {}

    set_motd(fleet, '$HOME it\'s "früh"')
    fleet.shipyard("configs", "set", "table.bin", "table.bin").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert inside(fleet) == seen('$HOME it\'s "früh"')
    first = ids(fleet)
    assert len(first) == 2

    assert "Apply shop again" in set_motd(fleet, "later")
    fleet.shipyard("reconcile", "--check").expect(0)
    fleet.shipyard("apply", "--check", "shop.yml").expect(10)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert inside(fleet) == seen("later")
    second = ids(fleet)
    assert not set(first.values()) & set(second.values())
    for node in ("node2", "node3"):
        kept = fleet.run(node, "sh", "-c", "ls /var/lib/shipyard/*/configs").split()
        assert len(kept) == 2, "the old content is gone"

    assert "motd is used by shop" in fleet.shipyard("configs", "remove", "motd").expect(5).stderr
    fleet.shipyard("configs", "remove", "--force", "motd").expect(0)
    fleet.shipyard("rollback", "shop").expect(0)
    assert inside(fleet) == seen('$HOME it\'s "früh"'), "a revision has what it was made with"


@pytest.mark.matrix
def test_external_configs_outlive_the_store_and_their_files_are_put_back(fleet: Fleet) -> None:
    fleet.write("shop.yml", STACK)
    (fleet.project / "table.bin").write_bytes(TABLE)
    set_motd(fleet, "hello")
    fleet.shipyard("configs", "set", "table.bin", "table.bin").expect(0)
    fleet.shipyard("apply", "shop.yml").expect(0)
    made = ids(fleet)
    shutil.rmtree(fleet.project / ".shipyard")
    rebuilt = fleet.shipyard("state", "rebuild").expect(0).stdout
    assert "External configs are what the stacks have of them: motd, table.bin." in rebuilt
    shown = fleet.shipyard("configs", "show", "table.bin", "-o", "json").expect(0).json
    assert base64.b64decode(shown["data"]) == TABLE
    assert shown["used_by"] == ["shop"]
    fleet.run("node2", "sh", "-c", "rm /var/lib/shipyard/*/configs/*")
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ids(fleet) == made
    assert len(fleet.run("node2", "sh", "-c", "ls /var/lib/shipyard/*/configs").split()) == 2


pytestmark = pytest.mark.lab
