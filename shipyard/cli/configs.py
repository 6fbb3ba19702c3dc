"""`configs`: contents that the store has outside of stacks, and containers as files."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipyard.base import clock
from shipyard.base.errors import ConfigError, UsageError
from shipyard.base.text import printable
from shipyard.cli.app import App, pass_app
from shipyard.cli.layout import cell
from shipyard.cli.render_status import add, new_table
from shipyard.cli.words import DockersWords

if TYPE_CHECKING:
    from shipyard.reconcile.configcare import ConfigCare, ConfigInfo

MOST = 1000 * 1024


@click.group(
    cls=DockersWords,
    epilog="""\b
Examples:
  shipyard configs set motd motd.txt
  shipyard configs set shop/nginx.conf nginx.conf
  envsubst <app.tmpl | shipyard configs set app.conf -
  shipyard configs list
In a playbook or a Compose file: configs: {motd: {external: true}}
Shipyard's own settings are shown by shipyard config.""",
)
def configs() -> None:
    """Set, list, show and remove configs outside of stacks."""


def _opened(app: App) -> ConfigCare:
    from shipyard.reconcile.configcare import ConfigCare

    return ConfigCare.open(app.settings, app.environ)


@configs.command(
    "set",
    epilog="\b\nExamples:\n  shipyard configs set motd motd.txt\n  shipyard configs set shop/nginx.conf nginx.conf\n"
    "  envsubst <app.tmpl | shipyard configs set app.conf -",
)
@click.argument("name", metavar="NAME|STACK/NAME")
@click.argument("file", required=False, metavar="[FILE|-]", type=click.Path(path_type=Path, dir_okay=False))
@pass_app
def set_(app: App, name: str, file: Path | None) -> None:
    """Store a config, for files that call it external.

    Byte for byte, from FILE or from standard input. A new content reaches containers when the files that use it are
    applied again. It is no secret: `configs show` and the nodes' root see it. STACK/NAME is for one stack alone, and
    is looked for there first.
    """
    content = _content(app, file)
    with _opened(app) as care:
        changed, stale = care.put(name, content)
    if app.out.json:
        app.out.data({"config": name, "changed": changed, "apply": list(stale)})
    app.out.line(f"{cell(name)} is stored." if changed else f"{cell(name)} is what it was.")
    if stale:
        app.out.line(f"Apply {', '.join(map(cell, stale))} again to bring it to the containers that use it.")


def _content(app: App, file: Path | None) -> bytes:
    if file is None and sys.stdin.isatty():
        raise UsageError("a config needs a content", hint="name its FILE, or - to type it (end it with Ctrl-D)")
    if file is None or str(file) == "-":
        return sys.stdin.buffer.read(MOST + 1)
    try:
        with (app.cwd / file).open("rb") as opened:
            return opened.read(MOST + 1)
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from error


@configs.command("list", epilog="\b\nExample:\n  shipyard configs list -o json")
@pass_app
def list_(app: App) -> None:
    """The configs that the store has outside of stacks, or should have."""
    with _opened(app) as care:
        found = care.infos()
    if app.out.json:
        app.out.data([_told(each) for each in found])
        return
    if not found:
        app.out.line("There are no configs outside of stacks: shipyard configs set NAME FILE stores one.")
        return
    table = new_table("NAME", "SET", "BY", "BYTES", "USED BY")
    for each in found:
        row = each.row
        told = [clock.iso(row.created), row.author, str(len(row.content))] if row else ["missing", "", ""]
        add(table, [each.name, *told, _used(each)])
    app.out.draw(table)


@configs.command(
    epilog="\b\nExamples:\n  shipyard configs show motd\n  shipyard configs show motd --raw >motd.txt\n"
    "  shipyard configs show motd -o json"
)
@click.argument("name", metavar="NAME|STACK/NAME")
@click.option("--raw", is_flag=True, help="The content alone, byte for byte.")
@pass_app
def show(app: App, name: str, raw: bool) -> None:
    """One config: who set it, who uses it, and what it holds."""
    if raw and app.out.json:
        raise UsageError("--raw is the content alone; with -o json it stands in `data`, in base64")
    with _opened(app) as care:
        info = care.info(name)
    assert info.row is not None
    content = info.row.content
    if raw:
        app.out.binary(content)
        return
    text = _text(content)
    if app.out.json:
        app.out.data(_told(info) | {"content": text, "data": base64.b64encode(content).decode()})
        return
    app.out.line(f"Name:     {cell(name)}")
    app.out.line(f"Set:      {clock.iso(info.row.created)} by {cell(info.row.author)}")
    app.out.line(f"Digest:   sha256:{info.row.digest}")
    app.out.line(f"Used by:  {_used(info) or 'no stack'}")
    if text is None:
        app.out.line(f"Data:     {len(content)} bytes that are no text (--raw writes them)")
        return
    app.out.line(f"Data:     {len(content)} bytes")
    if not app.out.quiet:
        app.out.raw(printable(text) + ("" if text.endswith("\n") else "\n"))


@configs.command(epilog="\b\nExample:\n  shipyard configs remove motd")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also what a stack uses.")
@pass_app
def remove(app: App, names: tuple[str, ...], force: bool) -> None:
    """Forget configs. What runs keeps them, and so do the revisions that have them."""
    with _opened(app) as care:
        care.remove(names, force=force)
    if app.out.json:
        app.out.data({"removed": list(names)})
    app.out.line(f"{', '.join(map(cell, names))}: removed.")


def _told(info: ConfigInfo) -> dict[str, Any]:
    row = info.row
    return {
        "name": info.name,
        "stored": row is not None,
        "set": clock.iso(row.created) if row else None,
        "author": row.author if row else None,
        "bytes": len(row.content) if row else None,
        "digest": row.digest if row else None,
        "used_by": list(info.used_by),
        "outdated": list(info.outdated),
    }


def _used(info: ConfigInfo) -> str:
    return ", ".join(
        f"{cell(stack)} (another content, until applied again)" if stack in info.outdated else cell(stack)
        for stack in info.used_by
    )


def _text(content: bytes) -> str | None:
    """None where it is no text that people could read."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
