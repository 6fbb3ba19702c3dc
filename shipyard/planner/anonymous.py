"""Volumes without a name (an image's VOLUME, Compose's `- /data`) carry over to the container that takes a place.

Only the container that has them says whose they are. So it is stopped, and removed once its successor has them:
whatever fails in between, the next pass still finds the data. What somebody else removed is remembered.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from shipyard.model.container import ContainerSpec, Pairs
from shipyard.model.memory import Nameless, Placement, SlotKey
from shipyard.model.observed import Container, ContainerState
from shipyard.model.situation import DesiredStack
from shipyard.planner import groups
from shipyard.planner.world import World

ALIVE = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


def carried(
    stack: DesiredStack, spec: ContainerSpec, before: Iterable[Container]
) -> tuple[Pairs, tuple[Container, ...]]:
    """What a new container keeps of those before it on its node, as (target, volume), and who of them has that.

    Where the spec now mounts something else it wins. Of several containers the one that runs, or ran last, does.
    """
    taken = {posixpath.normpath(mount.target) for mount in spec.mounts if mount.kind != "volume" or mount.source}
    taken |= {posixpath.normpath(config.target) for config in (*spec.configs, *spec.secrets)}
    keep: dict[str, str] = {}
    holders = []
    for box in sorted(before, key=_rank):
        more = {
            posixpath.normpath(target): volume
            for target, volume in box.anonymous
            if stack.revision.spec.volume(volume) is None
        }
        more = {target: volume for target, volume in more.items() if target not in taken and target not in keep}
        if more:
            keep |= more
            holders.append(box)
    return tuple(sorted(keep.items())), tuple(holders)


def remember(world: World) -> None:
    """Note whose volumes without a name there are, as long as their containers tell."""
    for stack, service in world.containers.services():
        for slot, found in world.containers.now_of(stack, service).items():
            for _, box in found:
                if box.anonymous or box.parts:
                    _remember(world, (stack, service, slot), found)
                    break


def _remember(world: World, key: SlotKey, found: Iterable[tuple[str, Container]]) -> None:
    placement = world.placements.get(key)
    here = [part for node, box in found if placement and node == placement.node for part in groups.parts_of(box)]
    for part in sorted((part for part in here if part.anonymous), key=_rank, reverse=True):
        assert placement is not None, "there is a container on its node"
        nameless = Nameless(*key, groups.member_of(part), placement.node, part.anonymous)
        world.nameless[nameless.key] = nameless


def carried_over(
    world: World, stack: DesiredStack, spec: ContainerSpec, placement: Placement, before: Sequence[Container]
) -> tuple[dict[str, Pairs], tuple[Container, ...]]:
    """As `carried`, for each container of a replica by its member's name ("" for the main or only one).

    Where nothing at all is left of a replica on its node, its volumes are those that are remembered.
    """
    if not before and not world.nameless:  # as it is of most new replicas
        return {}, ()
    specs = {"": spec} | {member.name: member.container for member in spec.members if member.kind == "sidecar"}
    kept: dict[str, Pairs] = {}
    having: set[str] = set()
    for name, each in specs.items():
        kept[name], holders = carried(stack, each, (part for _, part in _same(name, before)))
        ids = {part.id for part in holders}
        if not any(node == placement.node for node, _ in world.containers.get(placement.key, ())):
            kept[name], _ = carried(stack, each, _remembered(world, placement, name))
        having |= {box.id for box, part in _same(name, before) if part.id in ids}
    return kept, tuple(box for box in before if box.id in having)


def _remembered(world: World, placement: Placement, member: str) -> list[Container]:
    """In the place of the container that is gone."""
    nameless = world.nameless.get((*placement.key, member))
    if nameless is None or nameless.node != placement.node:
        return []
    return [Container("", "", ContainerState.EXITED, anonymous=nameless.volumes)]


def _same(name: str, before: Sequence[Container]) -> list[tuple[Container, Container]]:
    """The replica's older containers that were what this one is, behind what they belong to."""
    return [(box, part) for box in before for part in groups.parts_of(box) if groups.member_of(part) == name]


def _rank(box: Container) -> tuple[bool, bool, float, str]:
    return box.state not in ALIVE, box.age is None, box.age or 0.0, box.id
