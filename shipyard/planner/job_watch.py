"""How the tasks of jobs fare: what is on the nodes, against what was begun. Begins nothing.

Three things tell what became of a task: its container; failing that, its marker, left on the node before the
container is made; and what was written down before that. Only where all of them say so was nothing begun.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.base.text import last_words, one_line
from shipyard.model import job as model
from shipyard.model import labels
from shipyard.model.canonical import digest, dumps, spec_hash
from shipyard.model.container import ContainerSpec
from shipyard.model.job import AT_WORK, JobRun, JobTask, RunState, TaskState
from shipyard.model.memory import SlotKey
from shipyard.model.node import Availability, NodeState
from shipyard.model.observed import Container, ContainerState
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import JobRules, ServiceSpec
from shipyard.planner import backoff, groups, job_parts
from shipyard.planner.job_parts import Fares
from shipyard.planner.world import World

ENDED = ("succeeded", "failed", "stopped")
DEADLINE = "DeadlineExceeded"
DRAINED = "Drained"
CUT_OFF = "NetworkLost"
REPLACED = "Replaced"
RESULTS: dict[TaskState, RunState] = {
    "failed": "failed",
    "unknown": "unknown",
    "stopped": "replaced",
    "succeeded": "succeeded",
}
"""What the worst of a run's tasks makes of the run."""


def job_hash(service: ServiceSpec) -> str:
    """Of all that makes a run of this job another one: what is run, and how often."""
    variants = [f"{node}={spec_hash(spec)}" for node, spec in service.variants]
    words = (spec_hash(service.container), *variants, service.mode, str(service.job.completions))
    return digest(dumps(words))[:16]


def task_spec(service: ServiceSpec, node: str, slot: int) -> ContainerSpec:
    """What a task's container is made from: the runtime never starts it again by itself."""
    return job_parts.run_once(service.container_for(node, slot))


def made_from(
    world: World, stack: DesiredStack, service: ServiceSpec, key: SlotKey, task: JobTask, box: Container | None
) -> tuple[DesiredStack, ContainerSpec] | None:
    """What a task is to be made from, or was begun from, with the stack that declares it; None where nobody knows."""
    spec = task_spec(service, task.node, task.slot)
    if box is None or box.label(labels.SPEC) == spec_hash(spec):
        return stack, spec
    older = world.made_from(key, box)
    spec = task_spec(older[1], task.node, task.slot) if older is not None else spec
    if older is None or box.label(labels.SPEC) != spec_hash(spec):
        return None
    return replace(stack, revision=older[0]), spec


def container_of(world: World, key: SlotKey, task: JobTask) -> Container | None:
    """The container of the task's present attempt, if it is seen."""
    name = labels.container_name(world.situation.cluster, *key, task.attempt)
    there = world.containers.get(key, ())
    return next((box for node, box in there if node == task.node and box.name == name), None)


def lost(world: World, node: str) -> bool:
    """Whether what was there has to be given up."""
    return node not in world.nodes or (world.states.get(node) == NodeState.LOST and not world.brake)


def look(world: World, stack: DesiredStack, service: ServiceSpec, run: JobRun) -> JobRun:
    """The run, its tasks being what they are now."""
    tasks = tuple(_task(world, stack, service, run, task) for task in run.tasks)
    return run if tasks == run.tasks else replace(run, tasks=tasks)


def _task(world: World, stack: DesiredStack, service: ServiceSpec, run: JobRun, task: JobTask) -> JobTask:
    if task.state in ENDED or task.state == "waiting":
        return task
    key = (stack.revision.stack, service.name, task.slot)
    seen = world.seen.get(task.node)
    if seen is None:
        if task.state == "unknown" or not lost(world, task.node):
            return task
        return _unknown(world, service.job, task, "NodeLost", f"{task.node}, on which it was begun, is lost")
    box = container_of(world, key, task)
    marker = model.marker(key[0], key[1], run.name, task.index, task.attempt)
    if box is not None and box.parts:
        made = made_from(world, stack, service, key, task, box)
        members = job_parts.begun(marker, seen.markers)
        return _of_several(world, service.job, key, task, box, made[1] if made is not None else None, members)
    if box is not None:
        return _of_container(world, service.job, key, task, box)
    begun = marker in seen.markers
    anew = task.machine != seen.facts.node_id
    if task.state == "unknown" or (task.state == "starting" and not begun and not anew):
        return task
    if task.state == "stopping":
        return _over(world, service.job, task, 0.0)
    why = "was installed anew" if anew else "has its marker, and no container"
    return _gone(world, service.job, key, task, f"it was begun on {task.node}, which {why}", anew=anew)


def _gone(world: World, rules: JobRules, key: SlotKey, task: JobTask, why: str, *, anew: bool = False) -> JobTask:
    """It was begun, and is not there: because the runtime would not make it, where that is known."""
    failed = world.failures.get(key)
    if failed is not None and failed.reason and task.state == "starting" and not anew:
        return _failed(world, rules, task, failed.reason, failed.message)
    return _unknown(world, rules, task, "ContainerGone", why)


