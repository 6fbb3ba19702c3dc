"""Compose files as what they declare: one stack, on the hosts of one pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError, FileErrors, UsageError
from shipyard.base.record import Struct
from shipyard.files import patterns
from shipyard.files.compose.declared import Resources
from shipyard.files.compose.value import Reading
from shipyard.files.composefile import consistency, schema
from shipyard.files.composefile.nodes import ManyMarks, Node, plain
from shipyard.files.composefile.reading import Parsed, Reader, named, variables
from shipyard.files.composefile.services import adapted, enabled, inherited
from shipyard.files.kinds import Wish
from shipyard.files.playbook.assemble import Assembly
from shipyard.files.playbook.load import LoadedFiles, check_tags, inside, ordered
from shipyard.files.playbook.play import Play
from shipyard.model.inventory import Host, Inventory

_SECTIONS = ("services", "networks", "volumes", "configs", "secrets")


class Project(Struct, frozen=True):
    """Files put together: `data`: plain, only what is used. `environ`: with the variables of env files."""

    name: str
    files: tuple[str, ...]
    data: dict[str, Any]
    marks: ManyMarks
    environ: Mapping[str, str]
    notices: tuple[str, ...]


def together(paths: Sequence[Path], wish: Wish, *, project: Path, environ: Mapping[str, str]) -> Project:
    """Read the files; what stands in them is held against Compose's schema alone. Raises FileErrors."""
    whole, wrong = _together(paths, wish, project, environ)
    if wrong:
        raise FileErrors(ordered(wrong, paths))
    return whole


def _together(
    paths: Sequence[Path], wish: Wish, project: Path, environ: Mapping[str, str]
) -> tuple[Project, list[FileError]]:
    """The project, and what Compose's schema says against it, which others may say better. Raises FileErrors."""
    notices: list[str] = []
    wrong: list[FileError] = []
    files = tuple(dict.fromkeys(inside(path, project) for path in paths))
    try:
        whole, name, known = _read(paths, wish, project, environ, notices)
        wrong = schema.problems(whole)
        marks = ManyMarks(str(paths[0]))
        _prepare(whole, _profiles(wish, known), notices, known)
    except FileError as error:
        raise FileErrors(ordered([error, *schema.left(wrong, [error])], paths)) from None
    return Project(name, files, plain(whole, marks), marks, known, tuple(notices)), wrong


