"""`secret`: contents that only the store has, encrypted, and containers as files."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipyard.base import clock
from shipyard.base.errors import ConfigError, UsageError
from shipyard.base.secret import SecretBytes
from shipyard.cli.app import App, pass_app
from shipyard.cli.layout import cell
from shipyard.cli.render_status import add, new_table
from shipyard.cli.words import DockersWords

if TYPE_CHECKING:
    from shipyard.reconcile.secretcare import SecretCare

MOST = 500 * 1024


@click.group(
    cls=DockersWords,
    epilog="""\b
Examples:
  shipyard secret set db_password               asks for it, unseen
  shipyard secret set shop/tls_key --file key.pem
  pass show api | shipyard secret set api_token
  shipyard secret list
In a playbook: secrets: {db_password: {external: true}}""",
)
def secret() -> None:
    """Set, list and remove secrets, and replace their key."""


def _opened(app: App) -> SecretCare:
    from shipyard.reconcile.secretcare import SecretCare

    return SecretCare.open(app.settings, app.environ)


@secret.command(
    "set",
    epilog="\b\nExamples:\n  shipyard secret set db_password\n  shipyard secret set shop/tls_key --file key.pem\n"
    '  printf %s "$TOKEN" | shipyard secret set api_token',
)
@click.argument("name", metavar="NAME|STACK/NAME")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Take the content of this file.")
@pass_app
def set_(app: App, name: str, file: Path | None) -> None:
    """Store a secret, encrypted, for playbooks that call it external.

    Without --file it is read from standard input, byte for byte; on a terminal it is asked for, unseen. A new content
    reaches containers when the files that use it are applied again.
    """
    content = _content(app, name, file)
    with _opened(app) as care:
        changed, stale = care.put(name, content)
    if app.out.json:
        app.out.data({"secret": name, "changed": changed, "apply": list(stale)})
    if file is None and content.reveal().endswith(b"\n"):
        app.out.warn(f"the content of {cell(name)} ends with a line break, which is part of it (printf %s has none)")
    app.out.line(f"{cell(name)} is stored." if changed else f"{cell(name)} is what it was.")
    if stale:
        app.out.line(f"Apply {', '.join(map(cell, stale))} again to bring it to the containers that use it.")


def _content(app: App, name: str, file: Path | None) -> SecretBytes:
    if file is not None:
        try:
            with (app.cwd / file).open("rb") as opened:
                return SecretBytes(opened.read(MOST + 1))
        except OSError as error:
            raise ConfigError(f"{file}: can't be read: {error.strerror}") from error
    if not sys.stdin.isatty():
        return SecretBytes(sys.stdin.buffer.read(MOST + 1))
    typed = getpass.getpass(f"{name}: ", sys.stderr)
    if getpass.getpass(f"{name}, once more: ", sys.stderr) != typed:
        raise UsageError("what was typed the second time is something else; nothing was stored")
    return SecretBytes(typed.encode(errors="surrogateescape"))


@secret.command("list", epilog="\b\nExample:\n  shipyard secret list -o json")
@pass_app
def list_(app: App) -> None:
    """The secrets that the store has, or should have; never what they are."""
    with _opened(app) as care:
        found = care.infos()
    if app.out.json:
        app.out.data(
            [
                {
                    "name": each.name,
                    "declared": each.declared,
                    "stored": each.contents > 0,
                    "set": clock.iso(each.created) if each.contents else None,
                    "author": each.author,
                    "used_by": list(each.used_by),
                }
                for each in found
            ]
        )
        return
    if not found:
        app.out.line("There are no secrets: shipyard secret set NAME stores one.")
        return
    table = new_table("NAME", "SET", "BY", "FROM", "USED BY")
    for each in found:
        when = clock.iso(each.created) if each.contents else "missing"
        source = "" if not each.contents else "playbook" if each.declared else "secret set"
        add(table, [each.name, when, each.author, source, ", ".join(each.used_by)])
    app.out.draw(table)


@secret.command(epilog="\b\nExample:\n  shipyard secret remove api_token")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also what a stack uses.")
@pass_app
def remove(app: App, names: tuple[str, ...], force: bool) -> None:
    """Forget secrets. What runs keeps them until it is replaced."""
    with _opened(app) as care:
        care.remove(names, force=force)
    if app.out.json:
        app.out.data({"removed": list(names)})
    app.out.line(f"{', '.join(map(cell, names))}: removed.")


@secret.command("rotate-key", epilog="\b\nExamples:\n  shipyard secret rotate-key\n  shipyard secret rotate-key --lost")
@click.option("--lost", is_flag=True, help="The old key is gone: drop what only it could open.")
@pass_app
def rotate_key(app: App, lost: bool) -> None:
    """Encrypt all secrets with a new key, and revisions that hold some. No container is replaced.

    The next pass writes the nodes' copies of such revisions anew.

    A key that is in a variable, or that a program tells, is replaced there: put the new key in front of the old one,
    run this, and take the old one out.
    """
    with _opened(app) as care:
        if lost:
            what = ", ".join(map(cell, care.lost())) or "nothing, as it seems"
            if not app.confirm(f"Drop what the present key does not open, for good ({what})?"):
                raise UsageError(
                    f"nothing was dropped; it would be: {what}",
                    hint="answer yes, or say --yes where there is no terminal",
                )
        rotated = care.rotate_key(lost=lost)
    unread: dict[str, list[int]] = {}
    for stack, number in rotated.unread:
        unread.setdefault(stack, []).append(number)
    if app.out.json:
        old = None if rotated.old is None else str(rotated.old)
        told = {"resealed": rotated.resealed, "revisions": rotated.revisions, "dropped": list(rotated.dropped)}
        app.out.data({**told, "unread": unread, "old_key": old})
    more = f" and {rotated.revisions} revisions" if rotated.revisions else ""
    app.out.line(f"{rotated.resealed} contents{more} are encrypted with the new key {rotated.origin}.")
    if rotated.dropped:
        app.out.line(f"Dropped, to be set or applied again: {', '.join(map(cell, rotated.dropped))}.")
    for stack, numbers in unread.items():
        shown = ", ".join(map(str, numbers))
        app.out.line(f"Of {cell(stack)} nobody can read these revisions any more: {shown}. What runs goes on.")
    if unread:
        app.out.line(f"Apply the files of {', '.join(map(cell, unread))} again: what is as they say is not replaced.")
    if rotated.old is not None:
        app.out.line(f"Older backups need the old key, which is in {rotated.old}; remove it with the last of them.")
