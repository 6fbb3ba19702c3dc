"""Every example of the pages in docs/ and the README can be typed: playbooks are read, command lines are understood."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from shipyard.cli.main import cli
from shipyard.files.playbook import load
from shipyard.model.inventory import Group, Host, Inventory
from tests.unit.files.test_playbook_docs import tables

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

SAID = [
    pytest.param(cell, id=row)
    for row, cell in re.findall(r"^\| (.+?) \| ([^|]+) \|$", PAGES["coming-from.md"], re.MULTILINE)
    if "`" in cell
]
"""What the tables of the page for those who come from elsewhere say of here."""
KEYS = {title: {key.name for key in keys if not key.refusal} for title, keys in tables().items()}


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


def has_key(path: str) -> bool:
    """Whether there is such a key: `deploy.resources.limits`, each key being the section of the next."""
    *sections, last = path.split(".")
    for section, name in itertools.pairwise([*sections, last]):
        if not any(name in keys for title, keys in KEYS.items() if title == section or title.startswith(f"{section} ")):
            return False
    return bool(sections) or any(last in keys for keys in KEYS.values())


def named_in(data: object, section: str = "") -> Iterator[str]:
    """The keys of YAML, each with the one above it."""
    for name, value in data.items() if isinstance(data, dict) else ():
        yield f"{section}.{name}" if section else name
        yield from named_in(value, name.rpartition(".")[2])


def command_of(line: str, group: click.Group) -> tuple[click.Group, list[str]] | None:
    """Where a command is and what of its line it does not know, if it is one of this group at all."""
    words = line.split()
    command: click.Command = group
    while isinstance(command, click.Group) and words:
        group, found = command, command.get_command(click.Context(command), words[0])
        if found is None:
            return None
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return group, [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]


@pytest.mark.parametrize("cell", SAID)
def test_what_a_table_calls_it_here_exists(cell: str) -> None:
    """Keys by their whole path, options by their command; what follows one in its cell is one as well."""
    after: click.Group | str | None = None
    for span in re.findall(r"`([^`]+)`", cell):
        line, short = span.removeprefix("shipyard "), re.fullmatch(r"[a-z_]+( --?[a-z-]+)*", span)
        if span.startswith("shipyard "):
            found = command_of(line, cli)
            assert found is not None, f"there is no command {span}"
            assert found[1] == [], f"{span} has no such option"
            after = found[0]
        elif isinstance(after, click.Group) and short and not any(span in keys for keys in KEYS.values()):
            found = command_of(line, after) or command_of(line, cli)
            assert found is not None, f"there is no command {span}"
            assert found[1] == [], f"{span} has no such option"
        elif re.match(r"(x-shipyard|deploy|update_config)\b", span):
            for path in named_in(yaml.safe_load(span if ":" in span else f"{span}:")):
                assert has_key(path), f"there is no key {path}"
            after = span.partition(":")[0]
        elif isinstance(after, str) and short:
            section = after.rpartition(".")[0]
            assert has_key(f"{section}.{span}") or has_key(span), f"there is no key {section}.{span}"
