"""`simulate`: what would become of every replica, if."""

from __future__ import annotations

import re
from typing import Any

import click

from shipyard.base.errors import UsageError
from shipyard.cli.app import App, pass_app
from shipyard.cli.apply import FURTHER
from shipyard.cli.fleet import opened
from shipyard.cli.options import foreign
from shipyard.cli.render_outlook import draw_outlook, outlook_json
from shipyard.model.request import MoreNodes, SimulateRequest

MOST = 100_000


@click.command(
    epilog="""\b
Examples:
  shipyard simulate                                    how full each node is
  shipyard simulate --without node3
  shipyard simulate --without rack1 --add 2:like=node1
  shipyard simulate --scale shop/web=20
  shipyard simulate playbooks/shop.yml -o json"""
)
@click.argument("files", nargs=-1, metavar="[FILE...]")
@FURTHER
@click.option("-e", "--extra-vars", multiple=True, metavar="K=V|@FILE", help="Variables for the files.")
@click.option("--without", multiple=True, metavar="PATTERN", help="These nodes are gone; may be repeated.")
@click.option("--add", multiple=True, metavar="N:like=NODE", help="So many more nodes like this one; may be repeated.")
@click.option("--scale", multiple=True, metavar="STACK/SERVICE=N", help="So many replicas; may be repeated.")
@foreign
@pass_app
def simulate(app: App, /, **options: Any) -> int:
    """Show what would happen to every replica, if; touch nothing.

    Goes by what the nodes were when they were last seen. Exits with 2 when a replica would have no place.
    """
    request = SimulateRequest(
        files=(*options["files"], *options["further"]),
        extra_vars=options["extra_vars"],
        **{name: options[name] for name in ("hosts", "stack", "strict", "env_files", "profiles")},
        without=tuple(part for said in options["without"] for part in said.split(",") if part),
        add=tuple(_more(said) for said in options["add"]),
        scale=tuple(_scale(said) for said in options["scale"]),
    )
    with opened(app, playbooks=request.files) as fleet:
        outlook = fleet.simulate(request)
    if app.out.json:
        app.out.data(outlook_json(outlook))
    else:
        draw_outlook(outlook, app.out)
    return 2 if outlook.without_place else 0


def _more(said: str) -> MoreNodes:
    match = re.fullmatch(r"([0-9]{1,6}):(?:like=)?(\S+)", said, re.IGNORECASE)
    if match is None or not 0 < int(match[1]) <= MOST:
        raise UsageError(f"--add {said} is not like 2:like=node1")
    return MoreNodes(int(match[1]), match[2])


def _scale(said: str) -> tuple[str, str, int]:
    match = re.fullmatch(r"([^/=\s]+)/([^/=\s]+)=([0-9]{1,6})", said)
    if match is None or int(match[3]) > MOST:
        raise UsageError(f"--scale {said} is not like shop/web=5")
    return match[1], match[2], int(match[3])
