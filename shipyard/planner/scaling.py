"""Autoscaled services: when their use is asked for, how many replicas they are to have, and what is said of it.

The number lives in the memory. Before anything else is planned it takes the place of the declared one, so that the rest
of the planner knows nothing of autoscaling.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from shipyard.base.record import Struct, replace
from shipyard.model import labels
from shipyard.model.event import Event
from shipyard.model.memory import Memory, Placement, Probed, Scale, SlotKey
from shipyard.model.observed import Container, ContainerState, Health, ObservedNode, Usage
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Autoscale, ServiceSpec
from shipyard.planner import groups, hpa, probes
from shipyard.planner.world import slot_of

SYNC = 15.0
"""Seconds between two looks at the use of a service."""
WINDOW = 300.0
"""Seconds of which the highest wish counts: so long a service keeps what it needed once."""

Key = tuple[str, str]


def to_measure(situation: Situation) -> frozenset[str]:
    """The nodes that hold replicas of services whose use is to be looked at now."""
    scales = {scale.key: scale for scale in situation.memory.scales}
    due = {
        key
        for key, *_ in _autoscaled(situation)
        if key not in scales or situation.now - scales[key].judged >= SYNC * (1 - probes.PUNCTUAL)
    }
    if not due:
        return frozenset()
    return frozenset(each.node for each in situation.memory.placements if (each.stack, each.service) in due)


def scaled(situation: Situation) -> Situation:
    """The situation with the numbers that its services' use asks for, in its memory and in its stacks."""
    services = {key: (stack, service, rule) for key, stack, service, rule in _autoscaled(situation)}
    if not services:
        return _with_scales(situation, ()) if situation.memory.scales else situation
    known = {scale.key: scale for scale in situation.memory.scales}
    measured = _measured(situation)
    found = []
    for key, (stack, service, rule) in sorted(services.items()):
        scale = known.get(key) or Scale(*key, min(max(service.replicas, rule.least), rule.most))
        found.append(_judged(measured, scale, stack, service, rule))
    return with_wanted(_with_scales(situation, tuple(found)))


def with_wanted(situation: Situation, memory: Memory | None = None) -> Situation:
    """The situation with the remembered numbers in the place of the declared ones."""
    wanted = {scale.key: scale.wanted for scale in (memory or situation.memory).scales}
    if not wanted:
        return situation
    return replace(situation, stacks=tuple(_numbered(stack, wanted) for stack in situation.stacks))


