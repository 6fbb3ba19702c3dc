"""`config`: each setting and where it came from. Also the place where completion is explained."""

from __future__ import annotations

from typing import Any

import click

from shipyard.cli.app import App, pass_app
from shipyard.cli.render_status import add, new_table
from shipyard.cli.words import WORDS


class _NoGroup(click.Command):
    """Whoever means the configs of containers, as in Docker, is told where those are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        word = next((arg for arg in args if not arg.startswith("-")), "")
        word = WORDS.get(word, word)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError:
            if word not in ("set", "list", "show", "remove"):
                raise
            meant = f"'shipyard configs {word}' is about those of containers."
            raise click.UsageError(f"'shipyard config' shows shipyard's own settings. {meant}", ctx) from None


@click.command(
    cls=_NoGroup,
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
  fish:  _SHIPYARD_COMPLETE=fish_source shipyard | source

\b
Configs of containers that stand outside of stacks: shipyard configs""",
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
