"""Which nodes keep failing a service's replicas: Swarm's rule, five times in five minutes, and a node weighs less.

It keeps a replica that fails for a reason of the node's (a full disk, a bad runtime) from going there again and again.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from shipyard.base.record import replace
from shipyard.model.memory import StumbleKey, Stumbles
from shipyard.planner.world import World

TIMES = 5
PERIOD = 300.0
"""Seconds."""


def note(
    known: MutableMapping[StumbleKey, Stumbles], stack: str, service: str, node: str, now: float, times: int = 1
) -> None:
    """So many more failures of a service's replicas on a node. Only as many are kept as matter."""
    before = known.get((stack, service, node), Stumbles(stack, service, node))
    kept = (*_recent(before, now), *[now] * times)
    known[before.key] = replace(before, times=kept[-TIMES:])


def stumbled(world: World, stack: str, service: str, node: str) -> bool:
    """Whether the node has failed this service's replicas too often of late."""
    known = world.stumbles.get((stack, service, node))
    return known is not None and len(_recent(known, world.now)) >= TIMES


def forget(world: World) -> None:
    """What was too long ago to matter."""
    for key, known in list(world.stumbles.items()):
        if not _recent(known, world.now):
            del world.stumbles[key]


def _recent(known: Stumbles, now: float) -> tuple[float, ...]:
    return tuple(time for time in known.times if now - time < PERIOD)
