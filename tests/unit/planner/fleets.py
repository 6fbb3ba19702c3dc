"""Fleets for the tests of scheduling, from few words: nodes, services that are placed, and one that is to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shipyard.model.container import ContainerSpec, DeviceRequest, Mount, Port
from shipyard.model.memory import KnownVolume, Memory, NodeMemory, Placement, Stumbles
from shipyard.model.node import Availability, Node, NodeState, Taint
from shipyard.model.observed import Facts, Observation, ObservedNode, ObservedVolume, Silent
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import (
    Neighbour,
    PlacementRules,
    Reservations,
    Revision,
    ServiceSpec,
    StackSpec,
    Toleration,
    VolumeSpec,
)
from shipyard.model.wire import LocalAddress, ObservedWiring
from tests.simulated import SimulatedFleet

GIB = 2**30
NOW = 1_000_000.0


def on_one_segment(names: Sequence[str], tools: tuple[str, ...]) -> SimulatedFleet:
    """A simulated fleet whose nodes tell of their networking: an address each, and these tools."""
    made = SimulatedFleet(names)
    for number, name in enumerate(names, 1):
        address = LocalAddress(f"192.0.2.{number}", 24, "eth0", 1500)
        made.nodes[name].wiring = ObservedWiring(items=(), altered=(), addresses=(address,), tools=tools)
    return made


def situation_of(case: dict[str, Any]) -> Situation:
    """`nodes`, `others` and `web` as in tests/cases/scheduling. Others' replicas are where `at` says."""
    others = case.get("others", {})
    services = {**others, "web": case.get("web", {})}
    specs = tuple(service(name, services[name], others.get(name, {}).get("at", [])) for name in sorted(services))
    names = tuple(sorted(case["nodes"]))
    spec = StackSpec("s", specs, volumes=(VolumeSpec("s_data", "data"),))
    stack = DesiredStack(Revision("s", 1, spec, "", 0.0, "me"), tuple((each.name, names) for each in specs))
    placements = [
        Placement("s", name, slot, where, 1, 1)
        for name, each in others.items()
        for slot, where in enumerate(each.get("at", []), 1)
    ]
    volume = case.get("web", {}).get("volume")
    stumbled = case.get("web", {}).get("stumbled")
    memory = Memory(
        placements=tuple(sorted(placements, key=lambda each: each.key)),
        nodes=tuple(_memory(name, case["nodes"][name]) for name in names),
        volumes=(KnownVolume(volume, "s_data", "s"),) if volume else (),
        stumbles=(Stumbles("s", "web", stumbled, (NOW - 1.0,) * 5),) if stumbled else (),
    )
    return Situation(
        cluster="cafe",
        now=NOW,
        nodes=tuple(node(name, case["nodes"][name]) for name in names),
        stacks=(stack,),
        observed=tuple(each for name in names if (each := _observed(name, case["nodes"][name], volume)) is not None),
        memory=memory,
    )


def node(name: str, said: dict[str, Any]) -> Node:
    return Node(
        name,
        groups=tuple(said.get("groups", [])),
        labels=tuple(sorted(said.get("labels", {}).items())),
        availability=Availability(said.get("availability", "active")),
        orphaned=said.get("orphaned", False),
        taints=tuple(_taint(each) for each in said.get("taints", [])),
        devices=tuple(sorted(said.get("devices", {}).items())),
        node_id=said.get("id"),
    )


def _taint(said: str) -> Taint:
    head, _, effect = said.rpartition(":")
    key, _, value = head.partition("=")
    return Taint(key, value, effect)


def _memory(name: str, said: dict[str, Any]) -> NodeMemory:
    return NodeMemory(name, NodeState(said.get("state", "ready")), misses=int("state" in said))


def _observed(name: str, said: dict[str, Any], volume: str | None) -> Observation | None:
    """None for nodes that are said to be in a state: it is remembered, since they were not asked."""
    if said.get("state") == "unobserved":
        return Silent(name, connected=True, kind="BadAnswer", message="cut short")
    if "state" in said:
        return None
    facts = Facts(
        node_id=said.get("id", name),
        hostname=said.get("hostname", name),
        os=said.get("os", "Debian GNU/Linux 12 (bookworm)"),
        arch=said.get("arch", "x86_64"),
        cpus=said.get("cpus", 4),
        memory=int(said.get("memory", 8) * GIB),
        runtime="docker",
        platform=said.get("platform", "Linux"),
    )
    return ObservedNode(name, facts, volumes=(ObservedVolume("s_data"),) if volume == name else ())


def _port(said: int | str) -> Port:
    """`8080`, `53/udp`, or `10.0.0.1:80/tcp`."""
    where, _, protocol = str(said).partition("/")
    address, _, number = where.rpartition(":")
    return Port(80, int(number), protocol or "tcp", address or None)


def service(name: str, said: dict[str, Any], on: list[str]) -> ServiceSpec:
    rules = {
        key: said[key] for key in ("constraints", "preferences", "max_replicas_per_node", "strategy") if key in said
    }
    return ServiceSpec(
        name,
        ContainerSpec(
            "app:1",
            network_mode="none",
            ports=tuple(_port(each) for each in said.get("ports", [said["port"]] if "port" in said else [])),
            mounts=(Mount("volume", "/data", "s_data"),) if "volume" in said else (),
        ),
        mode=said.get("mode", "replicated"),
        replicas=said.get("replicas", max(len(on), 1)),
        priority=said.get("priority", 0),
        placement=PlacementRules(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in rules.items()},
            tolerations=tuple(Toleration(**each) for each in said.get("tolerations", [])),
            neighbours=tuple(Neighbour(**each) for each in said.get("neighbours", [])),
        ),
        reservations=Reservations(
            said.get("cpus", 0.0),
            int(said.get("memory", 0) * GIB),
            tuple(
                DeviceRequest(
                    tuple(each["capabilities"]),
                    each.get("driver", ""),
                    each.get("count", 1),
                    tuple(each.get("ids", [])),
                )
                for each in said.get("devices", [])
            ),
        ),
    )
