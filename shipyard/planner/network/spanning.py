"""Which networks span nodes, and what that makes of the services on them.

Containers on such a network have a hosts file of shipyard's, and their ingress ports are answered by the kernel of
every node of the play instead of being published by the runtime where a replica is. Like the number of an autoscaled
service this is worked out from the situation: the stored revision does not change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache

from shipyard.base.record import replace
from shipyard.model.container import ContainerSpec, Port
from shipyard.model.job import JOB_MODES
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, Revision, ServiceSpec, StackSpec
from shipyard.planner.network.choosing import chosen

SPANNING = ("routed", "vxlan", "wireguard")
"""Drivers whose networks are one on all nodes."""


def spans(network: NetworkSpec) -> bool:
    """Whether this network, as `resolved` left it, is one on all nodes."""
    return network.driver in SPANNING and not network.external


def resolved(situation: Situation) -> Situation:
    """The situation with a driver for every network, and what follows from it. Once more changes nothing."""
    decided = _decided(situation)
    if not decided:
        return situation
    stacks = tuple(_stack(stack, decided) for stack in situation.stacks)
    history = tuple(_revision(revision, decided) for revision in situation.history)
    return replace(situation, stacks=stacks, history=history)


def followed(situation: Situation) -> tuple[Revision, ...]:
    """Older revisions that replicas still follow."""
    if not situation.history:
        return ()
    there = {(placed.stack, placed.revision) for placed in situation.memory.placements}
    return tuple(revision for revision in situation.history if (revision.stack, revision.number) in there)


def left_over(situation: Situation) -> tuple[tuple[str, NetworkSpec], ...]:
    """Networks that only such revisions declare, with their stacks: needed until those replicas are replaced."""
    older = followed(situation)
    now = {network.name for stack in situation.stacks for network in stack.revision.spec.networks} if older else set()
    return tuple(
        (revision.stack, network)
        for revision in older
        for network in revision.spec.networks
        if network.name not in now and not network.external
    )


def _decided(situation: Situation) -> dict[str, str]:
    """The driver of each network that spans nodes, by its full name."""
    remembered = {each.network: each.driver for each in situation.memory.network_drivers}
    older = {
        network.name: driver
        for _, network in left_over(situation)
        if (driver := network.driver or remembered.get(network.name, "")) in SPANNING
    }
    found = {
        network.name: network.driver
        for stack in situation.stacks
        for network in stack.revision.spec.networks
        if network.driver in SPANNING and not network.external
    }
    return {**older, **{name: driver for name, driver in chosen(situation).items() if driver in SPANNING}, **found}


def _stack(stack: DesiredStack, decided: Mapping[str, str]) -> DesiredStack:
    revision = _revision(stack.revision, decided)
    if revision is stack.revision:
        return stack
    return replace(stack, revision=revision, stored=stack.stored or stack.revision)


def _revision(revision: Revision, decided: Mapping[str, str]) -> Revision:
    """The same one where nothing about it changes."""
    spec = _spec(revision.spec, decided)
    return revision if spec is revision.spec else replace(revision, spec=spec)


_KNOWN: OrderedDict[int, tuple[StackSpec, dict[str, str], StackSpec]] = OrderedDict()
"""What was worked out last, by the identity of what it was made from: a pass asks several times, of few stacks."""


def _spec(spec: StackSpec, decided: Mapping[str, str]) -> StackSpec:
    drivers = {network.name: decided[network.name] for network in spec.networks if network.name in decided}
    known = _KNOWN.get(id(spec))
    if known is not None and known[0] is spec and known[1] == drivers:
        return known[2]
    made = _KNOWN[id(spec)] = (spec, drivers, _made(spec, drivers))
    if len(_KNOWN) > 256:
        _KNOWN.popitem(last=False)
    return made[2]


def _made(spec: StackSpec, drivers: Mapping[str, str]) -> StackSpec:
    services = tuple(_service(service, drivers) for service in spec.services)
    networks = tuple(_network(network, drivers) for network in spec.networks)
    pairs = zip((*services, *networks), (*spec.services, *spec.networks), strict=True)
    if all(one is other for one, other in pairs):
        return spec
    return replace(spec, services=services, networks=networks)


def _network(network: NetworkSpec, drivers: Mapping[str, str]) -> NetworkSpec:
    if network.driver is not None or network.external or network.name not in drivers:
        return network
    return replace(network, driver=drivers[network.name])


def _service(service: ServiceSpec, drivers: Mapping[str, str]) -> ServiceSpec:
    if not any(attachment.network in drivers for attachment in service.container.networks):
        return service
    job = service.mode in JOB_MODES
    container = _container(service.container, job)
    variants = tuple((node, _container(spec, job)) for node, spec in service.variants)
    ingress = () if job else _ingress(service.container) or service.ingress
    if container is service.container and ingress == service.ingress:
        return service
    return replace(service, container=container, variants=variants, ingress=ingress)


def _ingress(spec: ContainerSpec) -> tuple[Port, ...]:
    return tuple(port for port in spec.ports if port.mode == "ingress" and port.published is not None)


@lru_cache(maxsize=16384)
def _container(spec: ContainerSpec, job: bool) -> ContainerSpec:
    """With its hosts file, and without the ports that the cluster's network carries; itself where that is so."""
    carried = () if job else _ingress(spec)
    ports = tuple(replace(port, published=None, address=None) if port in carried else port for port in spec.ports)
    members = tuple(replace(member, container=replace(member.container, hosts=True)) for member in spec.members)
    made = replace(spec, ports=ports, hosts=True, members=members)
    return spec if made == spec else made
