"""What files declare, laid over what a stack was before: which services go, stay and change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, replace
from shipyard.files.compose.tags import selected
from shipyard.model.container import RestartPolicy
from shipyard.model.spec import ConfigSpec, NetworkSpec, SecretSpec, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.revising import carried_over

T = TypeVar("T", NetworkSpec, VolumeSpec)
Content = TypeVar("Content", ConfigSpec, SecretSpec)


class Merged(Struct, frozen=True):
    """`dropped`: services that are no longer declared. `notices`: for people."""

    stack: StackSpec
    dropped: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def merge(
    previous: StackSpec | None,
    loaded: StackSpec,
    *,
    files: Sequence[str],
    tags: Sequence[str] = (),
    prune: bool = False,
) -> Merged:
    """The stack's new desired state. Raises FileError where a service needs one that is in neither.

    Applying `files` removes what they declared before and no longer do. What other files declared stays, unless
    `prune` says that these files are the whole stack. With `tags`, only services that have one of them change.
    """
    before = {service.name: service for service in (previous.services if previous else ())}
    now = {service.name: service for service in loaded.services}
    services: list[ServiceSpec] = []
    for name in sorted(before.keys() | now.keys()):
        service = _chosen(before.get(name), now.get(name), files, tags, prune)
        if service is not None:
            services.append(service)
    dropped = tuple(sorted(before.keys() - {service.name for service in services}))
    _check_dependencies(services)
    services = _ending(services)
    stack = StackSpec(loaded.name, tuple(services), *_resources(previous, loaded, services))
    return Merged(stack, dropped, (*_moved(before, services), *_unscaled(before, services)))


def _chosen(
    old: ServiceSpec | None, new: ServiceSpec | None, files: Sequence[str], tags: Sequence[str], prune: bool
) -> ServiceSpec | None:
    """The one to carry on with, or None for neither."""
    if new is not None:
        if not selected(new.tags, tags):
            return old
        return new if old is None else carried_over(new, old)
    if old is None or not selected(old.tags, tags):
        return old
    return None if prune or old.file in files else old


def _resources(
    previous: StackSpec | None, loaded: StackSpec, services: list[ServiceSpec]
) -> tuple[tuple[NetworkSpec, ...], tuple[VolumeSpec, ...], tuple[ConfigSpec, ...], tuple[SecretSpec, ...]]:
    """What the services use, as it was declared last."""
    older = previous or StackSpec(loaded.name)
    containers = [spec for service in services for spec in service.containers()]
    networks: set[str | None] = {at.network for spec in containers for at in spec.networks}
    volumes = {mount.source for spec in containers for mount in spec.mounts if mount.kind == "volume"}
    digests = {(config.name, config.digest) for spec in containers for config in spec.configs}
    sealed = {(secret.name, secret.digest) for spec in containers for secret in spec.secrets}
    return (
        tuple(_used(older.networks, loaded.networks, networks)),
        tuple(_used(older.volumes, loaded.volumes, volumes)),
        _contents({(spec.name, spec.digest): spec for spec in (*older.configs, *loaded.configs)}, digests),
        _contents({(spec.key, spec.digest): spec for spec in (*older.secrets, *loaded.secrets)}, sealed),
    )


def _used(old: Iterable[T], new: Iterable[T], names: set[str | None]) -> list[T]:
    by_name: dict[str, T] = {}
    for specs in (old, new):
        by_name.update((spec.name, spec) for spec in specs)
    return [by_name[name] for name in sorted(by_name) if name in names]


def _contents(by_content: dict[tuple[str, str], Content], used: set[tuple[str, str]]) -> tuple[Content, ...]:
    """Every content that a container has, also two of one name where `--tags` left a service as it was."""
    return tuple(by_content[key] for key in sorted(by_content) if key in used)


def _check_dependencies(services: list[ServiceSpec]) -> None:
    names = {service.name for service in services}
    for service in services:
        for needed in (dependency.service for dependency in service.depends_on if dependency.required):
            if needed not in names:
                raise FileError(
                    f"needs the service {needed!r}, which is declared neither in these files nor by others before",
                    file=service.file,
                    key=f"services.{service.name}.depends_on",
                    hint=f"there are {', '.join(sorted(names))}",
                )


def _ending(services: list[ServiceSpec]) -> list[ServiceSpec]:
    """What others wait for to complete has to end: it is not restarted where nothing is said (Compose's default)."""
    waits = {
        need.service: service
        for service in services
        for need in service.depends_on
        if need.condition == "service_completed_successfully"
    }
    return [_ends(service, waits[service.name]) if service.name in waits else service for service in services]


def _ends(service: ServiceSpec, who: ServiceSpec) -> ServiceSpec:
    if service.mode in ("replicated-job", "global-job"):
        return service
    for spec in (service.container, *(made for _, made in service.variants)):
        if spec.restart is not None and spec.restart.condition not in ("none", "on-failure"):
            raise FileError(
                f"is restarted whenever it ends, and so never completes, for which {who.name} waits",
                file=service.file,
                key=f"services.{service.name}.restart",
                hint='write restart: "no", or on-failure',
            )
    once = RestartPolicy("none")
    return replace(
        service,
        container=replace(service.container, restart=service.container.restart or once),
        variants=tuple((node, replace(made, restart=made.restart or once)) for node, made in service.variants),
    )


def _unscaled(before: dict[str, ServiceSpec], services: list[ServiceSpec]) -> Iterable[str]:
    for service in services:
        old = before.get(service.name)
        if old is not None and old.scaled and not service.scaled and old.replicas != service.replicas:
            yield f"{service.name} was scaled to {old.replicas}; the file says {service.replicas}, and wins"


def _moved(before: dict[str, ServiceSpec], services: list[ServiceSpec]) -> Iterable[str]:
    for service in services:
        old = before.get(service.name)
        if old is not None and old.file != service.file:
            yield f"{service.name} was declared by {old.file} before, and is by {service.file} now"
