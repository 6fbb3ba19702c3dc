"""Which containers the addresses of services lead to: those that serve, and are not about to stop.

What can't be seen in this pass is not believed to be gone: of a node that is alive but does not tell (a refused sudo),
and where so many fall silent at once that it is rather our own network, the last pass's endpoints go on. Those of a
node that does not answer are dropped at once, unless they are the last that a service has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from shipyard.model.job import JOB_MODES
from shipyard.model.netbook import Endpoint
from shipyard.model.observed import Container, Silent
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import condition, probes
from shipyard.planner.world import World

ServiceKey = tuple[str, str]


def served(world: World) -> Iterator[tuple[DesiredStack, ServiceSpec, tuple[str, ...]]]:
    """Every service on networks that span nodes, with these, in the order in which it joins them.

    Last come those that only replicas of older revisions are on: they serve there until they are replaced.
    """
    for stack in world.situation.stacks:
        if stack.removing:
            continue
        for service in stack.revision.spec.services:
            if service.mode not in JOB_MODES:
                joined = (*joined_by(world, service), *world.still_on(stack.revision.stack, service))
                if joined:
                    yield stack, service, joined


def joined_by(world: World, service: ServiceSpec) -> tuple[str, ...]:
    """Full names of the networks that span nodes which a service is on."""
    return tuple(each.network for each in service.container.networks if each.network in world.spanning)


def ready(world: World, leaving: Collection[str]) -> tuple[Endpoint, ...]:
    """All endpoints, sorted. `leaving`: names of containers that are to stop."""
    silent = {each.name: each for each in world.situation.observed if isinstance(each, Silent)}
    before: dict[ServiceKey, list[Endpoint]] = {}
    for endpoint in world.net.endpoints:
        if endpoint.node not in world.seen and endpoint.container not in leaving:
            before.setdefault((endpoint.stack, endpoint.service), []).append(endpoint)
    found: list[Endpoint] = []
    for stack, service, networks in served(world):
        key = (stack.revision.stack, service.name)
        now = list(_seen(world, stack, service, networks, leaving))
        unseen = before.get(key, [])
        alive = [each for each in unseen if _goes_on(world, silent, each.node)]
        found += [*now, *(alive if now or alive else unseen)]
    return tuple(sorted(found, key=lambda each: each.key))


def _goes_on(world: World, silent: dict[str, Silent], node: str) -> bool:
    """Whether what is on a node that was not seen is believed to serve as before."""
    if node not in world.nodes:
        return False
    answer = silent.get(node)
    return answer is None or answer.connected or bool(world.brake)


def _seen(
    world: World, stack: DesiredStack, service: ServiceSpec, networks: tuple[str, ...], leaving: Collection[str]
) -> Iterator[Endpoint]:
    name = stack.revision.stack
    for slot, boxes in sorted(world.containers.now_of(name, service.name).items()):
        for node, box in boxes:
            if box.name in leaving or not condition.serves(box):
                continue
            addresses = addresses_of(box, networks)
            if addresses and _passes(world, stack, service, node, box):
                yield Endpoint(name, service.name, slot, node, box.name, addresses)


def addresses_of(box: Container, networks: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(network, address) of a container on these, sorted."""
    return tuple(
        sorted(
            (each.network, each.ipv4_address) for each in box.networks if each.network in networks and each.ipv4_address
        )
    )


def _passes(world: World, stack: DesiredStack, service: ServiceSpec, node: str, box: Container) -> bool:
    """Whether its probes say that it serves, where it has any."""
    situation = world.situation
    if service.probes == probes.NONE and not situation.history:
        return True
    declared = probes.made_with(situation, stack, service, node, box)
    return probes.verdict(situation, world.probed, declared, box, patience=service.update.deadline).serves
