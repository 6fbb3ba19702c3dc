"""Replicas that a person asked to be moved (`rebalance`): wishes, which the passes carry out as any other move.

A wish is kept until its replica is there. It is dropped where the replica could not stay there, and after an hour:
what was even then need not be so now.
"""

from __future__ import annotations

from shipyard.model.memory import Placement, Relocation
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import storage
from shipyard.planner.scheduling import Choices, Ledger
from shipyard.planner.world import World

PERIOD = 3600.0
"""Seconds."""


def drop_stale(world: World, ledger: Ledger) -> None:
    """Forget wishes that are fulfilled, or can't be."""
    if not world.relocations:
        return
    for key, wish in sorted(world.relocations.items()):
        placement, declared = world.placements.get(key), ledger.services.get(key[:2])
        if (
            placement is None
            or declared is None
            or placement.node == wish.node
            or world.now - wish.since > PERIOD
            or not possible(world, ledger, *declared, placement)
            or Choices(world, ledger, *declared, declared[0].eligible_for(key[1])).standing(wish.node)
        ):
            del world.relocations[key]


def possible(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> bool:
    """Whether a replica may be moved without need."""
    return (
        service.mode == "replicated"
        and placement.node in world.seen
        and not storage.pinned(world, stack, service, placement)
    )


def wished(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> Relocation | None:
    """Where a replica is to move now; None also while there is no room for it yet."""
    wish = world.relocations.get(placement.key)
    if wish is None or wish.node == placement.node:
        return None
    choices = Choices(world, ledger, stack, service, stack.eligible_for(service.name))
    return None if choices.standing(wish.node) or choices.refusal(wish.node) else wish
