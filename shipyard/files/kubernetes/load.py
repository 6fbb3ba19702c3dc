"""Kubernetes manifests as what they declare: each namespace a stack, on the hosts of one pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError, FileErrors, UsageError
from shipyard.base.record import Struct, field
from shipyard.files.compose.declared import Resources
from shipyard.files.compose.value import Reading
from shipyard.files.composefile.load import hosts_of, loaded
from shipyard.files.composefile.nodes import Node
from shipyard.files.kinds import STDIN, Wish
from shipyard.files.kubernetes import catalog, data, jobs, policies, scheduling, services, workloads
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.fields import warn
from shipyard.files.kubernetes.objects import Object, objects
from shipyard.files.kubernetes.tree import Origins, node, plain
from shipyard.files.kubernetes.workloads import Workload
from shipyard.files.playbook.assemble import Assembly
from shipyard.files.playbook.load import LoadedFiles, inside, ordered
from shipyard.files.playbook.play import Play
from shipyard.files.yamldoc import Marks
from shipyard.model.inventory import Inventory


class Namespace(Struct):
    """What stands in one namespace, as it is put together."""

    scope: Scope
    items: list[Object]
    workloads: list[Workload] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Object]:
        return [item for item in self.items if item.kind in kinds]


class Part(Struct, frozen=True):
    """A play's body out of one file: a stack or a part of it."""

    stack: str
    file: str
    data: dict[str, Any]
    marks: Origins


class Translated(Struct, frozen=True):
    """Manifests as plays. `files`: as services remember them."""

    parts: tuple[Part, ...]
    files: tuple[str, ...]
    notices: tuple[str, ...]


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
    """Read manifests. Raises FileErrors with all that is wrong; a set of files is taken whole or not at all."""
    pattern, hosts = wish.hosts or "all", hosts_of(wish.hosts or "all", inventory)
    problems: list[FileError] = []
    notices: list[str] = []
    whole = _translated(paths, wish, project, problems, notices)
    assembly = Assembly(inventory, problems)
    plays = []
    for part in whole.parts:
        reading = Reading(part.marks, Resources(""), project, project, environ, problems, notices, untrusted)
        root = reading.root(part.data)
        got = {section: root.child(section, part.data[section]) for section in part.data}
        plays.append((Play(root, {"stack": part.stack, **got}, hosts, pattern, ()), part.file))
    return loaded(assembly, plays, whole.files, pattern, wish, paths, tags, problems, notices)


def together(paths: Sequence[Path], wish: Wish, *, project: Path) -> Translated:
    """The manifests as plays. Raises FileErrors with what is wrong in them, as far as the play itself doesn't tell."""
    problems: list[FileError] = []
    notices: list[str] = []
    whole = _translated(paths, wish, project, problems, notices)
    if problems:
        raise FileErrors(ordered(problems, paths))
    return whole


def bodies(whole: Translated) -> dict[str, dict[str, Any]]:
    """The body of one play for each stack, whatever the files."""
    made: dict[str, dict[str, Any]] = {}
    for part in whole.parts:
        into = made.setdefault(part.stack, {})
        for section, found in part.data.items():
            into[section] = {**into.get(section, {}), **found}
    return made


def _translated(
    paths: Sequence[Path], wish: Wish, project: Path, problems: list[FileError], notices: list[str]
) -> Translated:
    given = []
    for path in dict.fromkeys(paths):
        reading = Reading(Marks(str(path)), Resources(""), project, project, {}, problems, notices)
        with reading.collect():
            given.append((path, STDIN if str(path) == STDIN else inside(path, project), reading))
    items = _no_doubles([item for item in objects(given) if _carried(item)])
    spaces = _spaces(items)
    if wish.stack:
        named = [name for name, space in spaces.items() if space.items]
        if len(named) > 1:
            raise UsageError(
                f"--stack {wish.stack} is one name, and there are {len(named)} namespaces: {', '.join(named)}",
                hint="leave it out: each namespace is a stack",
            )
        for space in spaces.values():
            space.scope.name = wish.stack
    for space in spaces.values():
        _fill(space)
    parts = tuple(part for space in spaces.values() for part in _parts(space, problems))
    if not parts and not problems:
        raise FileErrors(
            (
                FileError(
                    "declares no workload",
                    file=str(paths[0]),
                    hint="ConfigMaps, Services and the like are given together with the pods that use them",
                ),
            )
        )
    files = tuple(dict.fromkeys(file for _, file, _ in given))
    return Translated(parts, files, tuple(notices))


def _carried(item: Object) -> bool:
    with item.value.reading.collect():
        return catalog.carried(item)
    return False


def _no_doubles(items: Sequence[Object]) -> list[Object]:
    """Each object once; those that come again are noted."""
    seen: dict[tuple[str, str, str], Object] = {}
    for item in items:
        with item.value.reading.collect():
            key = (item.kind, "" if item.kind in ("Namespace", "PriorityClass") else item.namespace, item.name)
            first = seen.setdefault(key, item)
            if first is not item:
                raise item.at("metadata", "name").error(f"is there a second time; the first is {first.shown()}")
    return list(seen.values())


