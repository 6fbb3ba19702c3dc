"""From Compose files to one: read, interpolated, extended, included, merged. Nothing in their folder is run."""

from __future__ import annotations

import difflib
import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, field, replace
from shipyard.files.compose import dotenv
from shipyard.files.composefile.interpolation import Interpolation
from shipyard.files.composefile.merging import clean, merged, once
from shipyard.files.composefile.nodes import TAGS, Node, Tagged, bare, nodes
from shipyard.files.yamldoc import MAX_BYTES, Document, load_all

MAX_FILES = 100
_SECTIONS = ("services", "networks", "volumes", "configs", "secrets")
_NOT_YET = ("models", "jobs")
_KNOWN = (*_SECTIONS, "name", "version", "include", *_NOT_YET)


def text_of(path: Path, project: Path) -> bytes:
    """A file's content. Raises FileError: not there, outside the project, too large."""
    shown = str(path)
    try:
        if not path.resolve().is_relative_to(project.resolve()):
            raise FileError("is outside the project", file=shown, hint=f"the project is {project}")
        if not path.is_file():
            raise FileError("is no regular file" if path.exists() else "there is no such file", file=shown)
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise FileError(f"can't be read: {getattr(error, 'strerror', error)}", file=shown) from error
    if len(text) > MAX_BYTES:
        raise FileError(f"is larger than {MAX_BYTES // 2**20} MiB", file=shown)
    return text


def variables(files: Sequence[Path], environ: Mapping[str, str], project: Path) -> dict[str, str]:
    """Those of env files, the later winning, and of the environment, which wins over all of them."""
    found: dict[str, str] = {}
    for path in files:
        try:
            dotenv.parse(text_of(path, project).decode("utf-8-sig"), found, environ.get)
        except ValueError as error:
            raise FileError(f"can't be read as an env file: {error}", file=str(path)) from error
    return {**found, **environ}


Parsed = dict[Path, list[Document]]
"""Files that were read already, and what stands in them."""


def _parsed(path: Path, project: Path, parsed: Parsed) -> list[Document]:
    if path not in parsed:
        parsed[path] = load_all(text_of(path, project), str(path), "1.2", TAGS, thin=TAGS)
    return parsed[path]


def named(paths: Sequence[Path], environ: Mapping[str, str], project: Path, parsed: Parsed) -> str:
    """The name that the last file which has one gives the project: known before all else, as it is a variable, too."""
    name = ""
    for path in paths:
        for document in _parsed(path, project, parsed):
            said = document.data.get("name") if isinstance(document.data, dict) else None
            if said is not None and not isinstance(said, dict | list | Tagged):
                node = Node(said, document.marks.at(("name",)))
                name = str(Interpolation(environ, []).apply(node, ("name",)).data)
    return name


