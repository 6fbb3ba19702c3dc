"""PURE: the fleet as it is, beside what it should be. The same situation and plan always give the same status.

Of what a slot's containers are, the one shown is the one the plan keeps or would make; while a replacement is only
planned, it is the one that is still there. Nothing is guessed about nodes that could not be read: their replicas are
`unknown`, and their containers uncounted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from shipyard.base.record import Struct
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.container import Pairs
from shipyard.model.job import JOB_MODES, Job
from shipyard.model.memory import Failures, NodeMemory, Placement, Probed, Rollout, SlotKey
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Container, ContainerState, Health, Observation, ObservedNode, Silent
from shipyard.model.plan import Notice, Plan
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.model.status import (
    FleetStatus,
    NodeStatus,
    PassSummary,
    ReplicaStatus,
    ServiceStatus,
    StackStatus,
)
from shipyard.planner import groups, probes, scaling
from shipyard.planner.job_status import counts
from shipyard.planner.world import slot_of

PENDING = "pending"
UNKNOWN = "unknown"
UPDATING = "updating"
COMPLETED = "completed"
PAUSED = "paused"


class _Found(Struct, frozen=True):
    """A container, and where."""

    node: str
    container: Container


class _View(Struct, frozen=True):
    """The situation and the plan, by the keys that the status asks for."""

    situation: Situation
    observed: Mapping[str, Observation]
    found: Mapping[SlotKey, list[_Found]]
    before: Mapping[SlotKey, Placement]
    after: Mapping[SlotKey, Placement]
    failures: Mapping[SlotKey, Failures]
    reasons: Mapping[str, tuple[str, str]]
    memories: Mapping[str, NodeMemory]
    slots: Mapping[tuple[str, str], set[int]]
    placed: Mapping[tuple[str, str], int]
    probed: Mapping[str, Probed]
    rollouts: Mapping[tuple[str, str], Rollout]
    held: frozenset[str]
    jobs: Mapping[tuple[str, str], Job]


def fleet_status(situation: Situation, plan: Plan, last_pass: PassSummary | None) -> FleetStatus:
    """All of it. Converged means: the plan does nothing, and nothing is blocked or waiting."""
    situation = scaling.with_wanted(situation, plan.memory)
    view = _view(situation, plan)
    return FleetStatus(
        converged=not (plan.actions or plan.blocked or plan.waiting),
        last_pass=last_pass,
        nodes=tuple(_node(node, view) for node in situation.nodes),
        stacks=tuple(_stack(stack, view) for stack in situation.stacks),
        changes=len(plan.actions),
        blocked=plan.blocked,
        waiting=plan.waiting,
        notices=(*plan.notices, *_undone(view)),
        now=situation.now,
    )


def _view(situation: Situation, plan: Plan) -> _View:
    found: dict[SlotKey, list[_Found]] = defaultdict(list)
    for name, node in sorted(situation.seen().items()):
        for container in node.containers:
            key = slot_of(container)
            if key is not None:
                found[key].append(_Found(name, container))
    for key, there in found.items():
        if any("." in each.container.name for each in there):
            whole = groups.folded((each.node, each.container) for each in there)
            found[key] = [_Found(node, container) for node, container in whole]
    remembered = {memory.name: memory for memory in situation.memory.nodes}
    after = plan.memory.placement_of()
    slots: dict[tuple[str, str], set[int]] = defaultdict(set)
    for stack, service, slot in (*after, *found):
        slots[stack, service].add(slot)
    return _View(
        situation=situation,
        observed={each.name: each for each in situation.observed},
        found=found,
        before=situation.memory.placement_of(),
        after=after,
        failures={each.key: each for each in (*situation.memory.failures, *plan.memory.failures)},
        reasons=_reasons(plan),
        memories=remembered | {memory.name: memory for memory in plan.memory.nodes},
        slots=slots,
        placed=Counter((stack, service) for stack, service, _ in after),
        probed={each.container: each for each in plan.memory.probed},
        rollouts={each.key: each for each in (*situation.memory.rollouts, *plan.memory.rollouts)},
        held=frozenset(each.stack for each in situation.memory.holds),
        jobs={job.key: job for job in plan.memory.jobs},
    )


def _reasons(plan: Plan) -> dict[str, tuple[str, str]]:
    """Why a target is not as declared: blocked before waiting before what is planned for it."""
    reasons = {action.target: (action.reason, action.detail) for action in reversed(plan.actions)}
    reasons |= {entry.target: (entry.reason, entry.detail) for entry in plan.waiting}
    reasons |= {entry.target: (entry.reason, entry.detail) for entry in plan.blocked}
    return reasons


def _node(node: Node, view: _View) -> NodeStatus:
    observed = view.observed.get(node.name)
    memory = view.memories.get(node.name, NodeMemory(node.name))
    if isinstance(observed, ObservedNode):
        state, runtime, containers = NodeState.READY, observed.facts.runtime or node.runtime, len(observed.containers)
        reason, detail = ("Orphaned", "no inventory names it any more") if node.orphaned else ("", "")
    else:
        state, runtime, containers = _silent_state(observed, memory), node.runtime, None
        reason, detail = (observed.kind, observed.message) if observed else (memory.kind, memory.message)
    return NodeStatus(
        name=node.name,
        state=str(state),
        availability=str(node.availability),
        runtime=runtime,
        address=node.address,
        labels=node.labels,
        containers=containers,
        last_seen=memory.last_seen if containers is None else view.situation.now,
        reason=reason,
        detail=detail,
    )


def _silent_state(observed: Silent | None, memory: NodeMemory) -> NodeState:
    """What the passes made of the silence; before they could, what it looks like."""
    if observed is None or memory.state not in (NodeState.READY, NodeState.UNKNOWN):
        return memory.state
    return NodeState.UNOBSERVED if observed.connected else NodeState.SUSPECT


def _stack(stack: DesiredStack, view: _View) -> StackStatus:
    revision = stack.revision
    return StackStatus(
        name=revision.stack,
        revision=revision.number,
        services=tuple(_service(stack, service, view) for service in revision.spec.services),
        removing=stack.removing,
    )


def _service(stack: DesiredStack, service: ServiceSpec, view: _View) -> ServiceStatus:
    name = stack.revision.stack
    slots = _slots(stack, service, view)
    replicas = tuple(_replica(stack, service, (name, service.name, slot), view) for slot in slots)
    running = [each for each in replicas if each.state == ContainerState.RUNNING]
    job = service.mode in JOB_MODES
    wanted, completed, failed = counts(view.jobs.get((name, service.name)), service) if job else (0, 0, 0)
    return ServiceStatus(
        name=service.name,
        mode=service.mode,
        desired=wanted if job and not stack.removing else _desired(stack, service, view),
        running=len(running),
        healthy=sum(each.health in (Health.NONE, Health.HEALTHY) for each in running),
        update=COMPLETED if job else _update(name, service, slots, view),
        image=service.container.image,
        replicas=replicas,
        written=_written(service),
        completed=completed,
        failed=failed,
        runs=_runs(stack, service, replicas, view),
        message=_why(view.rollouts.get((name, service.name))),
    )


def _update(stack: str, service: ServiceSpec, slots: list[int], view: _View) -> str:
    """Swarm's words for how the last update goes or went; `paused` also while a person holds it."""
    rollout = view.rollouts.get((stack, service.name))
    outdated = any(_outdated(stack, service, slot, view) for slot in slots)
    if rollout is None or (rollout.completed and outdated):
        return UPDATING if outdated else COMPLETED
    return PAUSED if rollout.active and stack in view.held else rollout.state


