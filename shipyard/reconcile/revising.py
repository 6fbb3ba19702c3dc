"""Revisions that no file made: rollbacks, which a pass or a person asks for, `scale` and `restart`; and `pause`.

Each is stored under the lease, and passes make it so like any other revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shipyard.base import clock
from shipyard.base.errors import StoreError, UsageError
from shipyard.base.record import replace
from shipyard.model.event import Event
from shipyard.model.memory import Hold, Memory, Rollout
from shipyard.model.plan import Blocked, Rollback
from shipyard.model.situation import Situation
from shipyard.model.spec import Autoscale, Revision, ServiceSpec, StackSpec
from shipyard.planner import revising
from shipyard.planner.network.spanning import resolved
from shipyard.planner.turns import target
from shipyard.reconcile.keeper import whoami
from shipyard.reconcile.session import Session


def head_of(session: Session, stack: str) -> Revision:
    """A stack's newest revision. UsageError where there is none, StoreError where it is being removed."""
    for head in session.store.heads():
        if head.revision.stack == stack:
            if head.removing:
                raise StoreError(f"the stack {stack} is being removed", hint="apply its playbook to have it again")
            return head.revision
    known = ", ".join(head.revision.stack for head in session.store.heads()) or "none yet"
    raise UsageError(f"there is no stack {stack}; known are: {known}")


def roll_back(session: Session, situation: Situation, asked: Sequence[Rollback]) -> tuple[Blocked, ...]:
    """Store the revisions that failed updates ask for. Returns what to tell: this run did not do what it was to do."""
    history = {(revision.stack, revision.number): revision for revision in situation.history}
    told: list[Blocked] = []
    for stack in sorted({each.stack for each in asked}):
        mine = [each for each in asked if each.stack == stack]
        head = head_of(session, stack)
        if head.number != mine[0].failed:
            continue
        spec = head.spec
        for each in mine:
            old = session.store.revision(stack, each.to) or history[stack, each.to]
            spec = revising.undone(spec, old.spec, [each.service])
        services = ", ".join(f"{each.service} as in revision {each.to}" for each in mine)
        note = f"rolled back from {head.number}: {services}"
        stored = session.store.add_revision(spec, author=whoami(), files=head.files, now=session.now(), note=note)
        told += [
            Blocked(
                f"{stack}/{each.service}",
                "RolledBack",
                f"revision {each.failed} failed, and revision {stored.number} runs instead, with {each.service} as in "
                f"revision {each.to}: {each.message}",
            )
            for each in mine
        ]
    return tuple(told)


def rollback(session: Session, stack: str, number: int | None) -> Revision:
    """What an earlier revision said, as a new one, which is returned; without a number, the last that did not fail."""
    head = head_of(session, stack)
    to = _earlier(session, head, number)
    memory, now = session.store.memory(), session.now()
    before, after = _as_planned(session, head, to)
    begun = [
        Rollout(
            stack,
            old.name,
            head.number,
            "rollback_started",
            now,
            target=target(old),
            before=to.number,
            undone=head.number,
            gated=True,
            looked=now,
        )
        for old in after.services
        if (present := before.service(old.name)) is not None and target(present) != target(old)
    ]
    session.store.save_memory(_with_rollouts(memory, begun))
    note = f"rolled back to {to.number}"
    return session.store.add_revision(to.spec, author=whoami(), files=to.files, now=now, note=note)


def _as_planned(session: Session, *revisions: Revision) -> tuple[StackSpec, ...]:
    """What revisions come to once it is known which networks span nodes: a pass compares updates by that."""
    situation = session.situation(session.membership(), session.stacks())
    return tuple(each.spec for each in resolved(replace(situation, history=revisions)).history)


def _earlier(session: Session, head: Revision, number: int | None) -> Revision:
    if number is not None:
        found = session.store.revision(head.stack, number)
        if found is None:
            raise StoreError(f"there is no revision {number} of {head.stack}", hint=f"shipyard history {head.stack}")
        return found
    rollouts = [each for each in session.store.memory().rollouts if each.stack == head.stack]
    # an update that failed or is under way knows what was good before it, and before those that failed before it
    good = min((each.before for each in rollouts if each.before and each.state in ("paused", "updating")), default=0)
    found = session.store.revision(head.stack, good) if good else None
    if found is not None and found.spec != head.spec:
        return found
    failed = {each.undone for each in rollouts}
    for row in session.store.revisions(head.stack):
        if row.number < head.number and row.digest != head.digest and row.number not in failed:
            found = session.store.revision(head.stack, row.number)
            if found is not None and found.spec != head.spec:  # one may be sealed, and the other not yet
                return found
    raise StoreError(
        f"the stack {head.stack} has no earlier revision to go back to", hint=f"shipyard history {head.stack}"
    )


