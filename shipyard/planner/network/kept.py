"""Drivers that no file names are remembered while anything is on their networks; and what should be known of them."""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.model.plan import Notice
from shipyard.model.spec import NetworkSpec
from shipyard.planner.network import choosing
from shipyard.planner.network.spanning import spans
from shipyard.planner.world import World


def keep(world: World) -> None:
    """What was decided for this step holds from now on, where a replica is placed on it."""
    declared = {
        network.name: (stack, network)
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
    for name, (stack, _) in declared.items():
        resolved = world.network(stack.revision.stack, name)
        if name in used and resolved is not None:
            drivers[name] = resolved.driver if resolved.driver and spans(resolved) else choosing.OWN
    world.net.drivers.clear()
    world.net.drivers.update(drivers)
    own = {name: network for name, (_, network) in declared.items() if drivers.get(name) == choosing.OWN}
    if own:
        world.wave.notices += _apart(world, own)


def _apart(world: World, own: dict[str, NetworkSpec]) -> Iterator[Notice]:
    """Of networks that one would take for one across nodes, and that are not."""
    for name, of in sorted(choosing.users(world.situation.stacks, own).items()):
        if not choosing.wanted_across(of):
            continue
        without = f", and {of.asks} has no effect" if of.asks else ""
        what = f"{name} is each node's own: services on different nodes don't reach each other on it{without}"
        meant = "`driver: bridge` says that this is meant"
        if key := choosing.configured(own[name]):
            why = f"its {key} is for the runtime's own networks; {meant}"
        elif unfit := choosing.unfit(world.situation, name):
            why = f"{unfit}; {meant}"
        else:
            change = "`driver: vxlan` makes it one across nodes, and its containers anew"
            why = f"it was so when its first replica came, and stays so; {change}, {meant}"
        yield Notice(name, "EachNodesOwn", f"{what} ({why})")
