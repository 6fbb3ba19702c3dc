"""Networks across nodes, on a simulated fleet: who gets which address, what is planned where, and who may stop when."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Port, Probe, Probes
from shipyard.model.memory import Hold, Memory
from shipyard.model.observed import Health, ObservedNetwork, ObservedNode
from shipyard.model.plan import (
    ArmRevert,
    CreateContainer,
    CreateNetwork,
    DropItem,
    EnsureItem,
    LoadRules,
    Plan,
    RemoveContainer,
    WriteHosts,
)
from shipyard.model.situation import DesiredStack, Ranges
from shipyard.model.spec import AllowFrom, NetworkSpec, Revision, ServiceSpec, StackSpec
from shipyard.model.wire import Item, LocalAddress, ObservedWiring
from shipyard.planner.network import draining
from shipyard.planner.network.book import mac_of, open_book
from shipyard.planner.network.compare import differences
from shipyard.planner.network.rules import choice
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
TOOLS = ("bridge", "conntrack", "ip", "iptables", "nft")


def wiring(number: int, **more: Any) -> ObservedWiring:
    return ObservedWiring(
        items=(), altered=(), addresses=(LocalAddress(f"192.0.2.{number}", 24, "eth0", 1500),), tools=TOOLS, **more
    )


@pytest.fixture
def fleet() -> SimulatedFleet:
    made = SimulatedFleet(NODES)
    for number, name in enumerate(NODES, 1):
        made.nodes[name].wiring = wiring(number)
    return made


def web(name: str = "web", **more: Any) -> ServiceSpec:
    inside = {key: more.pop(key) for key in list(more) if key in ContainerSpec.__struct_fields__}
    container = ContainerSpec("app:1", networks=(Attachment("s_default", (name,)),))
    return ServiceSpec(name, replace(container, **inside), **{"replicas": 3, **more})


def stacks(*services: ServiceSpec, number: int = 1, **network: Any) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, (NetworkSpec("s_default", "default", **{"driver": "vxlan", **network}),))
    revision = Revision("s", number, spec, stack_digest(spec), 0.0, "me")
    return (DesiredStack(revision, tuple((each.name, NODES) for each in services)),)


def steps(decided: Plan, kind: type, node: str | None = None) -> list[Any]:
    return [each.step for each in decided.actions if isinstance(each.step, kind) and node in (None, each.node)]


def rules(fleet: SimulatedFleet, decided: Plan) -> str:
    """What a first node would load."""
    return str(next(step.text for step in steps(decided, LoadRules)))


def test_each_node_has_a_block_each_replica_an_address_and_the_service_one_for_all(fleet: SimulatedFleet) -> None:
    first = fleet.one_pass(stacks(web()))
    subnets = {step.network.subnet for step in steps(first, CreateNetwork)}
    assert subnets == {"10.209.0.0/26", "10.209.0.64/26", "10.209.0.128/26"}
    assert {step.network.mtu for step in steps(first, CreateNetwork)} == {1450}
    given = {step.spec.networks[0].ipv4_address for step in steps(first, CreateContainer)}
    assert given == {"10.209.0.2", "10.209.0.66", "10.209.0.130"}
    assert not fleet.converge(stacks(web())).actions
    (service,) = fleet.memory.service_addresses
    assert service.address.startswith("10.224.")
    assert len(fleet.memory.endpoints) == 3


def test_a_route_in_our_ranges_is_another_ones_only_once_the_node_was_looked_at_closely(fleet: SimulatedFleet) -> None:
    """It may be that of a network of ours of which the store knows nothing, as after a backup was put back."""
    known = fleet.nodes["n1"].wiring
    assert known is not None
    route = (("10.209.0.192/26", "dev podman2 proto kernel scope link"),)
    fleet.nodes["n1"].wiring = replace(known, routes=route)
    situation = fleet.situation(stacks(web()))
    at_a_glance = replace(
        situation,
        observed=tuple(
            replace(each, all_networks=False) for each in situation.observed if isinstance(each, ObservedNode)
        ),
    )
    decided = plan(at_a_glance, waves=1)
    assert decided.inspect == ("n1",)
    assert not decided.blocked
    assert {each.reason for each in plan(situation, waves=1).blocked} == {"RangeCollides"}


def test_other_networks_stay_each_nodes_own(fleet: SimulatedFleet) -> None:
    for more in ({"driver": None, "subnet": "192.168.7.0/24"}, {"driver": "bridge"}, {"driver": None}):
        decided = fleet.one_pass(stacks(web(ports=(Port(80, 8080),), replicas=1), **more))
        assert not steps(decided, WriteHosts) and not steps(decided, LoadRules), more
        assert [port.published for step in steps(decided, CreateContainer) for port in step.spec.ports] in ([8080], [])


def test_what_could_lock_us_out_is_armed_and_what_only_follows_replicas_is_not(fleet: SimulatedFleet) -> None:
    first = fleet.one_pass(stacks(web()))
    for name in NODES:
        kinds = [type(each.step) for each in first.actions if each.node == name]
        assert kinds.index(ArmRevert) < min(kinds.index(EnsureItem), kinds.index(LoadRules))
    fleet.converge(stacks(web()))
    fleet.nodes["n3"].boxes.clear()
    again = fleet.one_pass(stacks(web()))
    assert {each.node for each in again.actions if isinstance(each.step, LoadRules)} == {"n1", "n2", "n3"}
    assert not steps(again, ArmRevert)


def test_only_what_serves_is_behind_an_address_and_a_silent_nodes_replicas_are_not(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks(web()))
    assert "mod 3" in next(step.text for step in steps(_fresh(fleet, stacks(web())), LoadRules))
    fleet.nodes["n3"].up = False
    after = fleet.one_pass(stacks(web()))
    assert {each.node for each in after.actions} == {"n1", "n2"}
    assert all("mod 2" in step.text for step in steps(after, LoadRules))


def led_to(fleet: SimulatedFleet, wanted: tuple[DesiredStack, ...]) -> set[str]:
    """The containers that the address of the service leads to, as its rules say."""
    text = rules(fleet, _fresh(fleet, wanted))
    there = {box.name: box.networks[0].ipv4_address for _, box in fleet.running()}
    found = {name for name, address in there.items() if address and re.search(rf"\b{re.escape(address)}\b", text)}
    assert found == {each.container for each in fleet.memory.endpoints}
    return found


def ill(fleet: SimulatedFleet, health: Health) -> str:
    """The name of the container on the second node, which is so from now on."""
    ((identity, box),) = fleet.nodes["n2"].boxes.items()
    fleet.nodes["n2"].boxes[identity] = replace(box, health=health)
    return box.name


@pytest.mark.parametrize("health", [Health.UNHEALTHY, Health.STARTING])
def test_what_a_health_check_does_not_call_healthy_is_behind_no_address(fleet: SimulatedFleet, health: Health) -> None:
    wanted = stacks(web(healthcheck=Healthcheck(("CMD", "true"))))
    fleet.converge(wanted)
    everyone = led_to(fleet, wanted)
    assert len(everyone) == 3
    name = ill(fleet, health)
    assert led_to(fleet, wanted) == everyone - {name}


def test_what_becomes_healthy_is_behind_the_address_again(fleet: SimulatedFleet) -> None:
    wanted = stacks(web(healthcheck=Healthcheck(("CMD", "true"))))
    fleet.converge(wanted)
    everyone = led_to(fleet, wanted)
    ill(fleet, Health.STARTING)
    assert len(led_to(fleet, wanted)) == 2
    fleet.tick()
    assert led_to(fleet, wanted) == everyone


def test_what_fails_its_readiness_probe_is_behind_no_address_and_runs_on(fleet: SimulatedFleet) -> None:
    wanted = stacks(web(probes=Probes(readiness=Probe("http", port=80, period=1.0, failures=1))))
    fleet.converge(wanted)
    everyone = led_to(fleet, wanted)
    assert len(everyone) == 3
    ((_, box),) = fleet.nodes["n2"].boxes.items()
    fleet.answer = lambda attempt: (attempt.container != box.id, "503 no database")
    fleet.sleep(2.0)
    assert led_to(fleet, wanted) == everyone - {box.name}
    assert {box.name for _, box in fleet.running()} == everyone
    fleet.answer = lambda _: (True, "")
    fleet.sleep(2.0)
    assert led_to(fleet, wanted) == everyone


def test_nobody_comes_to_what_was_not_yet_found_ready(fleet: SimulatedFleet) -> None:
    wanted = stacks(web(probes=Probes(readiness=Probe("http", port=80, period=1.0))))
    fleet.answer = lambda _: (False, "503 warming up")
    for _ in range(3):
        fleet.one_pass(wanted)
        fleet.sleep(2.0)
    assert (len(fleet.running()), fleet.memory.endpoints) == (3, ())


def _fresh(fleet: SimulatedFleet, wanted: tuple[DesiredStack, ...]) -> Plan:
    """What would be loaded where nothing is."""
    for node in fleet.nodes.values():
        assert node.wiring is not None
        node.wiring = replace(node.wiring, loaded="")
    return fleet.one_pass(wanted)


def test_a_replica_stops_once_every_node_has_dropped_it_and_its_connections_have_ended(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks(web()))
    fewer = stacks(web(replicas=2), number=2)
    dropped = fleet.one_pass(fewer)
    assert {each.node for each in dropped.actions if isinstance(each.step, LoadRules)} == {*NODES}
    assert not steps(dropped, RemoveContainer)
    (leaving,) = fleet.memory.draining
    fleet.nodes[leaving.node].open_connections[leaving.container] = 2
    for _ in range(3):
        waits = fleet.one_pass(fewer)
        assert not steps(waits, RemoveContainer)
        assert [each.reason for each in waits.waiting] == ["Draining"]
        fleet.sleep(1.0)
    fleet.nodes[leaving.node].open_connections[leaving.container] = 0
    assert [step.name for step in steps(fleet.one_pass(fewer), RemoveContainer)] == [leaving.container]


@pytest.mark.parametrize(
    ("mode", "datagrams", "seconds"),
    [("vip", False, draining.UNDER_WAY), ("vip", True, draining.LEAST), ("dnsrr", False, draining.LEAST)],
)
def test_a_replica_goes_on_for_as_long_as_somebody_may_be_on_the_way_to_it(
    fleet: SimulatedFleet, mode: Any, datagrams: bool, seconds: float
) -> None:
    """Not long where each client is seen and no name leads to it; the time counts from the end of the wave."""
    fleet.pace = 0.0
    fleet.converge(stacks(web(endpoint_mode=mode)))
    fewer = stacks(web(replicas=2, endpoint_mode=mode), number=2)
    dropped = fleet.one_pass(fewer)
    assert draining.settling(dropped) == (draining.UNDER_WAY if mode == "vip" else 0.0)
    (leaving,) = fleet.memory.draining
    node = fleet.nodes[leaving.node]
    node.open_connections[leaving.container] = 0
    node.datagrams = {leaving.container} if datagrams else set()
    fleet.sleep(seconds - 0.02)
    waits = fleet.one_pass(fewer)
    assert [each.reason for each in waits.waiting] == ["Draining"]
    assert waits.waiting[0].until == pytest.approx(fleet.now + 0.02)
    fleet.sleep(0.03)
    assert [step.name for step in steps(fleet.one_pass(fewer), RemoveContainer)] == [leaving.container]


def test_what_a_pass_that_died_told_the_nodes_counts_from_when_they_are_seen_to_know_it(fleet: SimulatedFleet) -> None:
    fleet.pace = 0.0
    fleet.converge(stacks(web()))
    fewer = stacks(web(replicas=2), number=2)
    dropped = fleet.one_pass(fewer, killed_after=2)
    leaving = next(iter(fleet.memory.draining))
    fleet.nodes[leaving.node].open_connections[leaving.container] = 0
    fleet.sleep(60.0)
    for action in dropped.actions[2:]:  # its scripts go on by themselves
        fleet._do(action, set())
    assert [each.reason for each in fleet.one_pass(fewer).waiting] == ["Draining"]
    fleet.sleep(draining.UNDER_WAY)
    assert steps(fleet.one_pass(fewer), RemoveContainer)


def test_what_no_longer_does_its_work_is_replaced_without_waiting_for_clients(fleet: SimulatedFleet) -> None:
    """Its failure is counted once, with the repair: were that put off, a back-off would come before it."""
    probed = web(probes=Probes(liveness=Probe("http", port=80, period=1.0, failures=1)))
    fleet.converge(stacks(probed))
    before = {box.name for _, box in fleet.running()}
    fleet.answer = lambda attempt: (False, "500 no database")
    fleet.sleep(2.0)
    replaced = fleet.one_pass(stacks(probed))
    assert {step.name for step in steps(replaced, RemoveContainer)} == before
    assert len(steps(replaced, CreateContainer)) == 3
    assert {failures.count for failures in fleet.memory.failures} == {1}


def test_connections_that_do_not_end_hold_nobody_up_longer_than_the_grace(fleet: SimulatedFleet) -> None:
    served = web(stop_grace_period=4.0)
    fleet.converge(stacks(served))
    fewer = stacks(replace(served, replicas=2), number=2)
    fleet.one_pass(fewer)
    (leaving,) = fleet.memory.draining
    fleet.nodes[leaving.node].open_connections[leaving.container] = 1
    fleet.one_pass(fewer)
    fleet.sleep(1.9)
    assert not steps(fleet.one_pass(fewer), RemoveContainer)
    fleet.sleep(0.2)
    assert steps(fleet.one_pass(fewer), RemoveContainer)


def test_a_bridge_is_not_put_right_again_and_again_where_what_would_empty_it_has_to_wait(fleet: SimulatedFleet) -> None:
    for node in fleet.nodes.values():
        node.runtime = "podman"
    mine = web(replicas=1)
    fleet.converge(stacks(mine))
    ((node, _),) = fleet.running()
    wired = (replace(each, wanted="", retry_at=fleet.now + 60) for each in fleet.memory.wired if each.node == node)
    others = (each for each in fleet.memory.wired if each.node != node)
    fleet.memory = replace(fleet.memory, wired=(*wired, *others))
    newer = stacks(replace(mine, container=replace(mine.container, command=("other",))), number=2)
    fleet.one_pass(newer)
    waiting = fleet.one_pass(newer)
    assert [each.reason for each in waiting.waiting] == ["BackOff", "Draining"]
    assert not waiting.actions
    fleet.sleep(61)
    passes = [fleet.one_pass(newer) for _ in range(3) if not fleet.sleep(5)]
    (replaced,) = (decided for decided in passes if steps(decided, RemoveContainer))
    assert [step.item.kind for step in steps(replaced, EnsureItem)] == ["bridge"]


def test_replicas_of_an_older_revision_serve_and_are_mended_on_a_network_that_only_it_has(
    fleet: SimulatedFleet,
) -> None:
    mine = web(replicas=2, ports=(Port(80, 8080),))
    fleet.converge(stacks(mine))
    before = {box.networks[0].ipv4_address for _, box in fleet.running()}
    fleet.memory = replace(fleet.memory, holds=(Hold("s", fleet.now, "me"),))
    other = replace(mine.container, command=("other",), networks=(Attachment("s_other", ("web",)),))
    moved = replace(mine, container=other)
    spec = StackSpec("s", (moved,), (NetworkSpec("s_other", "other", driver="vxlan"),))
    newer = (DesiredStack(Revision("s", 2, spec, stack_digest(spec), 0.0, "me"), (("web", NODES),)),)
    fleet.converge(newer)
    text = rules(fleet, _fresh(fleet, newer))
    (chain,) = re.findall(r"tcp \. 8080 : goto (\w+)", text)
    (answers,) = re.findall(rf"chain {chain} (.*)", text)
    assert before <= set(re.findall(r"10\.[0-9.]+", answers)), "the port still leads to them"
    node, box = fleet.running()[0]
    del fleet.nodes[node].boxes[box.id]
    (made,) = steps(fleet.one_pass(newer), CreateContainer)
    assert [(each.network, each.ipv4_address != "") for each in made.spec.networks] == [("s_default", True)]
    assert made.spec.hosts and not any(port.published for port in made.spec.ports), "as it was made before"


def test_a_replica_leaves_a_network_only_once_its_service_leads_to_another_one(fleet: SimulatedFleet) -> None:
    mine = web(replicas=1, ports=(Port(80, 8080),))
    fleet.converge(stacks(mine))
    moved = replace(mine, container=replace(mine.container, networks=(Attachment("s_other", ("web",)),)))
    spec = StackSpec("s", (moved,), (NetworkSpec("s_other", "other", driver="vxlan"),))
    newer = (DesiredStack(Revision("s", 2, spec, stack_digest(spec), 0.0, "me"), (("web", NODES),)),)
    led: set[str] = set()
    for _ in range(10):
        ((_, before),) = fleet.running()
        decided = fleet.one_pass(newer)
        ((_, after),) = fleet.running()
        if left := {each.network for each in before.networks} - {each.network for each in after.networks}:
            assert left == {"s_default"}
            assert led == {each.ipv4_address for each in after.networks}, "the port leads there by then"
        for step in steps(decided, LoadRules):
            led = set(re.findall(r"chain sy_port_tcp_8080 .* dnat to ([0-9.]+):80;", step.text))
    assert [each.network for each in after.networks] == ["s_other"]
    assert after.id == before.id, "the same container"


def test_what_a_network_needed_goes_with_it_although_those_who_were_on_it_stay(fleet: SimulatedFleet) -> None:
    beside = NetworkSpec("s_back", "back", driver="routed")
    mine = web(networks=(Attachment("s_default", ("web",)), Attachment("s_back", ("web",))))
    (before,) = stacks(mine)
    spec = replace(before.revision.spec, networks=(*before.revision.spec.networks, beside))
    fleet.converge((replace(before, revision=replace(before.revision, spec=spec, digest=stack_digest(spec))),))
    boxes = {box.id for _, box in fleet.running()}
    there = {each.block for each in fleet.memory.blocks if each.network == "s_back"}
    assert len(there) == 3
    fleet.converge(stacks(web(), number=2))
    assert {box.id for _, box in fleet.running()} == boxes, "the same containers"
    assert {each.network for each in fleet.memory.blocks} == {"s_default"}
    routes = {item.key for node in fleet.nodes.values() for item in (node.wiring and node.wiring.items) or ()}
    assert not routes & there


def test_nobody_is_led_elsewhere_for_the_sake_of_an_image_that_can_not_be_had(fleet: SimulatedFleet) -> None:
    mine = web(replicas=1, ports=(Port(80, 8080),))
    fleet.converge(stacks(mine))
    ((_, box),) = fleet.running()
    for image, left in (("gone:1", False), ("app:2", True)):
        wanted = stacks(replace(mine, container=replace(mine.container, image=image)), number=2 + left)
        ends = set()
        for _ in range(6):
            fleet.one_pass(wanted)
            ends.add(tuple(each.container for each in fleet.memory.endpoints))
            fleet.sleep(10)
        assert ((box.name,) in ends) and (ends != {(box.name,)}) == left, image


def test_a_replica_that_leaves_its_addresses_is_said_to_from_the_first_pass_on(fleet: SimulatedFleet) -> None:
    """Else whoever makes one pass hears that nothing is to be done."""
    mine = web(replicas=1, ports=(Port(80, 8080),))
    fleet.converge(stacks(mine))
    decided = fleet.one_pass(stacks(replace(mine, container=replace(mine.container, command=("other",))), number=2))
    assert not steps(decided, RemoveContainer)
    assert ("s/web.1", "Draining") in {(each.target, each.reason) for each in decided.waiting}


def test_ports_answer_on_every_node_and_belong_to_one_service(fleet: SimulatedFleet) -> None:
    port = (Port(80, 8080),)
    decided = fleet.one_pass(stacks(web("api", ports=port, replicas=1), web("web", ports=port, replicas=1)))
    assert {(each.target, each.reason) for each in decided.blocked} == {("s/web", "PortTaken")}
    assert "belongs to s/api already" in decided.blocked[0].detail
    fleet.converge(stacks(web("api", ports=port, replicas=1)))
    texts = [step.text for step in steps(_fresh(fleet, stacks(web("api", ports=port, replicas=1))), LoadRules)]
    assert len(texts) == 3 and all("tcp . 8080 : goto" in text for text in texts)


def test_a_port_is_had_by_several_each_on_addresses_of_its_own(fleet: SimulatedFleet) -> None:
    two = (Port(80, 8080, address="192.0.2.1"), Port(81, 8080, address="192.0.2.2"))
    api = web("api", ports=(Port(80, 8080, address="192.0.2.3"),), replicas=1)
    both = stacks(web(ports=two, replicas=1), api)
    decided = fleet.converge(both)
    assert not decided.blocked
    (line,) = re.findall(r"chain sy_port_tcp_8080 \{(.*)\}", rules(fleet, _fresh(fleet, both)))
    addresses = {"api" if "api" in box.name else "web": box.networks[0].ipv4_address for _, box in fleet.running()}
    wanted = {"1": f"{addresses['web']}:80", "2": f"{addresses['web']}:81", "3": f"{addresses['api']}:80"}
    assert dict(re.findall(r"ip daddr 192\.0\.2\.(\d) meta l4proto tcp dnat to ([^;]+);", line)) == wanted
    others = stacks(web(ports=two, replicas=1), replace(api, container=replace(api.container, ports=(Port(80, 8080),))))
    refused = fleet.one_pass(others).blocked
    assert [(each.target, each.reason) for each in refused] == [("s/api", "PortTaken")]
    assert "belongs to s/web already" in refused[0].detail


def test_a_udp_port_forgets_who_called_before_each_time_that_it_has_a_replica_again(fleet: SimulatedFleet) -> None:
    """Whoever called while it had none, in whatever pass that was seen, would never come to the replica."""
    mine = web(replicas=1, ports=(Port(80, 53, "udp"),))
    nobody = web(replicas=0, ports=mine.container.ports)
    for empty in (1, 3):
        for _ in range(empty):
            fleet.one_pass(stacks(nobody))
        loaded: dict[str, list[LoadRules]] = {name: [] for name in NODES}
        for _ in range(10):
            for each in fleet.one_pass(stacks(mine)).actions:
                if isinstance(each.step, LoadRules):
                    loaded[each.node].append(each.step)
        for name in NODES:
            led = [step for step in loaded[name] if "meta l4proto udp dnat to" in step.text]
            assert led and led[0].new == (53,), f"{name} after {empty}"
            assert not any(step.new for step in led[1:]), "only what called before"


def test_a_port_stays_with_the_service_that_has_it_whatever_another_is_called(fleet: SimulatedFleet) -> None:
    port = (Port(80, 8080),)
    fleet.converge(stacks(web("web", ports=port, replicas=1)))
    both = stacks(web("api", ports=port, replicas=1), web("web", ports=port, replicas=1), number=2)
    decided = fleet.one_pass(both)
    assert [(each.target, each.reason) for each in decided.blocked] == [("s/api", "PortTaken")]
    assert "belongs to s/web already" in decided.blocked[0].detail
    fleet.converge(both)
    (there,) = {box.networks[0].ipv4_address for _, box in fleet.running() if "-web-" in box.name}
    text = rules(fleet, _fresh(fleet, both))
    (chain,) = re.findall(r"tcp \. 8080 : goto (\w+)", text)
    assert re.findall(rf"chain {chain} .* dnat to ([0-9.]+):80;", text) == [there]
    decided = fleet.one_pass(stacks(web("api", ports=port, replicas=1), number=3))
    assert not decided.blocked, "it is free once its service is gone"


def test_a_port_that_answers_is_not_taken_away_by_a_container_that_wants_it_of_its_node(fleet: SimulatedFleet) -> None:
    mine = web("web", ports=(Port(80, 8080),), replicas=1)
    fleet.converge(stacks(mine))
    host = replace(
        mine, name="api", container=replace(mine.container, ports=(Port(80, 8080, mode="host"),)), ingress=()
    )
    decided = fleet.one_pass(stacks(mine, host, number=2))
    assert [each.target for each in decided.blocked] == ["s/api.1"]
    assert "3 give port 8080/tcp to s/web" in decided.blocked[0].detail
    (made,) = steps(fleet.one_pass(stacks(host, number=3)), CreateContainer)
    assert "-api-" in made.name, "it is free once its service is gone"


def test_a_port_that_is_listened_on_is_not_taken_and_one_that_we_have_is_kept(fleet: SimulatedFleet) -> None:
    wanted = stacks(web(ports=(Port(80, 22),)))
    fleet.nodes["n2"].wiring = wiring(2, listening=("tcp/22",))
    decided = fleet.one_pass(wanted)
    assert ["port 22/tcp of n2 belongs to a process of the node" in each.detail for each in decided.blocked] == [True]
    fleet.nodes["n2"].wiring = replace(fleet.nodes["n2"].wiring or wiring(2), listening=())
    fleet.converge(wanted)
    fleet.nodes["n1"].wiring = replace(fleet.nodes["n1"].wiring or wiring(1), listening=("tcp/22",))
    assert not fleet.one_pass(wanted).blocked


@pytest.mark.parametrize(
    ("more", "network", "says"),
    [
        ({"routes": (("10.210.0.0/16", "dev eth1"),)}, {}, "collides with the route 10.210.0.0/16 dev eth1 on n2"),
        ({"tools": ("bridge", "ip")}, {"driver": "vxlan"}, "n2 lacks nft"),
        ({}, {"driver": "wireguard"}, "lacks wg, which the driver wireguard needs"),
        ({"privileged": False}, {"driver": "routed"}, "neither root nor may use sudo"),
        ({"addresses": ()}, {"driver": "vxlan"}, "has no IPv4 address of its own"),
    ],
)
def test_a_node_that_can_not_take_part_is_told_before_anything_is_made(
    fleet: SimulatedFleet, more: dict[str, Any], network: dict[str, Any], says: str
) -> None:
    fleet.nodes["n2"].wiring = replace(wiring(2), **more)
    decided = fleet.one_pass(stacks(web(), **network))
    assert any(says in each.detail for each in decided.blocked), decided.blocked
    assert not steps(decided, CreateNetwork, "n2")


def test_who_may_connect_is_in_the_rules_of_routed_and_bridged_packets(fleet: SimulatedFleet) -> None:
    guarded = stacks(web("api", replicas=1), web("db", replicas=1, allow=(AllowFrom("api", (("tcp", 5432),)),)))
    fleet.converge(guarded)
    text = next(step.text for step in steps(_fresh(fleet, guarded), LoadRules))
    api, db = (each.addresses[0][1] for each in fleet.memory.endpoints)
    table = text.partition("table bridge shipyard_")[2].partition("\n}")[2]
    assert f"ip saddr {api} tcp dport 5432 return" in text and f"{db} : goto sy_guard_0" in text
    assert table.count("sy_guard_0") == 2 or "sy_guard_0" in text


def test_a_service_on_two_networks_reaches_what_is_on_either_by_the_address_that_it_goes_out_by(
    fleet: SimulatedFleet,
) -> None:
    api = replace(
        web("api"), container=ContainerSpec("app:1", networks=(Attachment("s_default"), Attachment("s_back")))
    )
    database = replace(web("db"), container=ContainerSpec("app:1", networks=(Attachment("s_back"),)))
    guarded = replace(database, allow=(AllowFrom("api"),))
    spec = StackSpec(
        "s",
        (api, guarded, web()),
        tuple(NetworkSpec(f"s_{name}", name, driver="vxlan") for name in ("default", "back")),
    )
    eligible = tuple((name, NODES) for name in ("api", "db", "web"))
    declared = (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), eligible),)
    text = rules(fleet, fleet.one_pass(declared))
    leases = [each for each in fleet.memory.leases if each.service == "api"]
    for network, way in (("s_back", "0_1"), ("s_default", "1_0")):
        mine = sorted(each.address for each in leases if each.network == network)
        assert f"set sy_beside_{way} {{ type ipv4_addr; elements = {{ {', '.join(mine)} }}; }}" in text
        assert f"ip saddr @sy_beside_{way} jump sy_guard" in text
    clients = ", ".join(sorted(each.address for each in leases))
    assert f"ip saddr {{ {clients} }} return" in text, "a client is who it is by each of its addresses"
    assert not fleet.converge(declared).actions


def hosts_files(fleet: SimulatedFleet, declared: tuple[DesiredStack, ...]) -> dict[str, list[str]]:
    """The last text of each container's hosts file, by the part of the name that stays, and all of its first texts."""
    written: dict[str, list[str]] = {}
    for _ in range(6):
        for step in steps(fleet.one_pass(declared), WriteHosts):
            for file in step.files:
                text = step.shared[file.shared] + "".join(f"{line}\n" for line in file.lines)
                written.setdefault(file.container.rpartition("-")[0], []).append(text)
    return written


