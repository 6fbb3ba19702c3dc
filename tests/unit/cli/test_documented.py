"""Every command is documented: in its own help, in the table of commands and in the README."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shipyard.cli import everywhere
from shipyard.cli.commands import COMMANDS
from shipyard.cli.main import cli

README = (Path(__file__).parents[3] / "README.md").read_text()


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand, by its words."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for child, inner in command.commands.items():
                yield f"{name} {child}", inner


ALL = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    assert (ALL[name].help or "").partition("\n")[0] == COMMANDS[name].help


@pytest.mark.parametrize("name", ALL)
def test_it_explains_itself(name: str) -> None:
    command = ALL[name]
    assert command.help
    undocumented = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not isinstance(option.type, click.Choice)
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", COMMANDS)
def test_it_has_an_example(name: str) -> None:
    assert re.search(rf"Examples?:\n(.*\n)*?.*shipyard .*\b{name}\b", ALL[name].epilog or "")


@pytest.mark.parametrize("name", ALL)
def test_it_accepts_what_is_accepted_everywhere(name: str) -> None:
    known = {word for parameter in ALL[name].params for word in parameter.opts}
    assert {word for option in everywhere.options() for word in option.opts} <= known


def test_the_readme_has_the_same_table() -> None:
    rows = re.findall(r"^\| `shipyard ([a-z-]+)` \| (.*) \|$", README, re.MULTILINE)
    assert rows == [(name, entry.help) for name, entry in COMMANDS.items()]


def test_the_readme_names_only_commands_that_exist() -> None:
    used = set(re.findall(r"\bshipyard ([a-z][a-z-]+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))))
    assert used <= set(COMMANDS)
