"""Every example of the pages in docs/ and the README can be typed: playbooks are read, command lines are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from shipyard.cli.main import cli
from shipyard.files.playbook import load
from shipyard.model.inventory import Group, Host, Inventory

ROOT = Path(__file__).parents[3]
PAGES = {path.name: path.read_text() for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")}
PLAYBOOKS = [
    pytest.param(text, id=f"{name}-{number}")
    for name, page in PAGES.items()
    for number, text in enumerate(re.findall(r"```yaml\n(- .*?)```", page, re.DOTALL), 1)
]
LINES = [
    pytest.param(line, id=f"{name}: {line.partition('#')[0].strip()}")
    for name, page in PAGES.items()
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("shipyard ")
]
NAMED = sorted({(name, word) for name, page in PAGES.items() for word in re.findall(r"`shipyard ([a-z][a-z-]*)", page)})


@pytest.mark.parametrize("text", PLAYBOOKS)
def test_a_playbook_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "play.yml"
    path.write_text(text)
    names = sorted({"web", *re.findall(r"hosts: (\w+)", text)} - {"all"})
    hosts = tuple(Host(f"{name}1", ("all", name)) for name in names)
    groups = (Group("all", (), tuple(names)), *(Group(name, (f"{name}1",)) for name in names))
    for name in re.findall(r"\bfile: \./([\w./-]+)", text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
    assert load([path], inventory=Inventory(hosts, groups), project=tmp_path, environ={}).stacks


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_is_understood(line: str) -> None:
    words = shlex.split(line.partition(" && ")[0], comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(command.name, words, resilient_parsing=False)


@pytest.mark.parametrize(("page", "command"), NAMED)
def test_a_command_that_is_named_exists(page: str, command: str) -> None:
    assert cli.get_command(click.Context(cli), command) is not None
