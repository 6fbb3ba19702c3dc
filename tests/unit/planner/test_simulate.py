"""What would become of every replica: the same filters and scores, without containers and waves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shipyard.base.record import replace
from shipyard.model.container import Attachment
from shipyard.model.memory import Placement
from shipyard.model.node import Availability
from shipyard.model.outlook import Fullness, Outlook
from shipyard.model.situation import Situation
from shipyard.model.spec import NetworkSpec, PlacementRules, Reservations
from shipyard.planner.simulate import outlook
from tests.rolling import Control, service
from tests.unit.planner.fleets import GIB, situation_of

NODES: dict[str, Any] = {"a": {}, "b": {}, "c": {}}


def without(situation: Situation, names: Sequence[str]) -> Situation:
    return replace(
        situation,
        nodes=tuple(node for node in situation.nodes if node.name not in names),
        observed=tuple(each for each in situation.observed if each.name not in names),
    )


def fleet(**services: dict[str, Any]) -> Situation:
    return situation_of({"nodes": NODES, "others": services, "web": {"replicas": 0}})


def said(found: Outlook) -> dict[str, tuple[str, str | None, str | None]]:
    return {each.target: (each.kind, each.before, each.after) for each in found.replicas if each.kind != "stays"}


def test_nothing_changes_where_nothing_is_asked() -> None:
    now = fleet(api={"at": ["a", "b"], "memory": 1, "cpus": 0.5})
    found = outlook(now, now)
    assert {each.kind for each in found.replicas} == {"stays"}
    assert found.nodes[0].before == found.nodes[0].after == Fullness(1, 0.5, GIB)
    assert (found.nodes[0].cpus, found.nodes[0].memory) == (4.0, int(8 * GIB * 0.95))


def test_a_node_less() -> None:
    now = fleet(api={"at": ["a", "b", "c"], "memory": 3})
    found = outlook(now, without(now, ["c"]))
    assert said(found) == {"s/api.3": ("moves", "c", "a")}
    assert [(each.name, each.change, each.after.replicas) for each in found.nodes] == [
        ("a", "", 2),
        ("b", "", 1),
        ("c", "gone", 0),
    ]


def test_nodes_less_than_it_takes() -> None:
    now = fleet(api={"at": ["a", "b", "c"], "memory": 7})
    found = outlook(now, without(now, ["c"]))
    (nowhere,) = found.without_place
    assert (nowhere.target, nowhere.kind, nowhere.after) == ("s/api.3", "unschedulable", None)
    assert nowhere.why == "can't stay on c, and 0 of 2 nodes fit: 2 lack memory (needs 7 GiB)"


def test_a_port_that_every_node_answers_on_takes_no_place_where_the_network_spans_nodes() -> None:
    (stack,) = situation_of({"nodes": NODES, "web": {"replicas": 5, "port": 8080}}).stacks
    web = stack.revision.spec.services[0]
    container = replace(web.container, network_mode=None, networks=(Attachment("s_default"),))
    now = situation_of({"nodes": NODES})
    for driver, without_place in ((None, 0), ("vxlan", 0), ("bridge", 2)):
        networks = (NetworkSpec("s_default", "default", driver=driver),)
        spec = replace(stack.revision.spec, services=(replace(web, container=container),), networks=networks)
        wished = replace(now, stacks=(replace(stack, revision=replace(stack.revision, spec=spec)),))
        assert len(outlook(now, wished).without_place) == without_place, driver


def test_what_a_volume_pins_is_held() -> None:
    case = {"nodes": NODES, "others": {}, "web": {"volume": "c"}}
    now = situation_of(case)
    now = replace(now, memory=replace(now.memory, placements=(Placement("s", "web", 1, "c", 1, 1),)))
    (nowhere,) = outlook(now, without(now, ["c"])).without_place
    assert nowhere.why == "c is no longer managed, but its volume s_data is there and does not move"


def test_what_must_leave_a_node_and_can_not_is_held() -> None:
    now = fleet(api={"at": ["c"], "memory": 7}, full={"at": ["a", "b"], "memory": 7})
    nodes = tuple(replace(node, availability=Availability.DRAIN) if node.name == "c" else node for node in now.nodes)
    (held,) = outlook(now, replace(now, nodes=nodes)).without_place
    assert (held.kind, held.before, held.after) == ("held", "c", "c")


def test_more_replicas_than_there_is_room_for() -> None:
    now = fleet(api={"at": ["a"], "memory": 5})
    stack = now.stacks[0]
    api, web = stack.revision.spec.services
    spec = replace(stack.revision.spec, services=(replace(api, replicas=4), web))
    found = outlook(now, replace(now, stacks=(replace(stack, revision=replace(stack.revision, spec=spec)),)))
    assert sorted(each.kind for each in found.replicas) == ["new", "new", "stays", "unschedulable"]
    assert found.without_place[0].why == "0 of 3 nodes fit: 3 lack memory (needs 5 GiB)"


def test_fewer_replicas() -> None:
    now = fleet(api={"at": ["a", "b"], "replicas": 1})
    assert said(outlook(now, now)) == {"s/api.2": ("removed", "b", None)}


def test_what_moves_makes_room_for_what_had_none() -> None:
    big = {"at": ["a"], "memory": 6, "constraints": ["node.hostname == b"]}
    web = {"memory": 6, "constraints": ["node.hostname == a"]}
    now = situation_of({"nodes": {"a": {}, "b": {}}, "others": {"big": big}, "web": web})
    found = outlook(now, now)
    assert said(found) == {"s/big.1": ("moves", "a", "b"), "s/web.1": ("new", None, "a")}
    assert not found.without_place


def test_who_is_evicted_is_told_and_finds_another_place() -> None:
    now = fleet(batch={"at": ["a"], "memory": 5}, shop={"at": ["b"], "memory": 6, "priority": 5})
    found = outlook(now, without(now, ["b"]))
    kinds = said(found)
    assert kinds["s/shop.1"][0] == "moves"
    assert not found.without_place
    found = outlook(now, without(now, ["b", "c"]))
    assert said(found) == {"s/shop.1": ("moves", "b", "a"), "s/batch.1": ("unschedulable", "a", None)}
    assert [notice.reason for notice in found.notices] == ["Evicts"]


def test_one_on_each_node_goes_with_its_node_and_comes_with_another() -> None:
    now = situation_of({"nodes": NODES, "others": {"agent": {"at": ["a", "b", "c"], "mode": "global"}}})
    found = outlook(now, without(now, ["b"]))
    assert said(found) == {"s/agent.2": ("removed", "b", None), "s/web.1": ("new", None, said(found)["s/web.1"][2])}


def test_an_update_that_reserves_more_moves_what_no_longer_fits() -> None:
    packed = PlacementRules(strategy="binpack")
    control = Control()
    control.apply(service("app:1", replicas=3, placement=packed, reservations=Reservations(memory=GIB)))
    control.run()
    now = control.fleet.situation(control.stacks)
    control.apply(service("app:2", replicas=3, placement=packed, reservations=Reservations(memory=3 * GIB)))
    found = outlook(now, control.fleet.situation(control.stacks))
    assert [kind for kind, _, _ in said(found).values()] == ["moves"]
    control.run()
    moved = {f"s/web.{each.slot}": each.node for each in control.fleet.memory.placements}
    assert {each.target: each.after for each in found.replicas} == moved
