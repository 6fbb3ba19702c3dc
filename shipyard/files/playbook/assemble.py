"""Plays put together into stacks: first what services can refer to, then the services, then what holds between them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, field, replace
from shipyard.files.compose import resources, secrets
from shipyard.files.compose.declared import KEY, Declared, DeclaredSecret, Resources, T
from shipyard.files.compose.service import service as read_service
from shipyard.files.compose.value import Reading, Value
from shipyard.files.playbook.play import Play
from shipyard.files.playbook.rendering import Renderer, Rendering, on_host
from shipyard.files.playbook.sidecars import joined
from shipyard.files.playbook.variants import Made, folded
from shipyard.model.inventory import Inventory
from shipyard.model.labels import NAME
from shipyard.model.spec import SecretSpec, ServiceSpec, StackSpec, VolumeSpec

MAX_NAME = 63


class _Stack(Struct):
    """A stack that takes shape. `places`: where each service is declared, and whether it could be read."""

    name: str
    resources: Resources
    services: list[ServiceSpec] = field(default_factory=list)
    places: dict[str, Value] = field(default_factory=dict)


class _Part(Struct, frozen=True):
    """One play's part of a stack."""

    play: Play
    file: str
    stack: _Stack
    renderer: Renderer
    reading: Reading

    def section(self, name: str) -> Iterator[tuple[str, Value]]:
        value = self.play.got.get(name)
        if value is not None:
            for key, entry in value.mapping():
                yield key, replace(entry, reading=self.reading)


