"""Whatever happens to a replica's container on its node, the data in its anonymous volumes stays with the replica."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck, Port
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, UpdatePolicy
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2")
THIEF = Container("f" * 64, "thief", ContainerState.RUNNING)
FAULTS = ("stop", "pause", "dead", "unhealthy", "killed", "port taken", "port free", "image gone", "update")


def declared(number: int, order: str) -> tuple[DesiredStack, ...]:
    container = ContainerSpec(
        "app:1",
        environment=(("V", str(number)),),
        network_mode="none",
        ports=(Port(80, 8000),),
        healthcheck=Healthcheck(("CMD", "true")),
    )
    policy = UpdatePolicy(order="start-first" if order == "start-first" else "stop-first")
    spec = StackSpec("s", (ServiceSpec("db", container, mode="global", update=policy),))
    return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), (("db", NODES),)),)


def hurt(fleet: SimulatedFleet, fault: str, pick: int) -> None:
    node = fleet.nodes[NODES[pick % len(NODES)]]
    ours = sorted(key for key in node.boxes if key != THIEF.id)
    changes: dict[str, dict[str, object]] = {
        "stop": {"state": ContainerState.EXITED, "exit_code": 143},
        "pause": {"state": ContainerState.PAUSED},
        "dead": {"state": ContainerState.DEAD},
        "unhealthy": {"health": Health.UNHEALTHY},
    }
    if fault == "port taken":
        node.boxes[THIEF.id], node.specs[THIEF.id] = THIEF, ContainerSpec("theirs", ports=(Port(80, 8000),))
    elif fault == "port free":
        node.boxes.pop(THIEF.id, None)
    elif fault == "image gone":
        node.images.clear()
    elif fault in changes and ours:
        key = ours[pick // 7 % len(ours)]
        node.boxes[key] = replace(node.boxes[key], **changes[fault])  # type: ignore[arg-type]  # fields by keyword


@settings(max_examples=60, deadline=None)
@given(
    faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 1000)), max_size=15),
    order=st.sampled_from(["stop-first", "start-first"]),
    healthy=st.booleans(),
)
def test_the_data_stays_with_the_replica(faults: list[tuple[str, int]], order: str, healthy: bool) -> None:
    fleet = SimulatedFleet(NODES)
    fleet.image_volumes = {"app:1": ("/data", "/var/log")}
    fleet.healthy_at_once = healthy
    number = 1
    fleet.converge(declared(number, order))
    before = {node.name: next(iter(node.boxes.values())).anonymous for node in fleet.nodes.values()}
    for fault, pick in faults:
        number += fault == "update"
        hurt(fleet, fault, pick)
        fleet.one_pass(declared(number, order), killed_after=pick % 5 if fault == "killed" else None)
        fleet.now += pick
    for node in fleet.nodes.values():
        node.boxes.pop(THIEF.id, None)
    fleet.converge(declared(number, order))
    after = {node.name: [box.anonymous for box in node.boxes.values()] for node in fleet.nodes.values()}
    assert after == {name: [volumes] for name, volumes in before.items()}