def events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event for each service that was scaled."""
    old = {scale.key: scale.wanted for scale in before.scales}
    return tuple(
        Event(
            now,
            "Scaled",
            f"{scale.stack}/{scale.service}",
            f"from {old[scale.key]} to {scale.wanted} replicas: {scale.figures}",
        )
        for scale in after.scales
        if old.get(scale.key, scale.wanted) != scale.wanted
    )


def _autoscaled(situation: Situation) -> Iterator[tuple[Key, DesiredStack, ServiceSpec, Autoscale]]:
    for stack in situation.stacks:
        if not stack.removing:
            for service in stack.revision.spec.services:
                if service.autoscale is not None:
                    yield (stack.revision.stack, service.name), stack, service, service.autoscale


def _with_scales(situation: Situation, scales: tuple[Scale, ...]) -> Situation:
    return replace(situation, memory=replace(situation.memory, scales=scales))


def _numbered(stack: DesiredStack, wanted: Mapping[Key, int]) -> DesiredStack:
    """`stored` stays what it was: the nodes keep copies of that."""
    revision = stack.revision
    services = tuple(
        replace(each, replicas=wanted[revision.stack, each.name])
        if each.autoscale is not None and (revision.stack, each.name) in wanted
        else each
        for each in revision.spec.services
    )
    if services == revision.spec.services:
        return stack
    numbered = replace(revision, spec=replace(revision.spec, services=services))
    return replace(stack, revision=numbered, stored=stack.stored or revision)


class _Measured(Struct, frozen=True):
    """What is known of the use of containers, by the keys that are looked for."""

    situation: Situation
    usage: Mapping[str, Usage]
    placements: Mapping[Key, list[Placement]]
    containers: Mapping[SlotKey, list[tuple[ObservedNode, Container]]]
    probed: Mapping[str, Probed]


def _measured(situation: Situation) -> _Measured:
    """Only nodes that were asked for the use of their containers are looked at."""
    seen = situation.seen()
    asked = [node for _, node in sorted(seen.items()) if node.usage]
    containers: defaultdict[SlotKey, list[tuple[ObservedNode, Container]]] = defaultdict(list)
    placements: defaultdict[Key, list[Placement]] = defaultdict(list)
    for node in asked:
        for box in groups.as_one(each for each in node.containers if slot_of(each) is not None):
            key = slot_of(box) if box.state == ContainerState.RUNNING else None
            if key is not None:
                containers[key].append((node, box))
    for placement in situation.memory.placements if asked else ():
        placements[placement.stack, placement.service].append(placement)
    return _Measured(
        situation,
        {usage.container: usage for node in asked for usage in node.usage},
        placements,
        containers,
        {probed.container: probed for probed in situation.memory.probed},
    )


def _judged(measured: _Measured, scale: Scale, stack: DesiredStack, service: ServiceSpec, rule: Autoscale) -> Scale:
    """The scale after this look; as it was where nothing is known, or too soon after the last."""
    now, current = measured.situation.now, scale.wanted
    if not rule.least <= current <= rule.most:
        wanted = min(max(current, rule.least), rule.most)
        return replace(scale, wanted=wanted, figures=f"between {rule.least} and {rule.most} are declared")
    if now - scale.judged < SYNC * (1 - probes.PUNCTUAL) or not measured.usage:
        return scale
    proposals: list[hpa.Proposal | None] = []
    figures = []
    for name, target in (("cpu", rule.cpu), ("memory", rule.memory)):
        if target is not None:
            proposal = _proposal(measured, scale, stack, service, name, target)
            proposals.append(proposal)
            use = "unknown" if proposal is None else f"{proposal.share:.0%}"
            figures.append(f"{name} {use} of what is reserved, {target:.0%} wished for")
    wish = hpa.combined(current, proposals)
    if wish is None:
        return scale
    begun = scale.wishes or ((now, current),)
    wishes = tuple((at, replicas) for at, replicas in (*begun, (now, wish)) if now - at <= WINDOW)
    wanted = hpa.bounded(current, max(replicas for _, replicas in wishes), rule.least, rule.most)
    return replace(scale, wanted=wanted, judged=now, wishes=wishes, figures="; ".join(figures))


def _proposal(
    measured: _Measured, scale: Scale, stack: DesiredStack, service: ServiceSpec, name: str, target: float
) -> hpa.Proposal | None:
    placed = {each.slot: each for each in measured.placements.get(scale.key, ())}
    samples = []
    for slot in range(1, scale.wanted + 1):
        placement = placed.get(slot)
        reserved = _reserved(service, placement, name)
        if reserved <= 0:
            return None
        samples.append(_sample(measured, stack, service, placement, name, reserved))
    return hpa.propose(scale.wanted, samples, target)


def together(usage: Mapping[str, Usage], box: Container) -> Usage | None:
    """Of a replica of several containers what they use together; None where one of them is unknown."""
    parts = [usage.get(part.id) for part in groups.lasting(groups.parts_of(box))]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    cpus, sizes = [part.cpu for part in known], [part.memory for part in known]
    return Usage(
        box.id,
        None if None in cpus else sum(cpu or 0.0 for cpu in cpus),
        None if None in sizes else sum(size or 0 for size in sizes),
    )


def _reserved(service: ServiceSpec, placement: Placement | None, name: str) -> float:
    """Of one replica, in cores or bytes: what is reserved or, where nothing is, its limit."""
    limits = service.container_on(placement.node if placement is not None else "").limits
    if name == "cpu":
        return service.reservations.cpus or limits.cpus or 0.0
    return float(service.reservations.memory or limits.memory or 0)


def _sample(
    measured: _Measured,
    stack: DesiredStack,
    service: ServiceSpec,
    placement: Placement | None,
    name: str,
    reserved: float,
) -> hpa.Sample:
    """Kubernetes asks whether a replica is ready only where CPUs are meant: starting costs more of them."""
    if placement is None:
        return hpa.Sample(None, reserved, ready=False)
    situation = measured.situation
    there = measured.containers.get(placement.key, ())
    if not there:
        answered = next((each for each in situation.observed if each.name == placement.node), None)
        pending = isinstance(answered, ObservedNode) and bool(answered.usage)
        return hpa.Sample(None, reserved, ready=not pending)
    own = labels.container_name(situation.cluster, *placement.key, placement.incarnation)
    node, box = min(there, key=lambda each: (each[1].name != own, each[1].id))
    usage = together(measured.usage, box)
    if name == "memory":
        return hpa.Sample(None if usage is None else usage.memory, reserved)
    declared = probes.made_with(situation, stack, service, node.name, box)
    ready = box.health in (Health.NONE, Health.HEALTHY)
    ready = ready and probes.verdict(situation, measured.probed, declared, box).serves
    return hpa.Sample(None if usage is None else usage.cpu, reserved, ready)
