"""`reconcile`: passes over what was applied before."""

from __future__ import annotations

import click

from shipyard.base.errors import LeaseHeld, UsageError
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.options import empty_option, limit_option, timeout_option
from shipyard.model.request import ReconcileRequest


@click.command(
    epilog="""\b
Examples:
  shipyard reconcile
  shipyard reconcile --check -o json
  * * * * *  cd /srv/fleet && shipyard reconcile --cron      (a crontab line)
  shipyard reconcile --watch --interval 30"""
)
@click.option("--once", is_flag=True, help="One pass; what only waits for time is left waiting.")
@click.option("--watch", is_flag=True, help="Go on for ever, a pass every --interval seconds.")
@click.option(
    "--interval", type=click.FloatRange(min=1), default=60.0, show_default=True, metavar="S", help="For --watch."
)
@click.option("--check", is_flag=True, help="Change nothing; exit with 10 when changes are pending.")
@click.option("--cron", is_flag=True, help="Silent unless something changed, an outage began or one ended.")
@limit_option
@empty_option
@timeout_option
@pass_app
def reconcile(
    app: App,
    once: bool,
    watch: bool,
    interval: float,
    check: bool,
    cron: bool,
    limit: str | None,
    accept_empty: tuple[str, ...],
    timeout: float | None,
) -> int:
    """Mend what has drifted from what was applied.

    Passes run until one plans nothing, or what is left only waits for time, or the time limit ends.
    """
    from shipyard.cli.progress import watching

    if sum((once, watch, check)) > 1:
        raise UsageError("--once, --watch and --check exclude each other")
    request = ReconcileRequest(
        limit=limit,
        once=once,
        watch=watch,
        interval=interval,
        check=check,
        cron=cron,
        accept_empty=accept_empty,
        timeout=app.settings.timeouts.converge if timeout is None else timeout,
    )
    display = watching(app.out, cron=cron, check=check, rounds=watch)
    with opened(app, call=True, ask=not check) as fleet, display as progress:
        try:
            return fleet.reconcile(request, progress).exit_code(check=check)
        except LeaseHeld as held:
            if cron:
                return held.exit_code
            raise
