"""Which driver a network has where its file says none: by who may be on it, and by what was there."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Port
from shipyard.model.memory import Memory
from shipyard.model.plan import (
    CreateContainer,
    CreateNetwork,
    DropRevision,
    KeepRevision,
    Plan,
    RemoveContainer,
    RemoveNetwork,
    WriteHosts,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import AllowFrom, NetworkSpec, Revision, ServicePort, ServiceSpec, StackSpec
from shipyard.planner.network import asking
from tests.simulated import SimulatedFleet
from tests.unit.planner.fleets import on_one_segment

NODES = ("n1", "n2", "n3")
TOOLS = ("bridge", "ip", "iptables", "nft")


@pytest.fixture
def fleet() -> SimulatedFleet:
    return on_one_segment(NODES, TOOLS)


def stack(nodes: tuple[str, ...], number: int = 1, *, service: Any = None, **network: Any) -> tuple[DesiredStack, ...]:
    container = ContainerSpec("app:1", networks=(Attachment("s_default", ("web",)),), ports=(Port(80, 8080),))
    web = ServiceSpec("web", container, **{"replicas": len(nodes), **(service or {})})
    spec = StackSpec("s", (web,), (NetworkSpec("s_default", "default", **network),))
    return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), (("web", nodes),)),)


def made(decided: Plan) -> set[str | None]:
    """Drivers of the networks that are made."""
    return {each.step.network.driver for each in decided.actions if isinstance(each.step, CreateNetwork)}


def said(decided: Plan) -> str:
    return " ".join(each.detail for each in decided.notices if each.reason == "EachNodesOwn")


def changed(decided: Plan) -> list[Any]:
    """Steps, but for copies of revisions."""
    return [each.step for each in decided.actions if not isinstance(each.step, KeepRevision | DropRevision)]


def converge(fleet: SimulatedFleet, wanted: tuple[DesiredStack, ...]) -> Plan:
    """The first pass; after it all that is left is done."""
    first = fleet.one_pass(wanted)
    fleet.converge(wanted)
    return first


def test_a_network_of_several_nodes_spans_them_and_one_of_a_single_node_does_not(fleet: SimulatedFleet) -> None:
    first = converge(fleet, stack(NODES))
    assert made(first) == {"vxlan"} and not said(first)
    assert any(isinstance(each.step, WriteHosts) for each in first.actions)
    alone = SimulatedFleet(NODES)
    first = converge(alone, stack(("n1",)))
    assert made(first) == {None} and not said(first)
    assert [port.published for each in first.actions if isinstance(each.step, CreateContainer)
            for port in each.step.spec.ports] == [8080]  # fmt: skip


def test_a_node_that_joins_takes_nothing_down_and_the_plan_says_what_it_is_without(fleet: SimulatedFleet) -> None:
    converge(fleet, stack(("n1",)))
    grown = converge(fleet, stack(("n1", "n2"), 2))
    assert made(grown) == {None}
    assert not any(isinstance(each.step, RemoveContainer | RemoveNetwork) for each in grown.actions)
    assert "each node's own" in said(grown) and "`driver: vxlan` makes it one across nodes" in said(grown)
    asked = fleet.converge(stack(("n1", "n2"), 3, driver="vxlan"))
    assert not changed(asked) and {block.node for block in fleet.memory.blocks} == {"n1", "n2"}
    assert all(box.networks[0].ipv4_address.startswith("10.209.") for _, box in fleet.running())  # type: ignore[union-attr]  # they have addresses
    back = fleet.one_pass(stack(("n1", "n2"), 4))
    assert not changed(back), "to leave out what it is already changes nothing"


def test_what_an_earlier_version_made_stays_and_is_told(fleet: SimulatedFleet) -> None:
    converge(fleet, stack(NODES, driver="bridge"))
    fleet.memory = replace(fleet.memory, network_drivers=())
    after = fleet.one_pass(stack(NODES))
    assert not changed(after)
    assert "it was so when its first replica came" in said(after)
    fleet.nodes["n1"].up = False
    assert not {type(each.step) for each in fleet.one_pass(stack(NODES)).actions} & {RemoveContainer, RemoveNetwork}


def test_to_write_bridge_is_all_it_takes_to_be_told_no_more(fleet: SimulatedFleet) -> None:
    converge(fleet, stack(("n1",)))
    meant = fleet.one_pass(stack(("n1", "n2"), 2, service={"replicas": 1}, driver="bridge"))
    assert not changed(meant) and not said(meant)


def test_a_store_that_was_lost_knows_the_driver_by_the_addresses(fleet: SimulatedFleet) -> None:
    converge(fleet, stack(NODES))
    fleet.memory = Memory(placements=fleet.memory.placements, rollouts=fleet.memory.rollouts)
    fleet.converge(stack(NODES))
    assert [each.driver for each in fleet.memory.network_drivers] == ["vxlan"]
    assert not fleet.one_pass(stack(("n1",), 2, service={"replicas": 1})).notices


def test_a_node_that_can_not_take_part_keeps_it_each_nodes_own_and_is_named(fleet: SimulatedFleet) -> None:
    wiring = fleet.nodes["n2"].wiring
    assert wiring is not None
    fleet.nodes["n2"].wiring = replace(wiring, privileged=False)
    first = converge(fleet, stack(NODES))
    assert made(first) == {None} and not first.blocked
    assert "on n2 shipyard is neither root nor may use sudo" in said(first)
    fleet.nodes["n2"].wiring = wiring
    assert not changed(fleet.one_pass(stack(NODES))), "what was decided holds while something is on it"
    (removed,) = stack(NODES)
    fleet.converge((replace(removed, removing=True),))
    assert not fleet.memory.network_drivers
    assert made(converge(fleet, stack(NODES, 2))) == {"vxlan"}


@pytest.mark.parametrize(
    "service",
    [
        {"service_ports": (ServicePort(80, 8080),)},
        {"session_affinity": True},
        {"peer_names": True},
        {"expose_on": ("10.0.0.0/24",)},
        {"allow": (AllowFrom("api"),)},
    ],
)
def test_a_service_that_asks_for_what_only_such_networks_have_gets_one_on_a_single_node_too(
    fleet: SimulatedFleet, service: dict[str, Any]
) -> None:
    assert made(converge(fleet, stack(("n1",), service=service))) == {"vxlan"}
    legacy = SimulatedFleet(NODES)
    converge(legacy, stack(("n1",)))
    (key,) = service
    assert f"x-shipyard.{key} of web has no effect" in said(legacy.one_pass(stack(("n1",), 2, service=service)))


def test_to_ask_for_what_a_node_can_not_have_is_an_error_and_not_left_out(fleet: SimulatedFleet) -> None:
    wiring = fleet.nodes["n1"].wiring
    assert wiring is not None
    fleet.nodes["n1"].wiring = replace(wiring, privileged=False)
    decided = fleet.one_pass(stack(("n1",), service={"session_affinity": True}))
    assert [each.reason for each in decided.blocked] == ["NetworkNotPossible"] and not made(decided)


@pytest.mark.parametrize(
    ("network", "key"),
    [
        ({"subnet": "192.168.7.0/24"}, "ipam"),
        ({"driver_opts": (("a", "b"),)}, "driver_opts"),
    ],
)
def test_what_only_the_runtimes_own_networks_carry_out_keeps_it_so(
    fleet: SimulatedFleet, network: dict[str, Any], key: str
) -> None:
    first = converge(fleet, stack(NODES, **network))
    assert made(first) == {None}
    assert f"its {key} is for the runtime's own networks" in said(first)
    across = SimulatedFleet(NODES)
    for name in NODES:
        across.nodes[name].wiring = fleet.nodes[name].wiring
    converge(across, stack(NODES))
    assert made(across.one_pass(stack(NODES, 2, **network))) == {None}, "also where it was one across nodes"


def test_nodes_are_asked_nothing_more_where_networks_are_each_nodes_own(fleet: SimulatedFleet) -> None:
    before = replace(fleet.situation(stack(("n1",))), observed=())
    assert not asking.requests(before), "one node: there is nothing to ask"
    converge(fleet, stack(("n1",)))
    grown = replace(fleet.situation(stack(NODES, 2)), observed=())
    assert not asking.requests(grown)
    fresh = replace(SimulatedFleet(NODES).situation(stack(NODES)), observed=())
    assert set(asking.requests(fresh)) == set(NODES)
