"""What the files of an applied stack say now, and whether that is still what was applied."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shipyard.base.errors import FileErrors, ShipyardError
from shipyard.base.record import Struct, replace
from shipyard.base.record import names as fields
from shipyard.model.container import ConfigMount, ContainerSpec
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, StackSpec

if TYPE_CHECKING:
    from shipyard.model.inventory import Inventory
    from shipyard.reconcile.session import Session


class Files:
    """The files of one stack, read at most once each, and only where they are needed."""

    def __init__(self, session: Session, stack: DesiredStack) -> None:
        self._session, self._stack = session, stack
        self._merged: dict[tuple[str, ...], StackSpec | str] = {}
        self._inventories: dict[Path, Inventory] = {}
        self._fresh: dict[str, ServiceSpec | str] = {}

    def inventory(self, service: ServiceSpec) -> Inventory:
        """With the variables beside the service's file, as when it was applied."""
        folder = (self._session.settings.root / service.file).absolute().parent
        beside = any((folder / name).is_dir() for name in ("group_vars", "host_vars"))
        if not beside or folder in self._session.opening.playbook_dirs:
            return self._session.inventory
        if folder not in self._inventories:
            from shipyard.reconcile.early import read_inventory

            opening = self._session.opening
            self._inventories[folder] = read_inventory(
                self._session.settings, (folder,), trusted=opening.trusted, keys=opening.keys
            )
        return self._inventories[folder]

    def fresh(self, service: ServiceSpec) -> ServiceSpec | str:
        """The service as its file has it now, where that is what was applied; or why it is not."""
        if service.name not in self._fresh:
            merged = self._read(service)
            self._fresh[service.name] = merged if isinstance(merged, str) else self._same(service, merged)
        return self._fresh[service.name]

    def _same(self, service: ServiceSpec, merged: StackSpec) -> ServiceSpec | str:
        found = merged.service(service.name)
        if found is None or found.file != service.file:
            return "that does not declare it any more; apply it"
        eligible = self._stack.eligible_for(service.name)
        fresh = _as_applied(self._stack.revision.stack, found, service)
        other = _first_other(_common(service), _common(fresh))
        if other:
            return f"that says something else by now ({other}); apply it"
        known = [node for node in service.rendered if node in eligible and fresh.has_values(node)]
        for node in known:
            other = _first_other(service.container_on(node), fresh.container_on(node))
            if other:
                return f"that, or its variables, say something else by now ({other}, on {node}); apply it"
        if not known:
            return "none of the hosts that it was applied for is left; apply it again"
        return fresh

    def _read(self, service: ServiceSpec) -> StackSpec | str:
        """The stack with what its files say now. What was given with `-e` is not there."""
        from shipyard.files import kinds, playbook

        revision, session = self._stack.revision, self._session
        files = revision.files if service.file in revision.files else (service.file,)
        if files in self._merged:
            return self._merged[files]
        root = session.settings.root
        paths = [Path(os.path.relpath(root / file)) for file in files]
        lacking = next((file for file, path in zip(files, paths, strict=True) if not path.is_file()), None)
        found: StackSpec | str
        if lacking is not None:
            found = f"there is no file {lacking} any more; apply what declares it"
        else:
            load = functools.partial(
                kinds.load,
                paths,
                inventory=self.inventory(service),
                project=root,
                environ=session.environ,
                keys=session.opening.keys,
            )
            foreign = kinds.kind_of(paths[0]) != "playbook"
            try:
                loaded = load(kinds.Wish(service.pattern) if foreign else kinds.Wish())
                if foreign and all(stack.name != revision.stack for stack in loaded.stacks):  # --stack named it
                    loaded = load(kinds.Wish(service.pattern, revision.stack))
                found = playbook.merge(revision.spec, loaded.stack(revision.stack), files=loaded.files).stack
            except ShipyardError as error:
                found = in_words(error)
        self._merged[files] = found
        return found


def in_words(error: ShipyardError) -> str:
    first = error.errors[0] if isinstance(error, FileErrors) and error.errors else error
    said = str(first).partition("\n")[0]
    kept = ", and what was given with -e is not kept" if "is not defined" in said else ""
    return f"{said}{kept}; apply that again"


def _as_applied(stack: str, fresh: ServiceSpec, service: ServiceSpec) -> ServiceSpec:
    """With what `apply` settled: which image a tag is, what a secret holds, what an external config means.

    Restarts, and how many replicas a person wanted, stay too.
    """
    from shipyard.reconcile.outside import names

    images = dict(service.images)
    digests = {mount.name: mount.digest for spec in service.containers() for mount in spec.secrets}
    configs = {mount.name: mount.digest for spec in service.containers() for mount in spec.configs}

    def meant(mount: ConfigMount) -> ConfigMount:
        if mount.digest:
            return mount
        name = next((name for name in names(stack, mount.name) if name in configs), mount.name)
        return replace(mount, name=name, digest=configs.get(name, ""))

    def settled(spec: ContainerSpec) -> ContainerSpec:
        return replace(
            spec,
            image=images.get(spec.image, spec.image),
            configs=tuple(map(meant, spec.configs)),
            secrets=tuple(replace(mount, digest=digests.get(mount.name, "")) for mount in spec.secrets),
            members=tuple(replace(member, container=settled(member.container)) for member in spec.members),
        )

    def container(spec: ContainerSpec) -> ContainerSpec:
        return replace(settled(spec), stamps=service.container.stamps)

    made = replace(
        fresh,
        container=container(fresh.container),
        variants=tuple((node, container(spec)) for node, spec in fresh.variants),
    )
    return replace(made, replicas=service.replicas, scaled=True) if service.scaled else made


def _common(service: ServiceSpec) -> ServiceSpec:
    """What of a service is the same on all nodes."""
    return replace(
        service, container=ContainerSpec(""), variants=(), per_node=False, rendered=(), reached=(), images=()
    )


def _first_other(one: Struct, other: Struct) -> str:
    """The first field in which two records differ, "" where they don't."""
    if one == other:
        return ""
    return next((name for name in fields(type(one)) if getattr(one, name) != getattr(other, name)), "")