class Assembly:
    """All plays of a run. Errors are added to `problems`."""

    def __init__(self, inventory: Inventory, problems: list[FileError]) -> None:
        self._inventory, self._problems = inventory, problems
        self._stacks: dict[str, _Stack] = {}

    def stacks(self, plays: list[tuple[Play, str]]) -> tuple[StackSpec, ...]:
        parts = [part for play, file in plays if (part := self._part(play, file)) is not None]
        for part in parts:
            self._declare(part, "networks", part.stack.resources.networks, resources.network)
            self._declare(part, "volumes", part.stack.resources.volumes, resources.volume)
            self._declare(part, "configs", part.stack.resources.configs, resources.config)
            self._declare(part, "secrets", part.stack.resources.secrets, secrets.secret)
        for part in parts:
            for name, entry in part.section("services"):
                with part.reading.collect():
                    self._service(part, name, entry)
        for stack in self._stacks.values():
            stack.services = joined(stack.services, stack.places)
            self._no_cycles(stack)
        self._unused(parts)
        self._no_clashes()
        finished = tuple(_finished(self._stacks[name]) for name in sorted(self._stacks))
        for spec in finished:
            self._names_of_slots(self._stacks[spec.name], spec)
        return finished

    def secrets(self) -> dict[str, tuple[DeclaredSecret, ...]]:
        """Those that services use, by stack: where their contents come from."""
        return {name: self._stacks[name].resources.secrets.in_use() for name in sorted(self._stacks)}

    def outside(self) -> dict[tuple[str, str], FileError]:
        """Where each external config that services use is declared, by stack and key: an error there, without words."""
        return {
            (name, spec.key): self._stacks[name].resources.configs.places[spec.key].error("")
            for name in sorted(self._stacks)
            for spec in self._stacks[name].resources.configs.in_use()
            if spec.external
        }

    def _part(self, play: Play, file: str) -> _Part | None:
        renderer = Renderer(self._inventory, play.hosts, play.layers, play.value.reading)
        path = (*play.value.path, "stack")
        rendering = renderer.same(play.got["stack"], path)
        if rendering is None:
            return None
        reading = play.value.reading
        with reading.collect():
            name = reading.root(rendering.data, path, rendering.rendered).text("a stack's name")
            _check_name(reading.root(name, path), name, "a stack's name")
            stack = self._stacks.setdefault(name, _Stack(name, Resources(name)))
            return _Part(play, file, stack, renderer, replace(reading, resources=stack.resources))
        return None

    def _declare(
        self, part: _Part, section: str, declared: Declared[T], read: Callable[[Value, str, str], T | None]
    ) -> None:
        for key, entry in part.section(section):
            with part.reading.collect():
                declared.broken.add(key)
                if KEY.fullmatch(key) is None:
                    raise entry.error(f"{key!r} is no name of a {declared.kind}: letters, digits, _ . - only")
                rendering = part.renderer.same(entry.data, entry.path, hidden=section == "secrets")
                if rendering is None:
                    continue
                before = len(self._problems)
                value = part.reading.root(rendering.data, entry.path, rendering.rendered)
                spec = read(value, part.stack.name, key)
                if spec is None or len(self._problems) > before:
                    continue
                self._same_as_before(entry, key, declared, spec)
                declared.broken.discard(key)

    def _same_as_before(self, entry: Value, key: str, declared: Declared[T], spec: T) -> None:
        if key in declared.specs and declared.specs[key] != spec:
            first = _where(declared.places[key])
            raise entry.error(f"is declared otherwise at {first}", hint="say the same in both, or once")
        declared.specs[key] = spec
        declared.places.setdefault(key, entry)

    def _service(self, part: _Part, name: str, entry: Value) -> None:
        _check_name(entry, name, "a service's name")
        first = part.stack.places.setdefault(name, entry)
        if first is not entry:
            raise entry.error(f"is declared a second time; the first is at {_where(first)}")
        made, reached = self._read(part, name, entry)
        spec = folded(entry, made, reached) if made else None
        if spec is not None:
            tags = dict.fromkeys((*part.play.got.get("tags", ()), *made[0][1].tags))
            spec = replace(spec, file=part.file, pattern=part.play.pattern, tags=tuple(sorted(tags)))
            part.stack.services.append(spec)

    def _read(self, part: _Part, name: str, entry: Value) -> tuple[list[Made], frozenset[str]]:
        """The service on each group of hosts for which it is one, and the hosts' own variables that it reaches.

        Empty where any of them has an error.
        """
        before = len(self._problems)
        renderings = part.renderer.each(entry.data, entry.path)
        made: list[Made] = []
        found: dict[str, tuple[FileError, list[Rendering]]] = {}
        for rendering in renderings:
            reading = replace(part.reading, problems=[])
            with reading.collect():
                service = read_service(reading.root(rendering.data, entry.path, rendering.rendered), name)
                if service is not None:
                    made.append((rendering.hosts, service))
            for error in reading.problems:
                found.setdefault(str(error), (error, []))[1].append(rendering)
        for error, where in found.values():
            with part.reading.collect():
                raise error if len(where) == len(renderings) else on_host(error, where[0].hosts[0])
        reached = renderings[0].reached if renderings else frozenset[str]()
        return (made if len(self._problems) == before else []), reached

    def _no_cycles(self, stack: _Stack) -> None:
        needs = {service.name: tuple(need.service for need in service.depends_on) for service in stack.services}
        for name in sorted(needs):
            way = _way_back(name, needs)
            if way and name == min(way):
                value = stack.places[name]
                with value.reading.collect():
                    place = value.child("depends_on", None)
                    raise place.error("services wait for each other: " + " -> ".join(way))

    def _unused(self, parts: list[_Part]) -> None:
        if self._problems:
            return
        for part in parts:
            known = part.stack.resources
            for declared in (known.networks, known.volumes, known.configs, known.secrets):
                for key, entry in part.section(f"{declared.kind}s"):
                    if key not in declared.used:
                        entry.notice(f"the {declared.kind} {key} is used by no service, and is not made")

    def _no_clashes(self) -> None:
        """One full name can't mean two things."""
        taken: dict[tuple[str, str], Value] = {}
        for stack in self._stacks.values():
            for declared in (stack.resources.networks, stack.resources.volumes):
                for key, spec in declared.specs.items():
                    place = declared.places.get(key)
                    if spec.external or place is None:
                        continue
                    first = taken.setdefault((declared.kind, spec.name), place)
                    with place.reading.collect():
                        if first is not place:
                            raise place.error(
                                f"is called {spec.name} on the nodes, as the {declared.kind} at {_where(first)} is",
                                hint="give one of them another name:",
                            )

    def _names_of_slots(self, stack: _Stack, finished: StackSpec) -> None:
        """What each replica has of its own needs a name of its own."""
        for service in finished.services:
            place = stack.places[service.name]
            with place.reading.collect():
                if service.per_replica and service.mode != "replicated":
                    why = f"mounts {service.per_replica[0]}, which is per_replica, and has mode {service.mode}"
                    raise place.error(why, hint="with mode global each node has a volume of its own as it is")
                if service.stable_names and len(service.name) > MAX_NAME - len("-100000"):
                    raise place.error("has a name that is too long for host names such as NAME-1")
                if lacking := next((key for key, said in _of_names(service) if said and not service.stable_names), ""):
                    raise place.error(f"has x-shipyard.{lacking}, and no stable_names that it is about")
        names = {volume.name for volume in finished.volumes}
        for volume in finished.volumes:
            clash = next((name for name in sorted(names) if _is_slot_of(name, volume)), None)
            declared = stack.resources.volumes.places.get(volume.key)
            if declared is not None and clash is not None:
                with declared.reading.collect():
                    raise declared.error(f"is per_replica, so {clash} would be two volumes")