def addresses(text: str, name: str) -> list[str]:
    return [line.split("\t")[0] for line in text.splitlines() if name in line.split("\t")[-1].split()]


def test_replicas_are_found_by_name_and_domain_and_know_their_own_before_they_are_ready(fleet: SimulatedFleet) -> None:
    domains = ("nginx", "nginx.s.svc.cluster.local", "nginx.s")
    own: dict[str, Any] = {"stable_names": True, "names_from": 0, "peer_domains": domains, "endpoint_mode": "dnsrr"}
    written = hosts_files(fleet, stacks(web(replicas=2, **own), web("other", replicas=1)))
    (other,) = (texts[-1] for name, texts in written.items() if "other" in name)
    zero, one = addresses(other, "web-0"), addresses(other, "web-1")
    assert len(zero) == len(one) == 1 and zero != one
    assert addresses(other, "web-2") == []
    for domain in domains:
        assert addresses(other, f"web-0.{domain}") == zero, domain
    line = next(line for line in other.splitlines() if "web-0" in line)
    assert line.split("\t")[1].split()[0] == "web-0.nginx.s.svc.cluster.local"  # what `hostname -f` says
    first = written["s-web-1"][0]
    assert addresses(first, "web-0.nginx") == addresses(first, "web-0") == zero


def test_a_store_that_was_lost_finds_the_addresses_as_they_were(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks(web()))
    before = {box.name: box.networks for node in fleet.nodes.values() for box in node.boxes.values()}
    fleet.memory = Memory(placements=tuple(reversed(fleet.memory.placements)), rollouts=fleet.memory.rollouts)
    again = fleet.converge(stacks(web()))
    assert not again.actions
    assert {box.name: box.networks for node in fleet.nodes.values() for box in node.boxes.values()} == before
    assert len(fleet.memory.blocks) == len(fleet.memory.leases) == 3


