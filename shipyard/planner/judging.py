"""How an update goes, judged from the present state: when it begins, whether new replicas are good, when it is over.

Nothing here replaces anything. What has to outlive a pass is in `Rollout`, and nothing else is: whoever makes the next
pass goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from shipyard.base.record import replace
from shipyard.base.text import last_words
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Rollout
from shipyard.model.node import NodeState
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import Rollback
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, UpdatePolicy
from shipyard.planner import condition
from shipyard.planner.condition import Kind
from shipyard.planner.succession import policy_of
from shipyard.planner.turns import Turn, target
from shipyard.planner.world import World

UNCHECKED = 0.5
"""Seconds, by its node's clock, that a first new replica without health check or probe must have run before others
follow: what can't start at all has ended by then. One that is checked has said itself that it is well."""

JUDGED = -1.0
"""`Rollout.canary` once the canaries were judged good."""


def judge(world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn]) -> Rollout | None:
    """The update's record as it is now, also in the world; None for a service that has not come up yet."""
    before = world.rollouts.get((stack.revision.stack, service.name))
    rollout = _current(world, stack, service, turns, before)
    if rollout is not None and rollout.active and rollout.target == target(service):
        rollout = _watched(world, service, turns, rollout)
        rollout = _stalled(world, stack, service, turns, rollout)
        rollout = _acted_on(world, stack, service, turns, rollout)
    if rollout is not None and not rollout.completed and _is_over(service, turns, rollout):
        rollout = _over(rollout)
    if rollout is not None:
        world.rollouts[rollout.key] = rollout
    return rollout


def on_trial(service: ServiceSpec, rollout: Rollout) -> bool:
    """Whether canaries are judged still: until `for` is over, also those that have stood `monitor`."""
    return service.canary is not None and rollout.state == "updating" and rollout.canary != JUDGED


def _over(rollout: Rollout) -> Rollout:
    if rollout.state.startswith("rollback"):
        return replace(rollout, state="rollback_completed")
    return replace(rollout, state="completed", message="")


def forget(world: World) -> None:
    """What services went through that are no longer declared."""
    for stack, service in list(world.rollouts):
        desired = world.stack(stack)
        if desired is None or desired.removing or desired.revision.spec.service(service) is None:
            del world.rollouts[stack, service]


def _current(
    world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], before: Rollout | None
) -> Rollout | None:
    number, wanted = stack.revision.number, target(service)
    outdated = [turn for turn in turns if turn.outdated]
    if before is not None and before.target == wanted and not (before.completed and outdated):
        return before if before.revision == number else replace(before, revision=number)
    back = before is not None and before.state == "rollback_started" and before.revision == number
    if before is not None and back and (before.stack, before.before) in world.history:
        _ask(world, before)  # the revision that it goes back to is not stored yet
        return before
    if before is None and not outdated:
        well = bool(turns) and all(turn.kind in (Kind.READY, Kind.COMPLETED) for turn in turns)
        name = stack.revision.stack
        return Rollout(name, service.name, number, "completed", world.now, target=wanted) if well else None
    return _begun(world, stack, service, turns, before)


def _begun(
    world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], before: Rollout | None
) -> Rollout:
    """`good` are those that are already as wished for: they were not replaced, and prove nothing."""
    if before is not None:
        good_one = before.revision if before.completed and before.target != target(service) else before.before
    else:
        older = [turn.condition.placement.revision for turn in turns if turn.outdated and turn.serving]
        good_one = max((number for number in older if number < stack.revision.number), default=0)
    there = tuple(turn.slot for turn in turns if not turn.outdated and turn.kind in (Kind.READY, Kind.COMPLETED))
    return Rollout(
        stack.revision.stack,
        service.name,
        stack.revision.number,
        "updating",
        since=world.now,
        target=target(service),
        before=good_one,
        good=there,
        looked=world.now,
    )


