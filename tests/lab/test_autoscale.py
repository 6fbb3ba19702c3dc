"""Autoscaling from what docker and podman themselves say of a busy container."""

from __future__ import annotations

from tests.lab.fleet import Fleet
from tests.lab.stacks import replicas

BUSY = """
- hosts: lab
  stack: shop
  services:
    busy-{runtime}:
      image: shipyard.test/busybox:1
      command: [sh, -c, "{command}"]
      stop_grace_period: 0s
      deploy:
        placement: {{constraints: [node.hostname == {node}]}}
        resources: {{limits: {{cpus: "0.2"}}}}
      x-shipyard:
        autoscale: {{min: 1, max: {most}, cpu: 50%}}
"""


def playbook(fleet: Fleet, command: str, most: int) -> str:
    nodes = {fleet.runtime(node): node for node in fleet.names}
    return "".join(
        BUSY.format(runtime=runtime, node=node, command=command, most=most) for runtime, node in sorted(nodes.items())
    )


def test_what_is_busy_becomes_more_and_a_limit_is_a_limit(fleet: Fleet) -> None:
    fleet.write("shop.yml", playbook(fleet, "while :; do :; done", 2))
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert set(replicas(fleet)) == {"busy-docker.1", "busy-docker.2", "busy-podman.1", "busy-podman.2"}
    said = [each for each in fleet.shipyard("events", "-o", "json").json if each["reason"] == "Scaled"]
    assert {each["target"] for each in said} == {"shop/busy-docker", "shop/busy-podman"}
    assert all(each["message"].startswith("from 1 to 2 replicas: cpu ") for each in said)
    refused = fleet.shipyard("scale", "shop/busy-docker=1").expect(5)
    assert "as many replicas as its use asks for (between 1 and 2)" in refused.stderr
