"""Ports of a node that an update gives from one replica to another: who has one keeps it until its own turn.

The ledger knows whose a port is to be. Until the update has reached the replica that had it, its container has it
still, and another one could not start.
"""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.container import Port
from shipyard.model.memory import Placement, SlotKey
from shipyard.model.observed import Container
from shipyard.model.plan import RemoveContainer
from shipyard.model.spec import ServiceSpec
from shipyard.planner.scheduling import Ledger
from shipyard.planner.scheduling.ledger import clash
from shipyard.planner.world import World


class Taken(Struct, frozen=True):
    """Who has a port that another is to have; `words` say it."""

    holder: SlotKey
    words: str


def taken(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement) -> Taken | None:
    """Another replica whose container has a port that this one is to have on its node."""
    wanted = _published(service, placement.node)
    return _holder(world, ledger, placement.node, placement.key, wanted) if wanted else None


def goes_first(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement, found: Taken) -> bool:
    """Whether this replica gives up its place although its successor has to wait.

    Those that hand their ports on in a ring would wait for each other for ever: the first of them begins.
    """
    ring, holder = [placement.key], found.holder
    while holder != placement.key:
        entry = ledger.services.get(holder[:2])
        if holder in ring or entry is None:
            return False
        ring.append(holder)
        follows = _holder(world, ledger, placement.node, holder, _published(entry[1], placement.node))
        if follows is None:
            return False
        holder = follows.holder
    return placement.key == min(ring)


def _holder(world: World, ledger: Ledger, node: str, own: SlotKey, wanted: list[Port]) -> Taken | None:
    for key, given in world.wave.publishing.get(node, ()):
        port = next((port for port in given if key != own and any(clash(port, mine) for mine in wanted)), None)
        if port is not None:
            return _taken(key, port, node)
    moving = {key for key in world.book.left_on(node) if key in world.placements}  # the rest goes before any starts
    for key in sorted((ledger.on(node).slots | moving) - {own}):
        for where, box in world.containers.get(key, ()):
            if where != node:
                continue
            for port in _ports(world, key, box, node):
                if any(clash(port, mine) for mine in wanted) and not _leaves(world, box):
                    return _taken(key, port, node)
    return None


def _taken(key: SlotKey, port: Port, node: str) -> Taken:
    name = f"{key[0]}/{key[1]}.{key[2]}"
    return Taken(key, f"{name} has port {port.published}/{port.protocol} of {node} until its turn comes")


def _leaves(world: World, box: Container) -> bool:
    """Whether it goes in this wave, before anything is started."""
    steps = (draft.step for draft in world.wave.drafts)
    return any(isinstance(step, RemoveContainer) and step.id == box.id for step in steps)


def _published(service: ServiceSpec, node: str) -> list[Port]:
    return [port for port in service.container_on(node).ports if port.published is not None]


def _ports(world: World, key: SlotKey, box: Container, node: str) -> list[Port]:
    """What a container publishes, by the revision that it was made from; nothing where that is not known any more."""
    made = world.made_from(key, box)
    return _published(made[1], node) if made is not None else []
