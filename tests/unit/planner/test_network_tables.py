"""Rules for nodes without nft: what they say, which nodes have them, and what is refused there."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.plan import CreateContainer, LoadRules, Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import AllowFrom, NetworkSpec, Revision, ServiceSpec, StackSpec
from shipyard.model.wire import IPTABLES, LocalAddress, ObservedWiring
from shipyard.planner.network import rules as nft
from shipyard.planner.network import tables
from shipyard.planner.network.rules import Backends, Common, Crossing, Guard, Network, NodePort, Own
from tests.simulated import SimulatedFleet

OWN = Own(
    (NodePort("tcp", 8000, 8080, ("10.209.0.2", "10.209.0.66"), only=("192.0.2.0/24", "198.51.100.7")),),
    ("10.209.0.0/26",),
    ("sy0v",),
)


def common(**more: Any) -> Common:
    said: dict[str, Any] = {
        "networks": (
            Network("a", ("10.209.0.0/26", "10.209.0.64/26")),
            Network("b", ("10.209.0.128/26",), internal=True),
        ),
        "backends": (
            Backends("10.224.0.9", ("10.209.0.2", "10.209.0.66", "10.209.0.67"), ports=(("tcp", 80, 8080),)),
            Backends("10.224.0.10", ()),
        ),
    }
    return Common("shipyard_ab12cd", "10.208.0.0/12", "10.224.0.0/16", "10.208.0.0/16", **{**said, **more})


def rules(text: str, chain: str) -> list[str]:
    """Those of one chain, without its name."""
    begin = f"-A SY-ab12cd-{chain} "
    return [line.removeprefix(begin) for line in text.splitlines() if line.startswith(begin)]


def test_what_comes_to_a_udp_port_is_dropped_while_no_replica_is_ready() -> None:
    """Else the kernel takes it for a connection with the node itself, and all that follow it of the same client."""
    idle = NodePort("udp", 53, 5353, (), only=("192.0.2.1",))
    own = replace(OWN, ports=(replace(idle, protocol="tcp"), idle, replace(idle, only=("192.0.2.2",), replicas=("a",))))
    lines = nft.text(nft.shared(common()), own).splitlines()
    answers = "ip daddr 192.0.2.1 drop; ip daddr 192.0.2.2 meta l4proto udp dnat to a:5353;"
    assert f"  chain sy_port_udp_53 {{ {answers} }}" in lines
    assert not any("tcp_53" in line for line in lines), "who connects there is told at once that nobody answers"
    text = tables.text(common(), own)
    assert rules(text, "idle") == ["! -p udp -j RETURN", "-d 192.0.2.1 -p udp --dport 53 -j DROP"]
    assert rules(text, "ports") == ["-d 192.0.2.2 -p udp --dport 53 -g SY-ab12cd-P-udp-53"]
    assert "idle" not in tables.text(common(), OWN)


def test_what_crosses_to_a_network_of_another_driver_has_its_containers_own_address_there() -> None:
    crossing = Crossing(("10.209.0.192/26",), (("10.209.0.2", "10.209.0.130"),))
    own = replace(OWN, crossings=(crossing,))
    text = tables.text(common(), own)
    assert rules(text, "as-0") == ["-s 10.209.0.2 -j SNAT --to-source 10.209.0.130"]
    hooked = rules(text, "from")
    kept = "-s 10.208.0.0/12 -d 10.208.0.0/12 -j ACCEPT"
    assert hooked.index("-d 10.209.0.192/26 -j SY-ab12cd-as-0") < hooked.index(kept)
    lines = nft.text(nft.shared(common()), own).splitlines()
    line = "    ip daddr 10.209.0.192/26 snat to ip saddr map { 10.209.0.2 : 10.209.0.130 }"
    assert lines.index(line) < lines.index("    ip saddr 10.208.0.0/12 ip daddr 10.208.0.0/12 snat to ip saddr")


def test_each_replica_is_as_likely_as_the_others() -> None:
    text = tables.text(common(), OWN)
    chain = "T-10.224.0.9"
    assert f"-d 10.224.0.9 -g SY-ab12cd-{chain}" in rules(text, "to")
    assert rules(text, chain) == [
        "-m statistic --mode random --probability 0.33333333 -j DNAT --to-destination 10.209.0.2",
        "-m statistic --mode random --probability 0.50000000 -j DNAT --to-destination 10.209.0.66",
        "-j DNAT --to-destination 10.209.0.67",
    ]
    (port,) = (rule for rule in rules(text, "to") if "--dport 80 " in rule)
    assert rules(text, port.rpartition("SY-ab12cd-")[2])[-1] == "-p tcp -j DNAT --to-destination 10.209.0.67:8080"
    assert rules(text, "to").index(port) == 0, "a port of its own comes before the address as a whole"
    assert "10.224.0.10" not in text, "of which nothing is ready: refused with all other addresses"


def test_ports_answer_where_they_should() -> None:
    assert [rule.partition(" -p ")[0] for rule in rules(tables.text(common(), OWN), "ports")] == [
        "-d 192.0.2.0/24",
        "-d 198.51.100.7",
    ]


def test_a_clients_share_stays_with_its_replica_while_others_come_and_go() -> None:
    def shares(*replicas: str) -> list[str]:
        text = tables.text(common(backends=(Backends("10.224.0.9", replicas, affinity=True),)), OWN)
        return [rule.rpartition(" ")[2] for rule in rules(text, "T-10.224.0.9")]

    before, after = shares("10.0.0.1", "10.0.0.2", "10.0.0.3"), shares("10.0.0.1", "10.0.0.3")
    assert len(before) == tables.SHARES and set(before) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {"10.0.0.2"}


def test_networks_are_kept_apart_and_guards_are_asked_first() -> None:
    guard = Guard(("10.209.0.2",), ((("10.209.0.66",), (("tcp", 5432),)), ((), ())))
    text = tables.text(common(guards=(guard,)), OWN)
    assert rules(text, "net-1") == [
        "-d 10.209.0.128/26 -g SY-ab12cd-pass",
        "-g SY-ab12cd-refuse",
    ]
    assert rules(text, "net-0")[:2] == [
        "-d 10.209.0.0/26 -j SY-ab12cd-G-10.209.0.0",
        "-d 10.209.0.0/26 -g SY-ab12cd-pass",
    ]
    assert rules(text, "G-10.209.0.0") == ["-d 10.209.0.2 -g SY-ab12cd-guard-0"]
    assert rules(text, "guard-0") == ["-s 10.209.0.66 -p tcp --dport 5432 -j RETURN", "-g SY-ab12cd-refuse"]
    assert "-s 10.209.0.128/26 -m conntrack --ctstate NEW -j DROP" in rules(text, "fwd"), "no way out"
    longest = max(len(line.split()[0]) for line in text.splitlines() if line.startswith(":"))
    assert longest <= 29, "the kernel takes 28 letters"


def test_what_somebody_guards_on_a_bridge_of_the_node_is_routed() -> None:
    def bridges(*replicas: str, own: Own = OWN) -> list[str]:
        text = tables.text(common(guards=(Guard(replicas, ((("10.209.0.66",), ()),)),)), own)
        return [line for line in text.splitlines() if line.startswith("# bridge")]

    assert bridges("10.209.0.2") == ["# bridge 10.209.0.0/26 10.209.0.63"]
    assert bridges("10.209.0.70") == ["# bridge 10.209.0.0/26 10.209.0.63"], "stays while replicas come and go"
    assert bridges("10.209.0.130") == [], "the other network's are on other nodes"
    assert bridges() == []


def test_addresses_of_the_link_lead_to_nobody_who_is_guarded_on_the_node() -> None:
    def links(*replicas: str) -> list[str]:
        guard = Guard(replicas, (), ("02:53:0a:d1:00:02", "0e:00:00:00:00:07"))
        lines = tables.text(common(guards=(guard,)), OWN).splitlines()
        return [line.removeprefix("# link ") for line in lines if line.startswith("# link ")]

    assert links("10.209.0.2") == ["02:42:0a:d1:00:02", "02:53:0a:d1:00:02", "0e:00:00:00:00:07"]
    assert links("10.209.0.70") == ["0e:00:00:00:00:07"], "others' are seen to where they are"
    assert links("10.209.0.130") == []


def fleet(without: tuple[str, ...], *more: str) -> SimulatedFleet:
    made = SimulatedFleet(("n1", "n2", "n3"))
    for number, name in enumerate(sorted(made.nodes), 1):
        tools = ("bridge", "ip", "iptables", *(more if name in without else ("nft",)))
        address = LocalAddress(f"192.0.2.{number}", 24, "eth0", 1500)
        made.nodes[name].wiring = ObservedWiring(items=(), altered=(), addresses=(address,), tools=tools)
    return made


def stack(**service: Any) -> tuple[DesiredStack, ...]:
    web = ServiceSpec("web", ContainerSpec("app:1", networks=(Attachment("s_default"),)), replicas=3, **service)
    spec = StackSpec("s", (web,), (NetworkSpec("s_default", "default", driver="vxlan"),))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("web", ("n1", "n2", "n3")),)),)


def loaded(decided: Plan) -> dict[str, str]:
    return {each.node: each.step.text for each in decided.actions if isinstance(each.step, LoadRules)}


def test_a_node_loads_what_it_can_and_comes_to_rest() -> None:
    mixed = fleet(("n2",))
    texts = loaded(mixed.one_pass(stack()))
    assert [name for name in texts if texts[name].startswith(IPTABLES)] == ["n2"]
    assert not mixed.converge(stack()).actions
    wiring = mixed.nodes["n2"].wiring
    assert wiring is not None
    mixed.nodes["n2"].wiring = replace(wiring, tools=(*wiring.tools, "nft"))
    (changed,) = loaded(mixed.one_pass(stack())).values()
    assert not changed.startswith(IPTABLES), "once it has nft, it takes that"
    assert not mixed.converge(stack()).actions


@pytest.mark.parametrize(("without", "tools"), [((), ()), (("n2",), ("ebtables",)), (("n2",), ())])
def test_who_may_connect_is_only_promised_where_it_is_kept(without: tuple[str, ...], tools: tuple[str, ...]) -> None:
    decided = fleet(without, *tools).one_pass(stack(allow=(AllowFrom("api"),)))
    made = {each.node for each in decided.actions if isinstance(each.step, CreateContainer)}
    lacking = () if tools else without
    assert made == {"n1", "n2", "n3"} - {*lacking}
    assert [each.detail for each in decided.blocked] == [
        f"{node} lacks nft (in the package nftables), and ebtables, too; without one of them nothing keeps "
        "x-shipyard.allow of s/web between containers of one bridge"
        for node in lacking
    ]


def test_a_node_with_neither_is_named_with_what_it_lacks() -> None:
    bare = fleet(())
    wiring = bare.nodes["n3"].wiring
    assert wiring is not None
    bare.nodes["n3"].wiring = replace(wiring, tools=("bridge", "ip"))
    assert any("n3 lacks nft (in the packages nftables)" in each.detail for each in bare.one_pass(stack()).blocked)
