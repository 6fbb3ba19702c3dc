"""One service out of its renderings: a template container, and the nodes on which host variables make it differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from shipyard.base.record import replace
from shipyard.files.compose.service import Service
from shipyard.files.compose.value import Value
from shipyard.files.playbook.rendering import differs
from shipyard.files.yamldoc import Path
from shipyard.model.canonical import dumps
from shipyard.model.container import ContainerSpec
from shipyard.model.spec import ServiceSpec

Made = tuple[tuple[str, ...], Service]
"""Hosts, and what the service is on them."""


def _networks(service: Service) -> tuple[str, ...]:
    return tuple(f"{at.network} as {', '.join(at.aliases)}" for at in service.spec.container.networks)


_SAME: tuple[tuple[Path, Callable[[Service], Any]], ...] = (
    (("deploy", "mode"), lambda service: service.spec.mode),
    (("deploy", "replicas"), lambda service: service.spec.replicas),
    (("deploy", "placement"), lambda service: service.spec.placement),
    (("deploy", "resources", "reservations"), lambda service: service.spec.reservations),
    (("deploy", "update_config"), lambda service: service.spec.update),
    (("deploy", "rollback_config"), lambda service: service.spec.rollback),
    (("deploy", "labels"), lambda service: service.spec.labels),
    (("depends_on",), lambda service: service.spec.depends_on),
    (("networks",), _networks),
    (("network_mode",), lambda service: service.spec.container.network_mode),
    (("x-shipyard", "priority"), lambda service: service.spec.priority),
    (("x-shipyard", "tags"), lambda service: service.tags),
    (("x-shipyard", "reschedule"), lambda service: service.spec.reschedule),
    (("x-shipyard", "stable_names"), lambda service: service.spec.stable_names),
    (("x-shipyard", "names_from"), lambda service: service.spec.names_from),
    (("x-shipyard", "peer_domains"), lambda service: service.spec.peer_domains),
    (("x-shipyard", "name_token"), lambda service: service.spec.name_token),
    (("x-shipyard", "order"), lambda service: service.spec.order),
    (("x-shipyard", "schedule"), lambda service: service.spec.job),
    (("x-shipyard", "probes"), lambda service: service.spec.probes),
    (("x-shipyard", "autoscale"), lambda service: service.spec.autoscale),
    (("x-shipyard", "canary"), lambda service: service.spec.canary),
)
"""What the scheduler, or another service, has to know before it knows the node."""


def folded(value: Value, made: list[Made], reached: frozenset[str] = frozenset()) -> ServiceSpec | None:
    """The service for all its nodes. None where it has errors, which are noted.

    `reached`: variables that its templates can reach, and that each host may have of its own.
    """
    before = len(value.reading.problems)
    for path, part in _SAME:
        with value.reading.collect():
            _same(value, path, part, made)
    if len(value.reading.problems) > before:
        return None
    nodes: dict[str, ContainerSpec] = {}
    for hosts, service in made:
        nodes.update(dict.fromkeys(hosts, service.spec.container))
    spec = made[0][1].spec
    if not reached:  # all hosts agree, and so will those to come
        return replace(spec, container=next(iter(nodes.values())))
    return with_nodes(replace(spec, reached=tuple(sorted(reached))), nodes)


def with_nodes(service: ServiceSpec, nodes: Mapping[str, ContainerSpec]) -> ServiceSpec:
    """The service on these nodes and no others: what most of them have is the template."""
    count = Counter(nodes.values())
    first = {nodes[node]: node for node in sorted(nodes, reverse=True)}
    template = min(count, key=lambda container: (-count[container], first[container]))
    variants = tuple((node, nodes[node]) for node in sorted(nodes) if nodes[node] != template)
    return replace(service, container=template, variants=variants, per_node=True, rendered=tuple(sorted(nodes)))


def _same(value: Value, path: Path, part: Callable[[Service], Any], made: list[Made]) -> None:
    (hosts, first), *others = made
    for other_hosts, other in others:
        if part(other) != part(first):
            place = (*value.path, *path)
            raise differs(value.reading, place, (hosts[0], _shown(part(first))), (other_hosts[0], _shown(part(other))))


def _shown(data: Any) -> str:
    return dumps(data)