class Reader(Struct):
    """Reads the files of one set. `folder`: of the first file. `count`: of files read, which is bounded."""

    project: Path
    folder: Path
    environ: Mapping[str, str]
    notices: list[str]
    parsed: Parsed = field(default_factory=dict)
    count: int = 0

    def read(self, paths: Sequence[Path]) -> Node:
        """All files together, `extends` and `include` carried out, in lists everything once. Raises FileError."""
        whole: Node | None = None
        for path in paths:
            for document in self._documents(path):
                self._extended(document, path, ())
                self._included(document, path)
                whole = document if whole is None else merged(whole, document)
                _once(whole)
        if whole is None:
            raise FileError("holds nothing", file=str(paths[0]))
        whole = clean(whole)
        _once(whole)
        return whole

    def _documents(self, path: Path) -> list[Node]:
        self.count += 1
        if self.count > MAX_FILES:
            raise FileError(f"more than {MAX_FILES} files include or extend each other", file=str(path))
        interpolation = Interpolation(self.environ, self.notices)
        found = [interpolation.apply(nodes(document)) for document in _parsed(path, self.project, self.parsed)]
        for document in found:
            _check(document)
        return found

    def _extended(self, document: Node, path: Path, way: tuple[tuple[Path, str], ...]) -> None:
        """Every service of a file with what it extends underneath."""
        services = document.get("services")
        for name in list(services.entries()) if services else ():
            assert services is not None
            services.data[name] = self._whole_service(services, name, path, way)

    def _whole_service(self, services: Node, name: str, path: Path, way: tuple[tuple[Path, str], ...]) -> Node:
        service: Node = services.data[name]
        wish = service.get("extends")
        if wish is None:
            return service
        where = ("services", name, "extends")
        if (path, name) in way:
            raise wish.error("extends itself: " + " -> ".join(each for _, each in (*way, (path, name))), path=where)
        of, file = (wish.get("service"), wish.get("file")) if isinstance(wish.data, dict) else (wish, None)
        if of is None or not isinstance(of.data, str):
            raise wish.error("names no service", path=where, hint="extends: {service: NAME, file: PATH}")
        source, base_services = path, services
        if file is not None:
            source = path.parent / str(file.data)
            try:
                base_services = self._documents(source)[0].get("services") or Node({}, wish.mark)
            except FileError as error:
                if error.line is None:
                    raise file.error(f"{file.data}: {error.message}", path=(*where, "file")) from error
                raise
        if of.data not in base_services.entries():
            near = difflib.get_close_matches(of.data, base_services.entries(), n=1)
            hint = f"did you mean {near[0]}?" if near else None
            raise wish.error(f"there is no service {of.data!r} in {source}", path=where, hint=hint)
        base = self._whole_service(base_services, of.data, source, (*way, (path, name)))
        if source.parent != path.parent:
            base = moved(base, source.parent, path.parent)
        made = merged(_copy(base), service, ("services", name))
        made.data.pop("extends", None)
        return once(Node(made.data, service.mark))

    def _included(self, document: Node, path: Path) -> None:
        """What the files under `include` declare, added to this one."""
        wishes = document.data.pop("include", None)
        if wishes is None:
            return
        if not isinstance(wishes.data, list):
            raise wishes.error("expected a list of files", path=("include",))
        for index, wish in enumerate(wishes.data):
            where = ("include", index)
            given = wish.get("path") if isinstance(wish.data, dict) else wish
            if given is None:
                raise wish.error("has no path", path=where)
            names = [item.data for item in given.data] if isinstance(given.data, list) else [given.data]
            if not names or not all(isinstance(name, str) for name in names):
                raise wish.error("expected the path of a Compose file, or a list of paths", path=where)
            paths = [path.parent / name for name in names]
            other = wish.get("project_directory")
            folder = path.parent / str(other.data) if other else paths[0].parent
            reader = replace(self, folder=folder, environ=self._for_include(wish, path, folder))
            try:
                brought = reader.read(paths)
            except FileError as error:
                if error.line is None:
                    raise wish.error(f"{error.file}: {error.message}", path=where, hint=error.hint) from error
                raise
            self.count = reader.count
            self._add(document, brought, folder, path.parent)

    def _for_include(self, wish: Node, path: Path, folder: Path) -> Mapping[str, str]:
        said = wish.get("env_file")
        if said is None:
            files = [folder / ".env"] if (folder / ".env").is_file() else []
        else:
            items = said.data if isinstance(said.data, list) else [said]
            files = [path.parent / str(item.data) for item in items]
        return variables(files, self.environ, self.project)

    def _add(self, document: Node, brought: Node, folder: Path, into: Path) -> None:
        for section in _SECTIONS:
            found = brought.get(section)
            if found is None:
                continue
            mine = document.get(section) or Node({}, found.mark)
            document.data[section] = mine
            for name, value in found.entries().items():
                made = value if folder == into else _moved_entry(value, section, folder, into)
                first = mine.data.get(name)
                if first is not None and not _same(first, made):
                    raise first.error(
                        f"is declared otherwise in the included {made.mark.file}:{made.mark.line}",
                        path=(section, name),
                        hint="what is included can be overridden by a further file, not here",
                    )
                mine.data[name] = made


def _once(whole: Node) -> None:
    """After each file: what may be there once only is then there once for the next one."""
    services = whole.get("services")
    for name, service in services.entries().items() if services else ():
        if service.tag == "reset":
            continue
        if not isinstance(service.data, dict):
            raise service.error("expected a mapping with the keys of a service", path=("services", name))
        once(service)


