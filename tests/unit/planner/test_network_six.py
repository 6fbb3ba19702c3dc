"""IPv6 beside IPv4 on networks across nodes: addresses, what is planned where, what the rules say, and who can't."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.observed import ObservedAttachment
from shipyard.model.plan import (
    ArmRevert,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    DropItem,
    EnsureItem,
    LeaveBoot,
    LoadRules,
    Plan,
    WriteHosts,
)
from shipyard.model.situation import DesiredStack, Ranges
from shipyard.model.spec import AllowFrom, NetworkSpec, Revision, ServiceSpec, StackSpec
from shipyard.model.wire import Item, LocalAddress, ObservedWiring
from shipyard.planner.network import asking, six, view
from shipyard.planner.network.compare import differences
from shipyard.planner.plan import plan
from shipyard.runtime.dialects import by_name
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2")
TOOLS = ("bridge", "conntrack", "ip", "iptables", "ipv6", "nft", "wg", "wireguard")
RANGE = "fd6e:3a94:51c2::"


def wiring(number: int, **more: Any) -> ObservedWiring:
    told: dict[str, Any] = {
        "tools": TOOLS,
        "addresses": (LocalAddress(f"192.0.2.{number}", 24, "eth0", 1500),),
        "links": (("eth0", f"fe80::{number}"),),
        "public_key": f"{number}" * 43 + "=",
    }
    return ObservedWiring(items=(), altered=(), **{**told, **more})


@pytest.fixture
def fleet() -> SimulatedFleet:
    made = SimulatedFleet(NODES)
    for number, name in enumerate(NODES, 1):
        made.nodes[name].wiring = wiring(number)
    return made


def stacks(
    *services: ServiceSpec, enable_ipv6: bool = True, driver: str | None = "vxlan", **more: Any
) -> tuple[DesiredStack, ...]:
    services = services or (web(),)
    network = NetworkSpec("s_default", "default", driver=driver, enable_ipv6=enable_ipv6, **more)
    spec = StackSpec("s", services, (network,))
    revision = Revision("s", 1, spec, stack_digest(spec), 0.0, "me")
    return (DesiredStack(revision, tuple((each.name, NODES) for each in services)),)


def web(name: str = "web", **more: Any) -> ServiceSpec:
    container = ContainerSpec("app:1", networks=(Attachment("s_default", (name,)),))
    return ServiceSpec(name, container, **{"replicas": 2, "endpoint_mode": "dnsrr", **more})


def steps(decided: Plan, kind: type, node: str | None = None) -> list[Any]:
    return [each.step for each in decided.actions if isinstance(each.step, kind) and node in (None, each.node)]


def ensured(decided: Plan, node: str = "n1") -> dict[tuple[str, str], str]:
    """Items that are made on a node and say something of IPv6."""
    items = (step.item for step in steps(decided, EnsureItem, node))
    return {
        (item.kind, item.key): item.value
        for item in items
        if any(word in f"{item.key} {item.value}" for word in (RANGE, "ipv6", "forward6", "routers"))
    }


@pytest.mark.parametrize("block", [24, 26, 29])
def test_an_address_ends_with_the_one_it_is_beside_whatever_the_size_of_blocks(block: int) -> None:
    ranges = Ranges(block=block)
    assert six.address_of(ranges, "10.209.0.66") == f"{RANGE}ad1:42"
    assert six.block_of(ranges, f"10.209.0.0/{block}") == f"{RANGE}ad1:0/{96 + block}"
    assert six.address_of(replace(ranges, containers6="fd00::/96"), "10.209.0.66") == "fd00::ad1:42"


def test_networks_and_containers_are_made_with_both(fleet: SimulatedFleet) -> None:
    first = fleet.one_pass(stacks())
    made = {step.network.subnet: step.network for step in steps(first, CreateNetwork)}
    assert {subnet: (each.subnet6, each.gateway6) for subnet, each in made.items()} == {
        "10.209.0.0/26": (f"{RANGE}ad1:0/122", f"{RANGE}ad1:1"),
        "10.209.0.64/26": (f"{RANGE}ad1:40/122", f"{RANGE}ad1:41"),
    }
    network = steps(first, CreateNetwork)[0].network
    for runtime in ("docker", "podman"):
        (command,) = by_name(runtime).create_network(network, ())
        assert "--ipv6" in command.argv and f"--subnet={network.subnet6}" in command.argv
    given = {
        (each.ipv4_address, each.ipv6_address) for step in steps(first, CreateContainer) for each in step.spec.networks
    }
    assert given == {("10.209.0.2", f"{RANGE}ad1:2"), ("10.209.0.66", f"{RANGE}ad1:42")}
    assert not fleet.converge(stacks()).actions


def test_a_network_that_gets_ipv6_is_made_anew_and_its_containers_live_on(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks(enable_ipv6=False))
    before = {name: set(node.boxes) for name, node in fleet.nodes.items()}
    changed = fleet.one_pass(stacks())
    joined = [step.attachment.ipv6_address for step in steps(changed, ConnectNetwork)]
    assert sorted(joined) == [f"{RANGE}ad1:2", f"{RANGE}ad1:42"]
    assert not fleet.converge(stacks()).actions
    assert {name: set(node.boxes) for name, node in fleet.nodes.items()} == before


def test_what_is_taken_back_is_taken_away(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks())
    assert all(each.six for each in fleet.memory.wired)
    gone = fleet.one_pass(stacks(enable_ipv6=False))
    dropped = {(step.item.kind, step.item.key) for step in steps(gone, DropItem, "n1")}
    assert {("route", f"{RANGE}ad1:0/122"), ("accept", "forward6")} <= dropped
    assert all("table ip6" not in step.text for step in steps(gone, LoadRules))
    fleet.converge(stacks(enable_ipv6=False))
    assert not any(each.six for each in fleet.memory.wired)
    assert {each.six for each in asking.requests(fleet.situation(stacks(enable_ipv6=False))).values()} == {""}


def test_nodes_are_asked_about_ipv6_where_a_network_has_it_or_had_it(fleet: SimulatedFleet) -> None:
    asked = asking.requests(fleet.situation(stacks()))
    assert {each.six for each in asked.values()} == {f"{RANGE}/48"}
    assert all("net.ipv6.conf.all.forwarding" in each.sysctls for each in asked.values())
    fleet.converge(stacks())
    left = asking.requests(fleet.situation(stacks(enable_ipv6=False)))
    assert {each.six for each in left.values()} == {f"{RANGE}/48"}, "until nothing is left of it"
    other = SimulatedFleet(NODES)
    assert {each.six for each in asking.requests(other.situation(stacks(enable_ipv6=False))).values()} == {""}


COMMON = {
    ("advertisement", "routers"): "heard",
    ("sysctl", "net.ipv6.conf.all.forwarding"): "1",
    ("bridge6", "s_default"): f"{RANGE}ad1:41/122",
    ("accept", "forward6"): "0x200000/0x200000",
}


@pytest.mark.parametrize(
    ("driver", "more"),
    [
        (
            "vxlan",
            {
                ("address", f"DEVICE {RANGE}ad0:1/128"): "",
                ("neighbour", f"DEVICE {RANGE}ad0:2"): "02:53:0a:d0:00:02",
                ("route", f"{RANGE}ad0:2/128"): "dev DEVICE",
                ("route", f"{RANGE}ad1:0/122"): f"via {RANGE}ad0:2 dev DEVICE onlink",
            },
        ),
        (
            "wireguard",
            {
                ("address", f"DEVICE {RANGE}ad0:8001/128"): "",
                ("peer", "DEVICE " + "2" * 43 + "="): (
                    f"endpoint 192.0.2.2:51820 allowed 10.208.128.2/32,10.209.0.0/26,"
                    f"{RANGE}ad0:8002/128,{RANGE}ad1:0/122"
                ),
                ("route", f"{RANGE}ad0:8002/128"): "dev DEVICE",
                ("route", f"{RANGE}ad1:0/122"): "dev DEVICE",
            },
        ),
        ("routed", {("route", f"{RANGE}ad1:0/122"): "via fe80::2 dev eth0"}),
    ],
)
def test_each_driver_leads_to_the_blocks_of_ipv6(
    fleet: SimulatedFleet, driver: str, more: dict[tuple[str, str], str]
) -> None:
    found = ensured(fleet.one_pass(stacks(driver=driver)))
    device = next((key.split()[0] for kind, key in found if kind == "address"), "")
    wanted = {
        (kind, key.replace("DEVICE", device)): value.replace("DEVICE", device) for (kind, key), value in more.items()
    }
    assert found == {**COMMON, **wanted}
    decided = fleet.one_pass(stacks(driver=driver))
    assert not ensured(decided), "all of it is there"


def test_order_of_what_is_made_and_what_is_undone(fleet: SimulatedFleet) -> None:
    first = fleet.one_pass(stacks())
    kinds = [
        getattr(each.step.item, "kind", "") if isinstance(each.step, EnsureItem) else type(each.step).__name__
        for each in first.actions
        if each.node == "n1"
    ]
    # docker makes the node forward with the network, and a node that forwards forgets what its routers say
    assert kinds.index("advertisement") < kinds.index("CreateNetwork") < kinds.index("bridge6")
    assert kinds.index("link") < kinds.index("address") < kinds.index("route")
    assert f"{RANGE}/48" in steps(first, ArmRevert)[0].ranges
    items = {(item.kind, item.key) for item in steps(first, LeaveBoot, "n1")[0].items}
    by_docker = ("sysctl", "net.ipv6.conf.all.forwarding")
    assert COMMON.keys() - {by_docker} <= items and by_docker not in items, "a boot brings all of it back"


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (("route", f"{RANGE}ad1:0/122"), "route to n2's IPv6 block of s_default is missing on n1"),
        (("neighbour", f"{RANGE}ad0:2"), "IPv6 neighbour entry for n2 is missing on n1"),
        (("bridge6", "s_default"), "IPv6 address of the bridge of s_default is missing on n1"),
        (("address", f"{RANGE}ad0:1/128"), "this node's IPv6 address on DEVICE is missing on n1"),
        (("accept", "forward6"), "rule that lets pass what ours let pass of IPv6 is missing on n1"),
    ],
)
def test_each_difference_is_named_and_mended_alone(fleet: SimulatedFleet, lost: tuple[str, str], words: str) -> None:
    fleet.converge(stacks())
    there = fleet.nodes["n1"].wiring
    assert there is not None and there.items is not None
    kept = tuple(item for item in there.items if (item.kind, item.key.split()[-1]) != lost)
    assert len(kept) == len(there.items) - 1
    fleet.nodes["n1"].wiring = replace(there, items=kept)
    decided = fleet.one_pass(stacks())
    said = [each.detail for each in decided.actions if not isinstance(each.step, ArmRevert)]
    device = next(item.key for item in there.items if item.kind == "link")
    assert said == [words.replace("DEVICE", device)]


def test_routers_that_are_not_heard_are_named_with_their_device() -> None:
    wanted = Item("advertisement", "routers", "heard", "what routers of IPv6 say")
    there = Item("advertisement", "routers", "ignored on eth0")
    (found,) = differences((wanted,), (there,))
    assert found.detail == "what routers of IPv6 say is `ignored on eth0` instead of `heard`"
    assert not list(differences((), (there,))), "nothing to take away"


def test_another_address_than_its_own_is_put_right(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks())
    (identity, box), *_ = fleet.nodes["n1"].boxes.items()
    (there,) = box.networks
    fleet._set(fleet.nodes["n1"], identity, networks=(replace(there, ipv6_address=f"{RANGE}ad1:9"),))
    decided = fleet.one_pass(stacks())
    assert [step.attachment.ipv6_address for step in steps(decided, ConnectNetwork)] == [f"{RANGE}ad1:42"]
    assert any(f"as {RANGE}ad1:9 instead of {RANGE}ad1:42" in each.detail for each in decided.actions)
    assert isinstance(there, ObservedAttachment)


def test_names_lead_to_both_but_a_services_own_address_is_of_ipv4(fleet: SimulatedFleet) -> None:
    decided = fleet.one_pass(stacks(web(peer_names=True), web("vip", endpoint_mode="vip")))
    fleet.converge(stacks(web(peer_names=True), web("vip", endpoint_mode="vip")))
    fresh = fleet.one_pass(stacks(web(peer_names=True), web("vip", endpoint_mode="vip"), web("late")))
    (written,) = steps(fresh, WriteHosts, "n1")
    lines = {line.split()[0]: line.split()[1:] for text in written.shared for line in text.splitlines() if "\t" in line}
    four, beside = lines["10.209.0.2"], lines[f"{RANGE}ad1:2"]
    assert "web" in four and four == beside and "1.web.s" in beside
    (vip,) = [address for address, names in lines.items() if "vip" in names]
    assert vip.startswith("10.224.")
    own = [line for file in written.files for line in file.lines]
    assert any(line.startswith(f"{RANGE}ad1:") for line in own)
    assert steps(decided, CreateContainer)


def test_networks_are_kept_apart_internal_ones_in_and_guards_asked_first(fleet: SimulatedFleet) -> None:
    guarded = web("db", allow=(AllowFrom("web", (("tcp", 5432),)),))
    decided = fleet.one_pass(stacks(web(), guarded, internal=True))
    text = steps(decided, LoadRules, "n1")[0].text
    table = text.partition("table ip6 ")[2]
    mask = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffc0"
    blocks = f"ip6 daddr & {mask} {{ {RANGE}ad1:0, {RANGE}ad1:40 }}"
    assert f"{blocks} jump sy_guard; {blocks} goto sy_pass; reject" in table
    assert f"{blocks.replace('daddr', 'saddr')} ct state new drop" in table, "no way out"
    assert not re.search(r"addr(?: & \S+)? (?:vmap )?{[^{}]*/\d", text), (
        "a set of ranges is empty for a moment when rules are replaced"
    )
    assert f"ip6 saddr {RANGE}/48 ip6 daddr {RANGE}/48 goto sy_within" in table
    assert f"ip6 daddr {RANGE}/48 goto sy_into" in table
    assert f"ip6 saddr {RANGE}/48 ip6 daddr {RANGE}/48 snat to ip6 saddr" in table
    (mine, *_) = [
        each for step in steps(decided, CreateContainer) if "-db-" in step.name for each in step.spec.networks
    ]
    assert f"{mine.ipv6_address} : goto sy_guard_0" in table
    assert "tcp dport 5432 return" in table and "chain sy_guard6 {" in table, "also between containers of one bridge"


def test_connections_are_tried_by_both_families(fleet: SimulatedFleet) -> None:
    wanted = stacks(web(), web("db", allow=(AllowFrom("api"),)))
    fleet.converge(wanted)
    (found,) = view.networks(fleet.situation(wanted), fleet.memory)
    tried = {(each.target.service, six.is_six(each.address), each.expected) for each in view.pairs((found,))}
    assert tried == {("db", False, False), ("db", True, False), ("web", False, True), ("web", True, True)}
    plain = stacks(web(), web("db"), enable_ipv6=False)
    fleet.converge(plain)
    (found,) = view.networks(fleet.situation(plain), fleet.memory)
    assert not any(six.is_six(each.address) for each in view.pairs((found,)))


def test_none_of_it_is_said_to_nodes_and_networks_without(fleet: SimulatedFleet) -> None:
    decided = fleet.one_pass(stacks(enable_ipv6=False))
    assert not any(ensured(decided, node) for node in NODES)
    assert not any("ip6 saddr" in step.text or "table ip6" in step.text for step in steps(decided, LoadRules))
    assert all(len(step.ranges) == 2 for step in steps(decided, ArmRevert))
    assert not any(each.ipv6_address for step in steps(decided, CreateContainer) for each in step.spec.networks)


def test_an_address_that_only_holds_on_the_link_is_no_way_around_a_guard(fleet: SimulatedFleet) -> None:
    decided = fleet.one_pass(stacks(web(), web("db", allow=(AllowFrom("web"),)), enable_ipv6=False))
    text = steps(decided, LoadRules, "n1")[0].text
    (mine, *_) = [
        each for step in steps(decided, CreateContainer) if "-db-" in step.name for each in step.spec.networks
    ]
    ends = "".join(f":{int(byte):02x}" for byte in (mine.ipv4_address or "").split("."))
    (line, *_) = [line for line in text.splitlines() if "ip6 daddr fe80::/10" in line]
    assert f"02:53{ends}" in line and f"02:42{ends}" in line and line.endswith("drop")


@pytest.mark.parametrize(
    ("driver", "told", "reason", "words"),
    [
        ("vxlan", {"tools": ("bridge", "ip", "ipv6", "iptables")}, "NetworkNotPossible", "n2 lacks nft"),
        ("vxlan", {"tools": ("bridge", "ip", "nft")}, "NetworkNotPossible", "IPv6 is switched off on n2"),
        ("routed", {"links": ()}, "NetworkNotPossible", "eth0 of n2 has no link-local address of IPv6"),
        (
            "vxlan",
            {"routes6": (("fd6e:3a94::/32", "dev tun0"),)},
            "RangeCollides",
            "(network.containers6 in shipyard.toml) collides with the route fd6e:3a94::/32 dev tun0 on n2",
        ),
    ],
)
def test_who_cant_is_told_before_anything_is_made(
    fleet: SimulatedFleet, driver: str, told: dict[str, Any], reason: str, words: str
) -> None:
    fleet.nodes["n2"].wiring = wiring(2, **told)
    decided = fleet.one_pass(stacks(driver=driver))
    assert [each.reason for each in decided.blocked] == [reason]
    assert words in decided.blocked[0].detail
    assert not steps(decided, CreateNetwork, "n2")
    assert not fleet.one_pass(stacks(driver=driver, enable_ipv6=False)).blocked, "IPv4 alone can be"


def test_without_a_driver_it_spans_nodes_unless_one_of_them_cant(fleet: SimulatedFleet) -> None:
    assert {step.network.driver for step in steps(fleet.one_pass(stacks(driver=None)), CreateNetwork)} == {"vxlan"}
    other = SimulatedFleet(NODES)
    other.nodes["n1"].wiring = wiring(1)
    other.nodes["n2"].wiring = wiring(2, tools=("bridge", "ip", "nft"))
    decided = other.one_pass(stacks(driver=None))
    assert {step.network.driver for step in steps(decided, CreateNetwork)} == {None}
    assert any("IPv6 is switched off on n2" in each.detail for each in decided.notices)


@pytest.mark.parametrize(("version", "families"), [("27.5.1", []), ("28.0.4", ["ipv4", "ipv6"])])
def test_a_docker_that_lets_nobody_in_lets_both_families_in(
    fleet: SimulatedFleet, version: str, families: list[str]
) -> None:
    situation = fleet.situation(stacks())
    observed = tuple(
        replace(each, facts=replace(each.facts, runtime="docker", runtime_version=version))
        for each in situation.observed
    )
    network = steps(plan(replace(situation, observed=observed)), CreateNetwork)[0].network
    assert [key.rpartition("_")[2] for key, _ in network.driver_opts] == families
