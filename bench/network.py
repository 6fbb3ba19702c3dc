"""The cluster's network beside the wire and beside Swarm's overlay, on two nodes; and how fast its rules are made.

The nodes are network namespaces of one machine, so the "wire" between them is memory, and what is measured is the work
of the kernel: encapsulation, translation, bridges. So all is measured on a wire of 10 Gbit/s as well, where the wire is
the limit, as it is between machines.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from shlex import quote

from bench.ground import Ground, Project
from bench.sample import Row
from shipyard.planner.network import rules

SECONDS = 3
"""Of one measurement of throughput."""
BACKENDS = (2, 20, 200)
SERVICES, REPLICAS = 1000, 10
CONNECTIONS = 3000
LED = "vxlan, through a service's address"
WIRE, SWARM = "node to node", "Swarm's overlay"
_BARE = ", without any rules"
_PACED = ", on a wire of 10 Gbit/s"

Found = dict[str, tuple[float, ...]]

DRIVERS = ("routed", "vxlan", "wireguard")
TARGETS = {"routed": 0.95, "vxlan": 0.7}
"""The share of the wire's throughput that a driver should reach."""

_PAIR = """
    {driver}-{end}:
      image: shipyard.test/busybox:1
      command: [sleep, "1000000"]
      stop_grace_period: 0s
      networks: [{driver}]
      deploy:
        placement: {{constraints: [node.hostname == {node}]}}
"""
_BOX = """
- hosts: lab
  stack: net
  services:
    box:
      image: shipyard.test/busybox:1
      command: [sleep, "1000000"]
      stop_grace_period: 0s
      deploy: {mode: global}
  networks:
    default: {driver: vxlan}
"""
_WEB = """
- hosts: lab
  stack: net
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sleep, "1000000"]
      stop_grace_period: 0s
      deploy: {{replicas: {count}}}
"""
_LISTEN = """
import ctypes, os, socket, sys, time
servers = []
for pid in sys.argv[1:]:
    with open(f"/proc/{pid}/ns/net") as space:
        if ctypes.CDLL(None).setns(space.fileno(), 0):
            sys.exit("setns failed")
    servers.append(socket.create_server(("", 6379), backlog=4096))
if child := os.fork():
    print(child)
    sys.exit()
os.dup2(os.open("/dev/null", os.O_RDWR), 1)
os.dup2(1, 2)
time.sleep(600)
"""
"""Listens in the network of each of these processes, from one of its own, and leaves it to the kernel to take and queue
connections: with a server in each replica it would be measured how many processes can be woken."""
_ECHO = """
import socket
with socket.create_server(("", 5202)) as server:
    while True:
        client = server.accept()[0]
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while said := client.recv(1):
            client.sendall(said)
"""
_TRIPS = """
import socket, sys, time
for left in range(50, -1, -1):
    try:
        client = socket.create_connection((sys.argv[1], 5202), 5)
        break
    except ConnectionRefusedError:
        if not left:
            raise
        time.sleep(0.1)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for _ in range(2000):
    began = time.monotonic()
    client.sendall(b"x")
    client.recv(1)
    times.append(time.monotonic() - began)
print(sorted(times)[len(times) // 2] * 1000)
"""
_PINNED = ("taskset", "-c", "0")
"""Both ends of a round trip have one core: which core is woken on which other one takes longer than the way itself, and
differs from run to run."""
_ROUNDS = """
import socket, struct, sys, time
port, count, *addresses = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
began = time.monotonic()
for number in range(count):
    client = socket.create_connection((addresses[number % len(addresses)], port), 5)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
print(time.monotonic() - began)
"""
"""Each connection ends by a reset: closed ones would keep their ports for a minute, and the search for a free one among
thousands takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the first node to the second: processes in whose network namespaces it begins and ends."""

    begin: str
    end: str
    address: str


