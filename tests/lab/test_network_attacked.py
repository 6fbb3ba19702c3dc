"""From inside a container that may send any packet: what of another stack it can get at, by way of its node."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import asked, network, shop

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
import socket, struct, sys
def datagram(source, there, said):
    load = struct.pack("!HHHH", 7000, 7000, 8 + len(said), 0) + said
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(load), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, there)))
    total = sum(struct.unpack("!10H", head))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + load
how, source, there, said, *way = sys.argv[1:]
inside = datagram(source, there, said.encode())
if how == "forged":
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(inside, (there, 0))
else:
    node, identity, mac = way
    frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("0200000000010800") + inside
    wrapped = struct.pack("!II", 0x08000000, int(identity) << 8) + frame
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(wrapped, (node, 4789))
"""


@pytest.fixture(params=["nft", "iptables"])
def mixed(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """All nodes with nft; or none of them."""
    nodes = fleet.names if request.param == "iptables" else ()
    for node in nodes:
        fleet.run(node, "mv", "/usr/sbin/nft", "/usr/sbin/nft.hidden")
    try:
        yield fleet
        for stack in ("evil", "shop", "two"):
            fleet.shipyard("rm", stack, "--yes")
    finally:
        for node in nodes:
            fleet.run(node, "mv", "/usr/sbin/nft.hidden", "/usr/sbin/nft")


def test_no_forged_packet_gets_into_another_network(mixed: Fleet) -> None:
    mixed.write("shop.yml", shop())
    mixed.write("evil.yml", EVIL)
    mixed.shipyard("apply", "shop.yml", "evil.yml").expect(0)
    boxes = _replicas(mixed, "evil_default", "evil/box")
    clients = _replicas(mixed, "shop_default", "shop/client")
    victims = {node: each["container"] for node, each in clients.items()}
    ears = {node: _inside(mixed, node, victims[node], _LISTEN, "120") for node in mixed.names}
    for ear in ears.values():
        assert ear.stdout is not None and ear.stdout.readline() == "listening\n"
    for node in mixed.names:
        box = boxes[node]["container"]
        for victim, each in clients.items():
            there = each["address"]
            for source in ("10.208.0.1", "10.208.0.2", "10.208.0.9", boxes[node]["address"], *_others(clients, node)):
                _sends(mixed, node, box, "forged", source, there, f"{node}:{source}")
            link = mixed.run(victim, "sh", "-c", "ip -o -d link show type vxlan").split()
            way = (mixed.lab.node(victim).address, link[link.index("id") + 1], link[link.index("link/ether") + 1])
            said = (next(iter(_others(clients, victim))), there, f"{node}:tunnel")
            _sends(mixed, node, box, "wrapped", *said, *way)
    # who may is heard
    for node in mixed.names:
        for each in clients.values():
            address = clients[node]["address"]
            _sends(mixed, node, victims[node], "forged", address, each["address"], "friend")
    for node, ear in ears.items():
        assert ear.communicate(timeout=60)[0].strip() == "friend", f"on {node}"


def test_a_service_on_two_networks_reaches_both_across_nodes_and_joins_them_for_nobody(mixed: Fleet) -> None:
    mixed.write("two.yml", TWO)
    mixed.shipyard("apply", "two.yml").expect(0)
    api = {node: each["container"] for node, each in _replicas(mixed, "two_front", "two/api").items()}
    web, db = _replicas(mixed, "two_front", "two/web"), _replicas(mixed, "two_rear", "two/db")
    for node in mixed.names:
        for there in (*web.values(), *db.values()):
            url = f"http://{there['address']}:8080/name"
            assert asked(mixed, node, url, client=api[node]) == there["container"], f"{url} from {node}"
        for name, on in (("web", "two_front"), ("db", "two_rear")):
            servers = {each["container"] for each in _replicas(mixed, on, f"two/{name}").values()}
            for _ in range(6):
                assert asked(mixed, node, f"http://{name}:8080/name", client=api[node]) in servers, (
                    f"{name} from {node}"
                )
        for there in db.values():
            url = f"http://{there['address']}:8080/name"
            assert not asked(mixed, node, url, client=web[node]["container"]), f"{url} from web on {node}"


def _replicas(fleet: Fleet, on: str, service: str) -> dict[str, dict[str, str]]:
    """Of a service, by node."""
    found = next(each for each in network(fleet, on)["services"] if each["name"] == service)
    return {each["node"]: each for each in found["replicas"]}


def _others(replicas: dict[str, dict[str, str]], node: str) -> tuple[str, ...]:
    return tuple(each["address"] for where, each in replicas.items() if where != node)


def _sends(fleet: Fleet, node: str, container: str, *words: str) -> None:
    said = _inside(fleet, node, container, _SEND, *words).communicate(timeout=20)[0]
    assert not said, said


def _inside(fleet: Fleet, node: str, container: str, program: str, *words: str) -> subprocess.Popen[str]:
    """A program of the node's in a container's network, with all that may be sent there."""
    pid = fleet.runtime_cli(node, "inspect", "--format", "{{.State.Pid}}", container).strip()
    command = fleet.lab.node(node).command(("nsenter", "-t", pid, "-n", "python3", "-c", program, *words))
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