def test_the_order_of_nodes_and_containers_makes_no_difference_to_addresses() -> None:
    book = open_book(SimulatedFleet(NODES).memory, Ranges())
    assert [book.block("a", "n1"), book.block("a", "n2"), book.block("b", "n1")] == [
        "10.209.0.0/26",
        "10.209.0.64/26",
        "10.209.0.128/26",
    ]
    assert book.block("a", "n1") == "10.209.0.0/26"
    assert book.service("s", "web", "a") == open_book(SimulatedFleet(()).memory, Ranges()).service("s", "web", "a")
    assert mac_of("10.209.0.2") == "02:53:0a:d1:00:02"


def test_a_client_stays_with_its_replica_while_others_come_and_go() -> None:
    whole = choice(["10.0.0.1", "10.0.0.2", "10.0.0.3"], affinity=True)
    assert " seed 0x" in whole, "the same on every node, and each time that rules are loaded"
    before = dict(enumerate(whole.split("{")[1].split(",")))
    after = dict(enumerate(choice(["10.0.0.1", "10.0.0.3"], affinity=True).split("{")[1].split(",")))
    moved = [number for number in before if before[number].strip(" }") != after[number].strip(" }")]
    assert all("10.0.0.2" in before[number] for number in moved)


def test_who_is_cut_off_a_bridge_is_put_back_once_a_closer_look_says_the_same(fleet: SimulatedFleet) -> None:
    fleet.converge(stacks(web(replicas=6)))
    node = fleet.nodes["n1"]
    assert node.wiring is not None
    names = sorted(box.name for box in node.boxes.values())
    node.wiring = replace(node.wiring, ports=(("s_default", 2),))
    assert not fleet.one_pass(stacks(web(replicas=6))).waves
    node.wiring = replace(node.wiring, ports=(("s_default", 1),))
    decided = fleet.one_pass(stacks(web(replicas=6)))
    ((action,),) = decided.waves
    assert (action.node, action.reason) == ("n1", "Wrong")
    assert action.detail == "1 of 2 cut off the bridge of s_default on n1"
    ((item,),) = [[step.item] for step in steps(decided, EnsureItem)]
    assert (item.kind, item.key, item.value.split()[2::3]) == ("ports", "s_default", names)
    node.wiring = replace(node.wiring, items=None)
    decided = fleet.one_pass(stacks(web(replicas=6)))
    assert (decided.waves, decided.inspect) == ((), ("n1",))


