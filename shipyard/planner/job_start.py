"""Where the tasks of a run go, and what begins them: the only place that makes a job's containers.

A task is written down as `starting` in the memory that is saved before anything is done. From then on it stays on its
node: a script of a pass that was killed may be under way there. The marker that goes before the container makes sure
that it is begun once, whoever comes to it.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model import job as model
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.container import ContainerSpec
from shipyard.model.job import JobRun, JobTask
from shipyard.model.memory import Placement, SlotKey
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import (
    Blocked,
    CreateContainer,
    RemoveContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
    Waiting,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups, job_parts, making, placing, storage, wiring
from shipyard.planner.job_watch import container_of, made_from
from shipyard.planner.network import addressing
from shipyard.planner.network.book import RangeExhaustedError
from shipyard.planner.scheduling import Ledger
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World


def place(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, run: JobRun, task: JobTask
) -> JobTask:
    """A waiting task, with a node where it can have one."""
    key = (stack.revision.stack, service.name, task.slot)
    if task.only:
        why_not = placing.why_not_on(world, ledger, stack, service, task.only)
        node = None if why_not else task.only
    else:
        node, why_not = placing.find(world, ledger, stack, service, task.slot)
    if node is None:
        world.wave.blocked.append(Blocked(target(key), "Unschedulable", why_not))
        return task
    settle(world, ledger, service, key, replace(task, node=node), run.revision)
    return replace(task, node=node)


def settle(
    world: World, ledger: Ledger, service: ServiceSpec, key: SlotKey, task: JobTask | None, revision: int = 0
) -> None:
    """A task that has a node and is not over has a placement, and no other has: so is the load of nodes counted."""
    before = world.placements.get(key)
    after = None
    if task is not None and task.node:
        after = Placement(*key, task.node, task.attempt, revision)
    if before == after:
        return
    if before is not None:
        del world.placements[key]
        ledger.remove(before, service)
    if after is not None:
        world.placements[key] = after
        ledger.add(after, service)
    else:
        world.failures.pop(key, None)


def start(world: World, stack: DesiredStack, service: ServiceSpec, run: JobRun, task: JobTask) -> JobTask:
    """Begin a task that has a node: in this wave, if nothing is in the way."""
    key = (stack.revision.stack, service.name, task.slot)
    if task.node not in world.seen or not world.wave.may_act(task.node):
        return task
    failures = world.failures.get(key)
    if failures is not None and failures.retry_at > world.now:
        why = f"{failures.reason}: {failures.message}" if failures.message else failures.reason
        world.wave.waiting.append(Waiting(target(key), "BackOff", why, failures.retry_at))
        return task
    box = container_of(world, key, task)
    if box is not None and _started(world, key, task, box):
        return task
    declared = made_from(world, stack, service, key, task, box)
    if declared is None:
        return task
    stack, spec = declared
    needs = _needs(world, stack, spec, task.node, target(key))
    if needs is None:
        return task
    if failures is not None:
        world.failures[key] = replace(failures, reason="", message="")
    clear(world, key, task, spec.stop_grace_period)
    name = labels.container_name(world.situation.cluster, *key, task.attempt)
    once = model.marker(key[0], key[1], run.name, task.index, task.attempt)
    try:
        made = addressing.addressed(world, Placement(*key, task.node, task.attempt, stack.revision.number), spec)
    except RangeExhaustedError as error:
        world.wave.blocked.append(addressing.blocked(target(key), error))
        return task
    for each in groups.to_make(made, name, box, _labels(world, stack, run, key, task, spec)):
        marker = job_parts.once(once, spec, each.member)
        create = CreateContainer(each.name, each.spec, each.labels, once=marker)
        needs = (*needs, world.wave.add(task.node, Phase.RUN, target(key), *_why(run, task), create, needs))
    machine = world.seen[task.node].facts.node_id
    return replace(task, state="starting", machine=machine, spec=spec_hash(spec))


def _started(world: World, key: SlotKey, task: JobTask, box: Container) -> bool:
    """Whether what is there has to be started before anything else of the task is made; then that is done."""
    down = job_parts.to_start(box) if box.parts else [box]
    needs: tuple[Draft, ...] = ()
    for part in down or ():
        step = StartContainer(part.id, part.name)
        why = ("NeverStarted", "made, but never started") if part.age is None else ("NetworkLost", "its holder ended")
        needs = (*needs, world.wave.add(task.node, Phase.RUN, target(key), *why, step, needs))
    return down is None or bool(down)


def _needs(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, of: str) -> tuple[Draft, ...] | None:
    fetched = making.fetch(world, stack, spec, node, of)
    volumes = None if fetched is None else storage.ensure(world, stack, spec, node, of)
    networks = None if volumes is None else wiring.ensure(world, stack, spec, node, of)
    if fetched is None or volumes is None or networks is None:
        return None
    return (*fetched, *volumes, *networks)


def _labels(
    world: World, stack: DesiredStack, run: JobRun, key: SlotKey, task: JobTask, spec: ContainerSpec
) -> tuple[tuple[str, str], ...]:
    return (
        (labels.CLUSTER, world.situation.cluster),
        (labels.REVISION, str(stack.revision.number)),
        (labels.RUN, f"{run.name}.{task.index}.{task.attempt}"),
        (labels.SERVICE, key[1]),
        (labels.SLOT, str(key[2])),
        (labels.SPEC, spec_hash(spec)),
        (labels.STACK, key[0]),
    )


def _why(run: JobRun, task: JobTask) -> tuple[str, str]:
    if task.attempt > 1:
        return "JobRetry", f"run {run.number}, attempt {task.attempt}"
    words = {"spec": "NewSpec", "schedule": "Due", "request": "Requested"}
    return words[run.cause], f"run {run.number}"


def wake(world: World, key: SlotKey, task: JobTask) -> None:
    """A task that someone paused by hand goes on."""
    box = container_of(world, key, task)
    if box is not None and _paused(box) and task.state in ("starting", "running") and world.wave.may_act(task.node):
        step = UnpauseContainer(box.id, box.name)
        world.wave.add(task.node, Phase.RUN, target(key), "Paused", "someone paused it", step)


def _paused(box: Container) -> bool:
    return any(part.state == ContainerState.PAUSED for part in groups.parts_of(box))


def stop(world: World, service: ServiceSpec, key: SlotKey, task: JobTask) -> None:
    """Stop what was told to end, or should have ended long ago; and what ran beside a main container that has ended."""
    box = container_of(world, key, task)
    if box is None or not job_parts.alive(box):
        return
    if task.state == "unknown" and job_parts.at_work(box):
        return
    why = (task.reason, task.message) if job_parts.at_work(box) else _BESIDE
    _stop(world, key, task.node, box, why, service.container_on(task.node).stop_grace_period)


_BESIDE = ("Finished", "ends with its main container")


def _stop(world: World, key: SlotKey, node: str, box: Container, why: tuple[str, str], grace: float | None) -> None:
    if not world.wave.may_act(node):
        return
    needs: tuple[Draft, ...] = ()
    if _paused(box):  # podman stops nothing that is paused
        wake = UnpauseContainer(box.id, box.name)
        needs = (world.wave.add(node, Phase.REMOVE, target(key), *why, wake),)
    world.wave.add(node, Phase.REMOVE, target(key), *why, StopContainer(box.id, box.name, grace), needs)


def clear(world: World, key: SlotKey, task: JobTask, grace: float | None, *, only_alive: bool = False) -> None:
    """Remove containers of earlier attempts: from a node that came back, and when a new attempt begins."""
    current = container_of(world, key, task)
    for node, box in world.containers.get(key, ()):
        if box is current or not world.wave.may_act(node) or (only_alive and not job_parts.alive(box)):
            continue
        if only_alive and not job_parts.at_work(box):  # what it printed is there until the next attempt begins
            _stop(world, key, node, box, _BESIDE, grace)
            continue
        step = RemoveContainer(box.id, box.name, grace)
        world.wave.add(node, Phase.REMOVE, target(key), "Superseded", f"attempt {task.attempt} follows it", step)


def before_main(world: World, key: SlotKey, task: JobTask) -> str:
    """The init container that is at work, or ""."""
    box = container_of(world, key, task)
    working = job_parts.at_work(box) if box is not None else []
    return next((groups.member_of(part) for part in working if groups.role_of(part) == "init"), "")


def target(key: SlotKey) -> str:
    """As it is written everywhere."""
    return f"{key[0]}/{key[1]}.{key[2]}"
