"""Configs and secrets as files on the nodes: there before a container is, and gone when no container has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from shipyard.model.container import ContainerSpec
from shipyard.model.node import NodeState
from shipyard.model.plan import CreateContainer, DropFiles, PutConfig, PutSecret
from shipyard.model.situation import DesiredStack
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World

File = tuple[str, str, PutConfig | PutSecret]
"""Its path in shipyard's directory, its name for people, and the step that puts it there."""


def ensure(world: World, stack: DesiredStack, spec: ContainerSpec, node: str) -> tuple[Draft, ...]:
    """Drafts for the files of this container that the node does not have.

    Also of one that runs: what is mounted into it stays while it runs, but it could not be started again.
    """
    there = world.stock(node).files
    wanted = (file for each in spec.containers() if each.configs or each.secrets for file in _steps(stack, each))
    lacking = {file[0]: file for file in wanted if file[0] not in there}
    return tuple(_put(world, node, file) for file in lacking.values())


def _steps(stack: DesiredStack, spec: ContainerSpec) -> Iterator[File]:
    declared = stack.revision.spec
    for mount in spec.configs:
        config = next((config for config in declared.configs if config.digest == mount.digest), None)
        if config is not None:
            yield f"configs/{mount.file_name}", config.name, PutConfig(config, mount)
    for mount in spec.secrets:
        secret = next((secret for secret in declared.secrets if secret.digest == mount.digest), None)
        if secret is not None:
            yield f"secrets/{mount.file_name}", f"{declared.name}_{secret.key}", PutSecret(secret, mount)


def _put(world: World, node: str, file: File) -> Draft:
    path, target, step = file
    what = "config" if isinstance(step, PutConfig) else "secret"
    return world.wave.fetch(node, path, target, f"{node} does not have the {what}", step)


def tidy(world: World) -> None:
    """Remove files that no container there has, and none that belongs there will have.

    What a container has is what its runtime says is mounted into it, whoever declared it and whenever.
    """
    left = {name: found for name in sorted(world.seen) if (found := _unmounted(world, name))}
    if not left:
        return
    wanted = _wanted(world, left.keys())
    for name, files in left.items():
        gone = sorted(files - wanted[name])
        if gone:
            step = DropFiles(_of("configs", gone), _of("secrets", gone))
            detail = f"no container on {name} has {'it' if len(gone) == 1 else f'these {len(gone)}'} any more"
            world.wave.add(name, Phase.TIDY, "files", "Unused", detail, step)


def _unmounted(world: World, name: str) -> frozenset[str]:
    seen = world.seen[name]
    if not (seen.configs or seen.secrets) or world.states.get(name) != NodeState.READY or not world.wave.may_act(name):
        return frozenset()
    return world.stock(name).files.difference(*(container.files for container in seen.containers))


def _wanted(world: World, nodes: AbstractSet[str]) -> dict[str, set[str]]:
    """What is made on these nodes in this wave, and what the replicas placed there need, by node.

    One that an update has not reached may need what only an older revision has.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for draft in world.wave.drafts:
        if isinstance(draft.step, CreateContainer):
            wanted[draft.node].update(draft.step.spec.files())
    for placement in world.placements.values():
        service = world.service(placement.stack, placement.service) if placement.node in nodes else None
        if service is not None:
            followed = world.following.get(placement.key, (None, service))[1]
            for each in (service,) if followed is service else (service, followed):
                wanted[placement.node].update(each.container_for(placement.node, placement.slot).files())
    return wanted


def _of(folder: str, files: list[str]) -> tuple[str, ...]:
    return tuple(file.partition("/")[2] for file in files if file.startswith(f"{folder}/"))
