"""Networks across nodes with IPv6 beside IPv4: reached and kept apart like IPv4, and mended where they come apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import Ask, amiss, network, planned_and_mended

SHOP = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, 'mkdir /www; hostname >/www/name; exec httpd -f -p "[::]:8080" -h /www']
      init: true
      stop_grace_period: 0s
      deploy: {mode: global, endpoint_mode: dnsrr}
      x-shipyard: {peer_names: true}
    client:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
    hidden:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "[::]:9000", -h, /]
      init: true
      stop_grace_period: 0s
      networks: [back]
      deploy: {mode: global}
    guarded:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "[::]:9001", -h, /]
      init: true
      stop_grace_period: 0s
      x-shipyard: {allow: [web]}
      deploy: {mode: global, endpoint_mode: dnsrr}
  networks:
    default: {driver: DRIVER, enable_ipv6: true}
    back: {driver: DRIVER, internal: true, enable_ipv6: true}
"""
OUTSIDE = "fd99:7::"
"""Of the nodes' own segment: the same as that of their first network, and no part of the cluster's range."""


def beside(address: str) -> str:
    """The address of IPv6 that belongs to one of IPv4."""
    one, two, three, four = map(int, address.split("."))
    return f"fd6e:3a94:51c2::{one << 8 | two:x}:{three << 8 | four:x}"


def replicas_of(fleet: Fleet, *services: str, on: str = "shop_default") -> list[dict[str, tuple[str, str]]]:
    """Each replica's container and address of IPv6, by its node, of each of these services."""
    found = {each["name"]: each["replicas"] for each in network(fleet, on)["services"]}
    return [
        {each["node"]: (each["container"], beside(each["address"])) for each in found[f"shop/{name}"]}
        for name in services
    ]


def inside(fleet: Fleet, node: str, container: str, script: str) -> str:
    """What a command in a container says."""
    done = fleet.lab.run(node, (fleet.runtime(node), "exec", container, "sh", "-c", script))
    return done.stdout.decode().strip()


