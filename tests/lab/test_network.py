"""Networks across real nodes of podman and docker: names, service addresses, ports, isolation, draining, boot."""

from __future__ import annotations

import json
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import (
    Ask,
    always_asked,
    amiss,
    asked,
    asked_often,
    clients,
    from_outside,
    guarded_shop,
    names,
    network,
    only_clients_connect,
    shop,
    spread,
)
from tests.lab.stacks import ids, replicas


@pytest.mark.parametrize("driver", ["vxlan", "routed", "wireguard"])
def test_services_are_reached_by_name_address_and_port_and_nobody_else_is(fleet: Fleet, driver: str) -> None:
    fleet.write("shop.yml", shop(driver))
    fleet.shipyard("apply", "shop.yml").expect(0)
    servers = names(fleet, "shop/web")
    boxes = clients(fleet)
    address = next(each["address"] for each in network(fleet)["services"] if each["name"] == "shop/web")
    hidden = [each["address"] for each in network(fleet, "shop_back")["services"][0]["replicas"]]
    asks = []
    for node in fleet.names:
        for url in ("http://web:8080/name", "http://web/name", "http://web.shop/name", f"http://{address}/name"):
            asks.append(Ask(node, boxes[node], url, servers))
        url = f"http://{hidden[fleet.names.index(node)]}:9000/etc/hostname"
        asks.append(Ask(node, boxes[node], url, why="in another network"))
        assert from_outside(fleet, node) in servers, f"the port of {node}"
        own = fleet.runtime_cli(node, "exec", boxes[node], "sh", "-c", "grep -c $(hostname) /etc/hosts")
        assert own.strip() == "1", "its own name"
    assert not (wrong := amiss(fleet, asks)), "\n".join(wrong)
    answers = spread(asked_often(fleet, "node1", "http://web/name", client=boxes["node1"], times=24))
    assert answers.total() == 24 and set(answers) == servers and min(answers.values()) >= 3, answers
    tried = fleet.shipyard("network", "check", "-o", "json").expect(0).json
    assert all(each["succeeded"] == each["expected"] for each in tried if each["succeeded"] is not None)
    assert any(not each["expected"] for each in tried)
    assert "Nothing to do" in fleet.shipyard("reconcile", "--once").expect(0).stdout
    if driver == "vxlan":
        for node in fleet.names:
            tracked = fleet.run(node, "conntrack", "-L", "-p", "udp", "--dport", "4789")
            assert tracked.strip() == "", "a tunnel has a connection of its own around what is inside"
    if driver == "wireguard":
        kept = b"".join(path.read_bytes() for path in (fleet.project / ".shipyard").glob("state.db*"))
        for node in fleet.names:
            private = fleet.run(node, "sh", "-c", "cat /var/lib/shipyard/*/net/private").encode().strip()
            assert len(private) == 44 and private not in kept, "a private key leaves its node"


