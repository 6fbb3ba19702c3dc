"""How one replica fares: what is there, against what should be. Decides nothing yet."""

from __future__ import annotations

from enum import StrEnum

from shipyard.base.record import Struct, names, replace
from shipyard.base.text import last_words, one_line
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.container import ContainerSpec, RestartPolicy
from shipyard.model.memory import Failures, Placement
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups, probes, restarts
from shipyard.planner.world import World

SETTLED = 5.0
"""Seconds for which what failed before has to be up until it counts as done: Swarm's `monitor`. It serves meanwhile."""


class Kind(StrEnum):
    """What a replica needs."""

    UNSEEN = "unseen"  # its node did not answer: nothing is known
    MISSING = "missing"  # make its container
    OUTDATED = "outdated"  # it runs from another spec: replace it as the update policy allows
    RECREATE = "recreate"  # broken beyond starting: replace it now
    START = "start"
    UNPAUSE = "unpause"
    LOOPING = "looping"  # the runtime restarts it again and again: stop it, and back off
    STARTING = "starting"  # its health check or a probe has not passed, or its readiness is lost
    READY = "ready"
    COMPLETED = "completed"  # it ended well and is not to be restarted
    FAILED = "failed"  # it ended badly and is not to be restarted


class Condition(Struct, frozen=True):
    """One slot. `current`: the container of its present incarnation. `strays`: its other containers, with nodes.

    `reason` (CamelCase) and `detail` say why it is of this kind; `until` (unix seconds) when that is looked at again,
    None for soon. `unready`: ids of containers of the slot that run, but don't serve: a probe says so, they lack what
    ran beside them, or they are outdated and restarted again and again.
    """

    placement: Placement
    spec: ContainerSpec
    kind: Kind
    reason: str
    detail: str
    current: Container | None = None
    strays: tuple[tuple[str, Container], ...] = ()
    until: float | None = None
    unready: frozenset[str] = frozenset()

    @property
    def target(self) -> str:
        return f"{self.placement.stack}/{self.placement.service}.{self.placement.slot}"

    @property
    def serving(self) -> bool:
        """Whether any container of the slot does its work."""
        there = [container for _, container in self.strays]
        if self.current is not None:
            there.append(self.current)
        return any(self.serves(container) for container in there)

    def serves(self, container: Container) -> bool:
        """Whether this container of the slot runs, and neither its health check nor a probe says otherwise."""
        return serves(container) and container.id not in self.unready


def serves(container: Container) -> bool:
    """Running, and not known to be ill."""
    return container.state == ContainerState.RUNNING and container.health in (Health.NONE, Health.HEALTHY)


def of(world: World, stack: DesiredStack, service: ServiceSpec, placement: Placement) -> Condition:
    """The condition of one placed replica."""
    spec = service.container_for(placement.node, placement.slot)
    name = world.name_of(placement)
    current, others = None, []
    for node, box in world.containers.get(placement.key, ()):
        if current is None and node == placement.node and box.name == name:
            current = box
        else:
            others.append((node, box))
    strays = tuple(others)
    if placement.node not in world.seen:
        state = world.states.get(placement.node, "unknown")
        kind, reason, detail = Kind.UNSEEN, "NodeNotObserved", f"{placement.node} is {state}"
    elif current is None:
        kind, reason, detail = Kind.MISSING, *_why_missing(world, placement, spec, strays)
    elif current.label(labels.SPEC) != spec_hash(spec):
        kind, reason, detail = Kind.OUTDATED, "Changed", _what_changed(world, current, placement, spec)
    elif spec.members or current.parts:
        kind, reason, detail = _of_several(world, placement, spec, current)
    else:
        kind, reason, detail = _of_container(world, placement, spec, current)
    # of what the runtime restarts again and again nobody knows that it serves, whatever it was made from
    older = [*strays, *([(placement.node, current)] if kind == Kind.OUTDATED and current is not None else [])]
    unready = frozenset(box.id for node, box in older if _torn(world, placement, node, box))
    if kind == Kind.OUTDATED and current is not None and restarts.too_many(world, placement, current):
        unready |= {current.id}
    found = Condition(placement, spec, kind, reason, detail, current, strays, unready=unready)
    return _probed(world, stack, service, found)