def _why(rollout: Rollout | None) -> str:
    return "" if rollout is None or rollout.state == COMPLETED else rollout.message


def _runs(
    stack: DesiredStack, service: ServiceSpec, replicas: tuple[ReplicaStatus, ...], view: _View
) -> tuple[int, ...]:
    """A container whose spec is the newest revision's counts as that one's, whichever made it."""
    name, found = stack.revision.stack, set()
    for each in replicas:
        if each.state == ContainerState.RUNNING and each.revision is not None:
            old = _outdated(name, service, each.slot, view)
            found.add(each.revision if old else stack.revision.number)
    return tuple(sorted(found))


def _undone(view: _View) -> tuple[Notice, ...]:
    """Updates that failed and were taken back: what was applied last is not what runs."""
    return tuple(
        Notice(
            f"{each.stack}/{each.service}",
            "RolledBack",
            f"revision {each.undone} failed, and it is again as in revision {each.before}: {each.message}",
        )
        for each in view.rollouts.values()
        if each.state == "rollback_completed" and each.message
    )


def _written(service: ServiceSpec) -> str:
    """The image's name in the playbook: a digest tells people little."""
    image = service.container.image
    return next((written for written, resolved in service.images if resolved == image), image)


def _slots(stack: DesiredStack, service: ServiceSpec, view: _View) -> list[int]:
    """Declared ones, placed ones, and those that still have a container."""
    declared = range(1, service.replicas + 1) if service.mode == "replicated" and not stack.removing else ()
    return sorted({*declared, *view.slots.get((stack.revision.stack, service.name), ())})


