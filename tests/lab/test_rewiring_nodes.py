"""What befalls a whole node: its runtime starts anew, loses a network, or the node has another address."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shipyard.base.record import replace
from tests.lab.fleet import Fleet
from tests.lab.networked import always_asked, clients, from_outside, shop

URL = "http://web:8080/name"
MOVED = 77
"""The last byte of an address that no node of a lab has."""


def _reached(fleet: Fleet, node: str, box: str) -> bool:
    """Whether every one of some requests is answered; each may be led to any replica."""
    return always_asked(fleet, node, URL, client=box, times=12)


def _mended(fleet: Fleet, *, passes: int = 1) -> None:
    """So many passes put everything right, and one more finds nothing to do."""
    for _ in range(passes):
        fleet.shipyard("reconcile", "--once")
    assert "Nothing to do" in (again := fleet.shipyard("reconcile", "--once")).stdout, again.stdout + again.stderr
    boxes = clients(fleet)
    for node in fleet.names:
        assert _reached(fleet, node, boxes[node]), f"from inside {node}"


@pytest.fixture
def movable(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet whose nodes have the lab's addresses again in the end."""
    yield fleet
    for node in fleet.lab.nodes:
        _set_address(fleet, node.name, node.address)


def test_what_befalls_whole_nodes_is_seen_planned_and_mended(movable: Fleet) -> None:
    movable.write("shop.yml", shop())
    movable.shipyard("apply", "shop.yml").expect(0)
    _docker_starts_anew(movable)
    for runtime in ("docker", "podman"):
        _network_removed(movable, next(name for name in reversed(movable.names) if movable.runtime(name) == runtime))
    base = movable.lab.node("node2").address.rpartition(".")[0]
    fleet = _moved(movable, {"node2": f"{base}.{MOVED}"})
    _is_mended_after_a_move(fleet, f"{base}.{MOVED}")
    addresses = {name: movable.lab.node(name).address for name in ("node2", "node3")}
    fleet = _moved(movable, {"node2": addresses["node3"], "node3": addresses["node2"]})
    _is_mended_after_a_move(fleet, "forwarding entry for node2", "forwarding entry for node3")


def _docker_starts_anew(fleet: Fleet) -> None:
    node = next(name for name in fleet.names if fleet.runtime(name) == "docker")
    fleet.run(node, "sh", "-c", "pkill -x dockerd; iptables -F DOCKER-USER; iptables -F FORWARD")
    deadline = time.monotonic() + 30
    while "web" not in fleet.runtime_cli(node, "ps", "--format", "{{.Names}}", check=False):
        assert time.monotonic() < deadline, "docker is not back with its containers"
        time.sleep(0.5)
    # the chain in which others put their rules is emptied by some versions, and kept by others
    fleet.run(node, "sh", "-c", "iptables -P FORWARD DROP; iptables -F DOCKER-USER")
    assert not all(from_outside(fleet, node) for _ in range(20)), "seen broken from outside"
    plan = fleet.shipyard("plan", "shop.yml").stdout
    assert "rule that lets pass what ours let pass is missing" in plan
    _mended(fleet)
    assert all(from_outside(fleet, node) for _ in range(20))


def _network_removed(fleet: Fleet, node: str) -> None:
    box = clients(fleet)[node]
    for name in fleet.containers(node):
        fleet.runtime_cli(node, "network", "disconnect", "-f", "shop_default", name, check=False)
    fleet.runtime_cli(node, "network", "rm", "shop_default")
    assert not _reached(fleet, node, box), "seen broken from inside"
    before = fleet.containers(node)
    plan = fleet.shipyard("plan", "shop.yml").stdout
    assert "create-network" in plan and f"{node} " in plan, plan
    _mended(fleet, passes=2)
    assert fleet.containers(node) == before, "containers are rewired, not made anew"


def _is_mended_after_a_move(fleet: Fleet, *planned: str) -> None:
    before, box = fleet.containers(), clients(fleet)["node1"]
    assert not _reached(fleet, "node1", box), "seen broken from inside"
    plan = fleet.shipyard("plan", "shop.yml").stdout
    assert all(words in plan for words in planned) and "create-container" not in plan, plan
    _mended(fleet)
    assert fleet.containers() == before


def _set_address(fleet: Fleet, node: str, address: str) -> None:
    gone = "ip -o -4 address show dev eth0 | awk '{ print $4 }'"
    script = f"for a in $({gone}); do ip address del $a dev eth0; done; ip address add {address}/24 dev eth0"
    fleet.run(node, "sh", "-c", script)


def _moved(fleet: Fleet, addresses: dict[str, str]) -> Fleet:
    """These nodes have other addresses, and the inventory and the known hosts say so."""
    inventory, known = fleet.lab.inventory.read_text(), (fleet.lab.inventory.parent / "known_hosts").read_text()
    for node in fleet.lab.nodes:
        if node.name in addresses:
            inventory = inventory.replace(f"ansible_host: {node.address}\n", f"ansible_host: @{node.name}@\n")
            known = known.replace(f"{node.address} ", f"@{node.name}@ ")
    for name, address in addresses.items():
        inventory, known = inventory.replace(f"@{name}@", address), known.replace(f"@{name}@", address)
    file = fleet.write("known_hosts", known)
    inventory = inventory.replace(str(fleet.lab.inventory.parent / "known_hosts"), str(file))
    for name, address in addresses.items():
        _set_address(fleet, name, address)
    return replace(fleet, hosts=fleet.write("hosts.yml", inventory))
