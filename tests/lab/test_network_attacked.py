"""From inside a container that may send any packet: what of another stack it can get at, by way of its node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import Ask, amiss, network, shop

EVIL = """
- hosts: lab
  stack: evil
  services:
    box:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
  networks:
    default: {driver: vxlan}
"""
TWO = """
- hosts: lab
  stack: two
  services:
    api:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      networks: [front, rear]
      deploy: {mode: global}
    web: &web
      image: shipyard.test/busybox:1
      command: [sh, -c, 'mkdir /www; hostname >/www/name; exec httpd -f -p 8080 -h /www']
      init: true
      stop_grace_period: 0s
      networks: [front]
      deploy: {mode: global}
    db:
      <<: *web
      networks: [rear]
      x-shipyard: {allow: [api]}
  networks:
    front: {driver: vxlan}
    rear: {driver: vxlan}
"""
_LISTEN = r"""
import socket, sys
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there.bind(("", 7000))
there.settimeout(float(sys.argv[1]))
print("listening", flush=True)
heard = set()
try:
    while "friend" not in heard:
        heard.add(there.recvfrom(100)[0].decode())
except TimeoutError:
    heard.add("nobody else")
print(" ".join(sorted(heard)))
"""
_SEND = r"""
import json, socket, struct, sys
def datagram(source, there, said):
    # another port than the one that is asked: else the way back would be the answer to the way there, and known already
    load = struct.pack("!HHHH", 7001, 7000, 8 + len(said), 0) + said
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(load), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, there)))
    total = sum(struct.unpack("!10H", head))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + load
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for source, there, said, *way in json.loads(sys.argv[1]):
    inside = datagram(source, there, said.encode())
    if not way:
        raw.sendto(inside, (there, 0))
    else:
        node, identity, mac = way
        frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("0200000000010800") + inside
        wrapped = struct.pack("!II", 0x08000000, int(identity) << 8) + frame
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(wrapped, (node, 4789))
"""
Packet = tuple[str, ...]
"""Its source, whom it is for, what it says; and around it, for a tunnel's packet, a node, the tunnel and its MAC."""


@pytest.fixture(params=["nft", pytest.param("iptables", marks=pytest.mark.matrix)])
def mixed(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """All nodes with nft; or none of them."""
    nodes = fleet.names if request.param == "iptables" else ()
    for node in nodes:
        fleet.run(node, "mv", "/usr/sbin/nft", "/usr/sbin/nft.hidden")
    try:
        yield fleet
    finally:
        for node in nodes:
            fleet.run(node, "mv", "/usr/sbin/nft.hidden", "/usr/sbin/nft")


def test_no_container_gets_into_another_network_whatever_it_sends_or_whoever_is_on_both(mixed: Fleet) -> None:
    mixed.write("shop.yml", shop())
    mixed.write("evil.yml", EVIL)
    mixed.write("two.yml", TWO)
    mixed.shipyard("apply", "shop.yml", "evil.yml", "two.yml").expect(0)
    _no_forged_packet_arrives(mixed)
    _two_networks_are_reached_across_nodes_and_joined_for_nobody(mixed)


def _no_forged_packet_arrives(mixed: Fleet) -> None:
    boxes = _replicas(mixed, "evil_default")["evil/box"]
    clients = _replicas(mixed, "shop_default")["shop/client"]
    victims = {node: each["container"] for node, each in clients.items()}
    ears = {node: _inside(mixed, node, victims[node], _LISTEN, "120") for node in mixed.names}
    for ear in ears.values():
        assert ear.stdout is not None and ear.stdout.readline() == "listening\n"
    ways = {}
    for victim in mixed.names:
        link = mixed.run(victim, "sh", "-c", "ip -o -d link show type vxlan").split()
        number, mac = link[link.index("id") + 1], link[link.index("link/ether") + 1]
        ways[victim] = (mixed.lab.node(victim).address, number, mac)
    for node in mixed.names:
        packets: list[Packet] = []
        for victim, each in clients.items():
            there = each["address"]
            sources = ("10.208.0.1", "10.208.0.2", "10.208.0.9", boxes[node]["address"], *_others(clients, node))
            packets += [(source, there, f"{node}:{source}") for source in sources]
            packets.append((_others(clients, victim)[0], there, f"{node}:tunnel", *ways[victim]))
        _sends(mixed, node, boxes[node]["container"], packets)
    # who may is heard
    for node in mixed.names:
        own = clients[node]["address"]
        _sends(mixed, node, victims[node], [(own, each["address"], "friend") for each in clients.values()])
    for node, ear in ears.items():
        assert ear.communicate(timeout=60)[0].strip() == "friend", f"on {node}"


def _two_networks_are_reached_across_nodes_and_joined_for_nobody(mixed: Fleet) -> None:
    front, rear = _replicas(mixed, "two_front"), _replicas(mixed, "two_rear")
    api, web, db = front["two/api"], front["two/web"], rear["two/db"]
    asks = []
    for node in mixed.names:
        box = api[node]["container"]
        for there in (*web.values(), *db.values()):
            asks.append(Ask(node, box, f"http://{there['address']}:8080/name", (there["container"],), "by its address"))
        for name, servers in (("web", web), ("db", db)):
            by = {each["container"] for each in servers.values()}
            asks += [Ask(node, box, f"http://{name}:8080/name", by, "by its name")] * 6
        for there in db.values():
            url = f"http://{there['address']}:8080/name"
            asks.append(Ask(node, web[node]["container"], url, why="as web is on another network"))
    assert not (wrong := amiss(mixed, asks)), "\n".join(wrong)


def _replicas(fleet: Fleet, on: str) -> dict[str, dict[str, dict[str, str]]]:
    """Of each service on a network, by node."""
    found = network(fleet, on)["services"]
    return {service["name"]: {each["node"]: each for each in service["replicas"]} for service in found}


def _others(replicas: dict[str, dict[str, str]], node: str) -> tuple[str, ...]:
    return tuple(each["address"] for where, each in replicas.items() if where != node)


def _sends(fleet: Fleet, node: str, container: str, packets: Sequence[Packet]) -> None:
    said = _inside(fleet, node, container, _SEND, json.dumps(packets)).communicate(timeout=20)[0]
    assert not said, said


def _inside(fleet: Fleet, node: str, container: str, program: str, *words: str) -> subprocess.Popen[str]:
    """A program of the node's in a container's network, with all that may be sent there."""
    pid = fleet.runtime_cli(node, "inspect", "--format", "{{.State.Pid}}", container).strip()
    command = fleet.lab.node(node).command(("nsenter", "-t", pid, "-n", "python3", "-c", program, *words))
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
