"""`cordon`, `drain` and `activate`: which nodes take work."""

from __future__ import annotations

import click

from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell, list_of
from shipyard.model.request import DrainRequest

DEADLINE = 3600.0
"""Seconds; Nomad's default."""
NODE = click.argument("node", shell_complete=completing.nodes)


@click.command(epilog="\b\nExamples:\n  shipyard cordon node3\n  shipyard cordon 'rack1:!node3'")
@NODE
@pass_app
def cordon(app: App, node: str) -> None:
    """Place no more replicas on a node.

    Those that it has stay there. NODE is a name or a host pattern.
    """
    with opened(app) as fleet:
        names = fleet.cordon(node)
    _tell(app, names, "takes no more replicas")


@click.command(epilog="\b\nExample:\n  shipyard activate node3")
@NODE
@pass_app
def activate(app: App, node: str) -> None:
    """Let a node take replicas again.

    Ends cordon and drain. Nothing moves back by itself. NODE is a name or a host pattern.
    """
    with opened(app) as fleet:
        names = fleet.activate(node)
    _tell(app, names, "takes replicas again")


@click.command(epilog="\b\nExamples:\n  shipyard drain node3\n  shipyard drain node3 --deadline 300 --no-wait")
@NODE
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    default=DEADLINE,
    show_default=True,
    metavar="S",
    help="Seconds in which services' update policies are honoured; what is left then moves at once.",
)
@click.option("--no-wait", is_flag=True, help="Run one pass and leave the rest to reconcile.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Seconds to wait for it (the deadline, and timeouts.converge).",
)
@pass_app
def drain(app: App, node: str, deadline: float, no_wait: bool, timeout: float | None) -> int:
    """Move a node's replicas to other nodes.

    With `order: start-first` each is up elsewhere before it stops here; otherwise as many at a time as the service's
    `parallelism` allows. What can't move (its volume is here, no other node fits) stays, and is listed with the reason.
    The node takes no replicas until `shipyard activate`. NODE is a name or a host pattern.
    """
    from shipyard.cli.progress import watching

    limit = deadline + app.settings.timeouts.converge if timeout is None else timeout
    request = DrainRequest(node, deadline, not no_wait, limit)
    with opened(app) as fleet:
        with watching(app.out) as progress:
            code = fleet.drain(request, progress).exit_code()
        left = fleet.left_on(node)
    if not app.out.json:
        lines = list_of([(target, "", f"still on {where}") for target, where in left], "bold", app.out.fold())
        app.out.lines(lines or [(f"{cell(node)} is drained: no replica is left on it.",)])
    return code | 2 if left else code


def _tell(app: App, names: tuple[str, ...], words: str) -> None:
    if app.out.json:
        app.out.data({"nodes": list(names)})
    for name in names if not app.out.json else ():
        app.out.line(f"{cell(name)} {words}.")
