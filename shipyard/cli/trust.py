"""`trust-project`: whether programs that came with a project may run."""

from __future__ import annotations

import click

from shipyard.base.errors import UsageError
from shipyard.cli.app import App, pass_app


@click.command("trust-project", epilog="\b\nExample:\n  shipyard trust-project")
@pass_app
def trust_project(app: App) -> None:
    """Allow a project's own programs to run.

    These are executable inventories, ProxyCommand or Match exec in its SSH options, and what tells secrets or their
    key (x-shipyard.command, secrets.key_command). Look at them first: they run as you, on this machine. The folder is
    that of shipyard.toml, or the current one.
    """
    from shipyard.reconcile.trust import trust

    root = app.settings.root
    if not app.confirm(f"Run the programs that {root} brings along?"):
        raise UsageError("the folder is not trusted", hint="answer yes, or say --yes where there is no terminal")
    register = trust(root)
    app.out.line(f"{root} is trusted from now on ({register}).")
