"""Containers on several networks that span nodes: they go out by one of their addresses, whatever network it leads to.

A container knows its own block of each network, and for all else it has one default route. So what it sends to another
node's block of its second network has its address on the first one. Rules that go by addresses have to know that.
"""

from __future__ import annotations

from collections import defaultdict

from shipyard.planner.network import endpoints
from shipyard.planner.network.rules import Beside
from shipyard.planner.world import World


def besides(world: World) -> tuple[Beside, ...]:
    """For each two networks that one service is on: the addresses on one of which the other may be reached."""
    wanted: dict[tuple[str, str], tuple[str, ...]] = {}
    for stack in world.situation.stacks:
        for service in () if stack.removing else stack.revision.spec.services:
            joined = endpoints.joined_by(world, service)
            if len(joined) > 1:
                wanted[stack.revision.stack, service.name] = joined
    if not wanted:
        return ()
    there: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for lease in world.net.leases.values():
        if joined := wanted.get((lease.stack, lease.service), ()):
            for other in joined:
                found[lease.network, other].add(lease.address)
    for key, joined in wanted.items():
        for boxes in world.containers.now_of(*key).values():
            for _, box in boxes:
                for network, address in endpoints.addresses_of(box, joined):
                    for other in joined:
                        found[network, other].add(address)
        for network in joined:
            for other in joined:
                there[network, other] |= found[network, other]
    return tuple(
        Beside(network, other, tuple(sorted(addresses)))
        for (network, other), addresses in sorted(there.items())
        if network != other
    )
