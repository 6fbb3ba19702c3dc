"""Which probes are due, how they are counted, and what they say of a container: Kubernetes' rules.

Until a startup probe has passed neither of the others is tried. A verdict changes only when a threshold is reached:
liveness holds at first, readiness and startup do not. What could not be tried changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from shipyard.base.record import Struct, replace
from shipyard.base.text import last_words, one_line
from shipyard.model import labels
from shipyard.model.canonical import digest, dumps, spec_hash
from shipyard.model.container import Probe, Probes
from shipyard.model.event import Event
from shipyard.model.memory import Memory, ProbeCount, Probed, ProbeName, SlotKey
from shipyard.model.observed import Container, ContainerState, Health, ObservedNode
from shipyard.model.probing import Tried, Try
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups, reach
from shipyard.planner.network.spanning import resolved
from shipyard.planner.world import World, slot_of

NONE = Probes()
NOT_READY = "not ready"
EAGER = 1.0
"""Seconds between tries of a readiness probe that does not hold, if its period is longer: as Kubernetes does, so that
what has become ready serves soon."""
PUNCTUAL = 0.1
"""A try may be early by this share of its period: passes never come exactly when they should."""


class Verdict(Struct, frozen=True):
    """What the probes say of a container. `serves`: nothing keeps it from being called ready. `failed`: replace it.

    `reason`, `detail`: "" where there is nothing to tell. `until`: unix seconds of the next try; None: soon.
    """

    serves: bool = True
    failed: bool = False
    reason: str = ""
    detail: str = ""
    until: float | None = None


WELL = Verdict()


def due(situation: Situation) -> tuple[Try, ...]:
    """What should be tried now. A fleet without probes costs one look at its services."""
    situation = resolved(situation)
    services = {
        (stack.revision.stack, service.name): (stack, service)
        for stack in situation.stacks
        for service in stack.revision.spec.services
        if not stack.removing and _ever_probed(situation, stack, service)
    }
    if not services:
        return ()
    known = {probed.container: probed for probed in situation.memory.probed}
    tries: list[Try] = []
    for _, node in sorted(situation.seen().items()):
        for box in groups.as_one(box for box in node.containers if slot_of(box) is not None):
            key = slot_of(box) if box.state == ContainerState.RUNNING else None
            if key is not None and key[:2] in services:
                stack, service = services[key[:2]]
                tries += _due_of(situation, stack, service, node, key, box, known.get(box.id))
    return tuple(tries)


def _ever_probed(situation: Situation, stack: DesiredStack, service: ServiceSpec) -> bool:
    if service.probes != NONE:
        return True
    old = (each.spec.service(service.name) for each in situation.history if each.stack == stack.revision.stack)
    return any(each is not None and each.probes != NONE for each in old)


def made_with(situation: Situation, stack: DesiredStack, service: ServiceSpec, node: str, box: Container) -> Probes:
    """The probes that a container was made with: those of a later spec may ask what it has no answer to."""
    made_from = box.label(labels.SPEC)
    slot = slot_of(box)
    if slot is not None and made_from == spec_hash(service.container_for(node, slot[2])):
        return service.probes
    number = box.label(labels.REVISION)
    for revision in situation.history:
        if revision.stack == stack.revision.stack and str(revision.number) == number:
            old = revision.spec.service(service.name)
            return NONE if old is None else old.probes
    return NONE


def _due_of(
    situation: Situation,
    stack: DesiredStack,
    service: ServiceSpec,
    node: ObservedNode,
    key: SlotKey,
    box: Container,
    probed: Probed | None,
) -> Iterator[Try]:
    probes = made_with(situation, stack, service, node.name, box)
    for name, probe in _active(probes, probed, box):
        count = _count(probed, name, probe, box)
        if _next(count, probe, box, situation.now) <= situation.now:
            way = reach.way(service.container_for(node.name, key[2]), node, box, probe)
            last = count.row + 1 if count is not None and not count.passed else 1
            decides = name != "readiness" and last >= probe.failures
            main = groups.main_in(box.parts)
            inside = main.id if main is not None else ""
            yield Try(node.name, key, box.id, name, probe, way.address, way.port, way.obstacle, decides, inside)


def _active(probes: Probes, probed: Probed | None, box: Container) -> list[tuple[ProbeName, Probe]]:
    """Those that are tried at this stage of the container's life."""
    if probes.startup is not None:
        count = _count(probed, "startup", probes.startup, box)
        if count is None or not count.holds:
            return [("startup", probes.startup)]
    found: list[tuple[ProbeName, Probe]] = []
    if probes.liveness is not None:
        found.append(("liveness", probes.liveness))
    if probes.readiness is not None:
        found.append(("readiness", probes.readiness))
    return found


def _count(probed: Probed | None, name: ProbeName, probe: Probe, box: Container) -> ProbeCount | None:
    """What has been counted of this probe, as it is declared now, in this run of the container."""
    if probed is None or not _same_run(probed, box):
        return None
    count = probed.count(name)
    return count if count is not None and count.probe == _hash(probe) else None


def _same_run(probed: Probed, box: Container) -> bool:
    """Whether it has not been started anew since: by its runtime, which counts that, by a boot, or by somebody."""
    return probed.restarts == box.restarts and probed.started in (0.0, box.started)


def _next(count: ProbeCount | None, probe: Probe, box: Container, now: float) -> float:
    """When it is to be tried."""
    if count is None:
        return now + probe.initial_delay - (box.age or 0.0)
    period = probe.period
    if count.name == "readiness" and not count.holds:
        period = min(period, EAGER)
    return count.tried + period * (1 - PUNCTUAL)


