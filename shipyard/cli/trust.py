"""`trust-project`: which programs that came with a project may run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipyard.base.errors import ShipyardError, UsageError
from shipyard.base.text import printable
from shipyard.cli.app import App, pass_app

if TYPE_CHECKING:
    from shipyard.reconcile.programs import Program


@click.command(
    "trust-project", epilog="\b\nExamples:\n  shipyard trust-project\n  shipyard trust-project deploy/site.yml"
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@pass_app
def trust_project(app: App, files: tuple[Path, ...]) -> None:
    """Allow a project's own programs to run.

    These are executable inventories, ProxyCommand or Match exec in its SSH options, what tells secrets, their key or
    vault passwords (x-shipyard.command, secrets.key_command), and fence. Look at them first: they run as you, on this
    machine. The folder is that of shipyard.toml, or the current one; playbooks are looked for there and in playbooks/,
    name those that are elsewhere. A program that is new, or was changed, has to be trusted again.
    """
    from shipyard.reconcile import programs
    from shipyard.reconcile.trust import record

    root = app.settings.root
    found = programs.configured(app.settings)
    if found:
        _agreed(app, found, f"Run these programs that {root} brings along?")
    more = _named(app, found, files)
    if more or not found:
        _agreed(app, more, "Run these, too?" if found else f"Run the programs that {root} brings along?")
    words = {program.words for program in (*found, *more)}
    register = record(root, words)
    app.out.line(f"{root} is trusted from now on, with its {len(words)} programs as they are ({register}).")


def _agreed(app: App, found: Iterable[Program], question: str) -> None:
    for program in found:
        app.out.line(f"{program.why}: {printable(shlex.join(program.words))}")
    if not app.confirm(question):
        raise UsageError("the folder is not trusted", hint="answer yes, or say --yes where there is no terminal")


def _named(app: App, found: Iterable[Program], files: tuple[Path, ...]) -> list[Program]:
    """What inventory and playbooks name besides; read with the programs that were just agreed to."""
    from shipyard.base.trust import Trust, fingerprint
    from shipyard.cli.fleet import asking
    from shipyard.files.inventory import load
    from shipyard.reconcile import programs
    from shipyard.reconcile.early import vault_keys

    settings, root = app.settings, app.settings.root
    trusted = Trust(root, {fingerprint(program.words, root) for program in found})
    keys = vault_keys(settings, app.environ, trusted=trusted, ask=asking())
    chosen = [app.cwd / file for file in files]
    more: list[Program] = []
    try:
        inventory = load(settings.inventory, cwd=root, trusted=trusted, keys=keys)
        more = programs.of_connections(inventory, root)
        for path in dict.fromkeys([*chosen, *programs.candidates(root)]):
            try:
                more += programs.of_file(path, inventory, root, app.environ, keys)
            except ShipyardError as error:
                if path in chosen:
                    raise
                app.out.warn(f"what {path} names is left out: {error}")
    except ShipyardError as error:
        if chosen:
            raise
        app.out.warn(f"what the inventory names is left out: {error}")
    return list({program.words: program for program in more}.values())