@pytest.mark.matrix
def test_without_a_driver_it_spans_several_nodes_and_what_one_node_had_stays_until_it_is_asked_for(
    fleet: Fleet,
) -> None:
    plain = (
        shop()
        .replace('      x-shipyard: {service_ports: ["80:8080"]}\n', "")
        .replace("driver: vxlan, ", "")
        .replace("driver: vxlan", "")
    )
    few = plain.replace("replicas: 2", "replicas: 1")
    # both have podman: what a docker calls an image without a registry is another digest
    fleet.write("shop.yml", few.replace("hosts: lab", "hosts: node2"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    fleet.write("shop.yml", few.replace("hosts: lab", "hosts: node1:node2"))
    grown = fleet.shipyard("apply", "shop.yml").expect(0)
    assert "shop_default is each node's own" in " ".join(grown.stdout.split())
    assert before.items() <= ids(fleet).items(), "a node that joins takes nothing down"
    assert network(fleet)["driver"] == "bridge"
    assert not asked(fleet, "node1", "http://web:8080/name", client=clients(fleet)["node1"])
    fleet.shipyard("rm", "shop", "--yes").expect(0)
    fleet.write("shop.yml", plain)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert (network(fleet)["driver"], network(fleet, "shop_back")["driver"]) == ("vxlan", "vxlan")
    servers = names(fleet, "shop/web")
    assert asked(fleet, "node1", "http://web:8080/name", client=clients(fleet)["node1"]) in servers
    assert from_outside(fleet, "node1") in servers, "the port of a node without a replica"
    assert "Nothing to do" in fleet.shipyard("reconcile", "--once").expect(0).stdout


REQUESTS = 10_000


@dataclass(slots=True)
class Loop:
    """A client that asks again as soon as it was answered, in a process of its own; nothing is tried a second time."""

    process: subprocess.Popen[str]

    @property
    def asked_enough(self) -> bool:
        """Whether it has made as many requests as were wanted; it makes more of them until its end."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def end(self) -> tuple[list[float], list[tuple[float, str]]]:
        """When its requests began, and when those that failed did, with the error and how it came to it."""
        said = json.loads(self.process.communicate(input="", timeout=60)[0].splitlines()[-1])
        return said["requests"], [(began, error) for began, error in said["failures"]]


@contextmanager
def _loops(fleet: Fleet, service: str, wanted: int = 1) -> Iterator[tuple[Loop, Loop]]:
    """One through a port of node1, from outside; one on node1, through the service's address."""
    outside = ["python3", "-c", _LOOP, fleet.lab.node("node1").address, "8000", str(wanted), "even"]
    inside = fleet.lab.node("node1").command(("python3", "-c", _LOOP, service, "80", str(wanted), "odd"))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(outside, **pipes) as first, subprocess.Popen(inside, **pipes) as second:
        try:
            yield Loop(first), Loop(second)
        finally:
            first.kill()
            second.kill()


def test_no_request_of_a_closed_loop_fails_but_those_of_a_node_that_is_off(fleet: Fleet) -> None:
    served = shop().replace("init: true\n      stop_grace_period: 2s", "init: true\n      stop_grace_period: 5s")
    served = served.replace(
        'deploy: {replicas: 2, placement: {max_replicas_per_node: 1, constraints: ["node.hostname != node1"]}}',
        "environment: {VERSION: one}\n      deploy: {replicas: 3, update_config: {order: start-first, monitor: 0s}}",
    )
    served = served.replace("x-shipyard: {", "x-shipyard: {probes: {readiness: {tcp: {port: 8080}, period: 1s}}, ")
    fleet.write("shop.yml", served)
    fleet.shipyard("apply", "shop.yml").expect(0)
    service = next(each["address"] for each in network(fleet)["services"] if each["name"] == "shop/web")
    with _loops(fleet, service, REQUESTS // 2) as loops:
        steps = []
        while not all(loop.asked_enough for loop in loops):
            fleet.write("shop.yml", served.replace("VERSION: one", f"VERSION: {len(steps)}"))
            for step in (*_COMING_AND_GOING, ("activate", "node2")):
                began = time.time()
                fleet.shipyard(*step).expect(0)
                steps.append((step[0], began, time.time()))
        told = [loop.end() for loop in loops]
    for requests, failures in told:
        assert not failures, f"{failures}\n{steps}\n{fleet.shipyard('events').stdout}"
        for name, began, ended in steps[: len(_COMING_AND_GOING)]:
            assert sum(began < each < ended for each in requests) >= 100, f"too few requests to tell, during {name}"
    assert sum(len(requests) for requests, _ in told) >= REQUESTS
    fleet.shipyard("drain", "node2").expect(0)
    with _loops(fleet, service) as loops:
        off = next(each["node"] for each in replicas(fleet).values() if each["node"] not in ("node1", "node2"))
        fleet.lab.kill(off)
        assert fleet.shipyard("reconcile", "--once").code == 4
        noticed = time.time()
        time.sleep(2)
        fleet.lab.start(off)
        back = time.time()
        fleet.shipyard("reconcile").expect(0)
        assert len({each["node"] for each in replicas(fleet).values() if each["state"] == "running"}) >= 2
        for loop in loops:
            requests, failures = loop.end()
            assert len(requests) >= 200
            late = [(began - noticed, error) for began, error in failures if began > noticed]
            assert late == [], (
                f"{late}, and the node was on after {back - noticed:.1f} s\n{fleet.shipyard('events').stdout}"
            )


_COMING_AND_GOING = (("apply", "shop.yml"), ("drain", "node2"), ("rollback", "shop"), ("scale", "shop/web=2"))
_LOOP = r"""
import errno, json, random, socket, sys, threading, time
host, port, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
own = random.randrange(1000, 30000) * 2 + (sys.argv[4] == "odd")
failures, requests, stop = [], [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set():
    time.sleep(0.003)
    # each time from another port, as other clients would: the kernel by itself comes back to one after three thousand
    own = own + 2 if own < 60000 else 2000 + own % 2
    began = time.time()
    requests.append(began)
    if len(requests) == wanted:
        print("enough", flush=True)
    try:
        with socket.create_connection((host, port), timeout=3, source_address=("", own)) as server:
            server.sendall(b"GET /name HTTP/1.0\r\n\r\n")
            said = b""
            while chunk := server.recv(4096):
                said += chunk
        if b" 200 " not in said[:20]:
            raise OSError(f"answered {said[:40]!r}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            continue
        failures.append((began, f"{error} after {time.time() - began:.3f} s, from port {own} to {host}"))
print(json.dumps({"requests": requests, "failures": failures}))
"""


def test_a_network_through_a_taken_range_a_lockout_a_boot_later_names_and_a_guard(fleet: Fleet) -> None:
    fleet.write("shop.yml", shop())
    _a_range_that_is_taken_is_an_error_before_anything_is_made(fleet)
    fleet.shipyard("apply", "shop.yml").expect(0)
    _a_change_that_locks_us_out_is_undone_by_the_node(fleet)
    boxes = clients(fleet)
    _a_node_that_boots_has_its_network_back_by_itself(fleet, boxes)
    _names_and_replicas_that_come_later_are_known_to_containers_that_run(fleet, boxes)
    fleet.write("shop.yml", guarded_shop())
    fleet.shipyard("apply", "shop.yml").expect(0)
    servers = only_clients_connect(fleet)
    assert from_outside(fleet, "node1") in servers, "what is published is for all"


def _a_range_that_is_taken_is_an_error_before_anything_is_made(fleet: Fleet) -> None:
    fleet.run("node2", "ip", "route", "add", "10.210.0.0/16", "dev", "lo")
    try:
        said = fleet.shipyard("apply", "shop.yml")
    finally:
        fleet.run("node2", "ip", "route", "del", "10.210.0.0/16", "dev", "lo")
    assert said.code == 2
    assert "10.208.0.0/12 (network.containers in shipyard.toml) collides with the route 10.210.0.0/16" in said.stdout
    assert "on node2" in said.stdout
    assert "shop_default" not in fleet.runtime_cli("node2", "network", "ls")


def _a_change_that_locks_us_out_is_undone_by_the_node(fleet: Fleet) -> None:
    # as if a change of ours did it: what arms the node is the same, and nobody comes to confirm
    folder = fleet.run("node1", "sh", "-c", "echo /var/lib/shipyard/*/net").strip()
    fleet.run(
        "node1",
        "sh",
        "-c",
        f"echo other >{folder}/armed; cp -p {folder}/up {folder}/up.before; "
        f"cp -p {folder}/rules.nft {folder}/rules.nft.before; sed 's/^sleep .*/sleep 1/' {folder}/revert >/tmp/revert",
    )
    table = fleet.run("node1", "sh", "-c", "nft list tables | grep -o 'ip shipyard_.*' | cut -c4-").strip()
    fleet.run("node1", "nft", "flush", "chain", "ip", table, "sy_translate")
    fleet.run("node1", "sh", "/tmp/revert", folder.removesuffix("/net"), "other", "999999")
    assert "sy_addresses" in fleet.run("node1", "nft", "list", "chain", "ip", table, "sy_translate")
    told = fleet.shipyard("reconcile").expect(0)
    assert "undid the last change of its network" in told.stdout


def _a_node_that_boots_has_its_network_back_by_itself(fleet: Fleet, boxes: dict[str, str]) -> None:
    docker = next(node for node in fleet.names if fleet.runtime(node) == "docker")
    fleet.lab.kill(docker)
    silent = fleet.shipyard("reconcile", "--once")
    assert silent.code == 4, silent.stdout
    assert always_asked(fleet, "node1", "http://web/name", client=boxes["node1"], times=6), "the one that is left"
    fleet.lab.start(docker)
    deadline = time.monotonic() + 20  # docker starts its containers again; nobody else does anything
    while not asked(fleet, docker, "http://web:8080/name", client=boxes[docker]):
        assert time.monotonic() < deadline, fleet.run(
            docker, "sh", "-c", "ip r; nft list ruleset; ip -o a", check=False
        )
        time.sleep(0.5)
    fleet.shipyard("reconcile").expect(0)
    forward = fleet.run(docker, "iptables", "-S", "FORWARD")
    assert "-P FORWARD DROP" in forward, "docker forbids what it does not let pass, as without us"


def _names_and_replicas_that_come_later_are_known_to_containers_that_run(fleet: Fleet, boxes: dict[str, str]) -> None:
    later = """
    later:
      image: shipyard.test/busybox:1
      command: [sh, -c, 'hostname >/name; exec httpd -f -p 8080 -h /']
      init: true
      stop_grace_period: 0s
      ports: ["8100:8080"]
      x-shipyard: {peer_names: true, session_affinity: true}
      deploy: {replicas: 3, placement: {max_replicas_per_node: 1}}
  networks:
    default"""
    fleet.write("shop.yml", shop().replace("\n  networks:\n    default", later))
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert clients(fleet) == boxes
    for node, box in boxes.items():
        answers = spread(asked_often(fleet, node, "http://later:8080/name", client=box, times=8))
        assert list(answers.values()) == [8], "a client stays with its replica"
        peers = {asked(fleet, node, f"http://{slot}.later.shop:8080/name", client=box) for slot in (1, 2, 3)}
        assert len(peers) == 3 and "" not in peers
    through = {from_outside(fleet, node, 8100) for node in fleet.names}
    assert len(through) == 1 and "" not in through, "whichever node it comes by"
