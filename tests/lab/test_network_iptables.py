"""Networks across nodes of which two have no nft: one of podman, one of docker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import (
    CROSSED,
    ECHO,
    Ask,
    always_asked,
    amiss,
    asked_often,
    clients,
    from_outside,
    guarded_shop,
    names,
    network,
    of_link,
    only_clients_connect,
    only_who_is_on_both_crosses,
    replicas_of,
    sending,
    shop,
    spread,
)

WITHOUT = ("node2", "node3")


@pytest.fixture
def bare(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with nft out of sight on two nodes."""
    for node in WITHOUT:
        fleet.run(node, "sh", "-c", "mv /usr/sbin/nft /usr/sbin/nft.hidden")
    try:
        yield fleet
    finally:
        for node in WITHOUT:
            fleet.run(node, "sh", "-c", "[ ! -e /usr/sbin/nft.hidden ] || mv /usr/sbin/nft.hidden /usr/sbin/nft")


def saved(fleet: Fleet, node: str) -> str:
    """What iptables has of ours."""
    return fleet.run(node, "sh", "-c", "iptables-save | grep SY- || :")


def test_services_are_reached_and_kept_apart_as_with_nft_damage_is_mended_and_rm_leaves_nothing(bare: Fleet) -> None:
    bare.write("shop.yml", shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    _reached_and_kept_apart(bare)
    _what_is_damaged_is_named_and_mended(bare)
    _a_node_that_boots_has_its_rules_back_by_itself(bare)
    bare.shipyard("rm", "shop", "--yes").expect(0)
    _who_sends_on_reaches_a_udp_port_as_soon_as_a_replica_is_there(bare)
    assert not any(saved(bare, node) for node in bare.names)


@pytest.mark.matrix
def test_who_may_connect_and_who_is_on_which_network_as_with_nft(bare: Fleet) -> None:
    bare.write("shop.yml", guarded_shop())
    bare.shipyard("apply", "shop.yml").expect(0)
    _only_who_is_allowed_connects_on_one_bridge_and_across(bare)
    _no_neighbour_goes_around_who_may_connect_by_an_address_of_the_link(bare)
    bare.write("shop.yml", guarded_shop(allow=""))
    bare.shipyard("apply", "shop.yml").expect(0)
    _nothing_is_left_of_who_may_connect(bare)
    bare.write("shop.yml", CROSSED)
    bare.shipyard("apply", "shop.yml").expect(0)
    only_who_is_on_both_crosses(bare)  # from node1 by nft
    bare.shipyard("rm", "shop", "--yes").expect(0)
    assert not any(saved(bare, node) for node in bare.names)


def _who_sends_on_reaches_a_udp_port_as_soon_as_a_replica_is_there(bare: Fleet) -> None:
    """From one socket, without a pause: before there was one, and while there is none for a moment."""
    bare.write("echo.yml", ECHO)
    with sending(bare, 9998) as told:
        assert not told(1), "nobody is there"
        bare.shipyard("apply", "echo.yml").expect(0)
        for _ in range(2):
            ((own, node),) = (
                (each["container"], each["node"])
                for each in replicas_of(network(bare, "echo_default")["services"], "echo/echo")
            )
            assert told(15) == dict.fromkeys(bare.names, own)
            bare.run(node, bare.runtime(node), "rm", "-f", own)
            bare.shipyard("reconcile").expect(0)
    bare.shipyard("rm", "echo", "--yes").expect(0)


def _reached_and_kept_apart(bare: Fleet) -> None:
    assert not saved(bare, "node1") and all("DNAT" in saved(bare, node) for node in WITHOUT)
    servers = names(bare, "shop/web")
    boxes = clients(bare)
    address = next(each["address"] for each in network(bare)["services"] if each["name"] == "shop/web")
    hidden = [each["address"] for each in network(bare, "shop_back")["services"][0]["replicas"]]
    asks = []
    for node in bare.names:
        for url in ("http://web:8080/name", "http://web/name", f"http://{address}/name"):
            asks.append(Ask(node, boxes[node], url, servers))
        for there in hidden:
            asks.append(Ask(node, boxes[node], f"http://{there}:9000/etc/hostname", why="in another network"))
        assert from_outside(bare, node) in servers, f"the port of {node}"
    assert not (wrong := amiss(bare, asks)), "\n".join(wrong)
    answers = spread(asked_often(bare, "node2", "http://web/name", client=boxes["node2"], times=24))
    assert answers.total() == 24 and set(answers) == servers and min(answers.values()) >= 3, answers
    tried = bare.shipyard("network", "check", "-o", "json").expect(0).json
    assert all(each["succeeded"] == each["expected"] for each in tried if each["succeeded"] is not None)
    assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout


def _what_is_damaged_is_named_and_mended(bare: Fleet) -> None:
    boxes = clients(bare)
    for node, damage in (
        ("node2", "iptables -t nat -F"),
        ("node3", "iptables -t nat -D PREROUTING 1"),
        ("node2", "iptables -t mangle -F; iptables -t mangle -X"),
        ("node3", "iptables -t nat -I POSTROUTING -d 192.0.2.77 -j ACCEPT"),
    ):
        _is_named_and_mended(bare, node, damage)
        assert always_asked(bare, node, "http://web/name", client=boxes[node]), damage
    bare.run("node3", "iptables", "-t", "nat", "-D", "POSTROUTING", "-d", "192.0.2.77", "-j", "ACCEPT")


def _is_named_and_mended(bare: Fleet, node: str, damage: str) -> None:
    """By one pass, after which another one finds nothing to do."""
    bare.run(node, "sh", "-c", damage)
    said = bare.shipyard("reconcile").expect(0).stdout
    assert " rules " in " ".join(said.split()) and node in said and " in 2 passes." in said, f"{damage}: {said}"


def _a_node_that_boots_has_its_rules_back_by_itself(bare: Fleet) -> None:
    before = saved(bare, "node2")
    bare.lab.kill("node2")
    bare.lab.start("node2")
    assert set(saved(bare, "node2").splitlines()) == set(before.splitlines())
    bare.shipyard("reconcile").expect(0)
    assert from_outside(bare, "node2") in names(bare, "shop/web")


def _only_who_is_allowed_connects_on_one_bridge_and_across(bare: Fleet) -> None:
    _only_the_client_connects(bare)
    assert "Nothing to do" in bare.shipyard("reconcile", "--once").expect(0).stdout
    for node, damage in (
        ("node2", "ebtables -t nat -F"),
        ("node3", "ebtables -t nat -I PREROUTING -p ARP -j ACCEPT"),
        ("node3", "iptables -t mangle -F"),
    ):
        _is_named_and_mended(bare, node, damage)
    bare.run("node3", "ebtables", "-t", "nat", "-D", "PREROUTING", "-p", "ARP", "-j", "ACCEPT")
    _only_the_client_connects(bare)


def _no_neighbour_goes_around_who_may_connect_by_an_address_of_the_link(bare: Fleet) -> None:
    """Podman's containers have one though their network has no IPv6; a node without nft keeps that, too."""
    services = network(bare)["services"]
    client, stranger, web = (
        {each["node"]: each["container"] for each in replicas_of(services, f"shop/{name}")}
        for name in ("client", "stranger", "web")
    )
    nodes = [node for node in bare.names if bare.runtime(node) == "podman"]
    assert set(nodes) & set(WITHOUT) and set(nodes) - set(WITHOUT)
    asks = []
    for node in nodes:
        guarded, free = of_link(bare, node, web[node]), of_link(bare, node, stranger[node])
        assert guarded and free, "else there is nothing to try"
        asks.append(Ask(node, stranger[node], f"http://[{guarded}]:8080/name", why="around who may connect"))
        url = f"http://[{free}]:9001/etc/hostname"
        asks.append(Ask(node, client[node], url, (stranger[node],), "as what is not guarded is left alone"))
    assert not (wrong := amiss(bare, asks)), "\n".join(wrong)


def _nothing_is_left_of_who_may_connect(bare: Fleet) -> None:
    assert not any("SY-" in bare.run(node, "ebtables", "-t", "nat", "-L") for node in WITHOUT), "nobody needs it now"
    services = network(bare)["services"]
    servers = {each["container"] for each in replicas_of(services, "shop/web")}
    strangers = replicas_of(services, "shop/stranger")
    asks = [Ask(each["node"], each["container"], "http://web:8080/name", servers) for each in strangers]
    assert not (wrong := amiss(bare, asks)), "\n".join(wrong)


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
    servers = only_clients_connect(fleet)
    assert all(from_outside(fleet, node) in servers for node in fleet.names)
