"""PURE: jobs as `job list` and `status` tell of them, from the same situation and plan as the rest of the status."""

from __future__ import annotations

from shipyard.base import cron
from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.job import JOB_MODES, Job, JobRun, JobTask
from shipyard.model.observed import Container
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.model.status import JobRunStatus, JobStatus, JobTaskStatus
from shipyard.planner import groups
from shipyard.planner.job_schedule import newest
from shipyard.planner.world import slot_of

Boxes = dict[tuple[str, str], Container]
"""By node and name, those of one task as one."""


def job_statuses(situation: Situation, plan: Plan) -> tuple[JobStatus, ...]:
    """All jobs that are declared, by stack and service."""
    before = {job.key: job for job in situation.memory.jobs}
    jobs = {job.key: _begun(job, before.get(job.key)) for job in plan.memory.jobs}
    boxes = {
        (name, box.name): box
        for name, node in situation.seen().items()
        for box in groups.as_one(each for each in node.containers if slot_of(each) is not None)
    }
    return tuple(
        _job(situation, stack, service, jobs.get((stack.revision.stack, service.name)), boxes)
        for stack in situation.stacks
        for service in stack.revision.spec.services
        if service.mode in JOB_MODES and not stack.removing
    )


def _begun(job: Job, before: Job | None) -> Job:
    """The job without runs that are only planned."""
    last = before.numbers if before is not None else 0
    return replace(job, runs=tuple(run for run in job.runs if run.number <= last))


def _job(situation: Situation, stack: DesiredStack, service: ServiceSpec, job: Job | None, boxes: Boxes) -> JobStatus:
    rules = service.job
    key = (stack.revision.stack, service.name)
    due = None
    if rules.schedule and not cron.problem(rules.schedule, rules.timezone):
        due = cron.following(rules.schedule, rules.timezone, situation.now)
    runs = job.runs if job is not None else ()
    return JobStatus(
        stack=key[0],
        service=key[1],
        mode=service.mode,
        schedule=rules.schedule,
        timezone=rules.timezone,
        next_due=due,
        runs=tuple(_run(situation.cluster, key, run, boxes) for run in reversed(runs)),
    )


def _run(cluster: str, key: tuple[str, str], run: JobRun, boxes: Boxes) -> JobRunStatus:
    started = [task.started for task in run.tasks if task.started]
    return JobRunStatus(
        number=run.number,
        state=run.state,
        cause=run.cause,
        due=run.due,
        began=run.began,
        started=min(started, default=0.0),
        ended=run.ended,
        wanted=run.wanted or len(run.tasks),
        completed=sum(task.state == "succeeded" for task in run.tasks),
        failed=sum(task.state == "failed" for task in run.tasks),
        reason=run.reason,
        message=run.message,
        tasks=tuple(_task(cluster, key, task, boxes) for task in run.tasks),
    )


def _task(cluster: str, key: tuple[str, str], task: JobTask, boxes: Boxes) -> JobTaskStatus:
    box, node = boxes.get((task.node, labels.container_name(cluster, *key, task.slot, task.attempt))), task.node
    if box is None and task.attempt > 1:  # the container of the attempt before is there until the next one begins
        name = labels.container_name(cluster, *key, task.slot, task.attempt - 1)
        box, node = next(((boxes[at], at[0]) for at in sorted(boxes) if at[1] == name), (None, node))
    main = groups.main_in(groups.parts_of(box)) if box is not None else None
    return JobTaskStatus(
        slot=task.slot,
        state=task.state,
        node=node or None,
        attempt=task.attempt,
        started=task.started,
        ended=task.ended,
        exit_code=main.exit_code if main is not None else None,
        container=main.id if main is not None else None,
        reason=task.reason,
        message=task.message,
        members=groups.members(box) if box is not None else (),
    )


def counts(job: Job | None, service: ServiceSpec) -> tuple[int, int, int]:
    """Of the newest run: how many tasks are to end well, have, and have failed."""
    run = newest(job) if job is not None else None
    if run is None:
        once = not service.job.schedule and service.mode == "replicated-job"
        return (service.job.completions if once else 0), 0, 0
    done = sum(task.state == "succeeded" for task in run.tasks)
    return run.wanted or len(run.tasks), done, sum(task.state == "failed" for task in run.tasks)
