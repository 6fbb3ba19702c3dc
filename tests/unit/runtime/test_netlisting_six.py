"""What a node's listing says of IPv6, and what mends it: the words of the kernel, and the calls."""

from __future__ import annotations

import pytest

from shipyard.model.wire import Item, WiringRequest, names_of
from shipyard.runtime import netitems, netlisting

NAMES = names_of("cafe")
RANGE = "fd6e:3a94:51c2::/48"
TOLD = f"""kernel {"0" * 64}
details
 device {NAMES.vxlan} 02:53:0a:d0:00:01 1450 up
 device podman1 02:53:0a:d1:00:01 1450 up
 address6 {NAMES.vxlan} fd6e3a9451c20000000000000ad00001 80
 address6 podman1 fd6e3a9451c20000000000000ad10001 7a
 address6 podman1 20010db8000000000000000000000001 40
 route fd6e:3a94:51c2::ad1:40/122 via fd6e:3a94:51c2::ad0:2 dev {NAMES.vxlan} proto 190 metric 1024 onlink pref medium
 route 10.209.0.64/26 via 10.208.0.2 dev {NAMES.vxlan} proto 190 onlink
 neighbour fd6e:3a94:51c2::ad0:2 lladdr 02:53:0a:d0:00:02 PERMANENT
 accept6 there
 HEARD
rules {"1" * 64}
end
own6 eth0 fe80000000000000004005fffec60303
foreign6 fd6e:3a94:51c2:7::/64 dev tun0 proto kernel metric 256 pref medium
foreign6 fd6e:3a94:51c2::ad1:0/122 dev podman1 proto kernel metric 256 pref medium
foreign6 unreachable default dev lo
"""


def told(
    heard: str = "", six: str = RANGE
) -> tuple[set[Item], tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    request = WiringRequest(ranges=("10.208.0.0/12",), six=six)
    wiring, *_ = netlisting.parse(TOLD.replace(" HEARD", heard).encode(), request, NAMES, {"s_default": "podman1"})
    assert wiring.items is not None
    return set(wiring.items), wiring.links, wiring.routes6


def test_what_there_is_of_ipv6_becomes_items() -> None:
    items, links, routes = told()
    assert {item for item in items if item.kind not in ("link", "bridge")} == {
        Item("address", f"{NAMES.vxlan} fd6e:3a94:51c2::ad0:1/128"),
        Item("bridge6", "s_default", "fd6e:3a94:51c2::ad1:1/122"),  # others may have addresses there, too
        Item("route", "fd6e:3a94:51c2::ad1:40/122", f"via fd6e:3a94:51c2::ad0:2 dev {NAMES.vxlan} onlink"),
        Item("route", "10.209.0.64/26", f"via 10.208.0.2 dev {NAMES.vxlan} onlink"),
        Item("neighbour", f"{NAMES.vxlan} fd6e:3a94:51c2::ad0:2", "02:53:0a:d0:00:02"),
        Item("accept", "forward6", "0x200000/0x200000"),
        Item("advertisement", "routers", "heard"),
    }
    assert links == (("eth0", "fe80::40:5ff:fec6:303"),)
    assert routes == (("fd6e:3a94:51c2:7::/64", "dev tun0 proto kernel metric 256 pref medium"),)


def test_routers_that_a_device_does_not_hear_are_named_by_it() -> None:
    items, _, _ = told(" ignored eth1\n ignored eth0")
    assert Item("advertisement", "routers", "ignored on eth0, eth1") in items


def test_only_who_was_asked_is_heard() -> None:
    items, _, _ = told(six="")
    assert not {item.kind for item in items} & {"advertisement", "bridge6", "accept"}


@pytest.mark.parametrize("asked", ["", RANGE])
def test_a_node_is_asked_no_more_than_needed(asked: str) -> None:
    script = netlisting.script(WiringRequest(six=asked), NAMES, "podman")
    assert (f"[ -z '{asked}' ] || sy_net_kernel6" in script) and "@" not in script.replace("@n", "").replace('"$@"', "")


@pytest.mark.parametrize(
    ("item", "made", "dropped"),
    [
        (
            Item("address", "v fd00::1/128"),
            "sy_net_address6 v fd00::1/128",
            "ip address del fd00::1/128 dev v 2>/dev/null || :",
        ),
        (
            Item("route", "fd00::40/122", "via fe80::2 dev eth0"),
            "ip -6 route replace fd00::40/122 via fe80::2 dev eth0 proto 190",
            "ip -6 route del fd00::40/122 proto 190 2>/dev/null || :",
        ),
        (
            Item("neighbour", "v fd00::2", "02:53:00:00:00:02"),
            "ip neigh replace fd00::2 lladdr 02:53:00:00:00:02 dev v nud permanent",
            "ip neigh del fd00::2 dev v 2>/dev/null || :",
        ),
        (
            Item("accept", "forward6", "0x1/0x1"),
            "sy_net_accept ip6tables 0x1/0x1",
            "sy_net_accept_no_more ip6tables 0x1/0x1 2>/dev/null || :",
        ),
    ],
)
def test_each_thing_is_made_and_taken_away_by_a_call_of_its_own(item: Item, made: str, dropped: str) -> None:
    assert netitems.ensure(item) == made
    assert netitems.drop(item) == dropped


@pytest.mark.parametrize(
    "item",
    [
        Item("address", "v fd00::1;reboot/128"),
        Item("route", "fd00::/64", "via $(reboot) dev v"),
        Item("neighbour", "v fd00::2`x`", "02:53:00:00:00:02"),
        Item("bridge6", "n", "fd00::1/122 x"),
    ],
)
def test_what_is_no_address_reaches_no_shell(item: Item) -> None:
    with pytest.raises(ValueError, match=r"."):
        netitems.ensure(item)
