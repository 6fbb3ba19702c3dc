"""Rules that are replaced while connections begin, in network namespaces: none fails, and none gets past."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shipyard.base import shell
from shipyard.planner.network import rules
from shipyard.runtime import netdir

TABLE = "shipyard_replaced"
TIMES = 80
REPLICAS = ("10.209.0.2", "10.209.0.3", "10.209.0.4")
OUTSIDE, TUNNEL, PEER, STRANGER = "192.0.2.2", "10.208.0.2", "10.209.0.66", "10.209.0.130"

_WIRES = """
ip link add c0 netns @CLIENT@ type veth peer name c0 netns @NODE@
ip link add s0 netns @SERVER@ type veth peer name s0 netns @NODE@
ip -n @NODE@ link add v0 type veth peer name v1
for n in "@CLIENT@ lo" "@CLIENT@ c0" "@NODE@ lo" "@NODE@ c0" "@NODE@ s0" "@NODE@ v0" "@SERVER@ lo" "@SERVER@ s0"; do
  set -- $n
  ip -n "$1" link set "$2" up
done
ip -n @CLIENT@ address add 192.0.2.2/24 dev c0
for a in 10.208.0.2 10.209.0.66 10.209.0.130; do
  ip -n @CLIENT@ address add "$a/32" dev c0
done
ip -n @CLIENT@ route add default via 192.0.2.1
ip -n @NODE@ address add 192.0.2.1/24 dev c0
ip -n @NODE@ address add 10.208.0.1/32 dev v0
ip -n @NODE@ address add 10.209.0.1/26 dev s0
for a in 10.208.0.2 10.209.0.66 10.209.0.130; do
  ip -n @NODE@ route add "$a" dev c0
done
ip -n @NODE@ route add 10.224.0.0/16 dev v0 src 10.208.0.1
ip netns exec @NODE@ sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
for a in @REPLICAS@; do ip -n @SERVER@ address add "$a/26" dev s0; done
ip -n @SERVER@ route add default via 10.209.0.1
ip netns exec @SERVER@ sysctl -qw net.core.somaxconn=8192 net.ipv4.tcp_max_syn_backlog=8192
"""
_SERVE = """
import socket
with socket.create_server(("", 8080), backlog=8192) as server:
    print("listening", flush=True)
    while True:
        server.accept()[0].close()
"""
_CALL = """
import collections, errno, json, socket, struct, sys, threading
host, port, own = sys.argv[1], int(sys.argv[2]), sys.argv[3]
failed, made, stop, number = collections.Counter(), 0, threading.Event(), 2000
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set():
    number = number + 1 if number < 60000 else 2000
    with socket.socket() as client:
        client.settimeout(float(sys.argv[4]))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            client.bind((own, number))
            client.connect((host, port))
            made += 1
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                failed[str(error)] += 1
print(json.dumps([made, failed]))
"""
"""A dropped call is made again by the kernel, a second later; what is refused is not."""


def _text(replicas: tuple[str, ...], *others: str) -> str:
    """`others`: addresses of further services."""
    networks = (
        rules.Network("a", ("10.209.0.0/26", "10.209.0.64/26")),
        rules.Network("b", ("10.209.0.128/26", "10.209.0.192/26"), internal=True),
    )
    common = rules.Common(
        table=TABLE,
        containers="10.208.0.0/12",
        services="10.224.0.0/16",
        tunnels="10.208.0.0/16",
        networks=networks,
        backends=(
            rules.Backends("10.224.0.1", replicas, ports=(("tcp", 80, 8080),)),
            *(rules.Backends(other, replicas) for other in others),
        ),
        guards=(rules.Guard(REPLICAS, ((None, (("tcp", 8080),)),)),),
    )
    own = rules.Own((rules.NodePort("tcp", 8000, 8080, replicas),), ("10.209.0.0/26",), ("v0",))
    return rules.text(rules.shared(common), own)


@pytest.fixture
def spaces() -> Iterator[dict[str, str]]:
    """A client outside, a node and a server with the replicas' addresses, by what they are."""
    names = {kind: f"sy-{os.getpid()}-{kind.lower()}" for kind in ("CLIENT", "NODE", "SERVER")}
    try:
        for name in names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
        script = _WIRES.replace("@REPLICAS@", shell.join(REPLICAS))
        for kind, name in names.items():
            script = script.replace(f"@{kind}@", name)
        subprocess.run(["sh", "-ec", script], check=True)
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)


def _tables(node: str) -> list[str]:
    """With the kernel's numbers: of one that is made anew it is another."""
    argv = ["ip", "netns", "exec", node, "nft", "-aj", "list", "tables"]
    said = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)["nftables"]
    return sorted(f"{each['table']['family']} {each['table']['handle']}" for each in said if "table" in each)


def test_no_call_fails_or_gets_past_while_rules_are_replaced(spaces: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "two").write_text(_text(REPLICAS[:2], "10.224.0.2"))
    (tmp_path / "three").write_text(_text(REPLICAS, "10.224.0.3", "10.224.0.4"))
    node = spaces["NODE"]
    load = f"{netdir.FUNCTIONS}\nsy_net_swap {TABLE} {shell.quote(str(tmp_path))}/$0"

    def swap(name: str) -> None:
        subprocess.run(["ip", "netns", "exec", node, "sh", "-ec", load, name], check=True)

    swap("two")
    tables = _tables(node)
    served = ["ip", "netns", "exec", spaces["SERVER"], sys.executable, "-c", _SERVE]
    calls = {
        "the node's port": (spaces["CLIENT"], "192.0.2.1", "8000", OUTSIDE, "10"),
        "the service's address": (node, "10.224.0.1", "80", "", "10"),
        "a replica, from a node": (spaces["CLIENT"], REPLICAS[0], "8080", TUNNEL, "10"),
        "a replica, from its network": (spaces["CLIENT"], REPLICAS[0], "8080", PEER, "10"),
        "a replica, from another network": (spaces["CLIENT"], REPLICAS[0], "8080", STRANGER, "0.2"),
    }
    with ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen(served, stdout=subprocess.PIPE, text=True))
        stack.callback(server.kill)
        assert server.stdout is not None and server.stdout.readline() == "listening\n"
        clients = {}
        for what, (space, *words) in calls.items():
            argv = ["ip", "netns", "exec", space, sys.executable, "-c", _CALL, *words]
            client = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            clients[what] = stack.enter_context(client)
            stack.callback(clients[what].kill)
        for _ in range(TIMES // 2):
            swap("three")
            swap("two")
        told = {what: json.loads(client.communicate(input="", timeout=60)[0]) for what, client in clients.items()}
    made, failed = told.pop("a replica, from another network")
    assert made == 0 and sum(failed.values()) >= TIMES, "what is kept apart stays so"
    assert all(made >= TIMES for made, _ in told.values()), told
    assert not any(failed for _, failed in told.values()), told
    assert len(tables) == 2 and _tables(node) == tables, "what packets go by is not made anew"
