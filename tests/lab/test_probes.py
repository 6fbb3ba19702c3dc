"""Probes through the connections that passes have, of containers of both runtimes."""

from __future__ import annotations

from typing import Any

from tests.lab.fleet import Fleet
from tests.lab.stacks import replicas

PROBED = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, "mkdir /www; touch /www/alive; exec httpd -f -p 8080 -h /www"]
      stop_grace_period: 0s
      deploy: {mode: global}
      x-shipyard:
        probes:
          startup: {exec: [test, -e, /www/alive], period: 500ms, timeout: 5s}
          liveness: {http: {port: 8080, path: /alive}, period: 500ms, timeout: 5s, failure_threshold: 2}
          readiness: {http: {port: 8080, path: /ready}, period: 500ms, timeout: 5s, failure_threshold: 1}
"""


def health(found: dict[str, dict[str, Any]]) -> set[str]:
    return {replica["health"] for replica in found.values()}


def in_each(fleet: Fleet, found: dict[str, dict[str, Any]], *argv: str) -> None:
    for replica in found.values():
        fleet.runtime_cli(replica["node"], "exec", replica["container"], *argv)


def test_what_is_not_ready_is_waited_for_and_what_no_longer_answers_is_replaced(fleet: Fleet) -> None:
    fleet.write("shop.yml", PROBED)
    waiting = fleet.shipyard("apply", "shop.yml", "--timeout", "8").expect(2)
    assert "its readiness probe" in waiting.stdout + waiting.stderr
    first = replicas(fleet)
    assert health(first) == {"not ready"}

    in_each(fleet, first, "touch", "/www/ready")
    fleet.shipyard("reconcile").expect(0)

    in_each(fleet, first, "rm", "/www/alive")
    fleet.shipyard("reconcile", "--timeout", "8").expect(2)
    replaced = replicas(fleet)
    assert len(replaced) == 3
    assert not {each["container"] for each in replaced.values()} & {each["container"] for each in first.values()}
    said = " ".join(fleet.shipyard("events").expect(0).stdout.split())
    assert "Unhealthy (its liveness probe failed 2 times in a row: it answered 404 Not Found" in said