def normal_form(paths: Sequence[Path], wish: Wish, *, project: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Compose's own normal form of files that are laid over each other. Raises FileErrors."""
    from shipyard.files.composefile.normal import Normal

    folder = paths[0].parent
    try:
        whole, name, known = _read(paths, wish, project, environ, [])
        if wrong := schema.problems(whole):
            raise FileErrors(ordered(wrong, paths))
        services = whole.get("services") or Node({}, whole.mark)
        profiles = {key: found for key, node in services.data.items() if (found := node.get("profiles")) is not None}
        kept = enabled(services, _profiles(wish, known))
        if wrong := list(consistency.problems(whole, services, kept)):
            raise FileErrors(ordered(wrong, paths))
        whole.data["services"] = kept
        _only_used(whole, kept)
    except FileError as error:
        raise FileErrors((error,)) from None
    return Normal(name, folder, project, known).form(whole, profiles)


def _profiles(wish: Wish, known: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in (*wish.profiles, *known.get("COMPOSE_PROFILES", "").split(",")) if name.strip()]


def _read(
    paths: Sequence[Path], wish: Wish, project: Path, environ: Mapping[str, str], notices: list[str]
) -> tuple[Node, str, dict[str, str]]:
    """All files together, the project's name, and the variables. Raises FileError."""
    folder = paths[0].parent
    env_files = [Path(name) for name in wish.env_files] or [folder / ".env"] * (folder / ".env").is_file()
    known = variables(env_files, environ, project)
    name = wish.stack or known.get("COMPOSE_PROJECT_NAME")
    parsed: Parsed = {}
    name = name or _normal(named(paths, known, project, parsed))
    known.setdefault("COMPOSE_PROJECT_NAME", name or _name_of(folder))
    whole = Reader(project, folder, known, notices, parsed).read(paths)
    return whole, name or _name_of(folder), known


def load(
    paths: Sequence[Path],
    wish: Wish,
    *,
    inventory: Inventory,
    project: Path,
    tags: Sequence[str],
    environ: Mapping[str, str],
    untrusted: bool,
) -> LoadedFiles:
    """Read Compose files that are laid over each other. Raises FileErrors with what is wrong."""
    pattern, hosts = wish.hosts or "all", hosts_of(wish.hosts or "all", inventory)
    whole, wrong = _together(paths, wish, project, environ)
    problems: list[FileError] = []
    notices = list(whole.notices)
    files, name, data, marks, known = whole.files, whole.name, whole.data, whole.marks, whole.environ
    folder = paths[0].parent
    reading = Reading(marks, Resources(""), project, folder, known, problems, notices, untrusted)
    root = reading.root(data)
    got = {section: root.child(section, data[section]) for section in _SECTIONS if data.get(section) is not None}
    play = Play(root, {"stack": name, **got}, hosts, pattern, ())
    assembly = Assembly(inventory, problems)
    return loaded(assembly, [(play, files[0])], files, pattern, wish, paths, tags, problems, notices, wrong)


def loaded(
    assembly: Assembly,
    plays: list[tuple[Play, str]],
    files: tuple[str, ...],
    pattern: str,
    wish: Wish,
    paths: Sequence[Path],
    tags: Sequence[str],
    problems: list[FileError],
    notices: list[str],
    of_schema: Sequence[FileError] = (),
) -> LoadedFiles:
    """What plays made of files of others come to, each with its file. Raises FileErrors with all that is wrong.

    `of_schema`: what is wrong by a schema, said only where nothing better is.
    """
    stacks = assembly.stacks(plays)
    problems += schema.left(of_schema, problems)
    if wish.strict:
        problems += [as_error(notice) for notice in notices]
    if problems:
        raise FileErrors(ordered(problems, paths))
    check_tags(stacks, tags)
    return LoadedFiles(stacks, files, (pattern,), tuple(notices), tuple(tags), assembly.secrets(), assembly.outside())


def hosts_of(pattern: str, inventory: Inventory) -> tuple[Host, ...]:
    """The hosts of `--hosts`. Raises UsageError where there are none."""
    matched = patterns.match(pattern, inventory)
    hosts = tuple(host for name in matched.hosts if (host := inventory.host(name)) is not None)
    if not hosts:
        hint = "shipyard inventory graph shows what there is"
        raise UsageError(f"--hosts {pattern} matches no host", hint=hint)
    return hosts


def _name_of(folder: Path) -> str:
    """As Compose names a project after its folder."""
    return _normal(folder.resolve().name).rstrip("_-") or "default"


def _normal(name: str) -> str:
    """As Compose writes the name of a project: small letters, digits, - and _."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def _prepare(whole: Node, profiles: Sequence[str], notices: list[str], environ: Mapping[str, str]) -> None:
    services = whole.get("services")
    if services is None or not services.data:
        raise whole.error("has no services")
    kept = enabled(services, profiles)
    if not kept.data:
        raise services.error("no service is without a profile", hint="name a profile with --profile")
    for name, service in kept.data.items():
        adapted(name, service, notices)
        inherited(service, environ)
    whole.data["services"] = kept
    _only_used(whole, kept)


def _only_used(whole: Node, services: Node) -> None:
    """Compose leaves out what no service of the active profiles uses, and so is it here, without a word."""
    for section in ("networks", "volumes", "configs", "secrets"):
        declared = whole.get(section)
        if declared is None:
            continue
        used = {key for service in services.data.values() for key in _names(service, section)}
        if section == "networks":
            used.add("default")
        if section == "secrets":
            used |= {
                key
                for service in services.data.values()
                if (build := service.get("build"))
                for key in _names(build, section)
            }
        whole.data[section] = Node({key: node for key, node in declared.data.items() if key in used}, declared.mark)


def _names(service: Node, section: str) -> set[str]:
    found = service.get(section)
    if found is None or not isinstance(found.data, list):
        return {str(key) for key in found.entries()} if found is not None else set()
    names = set()
    for item in found.data:
        if isinstance(item.data, dict):
            source = item.get("source")
            names.add(str(source.data) if source else "")
        else:
            names.add(str(item.data).partition(":")[0])
    return names


def as_error(notice: str) -> FileError:
    """What `--strict` makes of a notice."""
    match = re.match(r"(.*?):([0-9]+): (.*)", notice, re.DOTALL)
    if match is None:
        return FileError(notice, file="")
    return FileError(
        match[3], file=match[1], line=int(match[2]), hint="--strict takes what is only worth knowing for an error"
    )
