"""The cluster's network beside the wire and beside Swarm's overlay, on two nodes; and how fast its rules are made.

The nodes are network namespaces of one machine, so the "wire" between them is memory, and what is measured is the work
of the kernel: encapsulation, translation, bridges. On a real wire the differences are smaller.
"""

from __future__ import annotations

import json
import statistics
import time

from bench.ground import Ground
from bench.sample import Row
from shipyard.planner.network import rules

SECONDS = 3
"""Of one measurement of throughput."""
BACKENDS = (2, 20, 200)
SERVICES, REPLICAS = 1000, 10
CONNECTIONS = 300

_PLAY = """
- hosts: lab
  stack: net
  services:
    box:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "8080", -h, /]
      init: true
      stop_grace_period: 0s
      deploy: {{mode: global}}
  networks:
    default: {{driver: {driver}}}
"""
_WEB = """
- hosts: lab
  stack: net
  services:
    web:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "8080", -h, /]
      init: true
      stop_grace_period: 0s
      deploy: {{replicas: {count}}}
"""
_ROUNDS = """
import socket, sys, time
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
began = time.monotonic()
for _ in range(count):
    socket.create_connection((address, port), 5).close()
print(time.monotonic() - began)
"""


def measure(ground: Ground, repeat: int) -> list[Row]:
    """Rows of the table. Needs a lab of two docker nodes, and `iperf3` on this machine, whose /usr they share."""
    wire = _between(ground, _pids(ground, None), ground.addresses()[1], repeat)
    found = {driver: _driver(ground, driver, repeat) for driver in ("routed", "vxlan", "wireguard")}
    found["Swarm's overlay"] = _swarm(ground, repeat)
    rates, trips = ("node to node", statistics.median(wire[0])), ("node to node", statistics.median(wire[1]))
    rows = [Row(f"throughput, {name}", values[0], "Gbit/s", rates) for name, values in found.items()]
    rows += [Row(f"round trip, {name}", values[1], "ms", trips) for name, values in found.items()]
    rows.append(Row("throughput, node to node", wire[0], "Gbit/s"))
    rows.append(Row("round trip, node to node", wire[1], "ms"))
    return [*rows, *_connections(ground, repeat), *rule_making(repeat)]


def rule_making(repeat: int) -> list[Row]:
    """The text of one node's rules, for as many services as Kubernetes' own measurements of kube-proxy take."""
    times = []
    for _ in range(max(3, repeat)):
        began = time.process_time()
        common = rules.shared(_common(SERVICES, REPLICAS))
        rules.text(common, rules.Own((), ("10.208.0.0/26",), ("eth0",)))
        times.append(time.process_time() - began)
    return [Row(f"rules of {SERVICES} services with {REPLICAS} replicas each, as text: CPU", tuple(times), target=0.5)]


def _common(services: int, replicas: int) -> rules.Common:
    backends = tuple(
        rules.Backends(
            f"10.224.{number // 250}.{number % 250 + 1}",
            tuple(f"10.{208 + slot}.{number // 250}.{number % 250 + 1}" for slot in range(replicas)),
            ports=(("tcp", 80, 8080),),
        )
        for number in range(services)
    )
    network = rules.Network("net_default", tuple(f"10.208.{block}.0/26" for block in range(4)))
    return rules.Common("shipyard_bench", "10.208.0.0/12", "10.224.0.0/16", "10.208.0.0/20", (network,), backends)