def _torn(world: World, placement: Placement, node: str, box: Container) -> bool:
    """Whether an older container of the slot lacks what was made beside it, its network before all."""
    made = world.made_from(placement.key, box)
    spec = made[1].container_for(node, placement.slot) if made is not None else None
    return spec is not None and bool(spec.members) and bool(groups.missing(spec, box))


def _probed(world: World, stack: DesiredStack, service: ServiceSpec, found: Condition) -> Condition:
    """The same, as far as probes agree; each container is asked what it was made to answer."""
    situation, where = world.situation, found.placement.node
    if service.probes == probes.NONE and not situation.history:
        return found
    boxes = [*found.strays, *([(where, found.current)] if found.current is not None else [])]
    verdicts = {
        box.id: probes.verdict(
            situation,
            world.probed,
            probes.made_with(situation, stack, service, node, box),
            box,
            patience=service.update.deadline,
        )
        for node, box in boxes
    }
    unready = frozenset(identity for identity, verdict in verdicts.items() if not verdict.serves)
    found = replace(found, unready=found.unready | unready)
    if found.kind != Kind.READY or found.current is None:
        return found
    own = verdicts[found.current.id]
    kind = Kind.RECREATE if own.failed else Kind.READY if own.serves else Kind.STARTING
    return replace(found, kind=kind, reason=own.reason, detail=own.detail, until=own.until)


def _why_missing(
    world: World, placement: Placement, spec: ContainerSpec, strays: tuple[tuple[str, Container], ...]
) -> tuple[str, str]:
    for node, box in strays:
        if node != placement.node:
            return "Moved", f"was on {node}"
        if box.label(labels.SPEC) != spec_hash(spec):
            return "Changed", _what_changed(world, box, placement, spec)
        return "Replaced", f"takes the place of {box.name} ({box.state}{_exit(box)})"
    return "Missing", f"no container for it on {placement.node}"


def _what_changed(world: World, box: Container, placement: Placement, spec: ContainerSpec) -> str:
    number = box.label(labels.REVISION)
    known = number is not None and number.isascii() and number.isdigit() and len(number) <= 9
    revision = world.history.get((placement.stack, int(number))) if number and known else None
    old = revision.spec.service(placement.service) if revision is not None else None
    if old is not None:
        keys = _different(old.container_for(placement.node, placement.slot), spec)
        if keys == ["stamps"]:
            return "a restart was asked for"
        return f"{', '.join(keys)} changed since revision {number}" if keys else "its spec changed"
    return f"made from another spec (revision {one_line(number or 'unknown', 20)})"


def _different(old: ContainerSpec, new: ContainerSpec) -> list[str]:
    left_out = {"networks", "pull_policy", "hidden"}
    compared = (name for name in names(ContainerSpec) if name not in left_out)
    return [name for name in compared if getattr(old, name) != getattr(new, name)]


Verdict = tuple[Kind, str, str]