def _with_rollouts(memory: Memory, changed: Sequence[Rollout]) -> Memory:
    rollouts = {each.key: each for each in (*memory.rollouts, *changed)}
    return replace(memory, rollouts=tuple(rollouts[key] for key in sorted(rollouts)))


def scale(session: Session, wanted: Mapping[tuple[str, str], int]) -> tuple[Revision, ...]:
    """So many replicas of each of these services. Returns the new revisions; nothing is stored where one is wrong."""
    specs: dict[str, StackSpec] = {}
    for (stack, name), replicas in sorted(wanted.items()):
        spec = specs.get(stack) or head_of(session, stack).spec
        service = service_of(spec, name)
        if service.mode != "replicated":
            raise UsageError(f"{stack}/{name} has mode {service.mode}, which is not scaled")
        if service.autoscale is not None:
            raise UsageError(
                f"{stack}/{name} has as many replicas as its use asks for ({_bounds(service.autoscale)})",
                hint="change min and max of x-shipyard.autoscale in its playbook, or take autoscale out",
            )
        specs[stack] = revising.scaled(spec, name, replicas) if service.replicas != replicas else spec
    said = {
        stack: ", ".join(f"{name}={count}" for (of, name), count in sorted(wanted.items()) if of == stack)
        for stack in specs
    }
    return tuple(_store(session, stack, spec, f"scaled {said[stack]}") for stack, spec in sorted(specs.items()))


def _bounds(rule: Autoscale) -> str:
    return f"between {rule.least} and {rule.most}"


def restart(session: Session, stack: str, name: str) -> Revision:
    """The same once more: every replica of the service gets a new container, as its update policy has it."""
    spec = head_of(session, stack).spec
    service_of(spec, name)
    stamp = clock.iso(session.now())
    return _store(session, stack, revising.restarted(spec, name, stamp), f"restarted {name}")


def service_of(spec: StackSpec, name: str) -> ServiceSpec:
    """A service by its name. UsageError where there is none."""
    found = spec.service(name)
    if found is None:
        known = ", ".join(service.name for service in spec.services) or "none"
        raise UsageError(f"the stack {spec.name} has no service {name}; it has {known}")
    return found


def _store(session: Session, stack: str, spec: StackSpec, note: str) -> Revision:
    head = head_of(session, stack)
    return session.store.add_revision(spec, author=whoami(), files=head.files, now=session.now(), note=note)


def pause(session: Session, stack: str) -> bool:
    """Hold the stack's updates, also one that a pass is carrying out; returns whether one was under way."""
    head_of(session, stack)
    memory, now = session.store.memory(), session.now()
    if all(each.stack != stack for each in memory.holds):
        session.store.pause_updates(Hold(stack, now, whoami()))
        session.store.add_events([Event(now, "Paused", stack, f"{whoami()} paused its updates")])
    return any(each.stack == stack and each.active for each in memory.rollouts)


def resume(session: Session, stack: str) -> None:
    """Let the stack's updates go on; those that failed are tried again, and what they failed with is forgotten."""
    head_of(session, stack)
    memory, now = session.store.memory(), session.now()
    again = [_again(each, now) for each in memory.rollouts if each.stack == stack and each.paused]
    retried = {each.key for each in again}
    memory = replace(
        _with_rollouts(memory, again),
        failures=tuple(each for each in memory.failures if (each.stack, each.service) not in retried),
    )
    session.store.save_memory(memory)
    session.store.resume_updates(stack)
    session.store.add_events([Event(now, "Resumed", stack, f"{whoami()} let its updates go on")])


def _again(rollout: Rollout, now: float) -> Rollout:
    return replace(
        rollout,
        state="updating" if rollout.state == "paused" else "rollback_started",
        since=now,
        message="",
        watched=(),
        failed=(),
        stalled=0.0,
        looked=now,
    )
