"""What a node offers and what a replica takes: whole numbers, so that no order of adding makes a difference."""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.base.record import Struct
from shipyard.model.container import DeviceRequest
from shipyard.model.node import Node
from shipyard.model.observed import Facts
from shipyard.model.spec import ServiceSpec
from shipyard.planner.scheduling.explain import Refusal, lacking, size

SYSTEM_MEMORY = 0.05
"""Share of a node's memory that is kept for the system, beside reservations. Cores are but time: all are given."""

CORE = 1_000_000
"""Parts of one core."""


class Demand(Struct, frozen=True):
    """What one replica has reserved. `cpus` in parts of a core, `memory` in bytes."""

    cpus: int = 0
    memory: int = 0
    devices: tuple[DeviceRequest, ...] = ()


class Capacity(Struct, frozen=True):
    """What a node gives to all its replicas together; 0 for what is not known, and so not held against it."""

    cpus: int
    memory: int
    devices: Mapping[str, int]

    def wanted(self, request: DeviceRequest) -> int:
        """How many devices that is here."""
        return self.devices.get(request.kind, 0) if request.count is None else request.count


def demand(service: ServiceSpec) -> Demand:
    """Of one replica."""
    aside = service.reservations
    return Demand(round(aside.cpus * CORE), aside.memory, aside.devices)


def capacity(node: Node, facts: Facts | None) -> Capacity:
    """Measured, less the system's share. Devices are what the inventory says (`shipyard_devices`)."""
    devices: dict[str, int] = {}
    for name, count in node.devices:
        kind = name.rpartition("/")[2]
        for each in {name, kind}:
            devices[each] = devices.get(each, 0) + count
    if facts is None:
        return Capacity(0, 0, devices)
    return Capacity(facts.cpus * CORE, int(facts.memory * (1 - SYSTEM_MEMORY)), devices)


def _kinds(request: DeviceRequest) -> set[str]:
    """As which a device counts: an `nvidia/gpu` is a `gpu` too."""
    return {request.kind, request.kind.rpartition("/")[2]}


def _single(request: DeviceRequest) -> list[str]:
    """Devices that must be these and no others, as they count beside their kind."""
    return [f"{request.kind.rpartition('/')[2]}={each}" for each in request.ids]


def shortage(wants: Demand, used: Used, offers: Capacity) -> Refusal | None:
    """What the node has not enough of, if anything."""
    if wants.memory and offers.memory and used.memory + wants.memory > offers.memory:
        return lacking(f"memory (needs {size(wants.memory)})")
    if wants.cpus and offers.cpus and used.cpus + wants.cpus > offers.cpus:
        return lacking(f"cpus (needs {wants.cpus / CORE:g})")
    for request in wants.devices:
        if gone := next((each for each in _single(request) if used.devices.get(each, 0)), None):
            return lacking(f"devices (needs {gone.replace('=', ' ', 1)})")
        least = 1 if request.count is None else request.count
        free = min(offers.devices.get(kind, 0) - used.devices.get(kind, 0) for kind in _kinds(request))
        if free < max(least, offers.wanted(request)):
            count = "all" if request.count is None else str(request.count)
            return lacking(f"devices (needs {count} {request.kind})")
    return None


class Used(Struct):
    """What is reserved on a node so far."""

    cpus: int
    memory: int
    devices: dict[str, int]

    def change(self, wants: Demand, offers: Capacity, sign: int) -> None:
        """Add (`sign` 1) or take out (-1) what one replica has."""
        self.cpus += sign * wants.cpus
        self.memory += sign * wants.memory
        for request in wants.devices:
            for each in _single(request):
                self.devices[each] = self.devices.get(each, 0) + sign
            for kind in _kinds(request):
                self.devices[kind] = self.devices.get(kind, 0) + sign * offers.wanted(request)
