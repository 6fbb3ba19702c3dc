"""Replicas with volumes and names of their own, one after the other: what a StatefulSet gives, in virtual time."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck, Mount
from shipyard.model.observed import Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner import condition
from tests.simulated import SimulatedFleet

NAMES = ("n1", "n2", "n3")
DATA = VolumeSpec("s_data", "data", per_replica=True)
DB = ServiceSpec(
    "db",
    ContainerSpec(
        "app:1",
        network_mode="none",
        mounts=(Mount("volume", "/data", "s_data"),),
        healthcheck=Healthcheck(("CMD", "true")),
    ),
    replicas=3,
    per_replica=("s_data",),
    stable_names=True,
    order="ordered",
)


def desired(service: ServiceSpec = DB, number: int = 1) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", (service,), (), (DATA,))
    return (DesiredStack(Revision("s", number, spec, stack_digest(spec), 0.0, "me"), (("db", NAMES),)),)


@pytest.fixture
def fleet() -> SimulatedFleet:
    fleet = SimulatedFleet(NAMES)
    fleet.healthy_at_once = False
    return fleet


def slots(fleet: SimulatedFleet, *, ready: bool = False) -> list[int]:
    """Of the containers that run; with `ready`, of those that serve."""
    found = [box for _, box in fleet.running() if not ready or condition.serves(box)]
    return sorted(int(box.label(labels.SLOT) or 0) for box in found)


def homes(fleet: SimulatedFleet) -> dict[str, str]:
    """Node by volume."""
    return {name: node.name for node in fleet.nodes.values() for name in node.volumes}


def test_each_starts_once_those_before_it_are_ready(fleet: SimulatedFleet) -> None:
    for count in (1, 2, 3):
        fleet.one_pass(desired())
        waiting = fleet.one_pass(desired()).waiting
        assert slots(fleet) == list(range(1, count + 1))
        assert [each.target for each in waiting if each.reason == "Ordered"] == [
            f"s/db.{slot}" for slot in range(count + 1, 4)
        ]
        fleet.tick()
    fleet.converge(desired())
    assert sorted(homes(fleet)) == ["s_data_1", "s_data_2", "s_data_3"]


def test_scaled_down_from_the_last_one_at_a_time_and_up_again_to_their_own_data(fleet: SimulatedFleet) -> None:
    fleet.converge(desired())
    before = homes(fleet)
    fewer = desired(replace(DB, replicas=0), 2)
    seen = []
    for _ in range(4):
        fleet.one_pass(fewer)
        seen.append(slots(fleet))
    assert seen == [[1, 2], [1], [], []]
    fleet.nodes["n1"].boxes.clear()
    fleet.converge(desired(number=3))
    assert homes(fleet) == before
    assert slots(fleet) == [1, 2, 3]
    assert not fleet.removed_volumes


def test_an_update_begins_with_the_last(fleet: SimulatedFleet) -> None:
    fleet.converge(desired())
    changed = desired(replace(DB, container=replace(DB.container, image="app:2")), 2)
    turns = []
    for _ in range(20):
        fleet.one_pass(changed)
        assert len(slots(fleet, ready=True)) >= 2
        new = sorted(int(box.label(labels.SLOT) or 0) for _, box in fleet.running() if box.image == "app:2")
        if not turns or turns[-1] != new:
            turns.append(new)
        fleet.tick()
    assert [turn for turn in turns if turn] == [[3], [2, 3], [1, 2, 3]]


def test_what_crashes_is_started_again_whatever_the_others_do(fleet: SimulatedFleet) -> None:
    fleet.converge(desired())
    for node in fleet.nodes.values():
        for identity, box in list(node.boxes.items()):
            if box.label(labels.SLOT) == "1":
                node.boxes[identity] = replace(box, health=Health.UNHEALTHY)
            if box.label(labels.SLOT) == "3":
                node.boxes[identity] = replace(box, health=Health.UNHEALTHY)
    fleet.converge(desired())
    assert slots(fleet, ready=True) == [1, 2, 3]


def test_without_an_order_they_come_and_go_together(fleet: SimulatedFleet) -> None:
    alike = replace(DB, order="parallel")
    fleet.one_pass(desired(alike))
    assert slots(fleet) == [1, 2, 3]
    fleet.converge(desired(alike))
    fleet.one_pass(desired(replace(alike, replicas=0), 2))
    assert slots(fleet) == []


def test_a_replicas_data_is_not_begun_anew_elsewhere(fleet: SimulatedFleet) -> None:
    fleet.converge(desired())
    where = homes(fleet)["s_data_3"]
    fleet.converge(desired(replace(DB, replicas=2), 2))
    fleet.nodes[where].up = False
    for _ in range(60):
        last = fleet.one_pass(desired(number=3))
        fleet.now += 20
    assert "s_data_3" not in [name for name, node in homes(fleet).items() if node != where]
    (blocked,) = [each for each in last.blocked if each.target == "s/db.3"]
    assert where in blocked.detail
    fleet.nodes[where].up = True
    fleet.converge(desired(number=3))
    assert slots(fleet, ready=True) == [1, 2, 3]