@pytest.fixture
def outward(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet whose nodes also have addresses of IPv6 on their own segment, with their ssh servers to be asked."""
    for number, node in enumerate(fleet.names, 1):
        fleet.run(node, "ip", "-6", "address", "replace", f"{OUTSIDE}{number}/64", "dev", "eth0", "nodad")
    try:
        yield fleet
        fleet.shipyard("rm", "shop", "--yes").expect(0)
        for node in fleet.names:
            left = "nft list tables; ip -6 route show proto 190; ip6tables-save; ip -6 address show"
            said = fleet.run(node, "sh", "-c", left)
            assert "shipyard" not in said and "0x200000" not in said and "fd6e:" not in said, f"left on {node}: {said}"
    finally:
        for number, node in enumerate(fleet.names, 1):
            fleet.run(node, "ip", "-6", "address", "del", f"{OUTSIDE}{number}/64", "dev", "eth0", check=False)


@pytest.mark.parametrize(
    "driver", ["vxlan", *(pytest.param(other, marks=pytest.mark.matrix) for other in ("routed", "wireguard"))]
)
def test_containers_reach_each_other_by_ipv6_and_only_where_they_may(outward: Fleet, driver: str) -> None:
    outward.write("shop.yml", SHOP.replace("DRIVER", driver))
    outward.shipyard("apply", "shop.yml").expect(0)
    web, client, guarded = replicas_of(outward, "web", "client", "guarded")
    (hidden,) = replicas_of(outward, "hidden", on="shop_back")
    asks = [Ask("node1", client["node1"][0], f"{OUTSIDE}2 22", ("SSH",), "as nobody keeps it from going out")]
    for node in outward.names:
        box, server, apart = client[node][0], web[node][0], hidden[node][0]
        for there, (name, address) in web.items():
            asks.append(Ask(node, box, f"http://[{address}]:8080/name", (name,), f"on {there}"))
            own = ("curl", "-s", "-g", "-m", "3", f"http://[{address}]:8080/name")
            if driver != "routed" or there == node:  # where others know no address of IPv6 that is the node's
                assert outward.run(node, *own, check=False).strip() == name, f"{there} from {node} itself"
        # what is found by name alone: the address of IPv4 is not to be had in the end
        asks.append(Ask(node, box, "http://web:8080/name", {name for name, _ in web.values()}))
        listed = inside(outward, node, box, "cat /etc/hosts")
        assert all(f"{address}\t" in listed for _, address in web.values()), listed
        assert f"{client[node][1]}\t{box}" in listed
        for there in outward.names:
            url = f"http://[{hidden[there][1]}]:9000/etc/hostname"
            asks.append(Ask(node, box, url, why=f"in another network, on {there}"))
            asks.append(Ask(node, apart, url, (hidden[there][0],), f"on {there}"))
            url = f"http://[{guarded[there][1]}]:9001/etc/hostname"
            asks.append(Ask(node, server, url, (guarded[there][0],), f"who may, on {there}"))
            asks.append(Ask(node, box, url, why=f"who may not, on {there}"))
        other = 1 + (outward.names.index(node) + 1) % len(outward.names)
        asks.append(Ask(node, apart, f"{OUTSIDE}{other} 22", why="a way out of an internal network"))
    assert not (wrong := amiss(outward, asks)), "\n".join(wrong)
    tried = outward.shipyard("network", "check", "-o", "json").expect(0).json
    by_six = [each for each in tried if ":" in each["address"]]
    assert {each["expected"] for each in by_six if each["succeeded"] is not None} == {True, False}
    assert "Nothing to do" in outward.shipyard("reconcile", "--once").expect(0).stdout


DAMAGES = (
    ("a route", "ip -6 route del $BLOCK", "route to node2's IPv6 block of shop_default is missing"),
    ("a route elsewhere", "ip -6 route replace $BLOCK dev lo proto 190", "node2's IPv6 block of shop_default is"),
    ("all routes", "ip -6 route flush proto 190", "route to node2's IPv6 block of shop_default is missing"),
    ("a neighbour", "ip -6 neigh del $TUNNEL dev $VXLAN", "IPv6 neighbour entry for node2 is missing"),
    (
        "a neighbour's hardware address",
        "ip -6 neigh replace $TUNNEL lladdr 02:00:00:00:00:08 dev $VXLAN nud permanent",
        "IPv6 neighbour entry for node2 is `02:00:00:00:00:08`",
    ),
    ("the bridge's address", "ip -6 address flush dev $BRIDGE scope global", "IPv6 address of the bridge of shop"),
    ("IPv6 of the tunnel", "echo 1 >/proc/sys/net/ipv6/conf/$VXLAN/disable_ipv6", "this node's IPv6 address on"),
    ("forwarding", "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding is `0`"),
    ("a chain", "nft insert rule ip6 $TABLE sy_forward drop", "rules are not as they were loaded"),
    (
        "the leave to pass",
        "ip6tables -P FORWARD DROP; ip6tables -D FORWARD -m mark --mark 0x200000/0x200000 -j ACCEPT",
        "rule that lets pass what ours let pass of IPv6 is missing",
    ),
)
"""What, how, and what the plan says of it. Each keeps containers of node1 and node2 from each other."""
UNSEEN = (
    ("the table", "ip6tables -P FORWARD ACCEPT; nft delete table ip6 $TABLE", "the rules are gone"),
    (
        "what routers say",
        "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra; ip -6 route add default via fe80::99 dev eth0 proto ra",
        "what routers of IPv6 say is `ignored on eth0` instead of `heard`",
    ),
    ("an address too many", "ip -6 address add fd6e:3a94:51c2::7/128 dev $VXLAN nodad", "nothing needs the address"),
)
"""What does not show at once from inside; without the table nothing is kept apart."""
NAMES = """
    TABLE=$(nft list tables | grep -o 'ip6 shipyard_.*' | cut -c5-); VXLAN=$(cd /sys/class/net; echo sy??????v)
    BLOCK=$(ip -6 route show proto 190 | awk '/via .*::ad0:2 / { print $1; exit }'); TUNNEL=fd6e:3a94:51c2::ad0:2
    BRIDGE=$(podman network inspect --format '{{.NetworkInterface}}' shop_default)
"""


@pytest.mark.matrix
def test_every_damage_is_seen_named_and_mended_alone(outward: Fleet) -> None:
    node = "node1"
    outward.write("shop.yml", SHOP.replace("DRIVER", "vxlan"))
    outward.shipyard("apply", "shop.yml").expect(0)
    web, client = replicas_of(outward, "web", "client")
    (hidden,) = replicas_of(outward, "hidden", on="shop_back")
    # from the node to the others, and from one of those to it
    asking = [(node, client[node][0], *each) for each in web.values()] + [("node2", client["node2"][0], *web[node])]
    asks = [Ask(at, box, f"http://[{address}]:8080/name", (name,)) for at, box, name, address in asking]
    apart = Ask(node, client[node][0], f"http://[{hidden[node][1]}]:9000/etc/hostname", why="in another network")

    wrong = []
    before = outward.containers()
    for number, (what, script, words) in enumerate((*DAMAGES, *UNSEEN)):
        outward.run(node, "sh", "-c", NAMES + script)
        shows = number < len(DAMAGES)
        if bool(amiss(outward, asks, broken=shows)) != shows:
            wrong.append(f"{what}: it was not seen as it should")
        if what == "the table" and not amiss(outward, [apart]):
            wrong.append("the table: it keeps nothing apart")
        plan, failed = planned_and_mended(outward)
        if not any(words in line for line in plan):
            wrong.append(f"{what}: the plan does not say {words!r}: {plan}")
        if elsewhere := [line for line in plan if " node" in line[:60] and f" {node} " not in line]:
            wrong.append(f"{what}: more than that is planned: {elsewhere}")
        if failed:
            wrong.append(f"{what}: {failed}")
        wrong += [f"{what}: after a pass, {said}" for said in amiss(outward, [*asks, apart])]
    assert outward.containers() == before
    outward.lab.kill(node)
    outward.lab.start(node)
    there = outward.run(node, "sh", "-c", "ip -6 route show proto 190; nft list tables; ip -6 neigh show nud permanent")
    assert all(words in there for words in ("via fd6e:3a94:51c2::ad0:2", "ip6 shipyard_", "lladdr 02:53:"))
    assert not wrong, "\n".join(wrong)