def _of_several(world: World, placement: Placement, spec: ContainerSpec, whole: Container) -> Verdict:
    """Of a replica of several containers: whether it is all there, then the worst that can be said of one of them."""
    parts = groups.parts_of(whole)
    holder, main = groups.holder_in(parts), groups.main_in(parts)
    if strange := groups.unknown(spec, whole):
        return Kind.RECREATE, "UnknownMember", f"{', '.join(strange)} is not one of its containers"
    if main is None:
        return _unfinished(spec, parts, holder)
    if lacking := groups.missing(spec, whole):
        return Kind.RECREATE, "MemberMissing", f"its container {', '.join(lacking)} is gone"
    policy = (spec.restart or RestartPolicy()).condition
    if main.state == ContainerState.EXITED and policy in ("none", "on-failure"):
        verdict = _of_part(world, placement, spec, whole, main)
        if verdict[0] in (Kind.COMPLETED, Kind.FAILED):
            return verdict
    if too_often := _restarted_too_often(world, placement, spec.restart or RestartPolicy(), whole):
        loops = groups.culprit(whole)
        ended = too_often == "GaveUp" and loops.state not in (ContainerState.RUNNING, ContainerState.RESTARTING)
        return Kind.FAILED if ended else Kind.LOOPING, too_often, groups.named(loops, _last_words(loops))
    if holder is not None and (held := _of_holder(holder)):
        return held
    if any(groups.adrift(parts, part) for part in groups.lasting(parts)):
        return Kind.START, "NetworkLost", "the holder of its network ended"
    verdicts = [_of_part(world, placement, spec, whole, part) for part in groups.lasting(parts)]
    return min(verdicts, key=lambda verdict: _WORST.index(verdict[0]))


_WORST = (
    Kind.RECREATE,
    Kind.FAILED,
    Kind.START,
    Kind.UNPAUSE,
    Kind.STARTING,
    Kind.READY,
)


def _unfinished(spec: ContainerSpec, parts: tuple[Container, ...], holder: Container | None) -> Verdict:
    """Before its main container is made: the init containers run, one after the other."""
    there = {groups.member_of(part): part for part in parts}
    inits = (there.get(member.name) for member in spec.members if member.kind == "init")
    box = next((box for box in inits if not groups.completed(box)), None)
    if box is not None and box.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
        again = (spec.restart or RestartPolicy()).condition != "none"
        failed = groups.named(box, _last_words(box) or f"is {box.state}")
        return Kind.RECREATE if again else Kind.FAILED, "InitFailed", failed
    if holder is None or holder.state != ContainerState.RUNNING:
        return (
            Kind.RECREATE,
            "NeverStarted",
            groups.named(holder, _last_words(holder)) if holder else "its holder is gone",
        )
    if box is None:
        return Kind.MISSING, "Incomplete", "its next containers are due"
    if box.state == ContainerState.PAUSED:
        return Kind.UNPAUSE, "Paused", f"someone paused {groups.member_of(box)}"
    return Kind.STARTING, "InitRunning", f"{groups.member_of(box)} has not ended yet"


def _of_holder(holder: Container) -> Verdict | None:
    """What a replica needs because of who holds its network; None where that one runs."""
    match holder.state:
        case ContainerState.RUNNING:
            return None
        case ContainerState.PAUSED:
            return Kind.UNPAUSE, "Paused", groups.named(holder, "someone paused it")
        case ContainerState.RESTARTING:
            return Kind.STARTING, "Restarting", groups.named(holder, _last_words(holder))
        case ContainerState.EXITED | ContainerState.CREATED if holder.age is not None:
            return Kind.START, "NetworkLost", "the holder of its network ended"
        case _:
            return Kind.RECREATE, "NeverStarted", groups.named(holder, _last_words(holder) or f"is {holder.state}")


def _of_part(world: World, placement: Placement, spec: ContainerSpec, whole: Container, part: Container) -> Verdict:
    """By itself, but for its restarts: these are counted for the replica as a whole."""
    counted = replace(part, id=whole.id, restarts=whole.restarts)
    kind, reason, detail = _of_container(world, placement, groups.spec_of(spec, part), counted)
    if kind == Kind.COMPLETED and groups.member_of(part):
        kind, reason, detail = Kind.READY, "", ""  # a sidecar may end well before the others
    return kind, reason, groups.named(part, detail) if detail else ""


