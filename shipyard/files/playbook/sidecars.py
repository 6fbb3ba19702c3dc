"""Services with `network_mode: service:NAME` become containers of that service's replicas."""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.base.record import replace
from shipyard.files.compose import members
from shipyard.files.compose.value import Value
from shipyard.model.container import ContainerSpec, Member
from shipyard.model.labels import HOLDER
from shipyard.model.spec import ServiceSpec


def joined(services: list[ServiceSpec], places: Mapping[str, Value]) -> list[ServiceSpec]:
    """The stack's services, without those that join another. Errors are noted where they are."""
    mains = {service.name: service for service in services if not _target(service)}
    sides = [service for service in services if _target(service)]
    known = {service.name: service for service in services}
    for side in sorted(sides, key=lambda service: service.name):
        place = places[side.name]
        with place.reading.collect():
            wrong = _problem(side, known, places)
            if wrong:
                raise place.child("network_mode", None).error(wrong)
            if _target(side) in mains:
                mains[_target(side)] = _with(mains[_target(side)], side, place)
    for service in mains.values():
        _not_depending(service, {side.name: _target(side) for side in sides}, places[service.name])
    return [mains[service.name] for service in services if service.name in mains]


def _target(service: ServiceSpec) -> str:
    mode = service.container.network_mode or ""
    return mode.removeprefix(members.JOINS) if mode.startswith(members.JOINS) else ""


def _problem(side: ServiceSpec, known: Mapping[str, ServiceSpec], places: Mapping[str, Value]) -> str:
    """Why a service can't be a sidecar of the one it names, or ""."""
    name = _target(side)
    if name not in known:
        return "" if name in places else f"there is no service {name} in this stack"
    main = known[name]
    if name == side.name:
        return "a service can't be a container of its own replicas"
    if side.name == HOLDER:
        return f"{HOLDER} is what shipyard calls a container of its own; give the service another name"
    if _target(main):
        return f"{name} itself has network_mode service:{_target(main)}: name that one"
    if (main.file, main.pattern) != (side.file, side.pattern):
        return f"{name} is in another play; a sidecar stands beside its service in the same one"
    return ""


def _with(main: ServiceSpec, side: ServiceSpec, place: Value) -> ServiceSpec:
    if any(member.name == side.name for member in main.container.members):
        raise place.error(f"{main.name} has another container of this name")
    nodes = sorted({node for service in (main, side) for node, _ in service.variants})
    template = _beside(main.container, side.name, side.container)
    made = ((node, _beside(main.container_on(node), side.name, side.container_on(node))) for node in nodes)
    return replace(
        main,
        container=template,
        variants=tuple((node, spec) for node, spec in made if spec != template),
        per_node=main.per_node or side.per_node,
        rendered=tuple(sorted({*main.rendered, *side.rendered})),
        reached=tuple(sorted({*main.reached, *side.reached})),
        reservations=members.together(main.reservations, [("sidecar", side.reservations)]),
        tags=tuple(sorted({*main.tags, *side.tags})),
    )


def _beside(main: ContainerSpec, name: str, side: ContainerSpec) -> ContainerSpec:
    return replace(main, members=(*main.members, Member(name, "sidecar", replace(side, network_mode=None))))


def _not_depending(service: ServiceSpec, sides: Mapping[str, str], place: Value) -> None:
    for needed in service.depends_on:
        if needed.service in sides:
            with place.reading.collect():
                name, main = needed.service, sides[needed.service]
                why = "is one of its own containers" if main == service.name else f"is a container of {main}: name that"
                raise place.child("depends_on", None).error(f"{name} {why}")
