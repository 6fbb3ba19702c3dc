"""`rebalance`: the only command that moves what could stay, and it asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipyard.base.clock import now
from shipyard.base.errors import UsageError
from shipyard.cli.app import App, pass_app
from shipyard.cli.apply import unreachable_code
from shipyard.cli.fleet import opened
from shipyard.cli.layout import heading, list_of
from shipyard.cli.options import timeout_option
from shipyard.cli.render_plan import plan_json, render_plan

if TYPE_CHECKING:
    from shipyard.reconcile.rebalancing import Proposal


@click.command(
    epilog="""\b
Examples:
  shipyard rebalance
  shipyard rebalance --max-moves 5 --yes
  shipyard rebalance --check -o json | jq .moves"""
)
@click.option(
    "--max-moves",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Move no more replicas than this.",
)
@click.option("--check", is_flag=True, help="Change nothing; exit with 10 when replicas would be moved.")
@timeout_option
@pass_app
def rebalance(app: App, max_moves: int, check: bool, timeout: float | None) -> int:
    """Move replicas so that nodes are evenly full.

    Shows what would be done and asks. Each service's update policy holds: no more replicas are away at a time than
    in an update. What local volumes pin, what runs on each node and what is packed (binpack) stays.
    """
    from shipyard.cli.progress import watching

    with opened(app) as fleet:
        proposal = fleet.propose_rebalance(max_moves)
        ends_here = check or not proposal.moves
        if ends_here or not app.out.json:
            _show(app, proposal)
        if ends_here:
            return (10 if proposal.moves else 0) + unreachable_code(proposal.situation)
        if not app.confirm(f"Move {_replicas(len(proposal.moves))}?"):
            raise UsageError("nothing was moved", hint="answer yes, or say --yes where there is no terminal")
        limit = app.settings.timeouts.converge if timeout is None else timeout
        with watching(app.out) as progress:
            return fleet.rebalance(proposal, progress, limit).exit_code()


def _show(app: App, proposal: Proposal) -> None:
    if app.out.json:
        moves = [
            {"target": each.target, "from": each.placement.node, "to": each.node, "why": each.why}
            for each in proposal.moves
        ]
        app.out.data({"moves": moves, "more": proposal.more, **plan_json(proposal.plan)})
        return
    if not proposal.moves:
        app.out.line("No replica would be better off on another node.")
        return
    entries = [(each.target, "", f"{each.placement.node} -> {each.node}: {each.why}") for each in proposal.moves]
    app.out.lines([heading("Moves"), *list_of(entries, "yellow", app.out.fold())])
    if proposal.more:
        app.out.line(f"  {proposal.more} more could be moved: --max-moves {len(proposal.moves) + proposal.more}")
    app.out.lines([(), *render_plan(proposal.plan, now(), app.out.fold())])


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"
