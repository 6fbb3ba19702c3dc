"""Drivers that no file names are remembered while anything is on their networks."""

from __future__ import annotations

from shipyard.planner.network import choosing
from shipyard.planner.network.spanning import spans
from shipyard.planner.world import World


def keep(world: World) -> None:
    """What was decided for this step holds from now on, where a replica is placed on it."""
    declared = {
        network.name: stack
        for stack in world.situation.stacks
        if not stack.removing
        for network in choosing.undeclared(stack)
    }
    if not declared:
        world.net.drivers.clear()
        return
    used = {
        attachment.network
        for key in world.placements.services()
        if (service := world.service(*key)) is not None
        for attachment in service.container.networks
    }
    drivers = {}
    for name, stack in declared.items():
        resolved = world.network(stack.revision.stack, name)
        if name in used and resolved is not None:
            drivers[name] = resolved.driver if resolved.driver and spans(resolved) else choosing.OWN
    world.net.drivers.clear()
    world.net.drivers.update(drivers)
    world.wave.notices += choosing.apart(world.situation)
