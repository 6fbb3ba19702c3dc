"""`plan` and `apply`: the same pass, once stopped before it does anything."""

from __future__ import annotations

from typing import Any

import click

from shipyard.base.clock import now
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.options import FOREIGN, empty_option, limit_option, timeout_option
from shipyard.cli.render_plan import plan_json, render_plan
from shipyard.model.observed import Silent
from shipyard.model.plan import Plan
from shipyard.model.request import ApplyRequest
from shipyard.model.situation import Situation

FURTHER = click.option(
    "-f", "--file", "further", multiple=True, metavar="FILE", help="One more file, laid over those before it."
)
FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")
WHAT = (
    click.option("-e", "--extra-vars", multiple=True, metavar="K=V|@FILE", help="Variables that win over all others."),
    limit_option,
    click.option("-t", "--tags", multiple=True, metavar="T", help="Only services with these tags; others carry over."),
    click.option("--prune", is_flag=True, help="These files are the whole stack: remove what others declared."),
    click.option("--untrusted", is_flag=True, help="Refuse what would give a container the node's rights."),
    empty_option,
)


def what(command: Any) -> Any:
    """The options that say what a plan is made from."""
    for decorate in reversed((FILES, FURTHER, *WHAT, *FOREIGN)):
        command = decorate(command)
    return command


@click.command(
    epilog="""\b
Examples:
  shipyard plan playbooks/web.yml
  shipyard plan compose.yaml -f compose.prod.yaml --hosts web
  shipyard plan site.yml -e version=1.4 -o json | jq .changes"""
)
@what
@click.option("--check", is_flag=True, help="Exit with 10 when changes are pending.")
@pass_app
def plan(app: App, /, check: bool, **options: Any) -> int:
    """Show what apply would do and why; change nothing."""
    return _show_plan(app, check, options)


@click.command(
    epilog="""\b
Examples:
  shipyard apply playbooks/web.yml
  shipyard apply web.yml db.yml --limit 'rack1:!node3' -e @release.yml
  shipyard apply playbooks/web.yml --check --diff"""
)
@what
@click.option("--check", is_flag=True, help="Change nothing; exit with 10 when changes are pending.")
@click.option("--diff", is_flag=True, help="Show the plan before it is carried out.")
@click.option("--no-wait", is_flag=True, help="Run one pass and leave the rest to reconcile.")
@timeout_option
@pass_app
def apply(app: App, /, check: bool, diff: bool, no_wait: bool, timeout: float | None, **options: Any) -> int:
    """Make the fleet what these files say.

    A new revision of each stack is stored, then passes run until the fleet has converged. What a file no longer
    declares is removed. Playbooks, Compose files and Kubernetes manifests are told apart by what is in them; `-` is
    manifests on standard input.
    """
    from shipyard.cli.progress import watching

    if check:
        return _show_plan(app, True, options)
    limit = app.settings.timeouts.converge if timeout is None else timeout
    request = _request(options, wait=not no_wait, timeout=limit)
    with opened(app, playbooks=request.files, call=True) as fleet, watching(app.out, diff=diff) as progress:
        return fleet.apply(request, progress).exit_code()


def _show_plan(app: App, check: bool, options: dict[str, Any]) -> int:
    request = _request(options)
    with opened(app, playbooks=request.files, call=True) as fleet:
        situation, plan = fleet.plan(request)
    return show_plan(app, situation, plan, check=check)


def show_plan(app: App, situation: Situation, plan: Plan, *, check: bool) -> int:
    """Print a plan; returns the exit code: with `check`, 10 when changes are pending; 4 more for nodes not reached."""
    if app.out.json:
        app.out.data(plan_json(plan))
    else:
        app.out.lines(render_plan(plan, now(), app.out.fold()))
    return (pending_code(plan) if check else 0) + unreachable_code(situation)


def _request(options: dict[str, Any], **more: Any) -> ApplyRequest:
    further = tuple(options.pop("further"))
    options["files"] = (*options["files"], *further)
    tags = tuple(tag for words in options["tags"] for tag in words.split(",") if tag)
    return ApplyRequest(**{**options, "tags": tags}, **more)


def pending_code(plan: Plan) -> int:
    """10 where changes are pending; 2 where there is only what can't be done, or waits."""
    return 10 if plan.actions else 2 if plan.blocked or plan.waiting else 0


def unreachable_code(situation: Situation) -> int:
    """4 when a node that was asked could not be reached."""
    return 4 if any(isinstance(each, Silent) and not each.connected for each in situation.observed) else 0