def _of_several(
    world: World,
    rules: JobRules,
    key: SlotKey,
    task: JobTask,
    box: Container,
    spec: ContainerSpec | None,
    begun: set[str],
) -> JobTask:
    """Of a task of several containers. `spec`: what it was begun from; `begun`: its members, by their markers."""
    age = job_parts.age(box)
    task = replace(task, started=task.started or (world.now - age if age is not None else 0.0))
    if task.state == "stopping":
        return task if job_parts.at_work(box) else _over(world, rules, task, job_parts.ended(box))
    found = job_parts.fares(spec, box, begun)
    part = found.part
    match found.fares:
        case Fares.GONE:
            return _gone(world, rules, key, task, f"{found.what} was begun on {task.node}, which has its marker alone")
        case Fares.BROKEN if part is not None:
            dead = "" if part.error else f"the runtime calls it {part.state}"
            words = groups.named(part, one_line(part.error) or dead)
            return _failed(world, rules, task, "Dead" if dead else "NeverStarted", words)
        case Fares.FAILED if part is not None:
            kind = "InitFailed" if groups.role_of(part) == "init" else "Failed"
            words = groups.named(part, _last_words(part))
            return _failed(world, rules, task, "OutOfMemory" if part.oom_killed else kind, words)
        case Fares.ENDED:
            return replace(task, state="succeeded", ended=world.now - job_parts.ended(box), reason="", message="")
        case Fares.CUT_OFF:
            return replace(task, state="stopping", reason=CUT_OFF, message="the holder of its network ended")
    going_on = _of_running(world, rules, task, replace(box, age=age))
    if going_on.state == "stopping" or found.fares == Fares.BUSY:
        return going_on
    failed = world.failures.get(key)
    if part is not None and failed is not None and failed.reason:
        return _failed(world, rules, task, "NeverStarted", groups.named(part, failed.message))
    if spec is None:
        words = "it was begun from a revision that is not known any more, and can't be completed"
        return _failed(world, rules, task, "Changed", words)
    return task if task.state == "starting" else replace(task, state="starting", reason="", message="")


def _of_container(world: World, rules: JobRules, key: SlotKey, task: JobTask, box: Container) -> JobTask:
    started = task.started or (world.now - box.age if box.age is not None else 0.0)
    match box.state:
        case ContainerState.CREATED if box.age is None:
            failed = world.failures.get(key)
            said = failed.message if failed is not None and failed.reason else ""
            if box.error or said:
                why = one_line(box.error) or said
                return _failed(world, rules, task, "NeverStarted", why)
            return task if task.state == "starting" else replace(task, state="starting", reason="", message="")
        case ContainerState.DEAD | ContainerState.REMOVING:
            return _failed(world, rules, task, "Dead", f"the runtime calls it {box.state}")
        case ContainerState.CREATED | ContainerState.EXITED:
            task = replace(task, started=started)
            if task.state == "stopping":
                return _over(world, rules, task, box.ended or 0.0)
            if box.exit_code == 0 and not box.error:
                ended = world.now - (box.ended or 0.0)
                return replace(task, state="succeeded", ended=ended, reason="", message="")
            return _failed(world, rules, task, "OutOfMemory" if box.oom_killed else "Failed", _last_words(box))
        case _:
            return _of_running(world, rules, replace(task, started=started), box)


def _of_running(world: World, rules: JobRules, task: JobTask, box: Container) -> JobTask:
    if task.state == "stopping":
        return task
    if rules.deadline and box.age is not None and box.age >= rules.deadline:
        message = f"it ran for longer than its deadline, {rules.deadline:g} s"
        return replace(task, state="stopping", reason=DEADLINE, message=message)
    said = world.nodes.get(task.node)
    if said is not None and said.availability == Availability.DRAIN and 0 < said.drain_until <= world.now:
        return replace(task, state="stopping", reason=DRAINED, message=f"{task.node} is drained, and waited for it")
    if task.state == "running":
        return task
    return replace(task, state="running", reason="", message="")


def _over(world: World, rules: JobRules, task: JobTask, ago: float) -> JobTask:
    """It was told to stop, and did."""
    if task.reason in (DRAINED, CUT_OFF):
        return _failed(world, rules, task, task.reason, task.message)
    return replace(task, state="failed" if task.reason == DEADLINE else "stopped", ended=world.now - ago)


def _failed(world: World, rules: JobRules, task: JobTask, reason: str, message: str) -> JobTask:
    failures = task.failures + 1
    if task.reason == DEADLINE or (rules.retries is not None and failures > rules.retries):
        return replace(task, state="failed", failures=failures, ended=world.now, reason=reason, message=message)
    return _again(world, replace(task, failures=failures), reason, message)


def _unknown(world: World, rules: JobRules, task: JobTask, reason: str, message: str) -> JobTask:
    if rules.retry_unknown and task.state != "stopping":
        return _again(world, task, reason, message)
    return replace(task, state="unknown", reason=reason, message=message)


def _again(world: World, task: JobTask, reason: str, message: str) -> JobTask:
    """One more attempt, under a name of its own, after a wait."""
    wait = backoff.delay(task.attempt, world.situation.timing)
    return replace(
        task,
        state="waiting",
        node="",
        machine="",
        started=0.0,
        attempt=task.attempt + 1,
        retry_at=world.now + wait,
        reason=reason,
        message=message,
    )


def _last_words(box: Container) -> str:
    parts = [f"exit code {box.exit_code}"] if box.exit_code is not None else []
    if box.error:
        parts.append(one_line(box.error))
    if box.log:
        parts.append(f"last of its log: {last_words(box.log)}")
    return "; ".join(parts)


def state_of(run: JobRun, now: float) -> JobRun:
    """The run, its state being what its tasks come to."""
    states: set[TaskState] = {task.state for task in run.tasks}
    if run.state == "skipped":
        return run
    if states & {*AT_WORK, "waiting"} or (len(run.tasks) < max(run.wanted, 1) and run.reason != REPLACED):
        return run if run.state == "active" else replace(run, state="active", ended=0.0, reason="", message="")
    worst: TaskState = next((state for state in RESULTS if state in states), "stopped")
    if run.state == RESULTS[worst]:
        return run
    task = next((task for task in run.tasks if task.state == worst), None)
    reason, message = (task.reason, task.message) if task is not None else (run.reason, run.message)
    return replace(run, state=RESULTS[worst], ended=now, reason=reason, message=message)
