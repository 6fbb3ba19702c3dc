"""Services of which every replica is exactly as it should be: nothing is decided about them, and few things looked at.

That is so for nearly all services in nearly all passes, and what makes a pass over a large fleet quick. It decides
nothing of its own: who is at rest here would go through `condition`, `slots` and `wiring` without a step, a wait or a
word (tests/property/test_rest.py). So whatever is not known here is not at rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields

from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Placement
from shipyard.model.observed import ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import slots, wiring
from shipyard.planner.scheduling import Ledger
from shipyard.planner.world import World

QUIET = frozenset(
    {
        "name",
        "container",
        "pattern",
        "file",
        "tags",
        "mode",
        "replicas",
        "variants",
        "per_node",
        "placement",
        "reservations",
        "update",
        "rollback",
        "canary",
        "labels",
        "depends_on",
        "priority",
        "reschedule",
        "per_replica",
        "stable_names",
        "order",
        "images",
        "rendered",
    }
)
"""Keys of a service that ask nothing of a replica which runs as declared. One with other keys is looked at closely."""

_OTHERS = tuple((field.name, field.default) for field in fields(ServiceSpec) if field.name not in QUIET)
assert all(default is not MISSING for _, default in _OTHERS)

_MODES = ("replicated", "global")
_WELL = (Health.NONE, Health.HEALTHY)


def at_rest(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placements: Iterable[Placement]
) -> bool:
    """Whether all replicas run as declared, where they may stay, and nothing is remembered against them."""
    if service.mode not in _MODES or any(getattr(service, name) != default for name, default in _OTHERS):
        return False
    if any(other.restart for other in service.depends_on):
        return False
    if (stack.revision.stack, service.name) in world.rollouts:
        return False
    return all(_rests(world, ledger, stack, service, placement) for placement in placements)


def _rests(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> bool:
    key, node = placement.key, placement.node
    there = world.containers.get(key, ())
    if len(there) != 1 or there[0][0] != node or key in world.failures:
        return False
    box = there[0][1]
    if box.state is not ContainerState.RUNNING or box.health not in _WELL or box.restarts:
        return False
    spec = service.container_for(node, placement.slot)
    return (
        box.label(labels.SPEC) == spec_hash(spec)
        and box.name == world.name_of(placement)
        and wiring.in_order(world, stack, spec, node, box)
        and not slots.why_move(world, ledger, stack, service, placement)
    )
