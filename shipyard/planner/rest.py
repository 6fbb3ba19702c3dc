"""Replicas that are exactly as they should be: nothing is decided about them, and few things looked at.

That is so for nearly all of them in nearly all passes, and what makes a pass over a large fleet quick. It decides
nothing of its own: who is at rest here would go through `condition`, `slots` and `wiring` without a step, a wait or a
word (tests/property/test_rest.py). So whatever is not known here is not at rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.base.record import MISSING, Struct, defaults
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.container import ContainerSpec
from shipyard.model.memory import Placement
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups, slots, wiring
from shipyard.planner.scheduling import Ledger, filters
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
        "names_from",
        "peer_domains",
        "name_token",
        "order",
        "scaled",
        "images",
        "rendered",
        "reached",
        "endpoint_mode",
        "service_ports",
        "session_affinity",
        "peer_names",
        "allow",
        "expose_on",
        "ingress",
    }
)
"""Keys of a service that ask nothing of a replica which runs as declared. One with other keys is looked at closely."""

_OTHERS = tuple((name, default) for name, default in defaults(ServiceSpec).items() if name not in QUIET)
assert all(default is not MISSING for _, default in _OTHERS)

_MODES = ("replicated", "global")
_WELL = (Health.NONE, Health.HEALTHY)


def at_rest(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placements: Iterable[Placement]
) -> set[int] | None:
    """The slots that run as declared, where they may stay, and of which nothing is remembered against them.

    None for a service all of whose replicas have to be looked at.
    """
    if service.mode not in _MODES or any(getattr(service, name) != default for name, default in _OTHERS):
        return None
    name = stack.revision.stack
    update = world.rollouts.get((name, service.name))
    if update is None or not update.completed or update.revision != stack.revision.number:
        return None
    there = world.containers.now_of(name, service.name)
    welcome = filters.static(world, ledger, name, service, stack.eligible_for(service.name))[0]
    ports = bool(service.variants) or bool(filters.ports_of(ledger, name, service, ""))
    most, placed = service.placement.max_replicas_per_node, ledger.places[name, service.name]
    spec, alike = service.container, not (service.variants or service.per_replica or service.stable_names)
    wanted: _Wanted | None = None
    resting: set[int] = set()
    for placement in placements:
        node = placement.node
        if not alike:
            spec = service.container_for(node, placement.slot)
        if wanted is None or wanted.spec is not spec:
            wanted = _Wanted(spec, (labels.SPEC, spec_hash(spec)), wiring.expected(world, stack, spec), spec.files())
        boxes = there.get(placement.slot, ())
        if len(boxes) != 1 or boxes[0][0] != node or not _well(world, wanted, placement, boxes[0][1]):
            continue
        doubtful = ports or node not in welcome or (world.relocations and placement.key in world.relocations)
        doubtful = doubtful or (most is not None and placed[node] > most)
        if not doubtful or not slots.why_move(world, ledger, stack, service, placement):
            resting.add(placement.slot)
    return resting


class _Wanted(Struct, frozen=True):
    """What all containers of one spec are compared with. `label`: the one that says what they were made from."""

    spec: ContainerSpec
    label: tuple[str, str]
    wiring: wiring.Wiring | None
    files: tuple[str, ...]


def _well(world: World, wanted: _Wanted, placement: Placement, box: Container) -> bool:
    return (
        box.state is ContainerState.RUNNING
        and box.health in _WELL
        and not box.restarts
        and wanted.label in box.labels
        and box.name == world.name_of(placement)
        and wanted.wiring is not None
        and wanted.wiring.in_order(world, placement, box)
        and not (world.failures and placement.key in world.failures)
        and not (world.attempts and placement.key in world.attempts)
        and (not wanted.files or world.stock(placement.node).files.issuperset(wanted.files))
        and (not (box.parts or wanted.spec.members) or groups.complete(wanted.spec, box))
    )
