"""What Compose refuses of a project beyond its schema: names that nothing declares, and keys that exclude each other.

Asked before the normal form is made; of a play's body the tables say the same and more.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from shipyard.base.errors import FileError
from shipyard.files.composefile.nodes import Node, bare
from shipyard.files.yamldoc import Path

_SECTIONS = {"networks": "network", "volumes": "volume", "secrets": "secret", "configs": "config"}
_SOURCES = {"configs": ("file", "environment", "content"), "secrets": ("file", "environment")}
_SAME = (
    ("scale", ("replicas",)),
    ("cpus", ("resources", "limits", "cpus")),
    ("mem_limit", ("resources", "limits", "memory")),
    ("mem_reservation", ("resources", "reservations", "memory")),
    ("pids_limit", ("resources", "limits", "pids")),
)
"""Keys of a service that a key under its `deploy` says as well."""


def problems(whole: Node, services: Node, enabled: Node) -> Iterator[FileError]:
    """All of them. `services`: of all profiles. `enabled`: those that are asked for."""
    called: dict[str, str] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for name, service in enabled.entries().items():
        path: Path = ("services", name)
        if not any(service.get(key) for key in ("image", "build", "provider")):
            yield service.error("has neither image nor build", path=path)
        for section, kind in _SECTIONS.items():
            yield from _undeclared(whole, service, section, kind, path)
        needs[name] = tuple(other for other, _, _ in _needs(service))
        for other, node, key in _needs(service):
            if other not in services.entries():
                hint = _near(other, services.entries())
                yield node.error(f"needs {other}, and there is no such service", path=(*path, key), hint=hint)
        yield from _exclusive(service, path)
        container = service.get("container_name")
        if container is not None and (first := called.setdefault(str(container.data), name)) != name:
            why = f"{container.data} is what a container of {first} is called"
            yield container.error(why, path=(*path, "container_name"))
        if container is not None and (many := _number(service)) > 1:
            why = f"{container.data} can be the name of one container, and {name} has {many}"
            yield container.error(why, path=(*path, "container_name"))
    yield from _circles(enabled, needs)
    yield from _declared(whole)


def _number(service: Node) -> int:
    """How many containers a service has, by its own key or that of its `deploy`."""
    deploy = service.get("deploy")
    said = service.get("scale") or (deploy.get("replicas") if deploy is not None else None)
    return said.data if said is not None and isinstance(said.data, int) else 1


def _undeclared(whole: Node, service: Node, section: str, kind: str, path: Path) -> Iterator[FileError]:
    declared = whole.get(section)
    known = {*(declared.entries() if declared else ()), *(("default",) if section == "networks" else ())}
    for name, node in _references(service, section):
        if name and name not in known:
            why = f"refers to the {kind} {name!r}, which is not declared"
            yield node.error(why, path=(*path, section), hint=_near(name, known))


def _references(service: Node, section: str) -> Iterator[tuple[str, Node]]:
    found = service.get(section)
    if found is None:
        return
    for key, item in found.data.items() if isinstance(found.data, dict) else enumerate(found.data):
        if isinstance(found.data, dict):
            yield str(key), item
        elif section != "volumes":
            source = item.get("source")
            yield str(source.data if source else "" if isinstance(item.data, dict) else item.data), item
        elif isinstance(item.data, dict):
            kind, source = item.get("type"), item.get("source")
            yield (str(source.data) if kind and kind.data == "volume" and source else ""), item
        else:
            first, colon, _ = str(item.data).partition(":")
            yield (first if colon and len(first) > 1 and first[0] not in "./~" else ""), item


def _needs(service: Node) -> Iterator[tuple[str, Node, str]]:
    """Other services, with where they are named."""
    for key in ("depends_on", "links", "volumes_from"):
        found = service.get(key)
        if found is not None and isinstance(found.data, dict):
            yield from ((str(name), node, key) for name, node in found.data.items() if not _optional(node))
        elif found is not None:
            for item in found.data:
                if not str(item.data).startswith("container:"):
                    yield str(item.data).partition(":")[0], item, key
    for key in ("network_mode", "ipc", "pid"):
        found = service.get(key)
        if found is not None and str(found.data).startswith("service:"):
            yield str(found.data).partition(":")[2], found, key


def _optional(node: Node) -> bool:
    required = node.get("required")
    return required is not None and required.data is False


def _exclusive(service: Node, path: Path) -> Iterator[FileError]:
    mode, networks = service.get("network_mode"), service.get("networks")
    if mode is not None and networks is not None and networks.data:
        yield mode.error("excludes networks: a container has one or the other", path=(*path, "network_mode"))
    build = service.get("build")
    if build is not None and build.get("dockerfile") and build.get("dockerfile_inline"):
        yield build.error("takes dockerfile or dockerfile_inline, not both", path=(*path, "build"))
    for key, below in _SAME:
        one, other = service.get(key), service.get("deploy")
        for part in below:
            other = other.get(part) if other is not None else None
        if one is not None and other is not None and str(one.data) != str(other.data):
            yield one.error(f"is another than deploy.{'.'.join(below)} says", path=(*path, key))
    seen: set[str] = set()
    tmpfs, volumes = service.get("tmpfs"), service.get("volumes")
    items = tmpfs.data if tmpfs is not None and isinstance(tmpfs.data, list) else [tmpfs] if tmpfs else []
    for item in (*items, *(volumes.data if volumes else ())):
        target = _target(item, item in items)
        if target in seen:
            yield item.error(f"{target} is mounted already", path=(*path, "volumes"))
        seen.add(target)


def _target(item: Node, tmpfs: bool) -> str:
    if isinstance(item.data, dict):
        said = item.get("target")
        return posixpath.normpath(str(said.data if said else ""))
    parts = str(item.data).split(":")
    return posixpath.normpath(parts[0] if tmpfs or len(parts) == 1 else parts[1])


def _circles(enabled: Node, needs: Mapping[str, tuple[str, ...]]) -> Iterator[FileError]:
    done: set[str] = set()

    def way(name: str, before: tuple[str, ...]) -> tuple[str, ...]:
        if name in before:
            return (*before[before.index(name) :], name)
        if name in done:
            return ()
        found = next((each for other in needs.get(name, ()) if (each := way(other, (*before, name)))), ())
        done.add(name)
        return found

    for name, service in enabled.entries().items():
        if circle := way(name, ()):
            why = f"needs itself: {' -> '.join(circle)}"
            yield (service.get("depends_on") or service).error(why, path=("services", name, "depends_on"))
            return


def _declared(whole: Node) -> Iterator[FileError]:
    for section in _SECTIONS:
        declared = whole.get(section)
        for name, node in declared.entries().items() if declared else ():
            sources = [key for key in _SOURCES.get(section, ()) if node.get(key)]
            external = node.get("external")
            if len(sources) > 1:
                why = f"takes one of {', '.join(_SOURCES[section])}, found {' and '.join(sources)}"
                yield node.error(why, path=(section, name))
            others = [key for key in node.entries() if key not in ("external", "name") and not key.startswith("x-")]
            if section == "volumes" and external and bare(external) is not False and others:
                why = f"is external, so that {others[0]} has no place here"
                yield node.error(why, path=(section, name))


def _near(name: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else None