def _watched(world: World, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout) -> Rollout:
    """Which new replicas have become ready, stood their test, or failed.

    A canary that stood its test is on trial still. One that is only not ready for a while keeps what it has proven, and
    that while counts towards the deadline; a new container in its place has proven nothing.
    """
    trying = on_trial(service, rollout)
    policy = service.rollback if rollout.state == "rollback_started" else service.update
    present = {turn.slot for turn in turns}
    watched = {slot: since for slot, since in rollout.watched if slot in present}
    good, failed = set(rollout.good) & present, set(rollout.failed) & present
    message, last, gated = rollout.message, rollout.last, rollout.gated
    for turn in turns:
        if turn.outdated or turn.slot in failed or (turn.slot in good and not trying):
            continue
        words = _failure(world, turn, rollout)
        if turn.slot in good and not words:
            if turn.kind == Kind.MISSING:
                good.discard(turn.slot)
            continue
        if words:
            failed.add(turn.slot)
            good.discard(turn.slot)
            watched.pop(turn.slot, None)
            message = (message if rollout.undone else "") or words
        elif turn.kind == Kind.READY and turn.slot not in watched:
            watched[turn.slot], last = _since(world, turn, rollout), world.now
        elif turn.kind not in (Kind.READY, Kind.UNSEEN):
            watched.pop(turn.slot, None)
        if turn.slot in watched and world.asked - watched[turn.slot] >= trial(turn.service, policy):
            gated = True
        stood = turn.slot in watched and world.asked - watched[turn.slot] >= policy.monitor
        ready = turn.kind == Kind.READY and (stood or world.situation.foresight)
        if turn.slot not in failed and (ready or turn.kind == Kind.COMPLETED):
            good.add(turn.slot)
            gated, last = True, last if turn.slot in watched else world.now
            watched.pop(turn.slot, None)
    moved = last != rollout.last or len(good) > len(rollout.good)
    return replace(
        rollout,
        watched=tuple(sorted(watched.items())),
        good=tuple(sorted(good)),
        failed=tuple(sorted(failed)),
        message=message,
        last=last,
        gated=gated,
        stalled=0.0 if moved else rollout.stalled,
        canary=_canary(world, service, turns, rollout, good),
    )


def _since(world: World, turn: Turn, rollout: Rollout) -> float:
    """From when on a new replica that is ready is watched: where nothing checks it, it was so before it was seen."""
    box = turn.condition.current
    if _checked(turn.service) or box is None or box.age is None:
        return world.now
    return max(world.asked - box.age, rollout.looked)


def trial(service: ServiceSpec, policy: UpdatePolicy) -> float:
    """Seconds that the first new replica has to have been ready before others follow it."""
    return 0.0 if _checked(service) else min(policy.monitor, UNCHECKED)


def _checked(service: ServiceSpec) -> bool:
    check = service.container.healthcheck
    return (check is not None and check.test != ("NONE",)) or service.probes.readiness is not None


def _canary(world: World, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout, good: set[int]) -> float:
    canary = service.canary
    if canary is None or not on_trial(service, rollout):
        return JUDGED if rollout.canary == JUDGED else 0.0
    if len(good) < min(canary.replicas, len(turns)):
        return 0.0
    since = rollout.canary or world.now
    well = all(turn.kind in (Kind.READY, Kind.COMPLETED) for turn in turns if turn.slot in good)
    return JUDGED if well and (world.situation.foresight or world.now - since >= canary.period) else since


def _failure(world: World, turn: Turn, rollout: Rollout) -> str:
    """Why a new replica failed in this update, with its log; "" when it did not."""
    each, box = turn.condition, turn.condition.current
    where = f"{each.target} failed on {each.placement.node}"
    failures = world.failures.get(each.placement.key)
    if failures is not None and failures.spec == spec_hash(each.spec) and failures.last > rollout.since:
        return f"{where}: {failures.reason}" + (f": {failures.message}" if failures.message else "")
    if box is None or not _began_since(world, box, rollout.since):
        return ""
    if each.kind in (Kind.FAILED, Kind.LOOPING, Kind.RECREATE, Kind.START):
        return f"{where}: {each.reason}" + (f": {each.detail}" if each.detail else "")
    if box.restarts and box.state in (ContainerState.RUNNING, ContainerState.RESTARTING):
        times = "once" if box.restarts == 1 else f"{box.restarts} times"
        log = f"; last of its log: {last_words(box.log)}" if box.log else ""
        return f"{where}: it crashed, and the runtime restarted it {times}{log}"
    return ""


def _began_since(world: World, box: Container, since: float) -> bool:
    """Whether what is seen of it happened in this update: one that is resumed is not held against its past."""
    happened = box.ended if box.state == ContainerState.EXITED and box.ended is not None else box.age
    return happened is None or world.now - happened >= since


