"""A lost node answers again, and two containers may be at work for one replica: which of them stays.

By the service's rule the newer one (`keep_new`), or the one that was there all along (`keep_old`), if it is well. None
is stopped in favour of one that does not serve.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Placement
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import condition, slots
from shipyard.planner.condition import Kind
from shipyard.planner.scheduling import Ledger
from shipyard.planner.world import World


def welcome(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placed: list[Placement]
) -> list[Placement]:
    """The placements, with those replaced that are better kept where they had been."""
    if not world.book.departed:
        return placed
    departed = world.book.departed
    return [
        _settled(world, ledger, stack, service, placement) if placement.key in departed else placement
        for placement in placed
    ]


def _settled(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> Placement:
    for left in world.book.departed.get(placement.key, ()):
        if left.decided or left.node not in world.seen:
            continue
        old = replace(placement, node=left.node, incarnation=left.incarnation)
        box = _left_there(world, ledger, stack, service, old)
        choice = "new" if box is None else _choose(world, stack, service, placement, box)
        if choice != "undecided":
            world.book.settle(placement.key, left.node)
        if choice == "old":
            slots.leave(world, placement, decided=True)
            ledger.remove(placement, service)
            ledger.add(old, service)
            world.placements[old.key] = old
            return old
    return placement


def _left_there(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, old: Placement
) -> Container | None:
    """The container that was left behind, if it may be there and is what is declared now."""
    name, wanted = world.name_of(old), spec_hash(service.container_for(old.node, old.slot))
    for node, box in world.containers.get(old.key, ()):
        if node == old.node and box.name == name and box.label(labels.SPEC) == wanted:
            return box if not slots.why_move(world, ledger, stack, service, old) else None
    return None


def _choose(world: World, stack: DesiredStack, service: ServiceSpec, new: Placement, box: Container) -> str:
    """`old`, `new` or `undecided`: the one that may stay has not started yet."""
    kind = condition.of(world, stack, service, new).kind
    if condition.serves(box):
        if service.reschedule.when_back == "keep_old" or kind not in (Kind.READY, Kind.STARTING):
            return "old"
        return "new" if kind == Kind.READY else "undecided"
    if service.reschedule.when_back == "keep_old" and _may_come_up(box):
        return "undecided"
    return "new"


def _may_come_up(box: Container) -> bool:
    starting = box.state == ContainerState.RUNNING and box.health == Health.STARTING
    return starting or box.state == ContainerState.RESTARTING
