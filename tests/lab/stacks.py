"""The stacks that lab tests deploy, as playbooks, and how their replicas are found."""

from __future__ import annotations

from typing import Any

from tests.lab.fleet import Fleet

WEB = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "8080", -h, /]
      stop_grace_period: 0s
      environment:
        GREETING: "it's  $HOME \\"quoted\\" \\u00fc"
      deploy:
        replicas: 3
        update_config: {parallelism: 0, monitor: 0s}
"""

WITH_DATA = (
    WEB
    + """
      volumes: ["data:/data"]
      networks: {default: {aliases: [shopfront]}, back: {}}
    jobless:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
  networks: {back: {internal: true}}
  volumes: {data: {}}
"""
)


def replicas(fleet: Fleet, stack: str = "shop") -> dict[str, dict[str, Any]]:
    """`web.1` and so on with what `status -o json` says of them."""
    return found_in(fleet.shipyard("status", "-o", "json").json, stack)


def found_in(status: dict[str, Any], stack: str = "shop") -> dict[str, dict[str, Any]]:
    """The same of an answer that is there already."""
    return {
        f"{service['name']}.{replica['slot']}": replica
        for found in status["stacks"]
        if found["name"] == stack
        for service in found["services"]
        for replica in service["replicas"]
    }


def ids(fleet: Fleet, stack: str = "shop") -> dict[str, str]:
    """Container ids by name, of the containers of one stack, as the runtimes list them."""
    return {name: identity for name, identity in fleet.containers().items() if name.startswith(f"{stack}-")}


def states(fleet: Fleet) -> dict[str, str]:
    """State by container, as the runtimes tell it, past shipyard."""
    found = {}
    for node in fleet.names:
        for name in fleet.containers(node):
            found[name] = fleet.inspect(node, name)["State"]["Status"]
    return found
