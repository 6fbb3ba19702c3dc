"""`status`, `ps` and `services`: one look at the nodes, told in three ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.apply import unreachable_code
from shipyard.cli.fleet import opened
from shipyard.cli.render_status import (
    NO_STACK,
    draw_status,
    replica_json,
    replica_table,
    service_json,
    services_table,
    status_json,
)
from shipyard.model.status import FleetStatus, StackStatus
from shipyard.planner.status import fleet_status

if TYPE_CHECKING:
    from shipyard.reconcile.operations import Operations


def look(app: App) -> tuple[FleetStatus, int]:
    """The fleet as it is now, and 4 where a node could not be reached."""
    with opened(app, call=True) as fleet:
        return observed(fleet)


def observed(fleet: Operations) -> tuple[FleetStatus, int]:
    """The same, of a fleet that stays open."""
    last = fleet.last_pass()
    situation, plan = fleet.plan()
    return fleet_status(situation, plan, last), unreachable_code(situation)


@click.command(epilog="\b\nExamples:\n  shipyard status\n  shipyard status -o json | jq .converged")
@pass_app
def status(app: App) -> int:
    """The fleet beside what it should be.

    Asks every node, and says in words why what does not run does not. Changes nothing.
    """
    found, code = look(app)
    if app.out.json:
        app.out.data(status_json(found))
    else:
        draw_status(found, app.out)
    return code


@click.command(epilog="\b\nExamples:\n  shipyard ps\n  shipyard ps guestbook | grep -v running")
@click.argument("stack", required=False, shell_complete=completing.stacks)
@pass_app
def ps(app: App, stack: str | None) -> int:
    """Every replica: where it is and how it fares."""
    found, code = look(app)
    stacks = _only(found, stack)
    if app.out.json:
        names = [
            (each.name, service.name, replica)
            for each in stacks
            for service in each.services
            for replica in service.replicas
        ]
        app.out.data([{"stack": name, "service": service, **replica_json(replica)} for name, service, replica in names])
    elif not stacks:
        app.out.line(NO_STACK)
    else:
        app.out.draw(replica_table(stacks, wide=app.out.wide))
    return code


@click.command(epilog="\b\nExamples:\n  shipyard services\n  shipyard services guestbook -o json")
@click.argument("stack", required=False, shell_complete=completing.stacks)
@pass_app
def services(app: App, stack: str | None) -> int:
    """Every service: how many replicas are up."""
    found, code = look(app)
    stacks = _only(found, stack)
    if app.out.json:
        rows = []
        for each in stacks:
            for service in each.services:
                row = {"stack": each.name, "revision": each.revision, **service_json(service)}
                rows.append({key: value for key, value in row.items() if key != "replicas"})
        app.out.data(rows)
    elif not stacks:
        app.out.line(NO_STACK)
    else:
        app.out.draw(services_table(stacks, app.out.fold()))
    return code


def _only(found: FleetStatus, stack: str | None) -> list[StackStatus]:
    stacks = [each for each in found.stacks if stack in (None, each.name)]
    if stack is not None and not stacks:
        known = ", ".join(each.name for each in found.stacks) or "none"
        raise UsageError(f"there is no stack {stack!r}; there are: {known}")
    return stacks
