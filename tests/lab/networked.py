"""A shop on a network across nodes, and how it is asked from inside its containers and from outside."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

from tests.lab.fleet import Fleet
from tests.lab.stacks import replicas

SHOP = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, 'mkdir /www; hostname >/www/name; exec httpd -f -p 8080 -h /www']
      init: true
      stop_grace_period: 2s
      ports: ["8000:8080"]
      x-shipyard: {service_ports: ["80:8080"]}
      deploy: {replicas: 2, placement: {max_replicas_per_node: 1, constraints: ["node.hostname != node1"]}}
    client:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
    hidden:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "9000", -h, /]
      init: true
      stop_grace_period: 0s
      networks: [back]
      deploy: {mode: global}
  networks:
    default: {driver: DRIVER}
    back: {driver: DRIVER, internal: true}
"""


def shop(driver: str = "vxlan") -> str:
    """The playbook, with this driver."""
    return SHOP.replace("DRIVER", driver)


def guarded_shop(allow: str = "allow: [{service: client, ports: [8080]}]") -> str:
    """Of whose web only the client may ask, while a stranger shares its network on every node."""
    stranger = """
    stranger:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
  networks:
    default"""
    return shop().replace('service_ports: ["80:8080"]', allow).replace("\n  networks:\n    default", stranger)


def asked(fleet: Fleet, node: str, url: str, *, client: str = "") -> str:
    """What a client container of a node is answered; "" for nothing. `client`: its name, where it is known."""
    name = client or next(
        each["container"] for key, each in replicas(fleet).items() if key.startswith("client") and each["node"] == node
    )
    # busybox's wget can't be given a time limit on every kernel
    done = fleet.lab.run(node, (fleet.runtime(node), "exec", name, "timeout", "3", "wget", "-q", "-O", "-", url))
    return done.stdout.decode().strip()


def always_asked(fleet: Fleet, node: str, url: str, *, client: str, times: int = 20) -> bool:
    """Whether a client is answered so many times in a row; so one of three replicas is not passed over by chance."""
    script = 'for i in $(seq "$2"); do timeout 3 wget -q -O - "$1" || exit; done; echo always'
    done = fleet.lab.run(node, (fleet.runtime(node), "exec", client, "sh", "-c", script, "sh", url, str(times)))
    return done.stdout.decode().strip().endswith("always")


def clients(fleet: Fleet) -> dict[str, str]:
    """The client container of each node, by its name."""
    found = next(each for each in network(fleet)["services"] if each["name"] == "shop/client")
    return {replica["node"]: replica["container"] for replica in found["replicas"]}


def from_outside(fleet: Fleet, node: str, port: int = 8000, path: str = "/name") -> str:
    """What the machine itself is answered by a node's port."""
    address = fleet.lab.node(node).address
    done = subprocess.run(
        ["curl", "-s", "-m", "3", f"http://{address}:{port}{path}"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def names(fleet: Fleet, service: str) -> set[str]:
    """Names of a service's containers, which are their host names, too."""
    found = next(each for each in network(fleet)["services"] if each["name"] == service)
    return {replica["container"] for replica in found["replicas"]}


def spread(answers: list[str]) -> Counter[str]:
    """How often each answered."""
    return Counter(answers)


def network(fleet: Fleet, name: str = "shop_default") -> dict[str, Any]:
    """`network inspect` of it."""
    found: dict[str, Any] = json.loads(fleet.shipyard("network", "inspect", name, "-o", "json").expect(0).stdout)
    return found
