"""Volumes: there before the containers that use them, never silently begun anew, never taken from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipyard.base.text import one_line
from shipyard.model import labels
from shipyard.model.canonical import digest, dumps
from shipyard.model.container import ContainerSpec
from shipyard.model.memory import Home, KnownVolume, Placement
from shipyard.model.plan import Blocked, CreateVolume, Notice, RemoveVolume
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, VolumeSpec
from shipyard.planner.anonymous import ALIVE
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


def home(
    world: World,
    stack: DesiredStack,
    service: ServiceSpec,
    placement: Placement,
    holders: Callable[[str], Sequence[str]],
) -> Home | None:
    """Where the replica's data is, in a local volume that its next container is to have; None if it is at home.

    So it is where an update let the replica go, since it wanted the volume no more, and then that was taken back. A
    volume that is its own says by its name whose data it has. `holders`: the nodes with a volume of this name.
    """
    there = world.homes.get(placement.key, ())
    if service.mode != "replicated" or not (there or service.per_replica):
        return None
    wanted = local(stack, service.container_for(placement.node, placement.slot))
    wanted = [name for name in wanted if name not in world.situation.accept_empty]
    for each in there:
        if each.volume in wanted and each.node != placement.node:
            return each
    for name in own(service, placement.slot):
        nodes = holders(name) if name in wanted else ()
        if nodes and placement.node not in nodes:
            return Home(*placement.key, name, nodes[0])
    return None


def own(service: ServiceSpec, slot: int) -> tuple[str, ...]:
    """Full names of the volumes that only this replica has."""
    return tuple(f"{name}_{slot}" for name in service.per_replica)


def leave(world: World, before: Placement, spec: ContainerSpec | None = None) -> None:
    """Note the local volumes with its data that a replica leaves behind, or does without now (`spec`: what follows)."""
    there = world.containers.get(before.key, ())
    made = [world.made_from(before.key, box) for node, box in there if node == before.node]
    made.append(world.revision_of(before.key, before.revision))
    kept = used(spec) if spec is not None else ()
    for revision, service in filter(None, made):
        if service.mode != "replicated":
            continue
        for name in used(service.container_for(before.node, before.slot)):
            volume = revision.spec.volume(name)
            if name in kept or volume is None or shared(volume) or (before.node, name) not in world.volumes:
                continue
            others = (each for each in world.homes.get(before.key, ()) if each.volume != name)
            world.homes[before.key] = (*others, Home(*before.key, name, before.node))


def forget_homes(world: World) -> None:
    """Replicas that are wanted no more begin anew, and a volume that is gone is nobody's home."""
    for key, there in list(world.homes.items()):
        service = world.service(*key[:2])
        wanted = service is not None and service.mode == "replicated" and key[2] <= service.replicas
        kept = tuple(
            each for each in there if wanted and each.node in world.nodes and (each.node, each.volume) in world.volumes
        )
        if kept:
            world.homes[key] = kept
        else:
            del world.homes[key]


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
    problem = blocked(world, stack, spec, node, target)
    if problem is not None:
        world.wave.blocked.append(problem)
        return None
    there = world.stock(node).volumes
    volumes = (stack.revision.spec.volume(name) for name in used(spec) if name not in there)
    return tuple(_create(world, stack, volume, node) for volume in volumes if volume is not None)


def blocked(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, target: str) -> Blocked | None:
    """Why a container has to wait for one of its volumes, for a person and not for time."""
    there = world.stock(node).volumes
    for name in used(spec):
        volume = stack.revision.spec.volume(name)
        if volume is None:
            continue
        known = (node, name) in world.volumes
        said = dict(there[name].labels) if name in there else {}
        problem = _problem(world, stack, volume, name in there, known, said, node)
        if problem is not None:
            return Blocked(target, *problem)
    return None


def occupied(world: World, stack: DesiredStack, spec: ContainerSpec, placement: Placement) -> Blocked | None:
    """Why no container may be made yet: the replica's own was renamed by hand, and may still write to its volume."""
    volumes = [volume for name in used(spec) if (volume := stack.revision.spec.volume(name)) is not None]
    for node, box in world.strangers if volumes else ():
        said = tuple(box.label(name) for name in (labels.STACK, labels.SERVICE, labels.SLOT))
        mine = said == (placement.stack, placement.service, str(placement.slot)) and box.state in ALIVE
        within_reach = [volume for volume in volumes if node == placement.node or shared(volume)]
        if mine and within_reach:
            target = f"{placement.stack}/{placement.service}.{placement.slot}"
            detail = (
                f"the container {one_line(box.name, 80)} on {node} says that it is this replica, and may write to its "
                f"volume {within_reach[0].name}: rename it to {world.name_of(placement)}, or remove it"
            )
            return Blocked(target, "VolumeInUse", detail)
    return None


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
            f"or begin anew: `shipyard reconcile --accept-empty {name}`",
        )
    return None


def _create(world: World, stack: DesiredStack, volume: VolumeSpec, node: str) -> Draft:
    key = (node, CreateVolume, volume.name)
    if key in world.wave.once:
        return world.wave.once[key]
    ours = {
        labels.CLUSTER: world.situation.cluster,
        labels.STACK: stack.revision.stack,
        labels.SPEC: volume_hash(volume),
    }
    step = CreateVolume(volume, tuple(sorted({**dict(volume.labels), **ours}.items())))
    draft = world.wave.add(node, Phase.PREPARE, volume.name, "Missing", f"no volume {volume.name} on {node}", step)
    world.wave.once[key] = draft
    return draft


def volume_hash(volume: VolumeSpec) -> str:
    """Of what a volume is made with: the value of its `shipyard.spec` label."""
    return digest(dumps((volume.driver, volume.driver_opts, volume.labels)))[:16]


def report_changed(world: World) -> None:
    """Volumes stay as they were made, whatever the file says later: their data counts for more. That is said."""
    for node in sorted(world.seen):
        for there in world.seen[node].volumes:
            said = dict(there.labels)
            stack = world.stack(said.get(labels.STACK, ""))
            if said.get(labels.CLUSTER) != world.situation.cluster or stack is None or stack.removing:
                continue
            volume = stack.revision.spec.volume(there.name)
            made = said.get(labels.SPEC)
            if volume is not None and not volume.external and made is not None and made != volume_hash(volume):
                detail = (
                    f"on {node} was made with another driver, other options or labels, and stays as it is; one that is "
                    f"as declared is made once it has been removed there, with its data"
                )
                world.wave.notices.append(Notice(there.name, "VolumeDiffers", detail))


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
