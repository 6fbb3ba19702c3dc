"""`job`: services that run to their end. What was run and will be, running one now, what a run printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shipyard.base.clock import iso
from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.apply import unreachable_code
from shipyard.cli.fleet import opened
from shipyard.cli.layout import ago, cell, sentence, soon
from shipyard.cli.logs import show, tail_of
from shipyard.cli.options import timeout_option
from shipyard.cli.replicas import Named
from shipyard.model.progress import Unwatched
from shipyard.model.request import JobRequest
from shipyard.model.status import JobRunStatus, JobStatus, JobTaskStatus
from shipyard.planner.job_status import job_statuses

if TYPE_CHECKING:
    from shipyard.reconcile.operations import Operations

COLOURS = {"succeeded": "green", "active": "yellow", "running": "yellow", "waiting": "yellow", "unknown": "yellow"}
BAD = ("failed", "unknown")


@click.group(
    epilog="""\b
Examples:
  shipyard job list
  shipyard job run shop/backup
  shipyard job logs shop/backup 12"""
)
def job() -> None:
    """List jobs, run one now, show what a run printed."""


@job.command("list", epilog="\b\nExamples:\n  shipyard job list\n  shipyard job list shop -o json")
@click.argument("stack", required=False, shell_complete=completing.stacks)
@pass_app
def list_(app: App, stack: str | None) -> int:
    """Jobs with their schedules and runs.

    Asks every node. Changes nothing.
    """
    with opened(app, call=True) as fleet:
        jobs, now, code = _look(fleet)
    jobs = [each for each in jobs if stack in (None, each.stack)]
    if app.out.json:
        app.out.data([job_json(each) for each in jobs])
    elif not jobs:
        app.out.line("There is no job: a service becomes one with deploy.mode or x-shipyard.schedule.")
    else:
        _draw(app, jobs, now)
    return code


@job.command(
    epilog="\b\nExamples:\n  shipyard job run shop/migrate\n  shipyard job run shop/backup --no-wait -o json",
)
@click.argument("name", metavar="STACK/SERVICE", shell_complete=completing.services)
@click.option("--no-wait", is_flag=True, help="Don't wait for its end.")
@timeout_option
@pass_app
def run(app: App, name: str, no_wait: bool, timeout: float | None) -> int:
    """Run a job once, now, whatever its schedule says.

    Exits with 2 if the run fails, or has not ended within --timeout.
    """
    from shipyard.cli.progress import watching

    stack, service = _named(name)
    limit = app.settings.timeouts.converge if timeout is None else timeout
    with opened(app) as fleet, watching(app.out) as progress:
        told = Unwatched() if app.out.json else progress  # whose JSON is about the passes, not about the run
        ending, done = fleet.run_job(JobRequest(stack, service, not no_wait, limit), told)
    if app.out.json:
        reason, message = done.reason or None, done.message
        app.out.data({"job": name, "run": done.number, "state": done.state, "reason": reason, "message": message})
    else:
        words = sentence(done.reason, done.message) if done.state in BAD else ""
        app.out.line(f"Run {done.number} of {cell(name)}: {done.state}{f' ({words})' if words else ''}")
    held = any(each.target == name or each.target.startswith(f"{name}.") for each in ending.blocked)
    late = done.state == "active" and (held or not no_wait)
    # what else the fleet lacks is told, and no matter of this run
    return (4 if ending.unreachable else 0) | (2 if done.state in BAD or late else 0)


@job.command(
    epilog="\b\nExamples:\n  shipyard job logs shop/backup\n  shipyard job logs shop/backup 12 --tail all\n"
    "  shipyard job logs shop/migrate -f\n  shipyard job logs shop/migrate --container wait-for-db"
)
@click.argument("name", metavar="STACK/SERVICE", shell_complete=completing.services)
@click.argument("number", metavar="[RUN]", type=click.IntRange(min=1), required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on, and show what is written next.")
@click.option(
    "-n", "--tail", default="100", show_default=True, callback=tail_of, metavar="N|all", help="Lines of each."
)
@click.option("-c", "--container", metavar="NAME", help="Of a sidecar or init container, in place of the main one.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@pass_app
def logs(
    app: App, name: str, number: int | None, follow: bool, tail: int | None, container: str | None, timestamps: bool
) -> int:
    """What a run printed; without a number, the newest.

    Logs are there for as long as the run's containers are kept (`keep`).
    """
    stack, service = _named(name)
    with opened(app, call=True) as fleet:
        jobs, _, code = _look(fleet)
        found = containers(_job(jobs, stack, service), number, container)
        return show(app, fleet, found, follow=follow, tail=tail, since=None, timestamps=timestamps) or code


def _look(fleet: Operations) -> tuple[list[JobStatus], float, int]:
    situation, plan = fleet.plan()
    return list(job_statuses(situation, plan)), situation.now, unreachable_code(situation)


def _named(name: str) -> tuple[str, str]:
    stack, slash, service = name.partition("/")
    if not (stack and slash and service):
        raise UsageError(f"{name!r}: expected STACK/SERVICE")
    return stack, service


def _job(jobs: list[JobStatus], stack: str, service: str) -> JobStatus:
    for each in jobs:
        if (each.stack, each.service) == (stack, service):
            return each
    known = ", ".join(f"{each.stack}/{each.service}" for each in jobs) or "none"
    raise UsageError(f"there is no job {stack}/{service}; there are: {known}")


def containers(status: JobStatus, number: int | None, container: str | None = None) -> list[Named]:
    """The containers of one run that are seen. Raises UsageError where there are none.

    `container`: which one beside the main one, of runs of several containers.
    """
    runs = [each for each in status.runs if each.state != "skipped"]
    chosen = [each for each in runs if number in (None, each.number)][:1]
    name = f"{status.stack}/{status.service}"
    if not chosen:
        known = ", ".join(str(each.number) for each in runs) or "none"
        raise UsageError(f"{name} has no run {number}; it has: {known}" if number else f"{name} was never run")
    one = chosen[0]
    found = [
        Named(status.stack, f"{status.service}.{task.slot}", task.node, task.container, task.state)
        for task in one.tasks
        if container is None and task.container is not None and task.node is not None
    ]
    found += [
        Named(status.stack, f"{status.service}.{task.slot}/{member.name}", task.node, member.container, member.state)
        for task in one.tasks
        for member in task.members
        if member.name == container and task.node is not None
    ]
    if found:
        return found
    others = ", ".join(sorted({member.name for task in one.tasks for member in task.members}))
    if container is not None:
        there = f"beside their main one they have: {others}" if others else "they have one container each"
        raise UsageError(f"run {one.number} of {name} has no container {container!r} that is seen now; {there}")
    why = sentence(one.reason, one.message)
    raise UsageError(
        f"run {one.number} of {name} ({one.state}) has no {'main ' if others else ''}container now"
        f"{f': {why}' if why else ''}",
        hint=f"--container shows another one: {others}" if others else None,
    )


def _draw(app: App, jobs: list[JobStatus], now: float) -> None:
    from shipyard.cli.render_status import add, new_table, styled

    table = new_table("JOB", "SCHEDULE", "NEXT", ">RUN", "STATE", "DONE", "WHEN", "NODE")
    for each in jobs:
        zone = f" {each.timezone}" if each.schedule and each.timezone != "UTC" else ""
        next_due = soon(each.next_due - now) if each.next_due is not None else "-"
        head: list[Any] = [f"{each.stack}/{each.service}", each.schedule + zone or "once per spec", next_due]
        for one in each.runs:
            state = styled(one.state, COLOURS.get(one.state, "red"))
            nodes = ", ".join(dict.fromkeys(task.node for task in one.tasks if task.node)) or "-"
            when = ago(one.ended or one.started or one.began, now)
            add(table, [*head, str(one.number), state, f"{one.completed}/{one.wanted}", when, nodes])
            head = ["", "", ""]
        if not each.runs:
            add(table, [*head, "-", "", "", "", ""])
    app.out.draw(table)
    for each in jobs:
        for one in each.runs[:1]:
            if one.reason and one.state != "succeeded":
                app.out.line(
                    f"{cell(each.stack)}/{cell(each.service)} run {one.number}: ", sentence(one.reason, one.message)
                )


def job_json(each: JobStatus) -> dict[str, Any]:
    """The shape that scripts rely on."""
    last = next((run for run in each.runs if run.state != "skipped"), None)
    return {
        "stack": each.stack,
        "service": each.service,
        "mode": each.mode,
        "schedule": each.schedule or None,
        "timezone": each.timezone if each.schedule else None,
        "next_due": _time(each.next_due),
        "last_run": run_json(last) if last is not None else None,
        "runs": [run_json(run) for run in each.runs],
    }


def run_json(run: JobRunStatus) -> dict[str, Any]:
    """One run."""
    return {
        "run": run.number,
        "state": run.state,
        "cause": run.cause,
        "due": _time(run.due),
        "began": _time(run.began),
        "started": _time(run.started),
        "ended": _time(run.ended),
        "wanted": run.wanted,
        "completed": run.completed,
        "failed": run.failed,
        "reason": run.reason or None,
        "message": run.message,
        "tasks": [task_json(task) for task in run.tasks],
    }


def task_json(task: JobTaskStatus) -> dict[str, Any]:
    """One task of a run."""
    from shipyard.cli.render_status import member_json

    return {
        "slot": task.slot,
        "state": task.state,
        "node": task.node,
        "attempt": task.attempt,
        "started": _time(task.started),
        "ended": _time(task.ended),
        "exit_code": task.exit_code,
        "container": task.container,
        "reason": task.reason or None,
        "message": task.message,
        "members": [member_json(member) for member in task.members],
    }


def _time(at: float | None) -> str | None:
    return iso(at) if at else None