def _of_container(world: World, placement: Placement, spec: ContainerSpec, box: Container) -> tuple[Kind, str, str]:
    policy = spec.restart or RestartPolicy()
    match box.state:
        case ContainerState.RUNNING:
            return _of_running(world, placement, policy, box)
        case ContainerState.PAUSED:
            return Kind.UNPAUSE, "Paused", "someone paused it"
        case ContainerState.RESTARTING:
            if too_often := _restarted_too_often(world, placement, policy, box):
                return Kind.LOOPING, too_often, _last_words(box)
            return Kind.STARTING, "Restarting", _last_words(box)
        case ContainerState.CREATED if box.age is None:
            return Kind.RECREATE, "NeverStarted", _last_words(box) or "made, but never started"
        case ContainerState.DEAD | ContainerState.REMOVING:
            return Kind.RECREATE, "Dead", box.error or f"the runtime calls it {box.state}"
        case ContainerState.CREATED | ContainerState.EXITED:
            return _of_ended(world, placement, policy, box)


def _restarted_too_often(world: World, placement: Placement, policy: RestartPolicy, box: Container) -> str:
    """Why the runtime is not to go on restarting it, as a word, or ""."""
    if restarts.given_up(world, placement, policy, box):
        return "GaveUp"
    return "CrashLoopBackOff" if restarts.too_many(world, placement, box) else ""


def _of_running(world: World, placement: Placement, policy: RestartPolicy, box: Container) -> tuple[Kind, str, str]:
    if too_often := _restarted_too_often(world, placement, policy, box):
        return Kind.LOOPING, too_often, _last_words(box)
    if box.health == Health.UNHEALTHY:
        return Kind.RECREATE, "Unhealthy", _last_words(box) or "its health check failed"
    if box.health == Health.STARTING:
        return Kind.STARTING, "HealthStarting", "its health check has not passed yet"
    return Kind.READY, "", ""


def _of_ended(world: World, placement: Placement, policy: RestartPolicy, box: Container) -> tuple[Kind, str, str]:
    if not restarts.wanted(policy, box):
        if box.exit_code == 0 and not box.error:
            return Kind.COMPLETED, "Completed", "ended with 0"
        return Kind.FAILED, "Failed", _last_words(box)
    if restarts.given_up(world, placement, policy, box):
        return Kind.FAILED, "GaveUp", f"after {policy.max_attempts} restarts: {_last_words(box)}"
    if restarts.too_many(world, placement, box):  # the runtime is at it, and was seen between two attempts
        return Kind.LOOPING, "CrashLoopBackOff", _last_words(box)
    return Kind.START, "Exited", _last_words(box)


def _exit(box: Container) -> str:
    return f", exit code {box.exit_code}" if box.state == ContainerState.EXITED and box.exit_code is not None else ""


def _last_words(box: Container) -> str:
    """Exit code, the runtime's error, the log's last lines: whatever tells why."""
    parts = []
    if box.oom_killed:
        parts.append("killed for lack of memory")
    elif box.state in (ContainerState.EXITED, ContainerState.RESTARTING) and box.exit_code is not None:
        parts.append(f"exit code {box.exit_code}")
    if box.error:
        parts.append(one_line(box.error))
    if box.log and (box.exit_code != 0 or box.health == Health.UNHEALTHY):
        parts.append(f"last of its log: {last_words(box.log)}")
    return "; ".join(parts)


def forget_if_well(world: World, condition: Condition) -> None:
    """A replica that has run for long enough is no longer held against its past; restarts are counted on."""
    key, box = condition.placement.key, condition.current
    failures = world.failures.get(key)
    if box is not None:
        restarts.remember(world, condition.placement, condition.spec, box)
    if box is None or condition.kind in (Kind.LOOPING, Kind.START):
        return
    if box.restarts and (failures is None or (failures.container, failures.restarts) != (box.id, box.restarts)):
        spec = spec_hash(condition.spec)
        same = failures if failures is not None and failures.spec == spec else Failures(*key, spec)
        world.failures[key] = replace(same, container=box.id, restarts=box.restarts)
    elif (
        failures is not None
        and failures.count
        and condition.kind == Kind.READY
        and box.age is not None
        and box.age >= world.situation.timing.backoff_reset
    ):
        del world.failures[key]