@functools.lru_cache(maxsize=4096)
def _hash(probe: Probe) -> str:
    return digest(dumps(probe))[:16]


def count(world: World) -> None:
    """Take the results of this pass into the memory; forget containers that are gone or do not run."""
    tried = world.situation.probed
    if not (tried or world.probed):
        return
    for identity, probed in list(world.probed.items()):
        if probed.node in world.seen and _running(world, (probed.stack, probed.service, probed.slot), identity) is None:
            del world.probed[identity]
    for result in tried:
        box = _running(world, result.attempt.slot, result.attempt.container)
        if box is not None:
            world.probed[box.id] = _counted(world.probed.get(box.id), result, box, world.now)


def _running(world: World, key: SlotKey, identity: str) -> Container | None:
    boxes = (box for _, box in world.containers.get(key, ()))
    return next((box for box in boxes if box.id == identity and box.state == ContainerState.RUNNING), None)


def _counted(probed: Probed | None, result: Tried, box: Container, now: float) -> Probed:
    attempt = result.attempt
    before = _count(probed, attempt.name, attempt.probe, box)
    if before is None:
        before = ProbeCount(attempt.name, _hash(attempt.probe), now, holds=attempt.name == "liveness")
    others = () if probed is None or not _same_run(probed, box) else probed.counts
    counts = {each.name: each for each in others} | {attempt.name: _after(before, result, now)}
    ordered = tuple(counts[name] for name in sorted(counts))
    return Probed(*attempt.slot, box.id, attempt.node, box.restarts, box.started or 0.0, ordered)


def _after(before: ProbeCount, result: Tried, now: float) -> ProbeCount:
    """One try more."""
    if result.passed is None:
        return replace(before, tried=now, obstacle=one_line(result.words))
    row = before.row + 1 if before.row and before.passed == result.passed else 1
    probe = result.attempt.probe
    decided = row >= (probe.successes if result.passed else probe.failures)
    return replace(
        before,
        tried=now,
        passed=result.passed,
        row=row,
        holds=result.passed if decided else before.holds,
        words="" if result.passed else _words(result),
        obstacle="",
    )


def _words(result: Tried) -> str:
    said = one_line(result.words)
    return f"{said}; last of its log: {last_words(result.log)}" if result.log.strip() else said


def verdict(
    situation: Situation, probed: Mapping[str, Probed], probes: Probes, box: Container, *, patience: float = 600.0
) -> Verdict:
    """What the probes say of a container that runs. `patience`: seconds in which it should have become ready."""
    if probes == NONE or situation.foresight or box.state != ContainerState.RUNNING:
        return WELL
    found = [
        _verdict(situation, name, probe, _count(probed.get(box.id), name, probe, box), box, patience)
        for name, probe in _active(probes, probed.get(box.id), box)
    ]
    return min(found, key=lambda each: (not each.failed, each.serves, not each.reason), default=WELL)


def _verdict(
    situation: Situation, name: ProbeName, probe: Probe, count: ProbeCount | None, box: Container, patience: float
) -> Verdict:
    until = max(_next(count, probe, box, situation.now), situation.now)
    if count is None:
        if name == "liveness":
            return WELL
        return Verdict(False, reason="Probing", detail=f"its {name} probe has not been tried yet", until=until)
    if count.obstacle and not count.holds:
        return Verdict(False, reason="ProbeNotTried", detail=f"its {name} probe can't be tried: {count.obstacle}")
    failing = count.row > 0 and not count.passed
    if count.holds:
        if not failing:
            return WELL
        detail = f"its {name} probe failed {count.row} of {probe.failures} times: {count.words}"
        return Verdict(reason="Probing", detail=detail, until=until)
    if failing and count.row >= probe.failures:
        detail = f"its {name} probe failed {count.row} times in a row: {count.words}"
        if name != "readiness":
            return Verdict(False, failed=True, reason="Unhealthy", detail=detail)
        fresh = (box.age or 0.0) < patience
        return Verdict(False, reason="Probing" if fresh else "NotReady", detail=detail)
    words = f": {count.words}" if count.words else ""
    detail = f"its {name} probe has not passed yet{words}"
    return Verdict(False, reason="Probing", detail=detail, until=until if name == "startup" else None)


def health(verdict: Verdict) -> str:
    """As one word for people: a runtime's health, or that it is alive and not ready."""
    if verdict.failed:
        return str(Health.UNHEALTHY)
    return str(Health.HEALTHY) if verdict.serves else NOT_READY


def obstacles(world: World) -> Iterator[tuple[str, str]]:
    """Targets, and why a probe of theirs could not be tried; for people."""
    for probed in world.probed.values():
        for each in probed.counts:
            if each.obstacle:
                why = f"its {each.name} probe can't be tried: {each.obstacle}"
                yield f"{probed.stack}/{probed.service}.{probed.slot}", why


def events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event for each container that stopped being ready, or became so again."""
    old = {probed.container: probed.count("readiness") for probed in before.probed}
    out = []
    for probed in after.probed:
        was, is_now = old.get(probed.container), probed.count("readiness")
        if was is None or is_now is None or was.holds == is_now.holds:
            continue
        target = f"{probed.stack}/{probed.service}.{probed.slot}"
        if is_now.holds:
            out.append(Event(now, "Ready", target, "its readiness probe passes", probed.node))
        else:
            message = f"its readiness probe failed {is_now.row} times in a row: {is_now.words}"
            out.append(Event(now, "NotReady", target, message, probed.node, warning=True))
    return tuple(out)
