"""Jobs: services whose containers are meant to end. Their runs, as far as one wave brings them.

No run is a script: like replicas, the tasks of a run are compared with what is on the nodes, and what is missing is
begun. What differs is that nothing is begun twice: `job_watch` says how that is known, `job_start` how it is kept.
"""

from __future__ import annotations

from collections.abc import Callable

from shipyard.base.record import replace
from shipyard.model.job import AT_WORK, JOB_MODES, Job, JobRun, JobTask
from shipyard.model.plan import Blocked, DropMarker, Notice, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import JobRules, ServiceSpec
from shipyard.planner import dependencies, job_adopt, job_schedule, job_start, placing
from shipyard.planner.job_watch import ENDED, REPLACED, look, state_of
from shipyard.planner.scheduling import Ledger
from shipyard.planner.wave import Phase
from shipyard.planner.world import World


def forget(world: World) -> None:
    """What was a job and is none any more."""
    for key in list(world.jobs):
        service = world.service(*key)
        if service is None or service.mode not in JOB_MODES:
            del world.jobs[key]


def advance(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> None:
    """Plan this wave's steps for one job."""
    key = (stack.revision.stack, service.name)
    job = world.jobs.get(key) or job_adopt.adopted(world, stack, service)
    _drop_strangers(world, ledger, service, job)
    job = _map(job, lambda run: look(world, stack, service, run))
    for run in job.runs:
        job = _grow(world, ledger, stack, service, job, run)
    job = _map(job, lambda run: _lapsed(world, service.job, state_of(run, world.now)))
    before = job.numbers
    job = job_schedule.begin(world, stack, service, job)
    if job.numbers > before:
        job = _grow(world, ledger, stack, service, job, job.runs[-1])
    held = any(run.reason == REPLACED and run.state == "active" for run in job.runs)
    job = _map(job, lambda run: _act(world, ledger, stack, service, run, held=held))
    job = _map(job, lambda run: state_of(run, world.now))
    job = _trimmed(world, service.job, job)
    world.jobs[key] = job
    _tell(world, stack, service, job)


def _map(job: Job, change: Callable[[JobRun], JobRun]) -> Job:
    return replace(job, runs=tuple(change(run) for run in job.runs))


def _drop_strangers(world: World, ledger: Ledger, service: ServiceSpec, job: Job) -> None:
    """Placements that are no task's, as when a service becomes a job."""
    known = {task.slot for run in job.runs for task in run.tasks}
    for slot in world.placements.of_service(*job.key):
        if slot not in known:
            job_start.settle(world, ledger, service, (*job.key, slot), None)


def _grow(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, job: Job, run: JobRun) -> Job:
    """The job, with the tasks that this run of it should have by now."""
    if run.reason == REPLACED or (run.state != "active" and (run.cause != "spec" or run is not _last(job))):
        return job
    most = service.job.max_concurrent
    busy = sum(task.state in (*AT_WORK, "waiting") for task in run.tasks)
    for only in _missing(world, ledger, stack, service, run):
        if most and busy >= most:
            break
        busy += 1
        slot = job.numbers + 1 if run.tasks else run.number
        task = JobTask(slot, len(run.tasks), only=only)
        grown = replace(run, tasks=(*run.tasks, task))
        runs = tuple(grown if each is run else each for each in job.runs)
        job, run = replace(job, numbers=max(job.numbers, slot), runs=runs), grown
    return job


def _last(job: Job) -> JobRun | None:
    return next((run for run in reversed(job.runs) if run.cause == "spec"), None)


def _missing(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, run: JobRun) -> list[str]:
    """For each task that is not there yet: the node it is for, or ""."""
    if run.wanted:
        return [""] * (run.wanted - len(run.tasks))
    have = {task.only for task in run.tasks}
    return [
        node
        for node in stack.eligible_for(service.name)
        if node not in have and not placing.why_not_on(world, ledger, stack, service, node)
    ]


def _lapsed(world: World, rules: JobRules, run: JobRun) -> JobRun:
    """A due run of which nothing was begun is given up when its time is over."""
    if run.state != "active" or run.cause != "schedule" or world.now - run.due <= job_schedule.window(rules):
        return run
    if any(task.state != "waiting" or task.attempt > 1 for task in run.tasks):
        return run
    why = f"nothing of it could be begun within {job_schedule.window(rules):g} s"
    return job_schedule.skipped(run, world.now, "MissedSchedule", why)


def _act(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, run: JobRun, *, held: bool) -> JobRun:
    held = held and run.reason != REPLACED
    tasks = tuple(_step(world, ledger, stack, service, run, task, held=held) for task in run.tasks)
    return run if tasks == run.tasks else replace(run, tasks=tasks)


def _step(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, run: JobRun, task: JobTask, *, held: bool
) -> JobTask:
    """What one task needs in this wave, and what it is then."""
    key = (stack.revision.stack, service.name, task.slot)
    match task.state:
        case "waiting":
            job_start.settle(world, ledger, service, key, None)
            task = replace(task, node="")
            if not held and task.retry_at <= world.now and not _kept_waiting(world, stack, service, run, task):
                task = job_start.place(world, ledger, stack, service, run, task)
                task = job_start.start(world, stack, service, run, task) if task.node else task
        case "starting":
            job_start.settle(world, ledger, service, key, task, run.revision)
            task = job_start.start(world, stack, service, run, task)
            job_start.wake(world, key, task)
        case "running" | "stopping":
            job_start.settle(world, ledger, service, key, task, run.revision)
            job_start.wake(world, key, task)
        case _:
            job_start.settle(world, ledger, service, key, None)
    if task.state in ("stopping", "unknown", *ENDED):
        job_start.stop(world, service, key, task)
    if task.state != "starting":
        job_start.clear(world, key, task, service.container.stop_grace_period, only_alive=task.state == "waiting")
    return task


def _kept_waiting(world: World, stack: DesiredStack, service: ServiceSpec, run: JobRun, task: JobTask) -> bool:
    """By what the job depends on. What was begun once has waited for it."""
    if task.attempt > 1 or not service.depends_on:
        return False
    unmet = dependencies.unmet(world, stack, service, update=run.cause == "spec")
    if unmet is not None:
        unmet.tell(world, job_start.target((stack.revision.stack, service.name, task.slot)))
    return unmet is not None


def _trimmed(world: World, rules: JobRules, job: Job) -> Job:
    """The job, without finished runs beyond those that are kept; the containers of what is kept stay, too."""
    over = [run for run in job.runs if run.state not in ("active", "skipped")]
    missed = [run for run in job.runs if run.state == "skipped"]
    kept = {run.number for run in (*_tail(over, rules.keep), *_tail(missed, rules.keep))}
    kept |= {run.number for run in job.runs if run.state == "active"}
    for run in job.runs:
        if run.number in kept:
            world.finished.update((*job.key, task.slot) for task in run.tasks)
    last = _last(job)
    kept |= {run.number for run in (last, *_tail(over, 1)) if run is not None}
    return job if len(kept) == len(job.runs) else replace(job, runs=tuple(r for r in job.runs if r.number in kept))


def _tail(runs: list[JobRun], count: int) -> list[JobRun]:
    return runs[max(len(runs) - count, 0) :]


def _tell(world: World, stack: DesiredStack, service: ServiceSpec, job: Job) -> None:
    """What is not as declared. A job with a schedule is as declared when it was begun; others when they ended well."""
    name = f"{job.stack}/{job.service}"
    for run in job.runs:
        if run.state == "active" and run.cause != "schedule":
            for task in run.tasks:
                _tell_task(world, job, run, task)
    last = job_schedule.judged(world, stack, service)
    if last is None or last.state not in ("failed", "unknown"):
        return
    detail = f"run {last.number}: {last.message or last.reason}"
    reason = "JobFailed" if last.state == "failed" else "JobUnknown"
    if service.job.schedule:
        world.wave.notices.append(Notice(name, reason, detail))
    else:
        detail += f"; `shipyard job run {name}` runs it once more"
        world.wave.blocked.append(Blocked(name, reason, detail))


def _tell_task(world: World, job: Job, run: JobRun, task: JobTask) -> None:
    target = job_start.target((*job.key, task.slot))
    if task.state == "waiting" and task.retry_at > world.now:
        why = f"{task.reason} (attempt {task.attempt - 1} of run {run.number}): {task.message}"
        world.wave.waiting.append(Waiting(target, "BackOff", why, task.retry_at))
    elif task.state in AT_WORK and task.node not in world.seen:
        state = world.states.get(task.node, "unknown")
        world.wave.waiting.append(Waiting(target, "NodeNotObserved", f"run {run.number}: {task.node} is {state}"))
    elif task.state in AT_WORK:
        first = job_start.before_main(world, (*job.key, task.slot), task)
        more = f": {first} has not ended yet" if first else ""
        said = f"run {run.number} is {task.state} on {task.node}{more}"
        world.wave.waiting.append(Waiting(target, "JobRunning", said))
    elif task.state == "waiting" and not task.node:
        detail = f"run {run.number} waits until the run before it has ended"
        if any(each.reason == REPLACED and each.state == "active" for each in job.runs):
            world.wave.waiting.append(Waiting(target, "JobRunning", detail))


def tidy(world: World) -> None:
    """Remove markers of runs that are not remembered any more: their due times are over."""
    known = {key: {run.name for run in job.runs} for key, job in world.jobs.items()}
    for node in sorted(world.seen):
        if not world.wave.may_act(node):
            continue
        for name in world.seen[node].markers:
            stack, service, run = (*name.split("."), "", "")[:3]
            if world.stack(stack) is None or run in known.get((stack, service), ()):
                continue
            why = "the run is not remembered any more"
            world.wave.add(node, Phase.TIDY, f"{stack}/{service}", "Finished", why, DropMarker(name))
