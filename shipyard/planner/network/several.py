"""Containers on several networks that span nodes: they go out by one of their addresses, whatever network it leads to.

A container knows its own block of each network, and for all else it has one default route. So what it sends to another
node's block of its second network has its address on the first one. Rules that go by addresses have to know that.
Where the two networks have different drivers it would go by the device of the one and be answered by that of the other,
which may be the one that does not encrypt. So there the node gives it the container's own address on the network that
it goes to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import permutations

from shipyard.planner.network import endpoints
from shipyard.planner.network.rules import Beside, Crossing
from shipyard.planner.placements import ServiceKey
from shipyard.planner.world import World

_Joined = Mapping[ServiceKey, tuple[str, ...]]
"""The networks of each service that is on several of those that span nodes."""


def besides(world: World) -> tuple[Beside, ...]:
    """For each two networks that one service is on: the addresses on one of which the other may be reached."""
    wanted = _on_several(world)
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for joined in wanted.values():
        for pair in permutations(joined, 2):
            found[pair].update()
    for key, _, addresses in _together(world, wanted):
        for network, other in permutations(wanted[key], 2):
            if network in addresses:
                found[network, other].add(addresses[network])
    return tuple(
        Beside(network, other, tuple(sorted(addresses))) for (network, other), addresses in sorted(found.items())
    )


def crossings(
    world: World, drivers: Mapping[str, str], blocks: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[Crossing, ...]]:
    """For each node, what its own containers are to have as source where they go to a network of another driver.

    `drivers`: of each network. `blocks`: by network, then node.
    """
    wanted = {
        key: joined
        for key, joined in _on_several(world).items()
        if len({drivers.get(network) for network in joined}) > 1
    }
    found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for _, node, addresses in _together(world, wanted):
        for network, other in permutations(addresses, 2):
            if drivers.get(network) != drivers.get(other):
                found[node, other][addresses[network]] = addresses[other]
    made: defaultdict[str, tuple[Crossing, ...]] = defaultdict(tuple)
    for (node, other), sources in sorted(found.items()):
        away = tuple(sorted(block for at, block in blocks.get(other, {}).items() if at != node))
        if away:
            made[node] += (Crossing(away, tuple(sorted(sources.items()))),)
    return made


def _on_several(world: World) -> _Joined:
    return {
        (stack.revision.stack, service.name): joined
        for stack in world.situation.stacks
        if not stack.removing
        for service in stack.revision.spec.services
        if len(joined := endpoints.joined_by(world, service)) > 1
    }


def _together(world: World, wanted: _Joined) -> Iterator[tuple[ServiceKey, str, dict[str, str]]]:
    """Of each container that is there or about to be made: its service, its node, and its addresses by network."""
    if not wanted:
        return
    leased: defaultdict[tuple[ServiceKey, str, int, int], dict[str, str]] = defaultdict(dict)
    for lease in world.net.leases.values():
        key = (lease.stack, lease.service)
        if lease.network in wanted.get(key, ()):
            leased[key, lease.node, lease.slot, lease.incarnation][lease.network] = lease.address
    for (key, node, _, _), addresses in leased.items():
        yield key, node, addresses
    for key, joined in wanted.items():
        for boxes in world.containers.now_of(*key).values():
            for node, box in boxes:
                yield key, node, dict(endpoints.addresses_of(box, joined))