def measure(ground: Ground, repeat: int) -> list[Row]:
    """Rows of the table. Needs a lab of two docker nodes, and `iperf3` on this machine, whose /usr they share."""
    ground.clean()
    project = ground.project()
    paths = {WIRE: Path("1", "1", ground.addresses()[1]), **_drivers(ground, project)}
    with _swarm(ground) as overlay:
        paths[SWARM] = overlay
        # docker's overlay switched on that the rules are asked about what only crosses a bridge, and a pass mends that
        project.reconcile()
        _bridges_are_not_filtered(ground)
        rates, trips = _by_turns(ground, paths, max(3, repeat))
        paced = {f"{name}{_PACED}": path for name, path in paths.items() if name in (*TARGETS, LED, SWARM, WIRE)}
        with _wire_of_10_gbit(ground):
            paced_rates, _ = _by_turns(ground, paced, max(3, repeat))
    with _without_rules(ground):
        plain = {f"{name}{_BARE}": paths[name] for name in (WIRE, *TARGETS)}
        bare_rates, bare_trips = _by_turns(ground, plain, max(3, repeat))
    wire, swarm, direct = WIRE, SWARM, "vxlan"
    rows = [
        *_compared("throughput", "Gbit/s", rates, wire, dict.fromkeys(DRIVERS) | TARGETS | {swarm: None}),
        *_compared("throughput", "Gbit/s", rates, swarm, {"routed": 1.0, "vxlan": 1.0}),
        *_compared("throughput", "Gbit/s", rates, direct, {LED: 0.9}),
        *_compared("round trip", "ms", trips, wire, dict.fromkeys((*DRIVERS, swarm))),
        *_compared("round trip", "ms", trips, swarm, {"routed": 1.0, "vxlan": 1.0}),
        *_compared("round trip", "ms", trips, direct, {LED: 1.1}),
        *_compared("throughput", "Gbit/s", paced_rates, wire + _PACED, _named(TARGETS | {swarm: None})),
        *_compared("throughput", "Gbit/s", paced_rates, swarm + _PACED, _named(dict.fromkeys(TARGETS, 0.99))),
        *_compared("throughput", "Gbit/s", paced_rates, direct + _PACED, _named({LED: 0.9})),
        *_compared("throughput", "Gbit/s", bare_rates, wire + _BARE, {name + _BARE: None for name in TARGETS}),
        *_compared("round trip", "ms", bare_trips, wire + _BARE, {name + _BARE: None for name in TARGETS}),
        Row(f"throughput, {wire}", rates[wire], "Gbit/s"),
        Row(f"round trip, {wire}", trips[wire], "ms"),
    ]
    return [*rows, *_connections(ground, repeat), *rule_making(repeat)]


def _named(targets: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name + _PACED: target for name, target in targets.items()}


def _compared(what: str, unit: str, found: Found, reference: str, targets: dict[str, float | None]) -> list[Row]:
    beside = (reference, statistics.median(found[reference]))
    return [
        Row(f"{what}, {name}", found[name], unit, beside, target, more=unit != "ms") for name, target in targets.items()
    ]


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


def _drivers(ground: Ground, project: Project) -> dict[str, Path]:
    """From container to container over each driver, and over one of them by the service's address."""
    first, second = ground.lab.nodes[:2]
    ends = {"near": first.name, "far": second.name}
    pairs = "".join(_PAIR.format(driver=driver, end=end, node=node) for driver in DRIVERS for end, node in ends.items())
    networks = "".join(f"    {driver}: {{driver: {driver}}}\n" for driver in DRIVERS)
    (project.folder / "site.yml").write_text(f"- hosts: lab\n  stack: net\n  services:{pairs}  networks:\n{networks}")
    project.apply()
    found = {}
    for driver in DRIVERS:
        box, peer = (_box(ground, node, f"-{driver}-{end}-") for end, node in ends.items())
        found[driver] = Path(
            _pid(ground, first.name, box), _pid(ground, second.name, peer), _address(ground, second.name, peer)
        )
    said = json.loads(project.output("network", "inspect", "net_vxlan", "-o", "json"))
    service = next(each for each in said["services"] if each["name"] == "net/vxlan-far")
    found[LED] = replace(found["vxlan"], address=service["address"])
    return found


