"""The options that are accepted everywhere, before the subcommand and after it.

They are added to each command when it is loaded, so no command declares them. Where one is given on both sides,
lists and counts add up, and of single values the later wins.
"""

from __future__ import annotations

from typing import Any

import click

from shipyard.cli.app import App

ALSO = (
    "Also: -i, --database, --forks, -o text|json, -v, -q, --yes, --vault-id, --vault-password-file and"
    " --ask-vault-pass, as in 'shipyard --help'."
)


_ADDED = ("inventory", "verbose", "vault_id", "vault_password_file")
"""Of these the ones before the subcommand and the ones after it count together."""


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    app = context.find_object(App)
    if app is None or parameter.name is None or value in (None, (), 0, False):
        return
    given = app.given
    before = given.get(parameter.name)
    given[parameter.name] = before + value if parameter.name in _ADDED and before else value


def options() -> list[click.Option]:
    """New option objects, one of each."""
    return [
        _option("-i", "--inventory", multiple=True, metavar="PATH", help="Inventory file or folder; may be repeated."),
        _option("--database", metavar="URL", help="The store (default: .shipyard/state.db of the project)."),
        _option("--forks", type=click.IntRange(min=1), metavar="N", help="Nodes talked to at the same time."),
        _option("--vault-id", multiple=True, metavar="LABEL@FILE", help="A vault password; LABEL@prompt asks."),
        _option(
            "vault_password_file",
            "--vault-password-file",
            "--vault-pass-file",
            multiple=True,
            metavar="FILE",
            help="Holds (or prints) a vault password.",
        ),
        _option(
            "ask_vault_pass",
            "-J",
            "--ask-vault-pass",
            "--ask-vault-password",
            is_flag=True,
            help="Ask for a vault password.",
        ),
        _option("-o", "--output", type=click.Choice(["text", "json"]), help="JSON goes to standard output alone."),
        _option("-v", "--verbose", count=True, help="Say more: each pass and small step; -vv: tracebacks."),
        _option("-q", "--quiet", is_flag=True, help="Only errors."),
        _option("--yes", is_flag=True, help="Answer yes to what a terminal would be asked."),
    ]


def _option(*names: str, **attributes: Any) -> click.Option:
    return _Everywhere(names, callback=_remember, expose_value=False, **attributes)


class _Everywhere(click.Option):
    """An option of every command; the help of a subcommand names it in one line with the others."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super().get_help_record(ctx) if ctx.parent is None else None


def add_to(command: click.Command) -> click.Command:
    """This command with the options, and so its subcommands. A command's own option of the same name stays."""
    own = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in options() if own.isdisjoint(option.opts)]
    command.epilog = f"{command.epilog}\n\n{ALSO}" if command.epilog else ALSO
    if isinstance(command, click.Group):
        for child in command.commands.values():
            add_to(child)
    return command
