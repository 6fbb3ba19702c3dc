"""New revisions out of old ones: an update taken back, a service scaled, a service restarted.

Pure edits of a stack's desired state. Whoever stores one gives it the next number; none is ever changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from shipyard.base.record import replace
from shipyard.model.container import ContainerSpec, Pairs
from shipyard.model.spec import NetworkSpec, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner.turns import target

RESTARTED = "restarted"
"""The stamp that `shipyard restart` leaves on containers; applying a file again keeps it."""
AFTER = "after "
"""Begins the stamp that names a dependency whose update restarts this service too."""

T = TypeVar("T", NetworkSpec, VolumeSpec)


def scaled(spec: StackSpec, name: str, replicas: int) -> StackSpec:
    """With so many replicas of a service, by command and not by file."""
    return _with(spec, name, lambda service: replace(service, replicas=replicas, scaled=True))


def restarted(spec: StackSpec, name: str, stamp: str) -> StackSpec:
    """With another stamp on a service's containers, which makes them other ones: so they are replaced in turn."""
    return followed(_with(spec, name, lambda service: _stamped(service, RESTARTED, stamp)))


def carried_over(new: ServiceSpec, old: ServiceSpec) -> ServiceSpec:
    """A service as a file declares it, with the stamp that it was restarted with."""
    stamp = dict(old.container.stamps).get(RESTARTED)
    return _stamped(new, RESTARTED, stamp) if stamp else new


def followed(spec: StackSpec) -> StackSpec:
    """Each service that restarts with a dependency (`restart: true`) carries a stamp of what that is made from."""
    by_name = {service.name: service for service in spec.services}
    done: dict[str, ServiceSpec] = {}

    def stamped(service: ServiceSpec) -> ServiceSpec:
        if service.name not in done:
            done[service.name] = service  # cycles are refused when files are read; one stored all the same ends here
            kept = _mapped(service, lambda spec: replace(spec, stamps=_without(spec.stamps, AFTER)))
            for need in service.depends_on:
                other = by_name.get(need.service)
                if need.restart and other is not None:
                    kept = _stamped(kept, f"{AFTER}{need.service}", target(stamped(other)))
            done[service.name] = kept
        return done[service.name]

    return replace(spec, services=tuple(stamped(service) for service in spec.services))


def undone(head: StackSpec, before: StackSpec, names: Iterable[str]) -> StackSpec:
    """The newest revision, with these services as they were before; what was scaled since stays so."""
    back: dict[str, ServiceSpec] = {}
    there = {service.name for service in head.services}
    for name in names:
        old, now = before.service(name), head.service(name)
        if old is None or now is None:
            continue
        needs = tuple(need for need in old.depends_on if need.service in there)
        old = replace(old, depends_on=needs)
        back[name] = replace(old, replicas=now.replicas, scaled=True) if now.scaled else old
    services = tuple(back.get(service.name, service) for service in head.services)
    containers = [spec for service in back.values() for spec in service.containers()]
    others = [spec for service in services if service.name not in back for spec in service.containers()]
    everywhere = [spec for service in services for spec in service.containers()]
    configs = {(config.name, config.digest): config for config in (*before.configs, *head.configs)}
    secrets = {(secret.key, secret.digest): secret for secret in (*before.secrets, *head.secrets)}
    public = {(mount.name, mount.digest) for spec in everywhere for mount in spec.configs}
    secret = {(mount.name, mount.digest) for spec in everywhere for mount in spec.secrets}
    return followed(
        replace(
            head,
            services=services,
            networks=_joined(head.networks, before.networks, _networks(containers), _networks(others)),
            volumes=_joined(head.volumes, before.volumes, _volumes(containers), _volumes(others)),
            configs=tuple(configs[key] for key in sorted(configs) if key in public),
            secrets=tuple(secrets[key] for key in sorted(secrets) if key in secret),
        )
    )


def _joined(head: tuple[T, ...], before: tuple[T, ...], used: set[str], others: set[str]) -> tuple[T, ...]:
    """What is declared, and what the services used that go back: as it was then, unless others use it as it is now."""
    by_name = {each.name: each for each in head}
    by_name.update(
        {each.name: each for each in before if each.name in used and each.name not in by_name.keys() & others}
    )
    return tuple(by_name[name] for name in sorted(by_name))


def _networks(containers: Iterable[ContainerSpec]) -> set[str]:
    return {attachment.network for spec in containers for attachment in spec.networks}


def _volumes(containers: Iterable[ContainerSpec]) -> set[str]:
    return {mount.source for spec in containers for mount in spec.mounts if mount.source}


def _with(spec: StackSpec, name: str, change: Callable[[ServiceSpec], ServiceSpec]) -> StackSpec:
    services = tuple(change(service) if service.name == name else service for service in spec.services)
    return replace(spec, services=services)


def _stamped(service: ServiceSpec, key: str, value: str) -> ServiceSpec:
    return _mapped(service, lambda spec: replace(spec, stamps=tuple(sorted({**dict(spec.stamps), key: value}.items()))))


def _without(stamps: Pairs, prefix: str) -> Pairs:
    return tuple(pair for pair in stamps if not pair[0].startswith(prefix))


def _mapped(service: ServiceSpec, change: Callable[[ContainerSpec], ContainerSpec]) -> ServiceSpec:
    variants = tuple((node, change(spec)) for node, spec in service.variants)
    return replace(service, container=change(service.container), variants=variants)