def _spaces(items: Sequence[Object]) -> dict[str, Namespace]:
    spaces: dict[str, Namespace] = {}
    priorities: dict[str, int] = {}
    for item in items:
        with item.value.reading.collect():
            if item.kind == "PriorityClass":
                got = catalog.PRIORITY_CLASS.read(item.value)
                priorities[item.name] = got.get("value", 0)
            elif item.kind == "Namespace":
                catalog.NAMESPACE.read(item.value)
            else:
                space = spaces.setdefault(item.namespace, Namespace(Scope(item.namespace), []))
                space.items.append(item)
    for space in spaces.values():
        space.scope.priorities = priorities
    for item in items:
        if item.kind == "Namespace" and item.name not in spaces:
            warn(item.at("metadata", "name"), "has no workload here, and a stack is made of what runs in it")
    return spaces


def _fill(space: Namespace) -> None:
    """Everything of a namespace read, in the order in which it refers to each other."""
    scope = space.scope
    for item in space.of("ConfigMap", "Secret", "PersistentVolumeClaim"):
        with item.value.reading.collect():
            if item.kind == "ConfigMap":
                scope.config_maps[item.name] = data.config_map(item)
            elif item.kind == "Secret":
                scope.secrets[item.name] = data.secret(item)
            else:
                scope.claims[item.name] = item, data.claim(item)
    broken = bool(space.items and space.items[0].value.reading.problems)
    for item in space.of(*workloads.SERVICE_KINDS, "Job", "CronJob"):
        before = len(item.value.reading.problems)
        with item.value.reading.collect():
            read = jobs.job if item.kind == "Job" else jobs.cron_job if item.kind == "CronJob" else workloads.workload
            made = read(item, scope)
            if made is not None:
                space.workloads.append(made)
        broken = broken or len(item.value.reading.problems) > before
    exposed = []
    for item in space.of("Service"):
        with item.value.reading.collect():
            found = services.read(item)
            if found is not None:
                exposed.append(found)
    if broken:
        return  # what selects a workload that could not be read would be told wrong things
    services.attach(exposed, space.workloads, scope)
    for item in space.of("HorizontalPodAutoscaler"):
        with item.value.reading.collect():
            policies.autoscale(item, space.workloads)
    for item in space.of("NetworkPolicy"):
        with item.value.reading.collect():
            policies.policy(item, space.workloads, scope)
    for workload in space.workloads:
        with workload.item.value.reading.collect():
            _affinity(workload, space.workloads)
    _tell_unused(space)


def _affinity(workload: Workload, all_of_them: Sequence[Workload]) -> None:
    affinity = workload.pod.affinity
    for name, key in (
        (("podAffinity", "affinity"), ("podAntiAffinity", "anti_affinity")) if affinity is not None else ()
    ):
        if affinity is not None and affinity.data.get(name) is not None:
            at = affinity.child(name, affinity.data[name])
            found = scheduling.neighbours(at, lambda fits: [each.name for each in all_of_them if fits(each.pod.labels)])
            if found:
                workload.pod.own[key] = node(at, found)


def _tell_unused(space: Namespace) -> None:
    scope = space.scope
    for each in (*scope.config_maps.values(), *scope.secrets.values()):
        if not each.used:
            warn(
                each.item.at("metadata", "name"), f"the {each.kind} {each.item.name} is used by no pod, and is not made"
            )
    for name, (item, _) in scope.claims.items():
        if name not in scope.used_claims:
            warn(item.at("metadata", "name"), f"the claim {name} is used by no pod, and no volume is made")


def _parts(space: Namespace, problems: list[FileError]) -> list[Part]:
    """A play for each file, so that services remember the file that declares them; the first has all else."""
    if not space.workloads:
        return []
    names: dict[str, Workload] = {}
    for workload in space.workloads:
        with workload.item.value.reading.collect():
            first = names.setdefault(workload.name, workload)
            if first is not workload:
                raise workload.item.at("metadata", "name").error(
                    f"comes to a service {workload.name}, as {first.shown()} does", hint="give one of them another name"
                )
    by_file: dict[str, list[Workload]] = {}
    for workload in names.values():
        by_file.setdefault(workload.item.file, []).append(workload)
    sections: dict[str, dict[str, Node]] = {name: dict(found) for name, found in space.scope.sections.items()}
    made = []
    for number, (file, found) in enumerate(by_file.items()):
        services_ = {each.name: each.service(space.scope.name) for each in found}
        top = found[0].item.at("metadata", "namespace")
        body = {"services": services_, **{key: item for key, item in sections.items() if item and number == 0}}
        marks = Origins(file)
        made.append(Part(space.scope.name, file, plain(node(top, body), marks), marks))
    return made