@contextmanager
def _swarm(ground: Ground) -> Iterator[Path]:
    """From container to container over an attachable overlay network of Docker Swarm."""
    first, second = (node.name for node in ground.lab.nodes[:2])
    run = ground.fleet.run
    try:
        run(first, "docker", "swarm", "init", "--advertise-addr", ground.addresses()[0])
        token = run(first, "docker", "swarm", "join-token", "-q", "worker").strip()
        run(second, "docker", "swarm", "join", "--token", token, f"{ground.addresses()[0]}:2377")
        run(first, "docker", "network", "create", "-d", "overlay", "--attachable", "over")
        box = ("run", "-d", "--name", "box", "--network", "over", "shipyard.test/busybox:1", "sleep", "9999")
        for node in (first, second):
            run(node, "docker", *box)
        yield Path(_pid(ground, first, "box"), _pid(ground, second, "box"), _address(ground, second, "box"))
    finally:
        for node in (second, first):
            run(node, "docker", "rm", "-f", "box", check=False)
            run(node, "docker", "swarm", "leave", "--force", check=False)


def _bridges_are_not_filtered(ground: Ground) -> None:
    """The nodes are as every pass leaves them. Raises RuntimeError."""
    for node in ground.lab.nodes[:2]:
        setting = ground.fleet.run(node.name, "sysctl", "-n", "net.bridge.bridge-nf-call-iptables").strip()
        if setting != "0":
            raise RuntimeError(f"{node.name} has net.bridge.bridge-nf-call-iptables = {setting} after a pass")


@contextmanager
def _without_rules(ground: Ground) -> Iterator[None]:
    """No rules and no tracking of connections on either node, ours or the runtime's: what the devices alone cost."""
    for node in ground.lab.nodes[:2]:
        ground.fleet.run(node.name, "sh", "-c", "iptables-save >/run/rules.saved && nft flush ruleset")
    try:
        yield
    finally:
        for node in ground.lab.nodes[:2]:  # ours come back with the next project
            ground.fleet.run(node.name, "sh", "-c", "iptables-restore </run/rules.saved")


