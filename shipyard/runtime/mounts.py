"""Volumes, binds, tmpfs and configs as options, and what must be there before a container can be made.

`--mount` is used wherever it can say it, since its fields can be quoted and its meaning is the same everywhere;
`-v` cuts at colons and, with docker, makes what is missing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from shipyard.base.record import replace
from shipyard.model.container import ConfigMount, ContainerSpec, Mount, Pairs
from shipyard.runtime.dialect import Command, Unsupported
from shipyard.runtime.traits import Traits, csv_field

_MAKE = 'for path; do test -e "$path" || mkdir -p -- "$path" || exit; done'
_REQUIRE = 'for path; do test -e "$path" || { echo "bind source path does not exist: $path" >&2; exit 125; }; done'

HOSTS = "/etc/hosts"
"""Under this key is, among the paths of configs, that of the container's hosts file."""

_SELINUX = {"z": "z", "Z": "Z", "shared": "z", "private": "Z"}


def options(spec: ContainerSpec, traits: Traits, config_paths: Mapping[str, str]) -> tuple[str, ...]:
    """One option for each mount. `config_paths`: path on the node by `ConfigMount.file_name`."""
    return (
        *(_mount(mount, traits) for mount in spec.mounts),
        *(_config(config, traits, config_paths) for config in (*spec.configs, *spec.secrets)),
        *((f"--mount=type=bind,source={config_paths[HOSTS]},target={HOSTS},readonly",) if spec.hosts else ()),
    )


def carrying(spec: ContainerSpec, keep: Pairs) -> ContainerSpec:
    """The spec with these volumes, (target, volume), where it or its image would begin anonymous ones."""
    volumes = {posixpath.normpath(target): volume for target, volume in keep}
    written = tuple(
        replace(mount, source=volumes.pop(posixpath.normpath(mount.target), None))
        if mount.kind == "volume" and mount.source is None
        else mount
        for mount in spec.mounts
    )
    more = tuple(Mount("volume", target, volume) for target, volume in sorted(volumes.items()))
    return replace(spec, mounts=(*written, *more))


def preparation(spec: ContainerSpec) -> tuple[Command, ...]:
    """Bind sources that are to be made when missing, and those that `-v` would make though they must be there."""
    binds = [mount for mount in spec.mounts if mount.kind == "bind" and mount.source]
    make = tuple(mount.source or "" for mount in binds if mount.create)
    require = tuple(mount.source or "" for mount in binds if not mount.create and "selinux" in dict(mount.options))
    return tuple(
        Command(("sh", "-c", script, "sh", *paths)) for script, paths in ((_MAKE, make), (_REQUIRE, require)) if paths
    )


def _mount(mount: Mount, traits: Traits) -> str:
    chosen = dict(mount.options)
    match mount.kind:
        case "bind" if "selinux" in chosen:
            return _short(mount, traits, [_selinux(chosen.pop("selinux"), traits), *_propagation(chosen)], chosen)
        case "bind":
            words = [f"bind-propagation={word}" for word in _propagation(chosen)]
            return _long(mount, traits, words, chosen)
        case "volume" if traits.program == "podman" and ("nocopy" in chosen or "subpath" in chosen):
            return _podman_volume(mount, traits, chosen)
        case "volume":
            words = ["volume-nocopy"] if _true(chosen.pop("nocopy", "false")) else []
            if "subpath" in chosen:
                words.append(f"volume-subpath={chosen.pop('subpath')}")
            return _long(mount, traits, words, chosen)
        case _:
            return _tmpfs(mount, traits)


def _podman_volume(mount: Mount, traits: Traits, chosen: dict[str, str]) -> str:
    if "subpath" in chosen:
        return _long(mount, traits, [f"subpath={chosen.pop('subpath')}"], chosen)
    words = ["nocopy"] if _true(chosen.pop("nocopy")) else []
    return _short(mount, traits, words, chosen) if mount.source else _long(mount, traits, [], chosen)


def _tmpfs(mount: Mount, traits: Traits) -> str:
    """Empty at the start, as Compose has it; podman would copy what the image has there."""
    words = ["ro"] if mount.read_only else []
    words += [f"{name}={value}" if value else name for name, value in mount.options]
    if traits.program == "podman":
        words.append("notmpcopyup")
    if ":" in mount.target:
        raise Unsupported(traits.program, "tmpfs", f"a colon in the path {mount.target}")
    return f"--tmpfs={mount.target}:{','.join(words)}" if words else f"--tmpfs={mount.target}"


def _config(config: ConfigMount, traits: Traits, paths: Mapping[str, str]) -> str:
    return _fields(traits, ["type=bind", f"source={paths[config.file_name]}", f"target={config.target}"], True, [])


def _long(mount: Mount, traits: Traits, words: list[str], rest: dict[str, str]) -> str:
    _nothing_left(mount, traits, rest)
    fields = [f"type={mount.kind}"]
    if mount.source is not None:
        fields.append(f"source={mount.source}")
    return _fields(traits, [*fields, f"target={mount.target}"], mount.read_only, words)


def _fields(traits: Traits, fields: list[str], read_only: bool, words: list[str]) -> str:
    every = [*fields, *([traits.readonly] if read_only else []), *words]
    return "--mount=" + ",".join(csv_field(field, traits.program, "volumes") for field in every)


def _short(mount: Mount, traits: Traits, words: list[str], rest: dict[str, str]) -> str:
    _nothing_left(mount, traits, rest)
    if ":" in f"{mount.source}{mount.target}":
        raise Unsupported(traits.program, "volumes", f"a colon in {mount.source} or {mount.target} with these options")
    options = ",".join([*(["ro"] if mount.read_only else []), *words])
    return f"--volume={mount.source}:{mount.target}" + (f":{options}" if options else "")


def _nothing_left(mount: Mount, traits: Traits, rest: dict[str, str]) -> None:
    if rest:
        raise Unsupported(traits.program, "volumes", f"a {mount.kind} has no option {', '.join(sorted(rest))}")


def _propagation(chosen: dict[str, str]) -> Iterator[str]:
    if "propagation" in chosen:
        yield chosen.pop("propagation")


def _selinux(value: str, traits: Traits) -> str:
    if value not in _SELINUX:
        raise Unsupported(traits.program, "volumes", f"selinux is z or Z, not {value}")
    return _SELINUX[value]


def _true(value: str) -> bool:
    return value.lower() in {"true", "1", "yes", ""}
