"""Shipyard killed in the middle of an apply, at moments spread over all of it: one reconcile puts things right."""

from __future__ import annotations

import random
import subprocess
import time

from tests.lab.fleet import Fleet

MOMENTS = 10
SEED = 20_221
"""Of the moments: the same at each run, as far as a machine's speed is the same."""

OLD = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
      stop_grace_period: 2s
      environment: {VERSION: old}
      networks: [front, back]
      deploy: {mode: global}
    extra:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      networks: [front]
  networks: {front: {}, back: {}}
"""
NEW = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
      stop_grace_period: 2s
      environment: {VERSION: new}
      networks: [front]
      deploy: {mode: global}
  networks: {front: {}}
"""
VERSIONS = {"old": OLD, "new": NEW}


def version(fleet: Fleet) -> str:
    """The version that runs; all of it has to be there, and nothing else, and nothing twice."""
    running, services, networks = set(), [], {}
    for node in fleet.names:
        for name in fleet.containers(node):
            found = fleet.inspect(node, name)
            assert found["State"]["Status"] == "running", name
            services.append((found["Config"]["Labels"]["shipyard.service"], node))
            running |= {word for word in found["Config"]["Env"] if word.startswith("VERSION=")}
        listed = fleet.runtime_cli(node, "network", "ls", "--format", "{{.Name}}").split()
        networks[node] = {name for name in listed if name.startswith("shop_")}
        left = fleet.run(node, "sh", "-c", "ls -d /run/shipyard.* /var/lib/shipyard/*/.[a-z]* 2>/dev/null", check=False)
        assert left == ""
    (found_version,) = {word.removeprefix("VERSION=") for word in running}
    webs = [("web", node) for node in fleet.names]
    extras = [service for service in services if service[0] == "extra"]
    assert sorted(services) == sorted([*extras, *webs])
    assert len(extras) == (1 if found_version == "old" else 0)
    there = {"shop_front", "shop_back"} if found_version == "old" else {"shop_front"}
    for node in fleet.names:
        assert networks[node] >= {"shop_front"}
        assert networks[node] <= there
    return found_version


def test_killed_at_any_moment_of_an_apply_one_reconcile_converges(fleet: Fleet) -> None:
    fleet.write("shop.yml", OLD)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert version(fleet) == "old"
    fleet.write("shop.yml", NEW)
    began = time.monotonic()
    fleet.shipyard("apply", "shop.yml").expect(0)
    whole = time.monotonic() - began
    assert version(fleet) == "new"

    chance = random.Random(SEED)
    fractions = [(number + chance.random()) / MOMENTS for number in range(MOMENTS)]
    chance.shuffle(fractions)
    interrupted = 0
    for fraction in fractions:
        now = version(fleet)
        fleet.write("shop.yml", VERSIONS["new" if now == "old" else "old"])
        process = fleet.start("apply", "shop.yml")
        with process:
            try:
                process.wait(whole * (0.15 + 0.85 * fraction))
            except subprocess.TimeoutExpired:
                interrupted += 1
                process.kill()
        moment = f"killed after {fraction:.2f} of an apply"
        assert fleet.shipyard("reconcile").expect(0).code == 0, moment
        version(fleet)
        fleet.shipyard("reconcile", "--check").expect(0)
    assert interrupted >= MOMENTS // 2, "most of these applies ended before they could be killed"
    last = "new" if version(fleet) == "old" else "old"
    fleet.write("shop.yml", VERSIONS[last])
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert version(fleet) == last