def _driver(ground: Ground, driver: str, repeat: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Throughput (Gbit/s) and round trips (ms) between containers of the first two nodes."""
    ground.clean()
    project = ground.project()
    (project.folder / "site.yml").write_text(_PLAY.format(driver=driver))
    project.apply()
    boxes = _boxes(ground)
    return _between(ground, _pids(ground, boxes), _address(ground, 1, boxes[1]), repeat)


def _swarm(ground: Ground, repeat: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The same over an attachable overlay network of Docker Swarm."""
    ground.clean()
    first, second = (node.name for node in ground.lab.nodes[:2])
    run = ground.fleet.run
    try:
        run(first, "docker", "swarm", "init", "--advertise-addr", ground.addresses()[0])
        token = run(first, "docker", "swarm", "join-token", "-q", "worker").strip()
        run(second, "docker", "swarm", "join", "--token", token, f"{ground.addresses()[0]}:2377")
        run(first, "docker", "network", "create", "-d", "overlay", "--attachable", "over")
        for node in (first, second):
            run(
                node,
                "docker",
                "run",
                "-d",
                "--name",
                "box",
                "--network",
                "over",
                "shipyard.test/busybox:1",
                "sleep",
                "9999",
            )
        template = "{{.NetworkSettings.Networks.over.IPAddress}}"
        address = run(second, "docker", "inspect", "-f", template, "box").strip()
        return _between(ground, _pids(ground, ("box", "box")), address, repeat)
    finally:
        for node in (second, first):
            ground.fleet.run(node, "docker", "rm", "-f", "box", check=False)
            ground.fleet.run(node, "docker", "swarm", "leave", "--force", check=False)


def _between(
    ground: Ground, pids: tuple[str, str], address: str, repeat: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """From the network namespace of the one process to an address of the other's. Measured by iperf3 and ping."""
    first, second = (node.name for node in ground.lab.nodes[:2])
    run = ground.fleet.run
    server = f"nsenter -n -t {pids[1]} iperf3 -s -D -I /run/iperf3.pid"
    run(second, "sh", "-c", server)
    try:
        rates, trips = [], []
        for _ in range(max(3, repeat)):
            said = json.loads(
                run(first, "nsenter", "-n", "-t", pids[0], "iperf3", "-J", "-t", str(SECONDS), "-c", address)
            )
            rates.append(said["end"]["sum_received"]["bits_per_second"] / 1e9)
            ping = run(first, "nsenter", "-n", "-t", pids[0], "ping", "-q", "-i", "0.01", "-c", "200", address)
            trips.append(float(ping.rpartition("= ")[2].split("/")[1]))
        return tuple(rates), tuple(trips)
    finally:
        run(second, "sh", "-c", "kill $(tr -d '\\0' </run/iperf3.pid)", check=False)


def _connections(ground: Ground, repeat: int) -> list[Row]:
    """New connections through a service's address, one after the other, by how many replicas the kernel picks from."""
    ground.clean()
    project = ground.project()
    (project.folder / "shipyard.toml").write_text("[network]\nblock = 24\n")  # the usual ones have 62 addresses a node
    first, rows = ground.lab.nodes[0].name, []
    for count in BACKENDS:
        (project.folder / "site.yml").write_text(_PLAY.format(driver="vxlan") + _WEB.format(count=count))
        project.apply()
        said = json.loads(project.output("network", "inspect", "net_default", "-o", "json"))
        service = next(each for each in said["services"] if each["name"] == "net/web")
        box = next(name for name in ground.fleet.containers(first) if "-box-" in name)
        pid = ground.fleet.run(first, "docker", "inspect", "-f", "{{.State.Pid}}", box).strip()
        there = next(each["address"] for each in service["replicas"] if each["node"] != first)
        direct, led = [], []
        for _ in range(max(3, repeat)):
            direct.append(_connect(ground, first, pid, there))
            led.append(_connect(ground, first, pid, service["address"]))
        name = f"{CONNECTIONS} connections through a service of {count} replicas"
        rows.append(Row(name, tuple(led), reference=("straight to one of them", statistics.median(direct))))
    return rows


def _connect(ground: Ground, node: str, pid: str, address: str) -> float:
    words = ("nsenter", "-n", "-t", pid, "/usr/bin/python3", "-c", _ROUNDS, address, "8080", str(CONNECTIONS))
    return float(ground.fleet.run(node, *words))


def _boxes(ground: Ground) -> tuple[str, str]:
    found = [next(iter(ground.fleet.containers(node.name))) for node in ground.lab.nodes[:2]]
    return found[0], found[1]


def _pids(ground: Ground, boxes: tuple[str, str] | None) -> tuple[str, str]:
    """Of the containers' first processes, as their nodes count; the nodes' own without containers."""
    if boxes is None:
        return "1", "1"
    found = [
        ground.fleet.run(node.name, "docker", "inspect", "-f", "{{.State.Pid}}", box).strip()
        for node, box in zip(ground.lab.nodes, boxes, strict=False)
    ]
    return found[0], found[1]


def _address(ground: Ground, index: int, box: str) -> str:
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return ground.fleet.run(ground.lab.nodes[index].name, "docker", "inspect", "-f", template, box).strip()