def _of_names(service: ServiceSpec) -> list[tuple[str, bool]]:
    """The keys about stable names, and whether they say something."""
    return [
        ("names_from", service.names_from != 1),
        ("peer_domains", bool(service.peer_domains)),
        ("name_token", bool(service.name_token)),
    ]


def _is_slot_of(name: str, volume: VolumeSpec) -> bool:
    base, _, slot = name.rpartition("_")
    return volume.per_replica and base == volume.name and slot.isdigit()


def _where(value: Value) -> str:
    mark = value.reading.marks.at(value.path)
    return f"{mark.file}:{mark.line}"


def _check_name(value: Value, name: str, what: str) -> None:
    if len(name) > MAX_NAME:
        raise value.error(f"is longer than {MAX_NAME} characters")
    if NAME.fullmatch(name) is None:
        suggestion = "".join(char if char.isalnum() and char.isascii() else "-" for char in name.lower()).strip("-")
        hint = f"for example {suggestion}" if NAME.fullmatch(suggestion) else None
        odd = next((char for char in name if not char.isascii()), None)
        if odd is not None:
            hint = f"{odd!r} is {unicodedata.name(odd, f'U+{ord(odd):04X}')}"
        raise value.error(
            f"{name!r} is not {what}: lower-case letters, digits, _ and -, no sign at either end", hint=hint
        )


def _way_back(start: str, needs: dict[str, tuple[str, ...]]) -> list[str]:
    """The way from a service along its dependencies back to itself; empty where there is none."""
    ahead: list[list[str]] = [[start]]
    seen: set[str] = set()
    while ahead:
        way = ahead.pop()
        for name in needs.get(way[-1], ()):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ahead.append([*way, name])
    return []


def _with_own_volumes(service: ServiceSpec, volumes: tuple[VolumeSpec, ...]) -> ServiceSpec:
    """The service, with what follows from volumes of which each of its replicas has one."""
    mounted = {mount.source for container in service.containers() for mount in container.mounts}
    own = tuple(volume.name for volume in volumes if volume.per_replica and volume.name in mounted)
    return replace(service, per_replica=own, stable_names=True) if own else service


def _finished(stack: _Stack) -> StackSpec:
    volumes = stack.resources.volumes.in_use()
    return StackSpec(
        stack.name,
        tuple(_with_own_volumes(service, volumes) for service in sorted(stack.services, key=lambda each: each.name)),
        stack.resources.networks.in_use(),
        volumes,
        stack.resources.configs.in_use(),
        tuple(SecretSpec(each.name, each.key, external=each.external) for each in stack.resources.secrets.in_use()),
    )