def _check(document: Node) -> None:
    if not isinstance(document.data, dict):
        raise document.error("expected a Compose file, a mapping with services")
    for name, value in document.data.items() if "services" not in document.data else ():
        odd = name not in _KNOWN and not str(name).startswith("x-")
        if odd and (value.get("image") or value.get("build")):
            advice = "put the services under services:"
            raise value.error("is a service of Compose's first format", path=(name,), hint=advice)
    for name, value in document.data.items():
        if not isinstance(name, str) or (name not in _KNOWN and not name.startswith("x-")):
            near = difflib.get_close_matches(str(name), _KNOWN, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            raise value.error("is not a key of a Compose file", path=(name,), hint=hint)
        if name in _SECTIONS and value.data is not None and not isinstance(value.data, dict):
            raise value.error(f"expected a mapping of {name} by name", path=(name,))
    for name in _NOT_YET:
        if document.get(name) is not None:
            raise document.data[name].error("is not carried out yet", path=(name,))
    document.data.pop("version", None)


def _copy(node: Node) -> Node:
    if isinstance(node.data, dict):
        return Node({key: _copy(value) for key, value in node.data.items()}, node.mark, node.tag)
    if isinstance(node.data, list):
        return Node([_copy(item) for item in node.data], node.mark, node.tag)
    return Node(node.data, node.mark, node.tag)


def _same(one: Node, two: Node) -> bool:
    return bool(bare(one) == bare(two))


def _moved_entry(value: Node, section: str, source: Path, into: Path) -> Node:
    if section == "services":
        return moved(value, source, into)
    file = value.get("file")
    if section in ("configs", "secrets") and file is not None:
        return Node({**value.data, "file": _path(file, source, into)}, value.mark)
    return value


def moved(service: Node, source: Path, into: Path) -> Node:
    """A service from a file in another folder: its relative paths are written from this one."""
    made = dict(service.entries())
    for key in ("env_file", "label_file"):
        found = service.get(key)
        if found is not None:
            items = found.data if isinstance(found.data, list) else [found]
            made[key] = Node([_env_file(item, source, into) for item in items], found.mark, found.tag)
    volumes = service.get("volumes")
    if volumes is not None and isinstance(volumes.data, list):
        made["volumes"] = Node([_volume(item, source, into) for item in volumes.data], volumes.mark, volumes.tag)
    build = service.get("build")
    if build is not None:
        made["build"] = _build(build, source, into)
    develop = service.get("develop")
    watch = develop.get("watch") if develop is not None else None
    if develop is not None and watch is not None and isinstance(watch.data, list):
        watched = Node([_env_file(item, source, into) for item in watch.data], watch.mark, watch.tag)
        made["develop"] = Node({**develop.data, "watch": watched}, develop.mark, develop.tag)
    return Node(made, service.mark, service.tag)


def _build(build: Node, source: Path, into: Path) -> Node:
    """Its context; what is not said of it is the file's folder."""
    context = build.get("context") or (build if isinstance(build.data, str) else Node(".", build.mark))
    said = str(context.data)
    moved_to = context if "://" in said or said.startswith("git@") else _path(context, source, into)
    return Node({**build.entries(), "context": moved_to}, build.mark, build.tag)


def _env_file(item: Node, source: Path, into: Path) -> Node:
    path = item.get("path")
    if path is None:
        return _path(item, source, into)
    return Node({**item.data, "path": _path(path, source, into)}, item.mark, item.tag)


def _volume(item: Node, source: Path, into: Path) -> Node:
    if isinstance(item.data, dict):
        kind, where = item.get("type"), item.get("source")
        if kind is None or kind.data != "bind" or where is None:
            return item
        return Node({**item.data, "source": _path(where, source, into)}, item.mark, item.tag)
    first, colon, rest = str(item.data).partition(":")
    if not colon or not first.startswith("."):
        return item
    return Node(_path(Node(first, item.mark), source, into).data + colon + rest, item.mark, item.tag)


def _path(node: Node, source: Path, into: Path) -> Node:
    said = str(node.data)
    if posixpath.isabs(said) or said.startswith("~"):
        return node
    path = posixpath.normpath(posixpath.join(os.path.relpath(source, into), said))
    return Node(path if path.startswith("..") else f"./{path}", node.mark, node.tag)