def test_differences_are_told_in_words_and_only_what_differs_is_mended() -> None:
    link = Item("link", "v", "vxlan id 1 local 10.0.0.1 dstport 4789 address 02:00:00:00:00:01 mtu 1450", "device v")
    route = Item("route", "10.1.0.0/26", "via 10.2.0.1 dev v onlink", "route to n2")
    narrow = replace(link, value=link.value.replace("1450", "1400"))
    moved = replace(link, value=link.value.replace("10.0.0.1", "10.0.0.9"))
    stale = Item("route", "10.9.0.0/26", "dev v")
    told = {
        (): ["device v is missing", "route to n2 is missing"],
        (link,): ["route to n2 is missing"],
        (narrow, route): ["device v has mtu 1400 instead of 1450"],
        (moved, route): ["device v has local 10.0.0.9 instead of 10.0.0.1", "route to n2 goes with the device v"],
        (link, route, stale): ["nothing needs the route 10.9.0.0/26 (dev v)"],
        (link, route): [],
    }
    for there, words in told.items():
        assert [each.detail for each in differences((link, route), there)] == words
    assert [each.detail for each in differences((), (link, route, stale))] == ["nothing needs the device v (vxlan)"]
    setting = Item("sysctl", "net.ipv4.conf.v.route_localnet", "1", "setting of v")
    remade = differences((link, setting), (moved, setting))
    assert [each.detail for each in remade][1:] == ["setting of v goes with the device v"]