@contextmanager
def _wire_of_10_gbit(ground: Ground) -> Iterator[None]:
    """What both nodes send is held to what their network cards could send if they had any."""
    names = [node.name for node in ground.lab.nodes[:2]]
    try:
        for name in names:
            pace = ("rate", "10gbit", "burst", "1mb", "latency", "20ms")
            ground.fleet.run(name, "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *pace)
        yield
    finally:
        for name in names:
            ground.fleet.run(name, "tc", "qdisc", "del", "dev", "eth0", "root", check=False)


def _by_turns(ground: Ground, paths: dict[str, Path], repeat: int) -> tuple[Found, Found]:
    """Throughput (Gbit/s, by iperf3) and round trips (ms, of a byte) of each, one after the other, `repeat` times."""
    first, second = (node.name for node in ground.lab.nodes[:2])
    run = ground.fleet.run
    ends = sorted({path.end for path in paths.values()})
    rates: dict[str, list[float]] = {name: [] for name in paths}
    trips: dict[str, list[float]] = {name: [] for name in paths}
    for end in ends:
        run(second, "sh", "-c", f"nsenter -n -t {end} iperf3 -s -D -I /run/iperf3.{end}.pid")
        echo = f"nsenter -n -t {end} {' '.join(_PINNED)} /usr/bin/python3 -c {quote(_ECHO)} </dev/null >/dev/null 2>&1"
        run(second, "sh", "-c", f"{echo} & echo $! >/run/echo.{end}.pid")
    try:
        for _ in range(repeat):
            for name, path in paths.items():
                inside = ("nsenter", "-n", "-t", path.begin)
                said = json.loads(run(first, *inside, "iperf3", "-J", "-t", str(SECONDS), "-c", path.address))
                rates[name].append(said["end"]["sum_received"]["bits_per_second"] / 1e9)
                trips[name].append(float(run(first, *inside, *_PINNED, "/usr/bin/python3", "-c", _TRIPS, path.address)))
    finally:
        for end in ends:
            pids = f"/run/iperf3.{end}.pid /run/echo.{end}.pid"
            run(second, "sh", "-c", f"kill $(cat {pids} | tr '\\0' '\\n')", check=False)
    return {name: tuple(each) for name, each in rates.items()}, {name: tuple(each) for name, each in trips.items()}


def _connections(ground: Ground, repeat: int) -> list[Row]:
    """New connections through a service's address, one after the other, by how many replicas the kernel picks from.

    And straight to all of these in turn: what more of them cost by themselves, whoever picks.
    """
    ground.clean()
    project = ground.project()
    (project.folder / "shipyard.toml").write_text("[network]\nblock = 24\n")  # the usual ones have 62 addresses a node
    first, led, beside, shares = ground.lab.nodes[0].name, [], [], []
    for count in BACKENDS:
        (project.folder / "site.yml").write_text(_BOX + _WEB.format(count=count))
        project.apply()
        said = json.loads(project.output("network", "inspect", "net_default", "-o", "json"))
        service = next(each for each in said["services"] if each["name"] == "net/web")
        pid = _pid(ground, first, _box(ground, first, "-box-"))
        ways = {"straight": [each["address"] for each in service["replicas"]], "led": [service["address"]]}
        times: dict[str, list[float]] = {way: [] for way in ways}
        with _listening(ground, service["replicas"]):  # all of them become known as neighbours
            _connect(ground, first, pid, ways["straight"])
        for _ in range(max(3, repeat)):
            for way, addresses in ways.items():
                with _listening(ground, service["replicas"]):
                    times[way].append(_connect(ground, first, pid, addresses))
        name = f"{CONNECTIONS} new connections through a service of {count} replicas"
        led.append(Row(name, tuple(times["led"])))
        beside.append(replace(led[-1], reference=("straight to them in turn", statistics.median(times["straight"]))))
        each = tuple(one / other for one, other in zip(times["led"], times["straight"], strict=True))
        shares.append(Row(f"{name}, over straight ones to them in turn", each, unit=""))
    few = f"of {BACKENDS[0]}"
    compared = ((row, rows[0]) for rows in (led, shares) for row in rows[1:])
    return [*(replace(row, reference=(few, least.value), target=1.1) for row, least in compared), *beside]


@contextmanager
def _listening(ground: Ground, replicas: list[dict[str, str]]) -> Iterator[None]:
    """Somebody listens in each of these containers."""
    started: list[tuple[str, str]] = []
    try:
        for node in ground.lab.nodes:
            boxes = [each["container"] for each in replicas if each["node"] == node.name]
            pids = ground.fleet.run(node.name, "docker", "inspect", "-f", "{{.State.Pid}}", *boxes).split()
            started.append((node.name, ground.fleet.run(node.name, "/usr/bin/python3", "-c", _LISTEN, *pids).strip()))
        yield
    finally:
        for name, pid in started:
            ground.fleet.run(name, "kill", pid)


def _connect(ground: Ground, node: str, pid: str, addresses: Sequence[str]) -> float:
    words = ("nsenter", "-n", "-t", pid, "/usr/bin/python3", "-c", _ROUNDS, "6379", str(CONNECTIONS), *addresses)
    return float(ground.fleet.run(node, *words))


def _box(ground: Ground, node: str, part: str) -> str:
    """The node's one container whose name has that in it."""
    (found,) = (name for name in ground.fleet.containers(node) if part in name)
    return found


def _pid(ground: Ground, node: str, box: str) -> str:
    """Of a container's first process, as its node counts."""
    return ground.fleet.run(node, "docker", "inspect", "-f", "{{.State.Pid}}", box).strip()


def _address(ground: Ground, node: str, box: str) -> str:
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return ground.fleet.run(node, "docker", "inspect", "-f", template, box).strip()
