"""What each replica of a service follows: the newest revision or, until an update reaches it, the one it is made from.

That is why a paused update can be healed: a replica that it has not reached is made anew as it was.
"""

from __future__ import annotations

from shipyard.base.record import Struct, replace
from shipyard.model.canonical import digest, dumps, spec_hash
from shipyard.model.memory import Placement
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import condition
from shipyard.planner.condition import Condition, Kind
from shipyard.planner.world import World


class Turn(Struct, frozen=True):
    """One replica beside what it follows now. `outdated`: an update has not reached it yet."""

    stack: DesiredStack
    service: ServiceSpec
    condition: Condition
    outdated: bool = False

    @property
    def slot(self) -> int:
        return self.condition.placement.slot

    @property
    def kind(self) -> Kind:
        return self.condition.kind

    @property
    def serving(self) -> bool:
        return self.condition.serving


def target(service: ServiceSpec) -> str:
    """A digest of all that the service's containers are made from: an update is on the way from one to another."""
    variants = [f"{node}={spec_hash(spec)}" for node, spec in service.variants]
    rest = (service.per_replica, service.stable_names)
    named = (service.names_from, service.name_token)
    names = [] if named == (1, "") else [str(named)]  # a target of before there were these stays the same
    return digest("\n".join([spec_hash(service.container), *variants, *map(dumps, rest), *names]))[:16]


def turn_of(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> Turn:
    """The replica beside what it follows, which is noted in the world where that is not the newest revision."""
    world.following.pop(placement.key, None)
    older = _older(world, stack, service, placement)
    if older is not None:
        each = condition.of(world, *older, placement)
        if each.kind != Kind.OUTDATED:
            world.following[placement.key] = older
            return Turn(*older, each, outdated=True)
    each = condition.of(world, stack, service, placement)
    return Turn(stack, service, each, outdated=each.kind == Kind.OUTDATED)


def resting_turn(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> Turn:
    """The same of a replica that is at rest: its only container is as the newest revision has it."""
    ((_, box),) = world.containers[placement.key]
    spec = service.container_for(placement.node, placement.slot)
    return Turn(stack, service, Condition(placement, spec, Kind.READY, "", "", box))


def _older(
    world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement
) -> tuple[DesiredStack, ServiceSpec] | None:
    """The stack and service of the revision that the replica was made from, where they would make another container."""
    if placement.revision == stack.revision.number:
        return None
    revision = world.history.get((placement.stack, placement.revision))
    old = revision.spec.service(service.name) if revision is not None else None
    if revision is None or old is None:
        return None
    before, now = (each.container_for(placement.node, placement.slot) for each in (old, service))
    if spec_hash(before) == spec_hash(now):
        return None
    return replace(stack, revision=revision), made_as(service, old)


def made_as(service: ServiceSpec, old: ServiceSpec) -> ServiceSpec:
    """The service with its containers made as `old` has them; how many there are, and where, stays."""
    return replace(
        service,
        container=old.container,
        variants=old.variants,
        per_node=old.per_node,
        probes=old.probes,
        per_replica=old.per_replica,
        stable_names=old.stable_names,
        names_from=old.names_from,
        name_token=old.name_token,
        images=old.images,
        rendered=old.rendered,
        reached=old.reached,
    )