def test_what_is_on_a_device_goes_with_it_and_is_no_line_of_its_own(fleet: SimulatedFleet) -> None:
    """The last stack that spans nodes is removed: each of a thousand nodes has things for every other on its device."""
    fleet.converge(stacks(web()))
    assert {item.kind for item in fleet.nodes["n1"].wiring.items or ()} >= {"link", "route", "neighbour", "forwarding"}
    dropped: list[tuple[str, str]] = []
    for _ in range(6):
        decided = fleet.one_pass(())
        dropped += [(each.node, each.step.item.kind) for each in decided.actions if isinstance(each.step, DropItem)]
    assert sorted(dropped) == [(name, kind) for name in sorted(fleet.nodes) for kind in ("accept", "link")]


def test_a_range_without_a_block_left_holds_up_who_needs_one_and_nobody_else(fleet: SimulatedFleet) -> None:
    """Half of the range is a block, and the other half has the nodes' own addresses in it: one node gets one."""
    wanted = (web(), web("apart", networks=(), network_mode="none"))
    decided = plan(replace(fleet.situation(stacks(*wanted)), ranges=Ranges(containers="10.208.0.0/16", block=17)))
    made = [step.name.split("-")[1] for step in steps(decided, CreateContainer)]
    assert sorted(made) == ["apart", "apart", "apart", "web"]
    assert [each.reason for each in decided.blocked] == ["RangeExhausted"] * 2
    assert "network.containers in shipyard.toml" in decided.blocked[0].detail


def test_a_block_is_none_that_a_network_has_whoevers_it_is(fleet: SimulatedFleet) -> None:
    """That of a stack which nobody knows any more, as after a lost store; one of others, of another size; and IPv6."""
    fleet.nodes["n1"].networks["lost_default"] = ObservedNetwork("1", "lost_default", subnets=("10.209.0.0/26",))
    strange = ("10.209.0.128/25", "fd00::/64", "192.168.0.0/16")
    fleet.nodes["n2"].networks["others"] = ObservedNetwork("2", "others", subnets=strange)
    subnets = {step.network.subnet for step in steps(fleet.one_pass(stacks(web())), CreateNetwork)}
    assert subnets == {"10.209.0.64/26", "10.209.1.0/26", "10.209.1.64/26"}
