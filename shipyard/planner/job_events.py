"""What happened to jobs, from what was remembered before and after: for people to read."""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.model.event import Event
from shipyard.model.job import Job, JobRun
from shipyard.model.memory import Memory

_WORDS = {
    "succeeded": ("JobCompleted", "ended well"),
    "failed": ("JobFailed", "failed"),
    "unknown": ("JobUnknown", "nobody can say what became of it"),
    "replaced": ("JobReplaced", "was stopped for a newer run"),
}


def job_events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event per run that ended, was skipped or is tried again."""
    old = {job.key: job for job in before.jobs}
    return tuple(event for job in after.jobs if job != old.get(job.key) for event in _of(old.get(job.key), job, now))


def _of(before: Job | None, job: Job, now: float) -> Iterator[Event]:
    old = {run.number: run for run in before.runs} if before is not None else {}
    name = f"{job.stack}/{job.service}"
    for run in job.runs:
        was = old.get(run.number)
        if was == run:
            continue
        yield from _retries(name, was, run, now)
        if was is not None and was.state == run.state:
            continue
        if run.state == "skipped":
            yield Event(now, run.reason, name, f"run {run.number} was skipped: {run.message}", warning=True)
        elif run.state in _WORDS:
            reason, words = _WORDS[run.state]
            more = f" ({run.reason}: {run.message})" if run.message and run.state != "replaced" else ""
            bad = run.state in ("failed", "unknown")
            yield Event(now, reason, name, f"run {run.number} {words}{more}", warning=bad)


def _retries(name: str, was: JobRun | None, run: JobRun, now: float) -> Iterator[Event]:
    attempts = {task.slot: task.attempt for task in was.tasks} if was is not None else {}
    for task in run.tasks:
        if task.attempt > attempts.get(task.slot, task.attempt):
            message = f"run {run.number}, attempt {task.attempt - 1}: {task.message}; it is tried again"
            yield Event(now, f"Job{task.reason}", f"{name}.{task.slot}", message, warning=True)