def _stalled(
    world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout
) -> Rollout:
    """Time counts only while somebody looks, and while something should come up and does not."""
    struggling = any(_struggles(world, service, turn, rollout) for turn in turns)
    gap = world.now - rollout.looked
    held = any(hold.stack == stack.revision.stack for hold in world.situation.memory.holds)
    counts = struggling and not held and world.situation.limit is None and gap <= world.situation.timing.miss_gap
    return replace(rollout, looked=world.now, stalled=rollout.stalled + gap if counts else rollout.stalled)


def _struggles(world: World, service: ServiceSpec, turn: Turn, rollout: Rollout) -> bool:
    """Whether a new replica should come up and does not; a canary on trial also where it was lost with its node."""
    if turn.outdated or turn.slot in rollout.failed:
        return False
    if turn.slot not in rollout.good:
        return turn.kind not in (Kind.READY, Kind.UNSEEN)
    if turn.kind == Kind.UNSEEN:
        lost = world.states.get(turn.condition.placement.node) == NodeState.LOST
        return lost and on_trial(service, rollout)
    return turn.kind not in (Kind.READY, Kind.COMPLETED) and on_trial(service, rollout)


def _acted_on(
    world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout
) -> Rollout:
    """Pause, go back or go on, where more failed than may."""
    policy = policy_of(world, stack, service)
    late = rollout.stalled >= policy.deadline
    if late:
        rollout = replace(rollout, message=_late(world, service, turns, rollout, policy))
    trying = on_trial(service, rollout)
    tolerated = 0.0 if trying else policy.max_failure_ratio
    if not late and (not rollout.failed or len(rollout.failed) / len(turns) <= tolerated):
        return rollout
    if rollout.state == "rollback_started":
        action = "pause" if policy.failure_action != "continue" else "continue"
        return replace(rollout, state="rollback_paused") if action == "pause" else rollout
    if trying or policy.failure_action == "rollback":
        return _back(world, stack, service, rollout)
    return rollout if policy.failure_action == "continue" else replace(rollout, state="paused")


def _late(world: World, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout, policy: UpdatePolicy) -> str:
    for turn in turns:
        if _struggles(world, service, turn, rollout):
            each = turn.condition
            why = f"{each.reason}: {each.detail}" if each.detail else each.reason
            return f"no progress for {policy.deadline:g} s: {each.target} on {each.placement.node}: {why}"
    return f"no progress for {policy.deadline:g} s"


def _back(world: World, stack: DesiredStack, service: ServiceSpec, rollout: Rollout) -> Rollout:
    revision = world.history.get((stack.revision.stack, rollout.before))
    old = revision.spec.service(service.name) if revision is not None else None
    if old is None or target(old) == rollout.target:
        why = f"{rollout.message}; there is no earlier revision that was good, to go back to"
        return replace(rollout, state="paused", message=why)
    back = replace(
        rollout,
        state="rollback_started",
        since=world.now,
        target=target(old),
        undone=rollout.revision,
        watched=(),
        good=(),
        failed=(),
        gated=True,
        stalled=0.0,
        canary=0.0,
    )
    _ask(world, back)
    return back


def _ask(world: World, rollout: Rollout) -> None:
    world.rollbacks.append(Rollback(rollout.stack, rollout.service, rollout.revision, rollout.before, rollout.message))


def _is_over(service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout) -> bool:
    """Every replica is as wished for, and was judged; a paused update is over when all have come up after all."""
    if rollout.target != target(service) or any(turn.outdated for turn in turns):
        return False
    if rollout.paused:
        return all(_came_up(service, turn, rollout) for turn in turns)
    if on_trial(service, rollout):
        return False
    judged = {*rollout.good, *rollout.failed}
    return all(turn.slot in judged for turn in turns)


def _came_up(service: ServiceSpec, turn: Turn, rollout: Rollout) -> bool:
    """Whether it is well, and has stayed so where it failed before: what crashes again and again is up now and then."""
    if turn.kind != Kind.READY:
        return turn.kind == Kind.COMPLETED
    box = turn.condition.current
    if turn.slot not in rollout.failed or box is None or box.age is None:
        return True
    policy = service.rollback if rollout.state == "rollback_paused" else service.update
    return box.age >= max(policy.monitor, condition.SETTLED)