def _desired(stack: DesiredStack, service: ServiceSpec, view: _View) -> int:
    if stack.removing:
        return 0
    if service.mode == "replicated":
        return service.replicas
    return view.placed.get((stack.revision.stack, service.name), 0)


def _replica(stack: DesiredStack, service: ServiceSpec, key: SlotKey, view: _View) -> ReplicaStatus:
    found = _shown(key, view)
    placement = view.after.get(key) or view.before.get(key)
    reason, detail = view.reasons.get(f"{key[0]}/{key[1]}.{key[2]}", ("", ""))
    if found is None:
        return _absent(key, placement, reason, detail, view)
    container = found.container
    main = groups.main_in(groups.parts_of(container))
    if not reason and container.state is not ContainerState.RUNNING and container.label(labels.RUN) is None:
        reason, detail = _ended(container)
    revision = container.label(labels.REVISION) or ""
    return ReplicaStatus(
        slot=key[2],
        node=found.node,
        state=str(container.state),
        health=_health(stack, service, found, view),
        container=main.id if main is not None else None,
        container_name=container.name,
        revision=int(revision) if revision.isascii() and revision.isdigit() else None,
        addresses=_addresses(key[0], container),
        restarts=container.restarts,
        reason=reason or None,
        detail=detail,
        members=groups.members(container),
    )


def _health(stack: DesiredStack, service: ServiceSpec, found: _Found, view: _View) -> str:
    """What the runtime says and, where that is nothing bad, what the probes say."""
    box = found.container
    if box.state is not ContainerState.RUNNING or box.health not in (Health.NONE, Health.HEALTHY):
        return str(box.health)
    declared = probes.made_with(view.situation, stack, service, found.node, box)
    if declared == probes.NONE:
        return str(box.health)
    return probes.health(probes.verdict(view.situation, view.probed, declared, box))


def _shown(key: SlotKey, view: _View) -> _Found | None:
    """The slot's container of the newest incarnation that is there; among strangers, one that runs."""
    names = [
        labels.container_name(view.situation.cluster, *key, placement.incarnation)
        for placement in (view.after.get(key), view.before.get(key))
        if placement is not None
    ]

    def rank(found: _Found) -> tuple[int, bool, str]:
        name = found.container.name
        known = names.index(name) if name in names else len(names)
        return known, found.container.state is not ContainerState.RUNNING, name

    return min(view.found.get(key, []), key=rank, default=None)


def _absent(key: SlotKey, placement: Placement | None, reason: str, detail: str, view: _View) -> ReplicaStatus:
    """A slot without a container that could be seen."""
    node = placement.node if placement else None
    silent = view.observed.get(node or "")
    if node is not None and not isinstance(silent, ObservedNode):
        why = (silent.kind, f"{node}: {silent.message}") if isinstance(silent, Silent) else ("NotAsked", node)
        return ReplicaStatus(key[2], node, UNKNOWN, reason=reason or why[0], detail=detail if reason else why[1])
    failure = view.failures.get(key)
    if not reason and failure is not None and failure.count:
        reason, detail = failure.reason, failure.message
    return ReplicaStatus(key[2], node, PENDING, reason=reason or None, detail=detail)


def _ended(container: Container) -> tuple[str, str]:
    if container.oom_killed:
        return "OutOfMemory", "the kernel killed it for using more memory than it may"
    if container.error:
        return "StartError", container.error
    if container.exit_code is not None and container.state is ContainerState.EXITED:
        return "Exited", f"with exit code {container.exit_code}"
    return str(container.state).capitalize(), ""


def _addresses(stack: str, container: Container) -> Pairs:
    prefix = f"{stack}_"
    return tuple(
        sorted(
            (each.network.removeprefix(prefix), each.ipv4_address) for each in container.networks if each.ipv4_address
        )
    )


def _outdated(stack: str, service: ServiceSpec, slot: int, view: _View) -> bool:
    """Whether the slot's container was made from another spec than the declared one."""
    found = _shown((stack, service.name, slot), view)
    if found is None:
        return False
    made_from = found.container.label(labels.SPEC)
    return made_from is not None and made_from != spec_hash(service.container_for(found.node, slot))
