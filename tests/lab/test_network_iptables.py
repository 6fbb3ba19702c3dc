"""Networks across nodes of which two have no nft: one of podman, one of docker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import always_asked, asked, clients, from_outside, guarded_shop, names, network, shop, spread
from tests.lab.stacks import replicas

WITHOUT = ("node2", "node3")


@pytest.fixture
def bare(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with nft out of sight on two nodes."""
    for node in WITHOUT:
        fleet.run(node, "sh", "-c", "mv /usr/sbin/nft /usr/sbin/nft.hidden")
    try:
        yield fleet
        fleet.shipyard("rm", "shop", "--yes")
    finally:
        for node in WITHOUT:
            fleet.run(node, "sh", "-c", "[ ! -e /usr/sbin/nft.hidden ] || mv /usr/sbin/nft.hidden /usr/sbin/nft")


def saved(fleet: Fleet, node: str) -> str:
    """What iptables has of ours."""
    return fleet.run(node, "sh", "-c", "iptables-save | grep SY- || :")


def test_services_are_reached_and_kept_apart_as_with_nft(bare: Fleet) -> None:
    bare.write("shop.yml", shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    assert not saved(bare, "node1") and all("DNAT" in saved(bare, node) for node in WITHOUT)
    servers = names(bare, "shop/web")
    boxes = clients(bare)
    address = next(each["address"] for each in network(bare)["services"] if each["name"] == "shop/web")
    hidden = [each["address"] for each in network(bare, "shop_back")["services"][0]["replicas"]]
    for node in bare.names:
        for url in ("http://web:8080/name", "http://web/name", f"http://{address}/name"):
            assert asked(bare, node, url, client=boxes[node]) in servers, f"{url} from {node}"
        assert from_outside(bare, node) in servers, f"the port of {node}"
        for there in hidden:
            url = f"http://{there}:9000/etc/hostname"
            assert not asked(bare, node, url, client=boxes[node]), f"{there} of another network from {node}"
    answers = spread([asked(bare, "node2", "http://web/name", client=boxes["node2"]) for _ in range(24)])
    assert set(answers) == servers and min(answers.values()) >= 3, answers
    tried = bare.shipyard("network", "check", "-o", "json").expect(0).json
    assert all(each["succeeded"] == each["expected"] for each in tried if each["succeeded"] is not None)
    assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout


def test_what_is_damaged_is_named_and_mended_and_rm_leaves_nothing(bare: Fleet) -> None:
    bare.write("shop.yml", shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    boxes = clients(bare)
    for node, damage in (
        ("node2", "iptables -t nat -F"),
        ("node3", "iptables -t nat -D PREROUTING 1"),
        ("node2", "iptables -t mangle -F; iptables -t mangle -X"),
        ("node3", "iptables -t nat -I POSTROUTING -d 192.0.2.77 -j ACCEPT"),
    ):
        bare.run(node, "sh", "-c", damage)
        said = bare.shipyard("reconcile", "--once").expect(0).stdout
        assert "rules" in said and node in said, damage
        assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout, damage
        assert always_asked(bare, node, "http://web/name", client=boxes[node]), damage
    bare.run("node3", "iptables", "-t", "nat", "-D", "POSTROUTING", "-d", "192.0.2.77", "-j", "ACCEPT")
    bare.shipyard("rm", "shop", "--yes").expect(0)
    assert not any(saved(bare, node) for node in bare.names)


def test_a_node_that_boots_has_its_rules_back_by_itself(bare: Fleet) -> None:
    bare.write("shop.yml", shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    before = saved(bare, "node2")
    bare.lab.kill("node2")
    bare.lab.start("node2")
    assert set(saved(bare, "node2").splitlines()) == set(before.splitlines())
    bare.shipyard("reconcile").expect(0)
    assert from_outside(bare, "node2") in names(bare, "shop/web")


def test_only_who_is_allowed_connects_on_one_bridge_and_across(bare: Fleet) -> None:
    bare.write("shop.yml", guarded_shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    _only_the_client_connects(bare)
    assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout
    for node, damage in (
        ("node2", "ebtables -t nat -F"),
        ("node3", "ebtables -t nat -I PREROUTING -p ARP -j ACCEPT"),
        ("node3", "iptables -t mangle -F"),
    ):
        bare.run(node, "sh", "-c", damage)
        said = bare.shipyard("reconcile", "--once").expect(0).stdout
        assert " rules " in " ".join(said.split()) and node in said, damage
        assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout, damage
    bare.run("node3", "ebtables", "-t", "nat", "-D", "PREROUTING", "-p", "ARP", "-j", "ACCEPT")
    _only_the_client_connects(bare)
    bare.write("shop.yml", guarded_shop(allow=""))
    bare.shipyard("apply", "shop.yml").expect(0)
    assert not any("SY-" in bare.run(node, "ebtables", "-t", "nat", "-L") for node in WITHOUT), "nobody needs it now"
    boxes = {key: each for key, each in replicas(bare).items() if key.startswith("stranger")}
    assert all(asked(bare, each["node"], "http://web:8080/name", client=each["container"]) for each in boxes.values())


def test_who_may_connect_is_not_promised_where_nothing_keeps_it(bare: Fleet) -> None:
    bare.write("shop.yml", guarded_shop())
    bare.run("node2", "mv", "/usr/sbin/ebtables", "/usr/sbin/ebtables.hidden")
    try:
        said = " ".join(bare.shipyard("plan", "shop.yml").stdout.split())
        checked = bare.shipyard("nodes", "check", "-o", "json").json
    finally:
        bare.run("node2", "mv", "/usr/sbin/ebtables.hidden", "/usr/sbin/ebtables")
    assert "node2 lacks nft (in the package nftables), and ebtables, too" in said and "node3 lacks" not in said
    found = {node["name"]: str(node["problems"]) for node in checked}
    assert {name for name, problems in found.items() if "neither nft nor ebtables" in problems} == {"node2"}


def _only_the_client_connects(fleet: Fleet) -> None:
    """On all nodes, to each replica by its own address and to the service by its name; what is published is for all."""
    found = network(fleet)["services"]
    where = {each["address"] for service in found if service["name"] == "shop/web" for each in service["replicas"]}
    for key, each in replicas(fleet).items():
        if key.startswith(("client", "stranger")):
            for address in ("web", *sorted(where)):
                answer = asked(fleet, each["node"], f"http://{address}:8080/name", client=each["container"])
                assert bool(answer) == key.startswith("client"), f"{key} on {each['node']} to {address}"
    assert all(from_outside(fleet, node) in names(fleet, "shop/web") for node in fleet.names)
