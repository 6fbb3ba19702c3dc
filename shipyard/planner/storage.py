"""Volumes: there before the containers that use them, never silently begun anew, never taken from others."""

from __future__ import annotations

from shipyard.model import labels
from shipyard.model.container import ContainerSpec, Pairs
from shipyard.model.memory import KnownVolume, Placement
from shipyard.model.plan import Blocked, CreateVolume, RemoveVolume
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, VolumeSpec
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World


def used(spec: ContainerSpec) -> list[str]:
    """Full names of the named volumes that the containers of a replica mount."""
    mounts = (mount for each in spec.containers() for mount in each.mounts)
    return sorted({mount.source for mount in mounts if mount.kind == "volume" and mount.source})


def local(stack: DesiredStack, spec: ContainerSpec) -> list[str]:
    """Those of them whose data is on one node only: they pin a replica to it."""
    volumes = ((name, stack.revision.spec.volume(name)) for name in used(spec))
    return [name for name, volume in volumes if volume is not None and not shared(volume)]


def pinned(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> str:
    """The local volume that holds a replica on its node, or ""."""
    for name in local(stack, service.container_for(placement.node, placement.slot)):
        if (placement.node, name) in world.volumes:
            return name
    return ""


def home(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> str:
    """Another node, where a container of the slot has the local volume that its next one is to have; "" if none.

    So it is where an update let the replica go, since it wanted the volume no more, and then that was taken back.
    """
    there = world.containers.get(placement.key)
    if not there:
        return ""
    wanted = local(stack, service.container_for(placement.node, placement.slot))
    for node, box in there:
        made = world.made_from(placement.key, box) if node != placement.node else None
        had = used(made[1].container_for(node, placement.slot)) if made is not None else []
        for name in wanted:
            if name in had and (node, name) in world.volumes and (placement.node, name) not in world.volumes:
                return node
    return ""


def shared(volume: VolumeSpec) -> bool:
    """Whether the volume is the same on every node: NFS or CIFS through the local driver, or another driver."""
    if volume.driver not in (None, "", "local"):
        return True
    return dict(volume.driver_opts).get("type", "") in ("nfs", "nfs4", "cifs")


def remember(world: World) -> None:
    """Note every volume of ours that is seen: from now on its absence is a loss."""
    for name, node in world.seen.items():
        for volume in node.volumes:
            said = dict(volume.labels)
            stack = said.get(labels.STACK, "")
            if said.get(labels.CLUSTER) == world.situation.cluster and stack:
                world.volumes[name, volume.name] = KnownVolume(name, volume.name, stack)


def ensure(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, target: str) -> tuple[Draft, ...] | None:
    """Drafts that make what is missing; None (and the reason in the wave's blocked) when the container must wait."""
    there = world.stock(node).volumes
    drafts: list[Draft] = []
    for name in used(spec):
        volume = stack.revision.spec.volume(name)
        if volume is None:
            continue
        known = (node, name) in world.volumes
        said = dict(there[name].labels) if name in there else {}
        problem = _problem(world, stack, volume, name in there, known, said, node)
        if problem is not None:
            world.wave.blocked.append(Blocked(target, *problem))
            return None
        if name not in there:
            drafts.append(_create(world, stack, volume, node))
    return tuple(drafts)


def _problem(
    world: World, stack: DesiredStack, volume: VolumeSpec, exists: bool, known: bool, said: dict[str, str], node: str
) -> tuple[str, str] | None:
    name = volume.name
    if volume.external:
        return None if exists else ("VolumeMissing", f"the external volume {name} does not exist on {node}")
    if exists:
        if known or said.get(labels.CLUSTER) == world.situation.cluster:
            return None
        return (
            "VolumeForeign",
            f"{node} has a volume {name} that shipyard did not make; "
            f"`shipyard volume adopt {stack.revision.stack} {name} --node {node}` uses it as it is",
        )
    if known and name not in world.situation.accept_empty and not shared(volume):
        return (
            "VolumeLost",
            f"the volume {name} is gone from {node}; its data with it. Bring it back, "
            f"or begin anew with --accept-empty {name}",
        )
    return None


def _create(world: World, stack: DesiredStack, volume: VolumeSpec, node: str) -> Draft:
    key = (node, CreateVolume, volume.name)
    if key in world.wave.once:
        return world.wave.once[key]
    said: Pairs = tuple(
        sorted(
            {**dict(volume.labels), labels.CLUSTER: world.situation.cluster, labels.STACK: stack.revision.stack}.items()
        )
    )
    step = CreateVolume(volume, said)
    draft = world.wave.add(node, Phase.PREPARE, volume.name, "Missing", f"no volume {volume.name} on {node}", step)
    world.wave.once[key] = draft
    return draft


def remove_named(world: World) -> None:
    """Volumes that a person named and confirmed, and no others."""
    if not world.situation.remove_volumes:
        return
    for name in sorted(world.seen):
        if not world.wave.may_act(name):
            continue
        for volume in world.seen[name].volumes:
            said = dict(volume.labels)
            ours = said.get(labels.CLUSTER) == world.situation.cluster or (name, volume.name) in world.volumes
            if volume.name in world.situation.remove_volumes and ours:
                detail = "named with --volumes"
                world.wave.add(name, Phase.TIDY, volume.name, "Requested", detail, RemoveVolume(volume.name))
    world.volumes = {key: volume for key, volume in world.volumes.items() if not _gone(world, volume)}


def _gone(world: World, volume: KnownVolume) -> bool:
    """A volume that was to be removed, and is."""
    node = world.seen.get(volume.node)
    return (
        volume.name in world.situation.remove_volumes
        and node is not None
        and all(there.name != volume.name for there in node.volumes)
    )
