"""`shipyard lab`: make a fleet to try things on, look at it, and make it fail."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipyard.cli.app import App, pass_app

if TYPE_CHECKING:
    from shipyard.lab.lab import Lab

DEFAULT_NAME = "lab"
_name = click.option("--name", default=DEFAULT_NAME, metavar="NAME", help="Which lab, where there are several.")
_node = click.argument("node")


@click.group(
    epilog="""\b
Examples:
  shipyard lab up --nodes 3 --runtime mixed
  shipyard -i .shipyard/lab/inventory.yml nodes check
  shipyard lab kill node2 && shipyard lab start node2
  shipyard lab ssh node1 -- podman ps
  shipyard lab down"""
)
def lab() -> None:
    """A throw-away fleet of real nodes on this machine.

    Each node has its own network, processes and disk, a real sshd, and podman or docker. It takes root.
    """


@lab.command()
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1, 200), metavar="N", help="How many.")
@click.option("--runtime", default="mixed", show_default=True, type=click.Choice(["podman", "docker", "mixed"]))
@_name
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The project that gets the inventory and key under .shipyard/lab/ (default: the current folder).",
)
@click.option("--images/--no-images", default=True, help="Load the images for trying out into every node.")
@pass_app
def up(app: App, nodes: int, runtime: Any, name: str, directory: Path | None, images: bool) -> None:
    """Make a lab; or mend one, or let it grow."""
    from shipyard.lab.lab import Lab

    made = Lab.up(directory or app.cwd, name, nodes, runtime, images=images, report=_progress(app))
    _show(app, made)
    inventory = shlex.quote(_relative(made.inventory, app.cwd))
    option = "" if name == DEFAULT_NAME else f" --name {name}"
    for line in (
        "what to do next:",
        f"  shipyard -i {inventory} nodes check",
        f"  shipyard lab ssh node1{option}",
        f"  shipyard lab down{option}",
    ):
        _progress(app)(line)


@lab.command()
@_name
@pass_app
def down(app: App, name: str) -> None:
    """Remove a lab and everything that belongs to it."""
    from shipyard.lab.lab import Lab

    if not Lab.remove(name, report=_progress(app)):
        _progress(app)(f"there is no lab {name!r} on this machine")


@lab.command()
@_name
@pass_app
def status(app: App, name: str) -> None:
    """Show a lab's nodes, and whether they have power and network."""
    from shipyard.lab.lab import Lab

    _show(app, Lab.find(name))


@lab.command()
@_node
@_name
def kill(node: str, name: str) -> None:
    """Cut a node's power: everything on it dies at once, its disk stays."""
    _lab(name).kill(node)


@lab.command()
@_node
@_name
def start(node: str, name: str) -> None:
    """Boot a node."""
    _lab(name).start(node)


@lab.command()
@_node
@_name
def cut(node: str, name: str) -> None:
    """Cut a node's network cable: it runs on, and nothing reaches it."""
    _lab(name).cut(node)


@lab.command()
@_node
@_name
def join(node: str, name: str) -> None:
    """Plug a node's network cable in again."""
    _lab(name).join(node)


@lab.command(context_settings={"ignore_unknown_options": True})
@_node
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_name
def ssh(node: str, command: tuple[str, ...], name: str) -> None:
    """Log into a node, or run a command there: shipyard lab ssh NODE -- CMD."""
    argv = _lab(name).ssh(node, command)
    os.execvp(argv[0], argv)


@lab.command()
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_name
@pass_app
def load(app: App, archives: tuple[Path, ...], name: str) -> None:
    """Load images (archives of `docker save` or `podman save`) into every node."""
    found = _lab(name)
    for archive in archives:
        found.load_image(archive)
        _progress(app)(f"loaded {archive}")


def _lab(name: str) -> Lab:
    from shipyard.lab.lab import Lab

    return Lab.find(name)


def _progress(app: App) -> Callable[[str], None]:
    def report(words: str) -> None:
        if not app.given.get("quiet"):
            click.echo(words, err=True)

    return report


def _show(app: App, found: Lab) -> None:
    rows = [
        {"name": node.name, "state": found.state(node.name), "runtime": node.runtime, "address": node.address}
        for node in found.nodes
    ]
    if app.out.json:
        app.out.data({"name": found.record.name, "inventory": str(found.inventory), "nodes": rows})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        app.out.line(f"{row['name']:<{width}}  {row['state']:<3}  {row['runtime']:<6}  {row['address']}")


def _relative(path: Path, to: Path) -> str:
    return str(path.relative_to(to)) if path.is_relative_to(to) else str(path)
