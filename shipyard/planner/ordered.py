"""Replicas that start and stop one after the other (`order: ordered`), as those of a StatefulSet do.

A replica is made once all before it are ready; scaling down goes from the last, one at a time. What crashes is started
again where it is, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shipyard.model.plan import Waiting
from shipyard.model.spec import ServiceSpec
from shipyard.planner.condition import Condition, Kind
from shipyard.planner.world import World

WELL = (Kind.READY, Kind.COMPLETED)


def leaving(world: World, stack: str, service: ServiceSpec, spare: Iterable[int]) -> list[int]:
    """Of the slots that are too many, those that may go now: the last that has a container, and all beyond it."""
    last = sorted(spare)
    if service.order != "ordered" or not last:
        return last
    there = world.containers.now_of(stack, service.name).keys()
    going = there - world.placements.now_of(stack, service.name).keys()
    if max(going, default=0) > last[-1]:
        return []
    first = max((slot for slot in last if slot in there), default=0)
    return [slot for slot in last if slot >= first]


def held(service: ServiceSpec, conditions: Sequence[Condition]) -> dict[int, Waiting]:
    """By slot, the replicas that are not to be made yet."""
    if service.order != "ordered":
        return {}
    waiting: dict[int, Waiting] = {}
    first: Condition | None = None
    for each in conditions:
        if first is not None and each.kind == Kind.MISSING:
            slot, before = each.placement.slot, first.placement.slot
            why = f"waits until {service.name}.{before} is ready"
            waiting[slot] = Waiting(each.target, "Ordered", why)
        if first is None and not (each.kind in WELL or (each.kind == Kind.OUTDATED and each.serving)):
            first = each
    return waiting
