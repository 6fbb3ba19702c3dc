"""External configs: what they mean is settled when files are applied, and becomes part of the revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from shipyard.base.errors import FileErrors
from shipyard.base.record import replace
from shipyard.files.compose.declared import placed
from shipyard.model.container import ConfigMount, ContainerSpec
from shipyard.model.spec import ConfigSpec, Revision, ServiceSpec, StackSpec
from shipyard.store.records import ConfigRow

if TYPE_CHECKING:
    from shipyard.files.playbook import LoadedFiles
    from shipyard.store.store import Store


def resolved(store: Store, loaded: LoadedFiles) -> LoadedFiles:
    """The files' stacks with the contents of their external configs. Raises FileErrors: one that was never set."""
    if not loaded.outside:
        return loaded
    wanted = [(stack.name, spec.name) for stack in loaded.stacks for spec in stack.configs if spec.external]
    known = {row.name: row for row in store.configs(name for pair in wanted for name in names(*pair))}
    problems = []
    for (stack, key), mark in loaded.outside.items():
        declared = next(spec for spec in loaded.stack(stack).configs if spec.key == key)
        if not any(name in known for name in names(stack, declared.name)):
            own, shared = names(stack, declared.name)
            problems.append(
                placed(
                    mark,
                    f"is external, and the store has no config {shared} (nor {own})",
                    hint=f"shipyard configs set {shared} FILE",
                )
            )
    if problems:
        raise FileErrors(tuple(problems))
    return replace(loaded, stacks=tuple(_with_contents(stack, known) for stack in loaded.stacks))


def names(stack: str, name: str) -> tuple[str, str]:
    """What an external one may be called in the store: the stack's own of this name, or else everybody's."""
    return f"{stack}/{name}", name


def read_back(revisions: Iterable[Revision]) -> tuple[ConfigRow, ...]:
    """The external configs that these revisions have, sorted by name; where they differ, as the newest has them."""
    found: dict[str, ConfigRow] = {}
    for revision in sorted(revisions, key=lambda each: (each.created, each.stack)):
        for spec in revision.spec.configs:
            if spec.external:
                found[spec.name] = ConfigRow(spec.name, spec.content, spec.digest, revision.created, revision.author)
    return tuple(found[name] for name in sorted(found))


def with_containers(stack: StackSpec, change: Callable[[ContainerSpec], ContainerSpec]) -> StackSpec:
    """The stack with each container of its services changed, those beside the main ones first."""

    def container(spec: ContainerSpec) -> ContainerSpec:
        members = tuple(replace(member, container=container(member.container)) for member in spec.members)
        return change(replace(spec, members=members))

    def service(spec: ServiceSpec) -> ServiceSpec:
        variants = tuple((node, container(there)) for node, there in spec.variants)
        return replace(spec, container=container(spec.container), variants=variants)

    return replace(stack, services=tuple(map(service, stack.services)))


def _with_contents(stack: StackSpec, known: dict[str, ConfigRow]) -> StackSpec:
    meant = {
        spec.name: next(known[name] for name in names(stack.name, spec.name) if name in known)
        for spec in stack.configs
        if spec.external
    }
    if not meant:
        return stack

    def declared(spec: ConfigSpec) -> ConfigSpec:
        if not spec.external:
            return spec
        row = meant[spec.name]
        return replace(spec, name=row.name, content=row.content, digest=row.digest)

    def mounted(mount: ConfigMount) -> ConfigMount:
        if mount.digest:  # of one that the files have the content of, maybe by the same name
            return mount
        row = meant[mount.name]
        return replace(mount, name=row.name, digest=row.digest)

    filled = with_containers(stack, lambda spec: replace(spec, configs=tuple(map(mounted, spec.configs))))
    configs = sorted(map(declared, stack.configs), key=lambda spec: (spec.name, spec.digest))
    return replace(filled, configs=tuple(configs))
