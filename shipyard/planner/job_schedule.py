"""When a run of a job begins: because its spec is new, because it is due, or because someone asked."""

from __future__ import annotations

from shipyard.base import cron
from shipyard.base.record import replace
from shipyard.model.job import JOB_MODES, Cause, Job, JobRun, JobTask
from shipyard.model.memory import Memory
from shipyard.model.plan import Blocked
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import JobRules, ServiceSpec
from shipyard.planner.job_watch import REPLACED, job_hash
from shipyard.planner.world import World

LATE = 60.0
"""Seconds for which a time that cron knows lasts: no window to catch up in is shorter."""


def window(rules: JobRules) -> float:
    """Seconds that a due time may be late."""
    return max(rules.catch_up, LATE)


def newest(job: Job, spec: str | None = None) -> JobRun | None:
    """The newest run that was not skipped; with `spec`: of that, be it for the spec's sake or on request."""
    for run in reversed(job.runs):
        if run.state != "skipped" and (spec is None or (run.spec == spec and run.cause != "schedule")):
            return run
    return None


def completed(world: World, stack: DesiredStack, service: ServiceSpec) -> bool:
    """Whether the job, as it is declared now, has been run and ended well (`service_completed_successfully`)."""
    run = judged(world, stack, service)
    return run is not None and run.state == "succeeded"


def judged(world: World, stack: DesiredStack, service: ServiceSpec) -> JobRun | None:
    """The run by which the job is judged: the newest of its present spec; with a schedule, the newest."""
    job = world.jobs.get((stack.revision.stack, service.name))
    if job is None:
        return None
    return newest(job, None if service.job.schedule else job_hash(service))


def begin(world: World, stack: DesiredStack, service: ServiceSpec, job: Job) -> Job:
    """The job, with the run that begins now, if there is one."""
    if service.job.schedule:
        return _due(world, stack, service, job)
    spec = job_hash(service)
    last = next((run for run in reversed(job.runs) if run.cause == "spec"), None)
    if last is not None and last.spec == spec:
        return job
    run = _new(service, f"rev-{stack.revision.number}-{spec}", "spec", stack.revision.number, world.now)
    return _add(replaced(job), run)


def _due(world: World, stack: DesiredStack, service: ServiceSpec, job: Job) -> Job:
    rules, now = service.job, world.now
    target = f"{job.stack}/{job.service}"
    if wrong := cron.problem(rules.schedule, rules.timezone):
        world.wave.blocked.append(Blocked(target, "BadSchedule", f"{rules.schedule!r}: {wrong}"))
        return job
    text = f"{rules.schedule} {rules.timezone}"
    if job.schedule != text:  # a new schedule is not about the past
        job = replace(job, schedule=text, since=now)
    due = cron.latest(rules.schedule, rules.timezone, max(job.since, job.last_due), now)
    if due is None:
        return job
    job = replace(job, last_due=due)
    run = replace(_new(service, f"due-{due:.0f}", "schedule", stack.revision.number, now), due=due)
    if now - due > window(rules):
        why = f"no pass came within {window(rules):g} s of {cron.text(due, rules.timezone)}"
        return _add(job, skipped(run, now, "MissedSchedule", why))
    if rules.concurrency == "forbid" and (busy := active(job)):
        why = f"run {busy[0].number} was still at it at {cron.text(due, rules.timezone)}"
        return _add(job, skipped(run, now, "JobSkipped", why))
    return _add(replaced(job) if rules.concurrency == "replace" else job, run)


def skipped(run: JobRun, now: float, reason: str, why: str) -> JobRun:
    """A run that is not to be."""
    return replace(run, state="skipped", ended=now, reason=reason, message=why, tasks=())


def active(job: Job) -> tuple[JobRun, ...]:
    """The runs that have not ended."""
    return tuple(run for run in job.runs if run.state == "active")


def replaced(job: Job) -> Job:
    """The job, all its runs being told to end."""
    return replace(job, runs=tuple(_stopped(run) if run.state == "active" else run for run in job.runs))


def _stopped(run: JobRun) -> JobRun:
    why = "a newer run takes its place"
    return replace(run, reason=REPLACED, message=why, tasks=tuple(_told(task, why) for task in run.tasks))


def _told(task: JobTask, why: str) -> JobTask:
    match task.state:
        case "waiting":
            return replace(task, state="stopped", reason=REPLACED, message=why)
        case "starting" | "running":
            return replace(task, state="stopping", reason=REPLACED, message=why)
        case _:
            return task


def _new(service: ServiceSpec, name: str, cause: Cause, revision: int, now: float) -> JobRun:
    wanted = service.job.completions if service.mode == "replicated-job" else 0
    return JobRun(0, name, cause, job_hash(service), revision, wanted, began=now)


def _add(job: Job, run: JobRun) -> Job:
    number = job.numbers + 1
    return replace(job, numbers=number, runs=(*job.runs, replace(run, number=number)))


def asked(memory: Memory, stack: str, service: ServiceSpec, revision: int, now: float) -> tuple[Memory, int]:
    """The memory with one more run of a job, and its number. Raises ValueError where it can't be."""
    if service.mode not in JOB_MODES:
        raise ValueError(f"{stack}/{service.name} is no job (deploy.mode is {service.mode})")
    job = next((job for job in memory.jobs if job.key == (stack, service.name)), None)
    if job is None:
        raise ValueError(f"no pass has seen {stack}/{service.name} yet")
    if service.job.concurrency == "forbid" and (busy := active(job)):
        raise ValueError(f"run {busy[0].number} of {stack}/{service.name} is at it, and concurrency is forbid")
    if service.job.concurrency == "replace":
        job = replaced(job)
    asked_before = [int(run.name.partition("-")[2]) for run in job.runs if run.cause == "request"]
    moment = max([round(now * 1000), *(each + 1 for each in asked_before)])
    job = _add(job, _new(service, f"asked-{moment}", "request", revision, now))
    jobs = {each.key: each for each in memory.jobs} | {job.key: job}
    return replace(memory, jobs=tuple(jobs[key] for key in sorted(jobs))), job.numbers
