"""`volume`: data that was there before shipyard."""

from __future__ import annotations

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell


@click.group(epilog="\b\nExample:\n  shipyard volume adopt guestbook data --node node1")
def volume() -> None:
    """Take existing volumes into a stack."""


@volume.command(epilog="\b\nExample:\n  shipyard volume adopt guestbook data --node node1")
@click.argument("stack", shell_complete=completing.stacks)
@click.argument("name")
@click.option("--node", metavar="NODE", help="Only the volume on this node.")
@pass_app
def adopt(app: App, stack: str, name: str, node: str | None) -> None:
    """Use a volume that shipyard did not make, with what is in it.

    NAME is the volume's name in the playbook, or on the nodes.
    """
    with opened(app) as fleet:
        nodes = fleet.adopt_volume(stack, name, node)
    if not nodes:
        where = f"on {node}" if node else "on any node"
        raise UsageError(f"there is no volume {name!r} of {stack} {where}")
    if app.out.json:
        app.out.data({"stack": stack, "volume": name, "nodes": list(nodes)})
    app.out.line(f"{cell(name)} is used as it is on {', '.join(cell(each) for each in nodes)}.")
