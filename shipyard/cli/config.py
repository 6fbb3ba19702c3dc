"""`config`: each setting and where it came from. Also the place where completion is explained."""

from __future__ import annotations

from typing import Any

import click

from shipyard.cli.app import App, pass_app
from shipyard.cli.render_status import add, new_table


@click.command(
    epilog="""\b
Examples:
  shipyard config
  shipyard config -o json

\b
Searched in this order: $SHIPYARD_CONFIG, ./shipyard.toml (not in a folder that everybody may write to),
$XDG_CONFIG_HOME/shipyard/shipyard.toml, /etc/shipyard/shipyard.toml. Every setting has an environment variable:
timeouts.converge is $SHIPYARD_TIMEOUTS_CONVERGE.

\b
Completion (once, in the shell's start-up file):
  bash:  eval "$(_SHIPYARD_COMPLETE=bash_source shipyard)"
  zsh:   eval "$(_SHIPYARD_COMPLETE=zsh_source shipyard)"
  fish:  _SHIPYARD_COMPLETE=fish_source shipyard | source"""
)
@pass_app
def config(app: App) -> None:
    """Show each setting and where it came from."""
    settings = app.settings
    if app.out.json:
        values = {each.name: {"value": _plain(each.value), "origin": each.origin} for each in settings.origins}
        app.out.data({"file": str(settings.config) if settings.config else None, "settings": values})
        return
    table = new_table("SETTING", "VALUE", "FROM")
    for each in settings.origins:
        add(table, [each.name, _shown(each.value), each.origin])
    app.out.draw(table)
    app.out.line()
    app.out.line(f"Configuration file: {settings.config or 'none'}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
