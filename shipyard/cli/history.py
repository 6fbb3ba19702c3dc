"""`history` and `diff`: the revisions of a stack."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import click

from shipyard.base import clock
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.render_status import add, new_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipyard.model.spec import Revision
    from shipyard.store.records import RevisionRow

_AS_IT_WAS, _CHANGED = "as it was", "changed"
_SHORTEST_WITHIN = 4
"""Characters of a secret value that is looked for within longer texts: `1` would be found everywhere."""


@click.command(epilog="\b\nExamples:\n  shipyard history guestbook\n  shipyard history guestbook -o json")
@click.argument("stack", shell_complete=completing.stacks)
@pass_app
def history(app: App, stack: str) -> None:
    """The revisions of a stack."""
    with opened(app) as fleet:
        rows = fleet.history(stack)
    if app.out.json:
        app.out.data([revision_json(row) for row in rows])
        return
    wide = app.out.wide
    table = new_table(">REV", "CREATED", "BY", "FILES", *(("DIGEST",) if wide else ()), "NOTE")
    table.columns[1].no_wrap = True
    for row in rows:
        digest = [row.digest[:12]] if wide else []
        add(table, [str(row.number), clock.iso(row.created), row.author, ", ".join(row.files), *digest, row.note])
    app.out.draw(table)


def revision_json(row: RevisionRow) -> dict[str, Any]:
    """One revision, without its body."""
    return {
        "stack": row.stack,
        "revision": row.number,
        "created": clock.iso(row.created),
        "author": row.author,
        "files": list(row.files),
        "digest": row.digest,
        "note": row.note,
    }


@click.command(
    epilog="\b\nExamples:\n  shipyard diff guestbook\n  shipyard diff guestbook 3\n  shipyard diff guestbook 3 5"
)
@click.argument("stack", shell_complete=completing.stacks)
@click.argument("before", metavar="[REV]", type=click.IntRange(min=1), required=False)
@click.argument("after", metavar="[REV]", type=click.IntRange(min=1), required=False)
@pass_app
def diff(app: App, stack: str, before: int | None, after: int | None) -> None:
    """What changed between two revisions.

    Without numbers: what the newest revision changed. With one: what changed since then.
    """
    with opened(app) as fleet:
        newer = fleet.revision(stack, after)
        number = max(newer.number - 1, 1) if before is None else before
        older = fleet.revision(stack, number)
    changes = changed_lines(older, newer)
    if app.out.json:
        app.out.data({"stack": stack, "from": older.number, "to": newer.number, "diff": changes})
        return
    for line in changes:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        app.out.line((line, style))
    if older.number == newer.number:
        app.out.line(f"There is nothing to compare revision {newer.number} of {stack} with but itself.")
    elif not changes:
        app.out.line(f"Revisions {older.number} and {newer.number} of {stack} declare the same.")


def changed_lines(older: Revision, newer: Revision) -> list[str]:
    """A unified diff of what two revisions declare, values as JSON, what was not written left out."""
    names = (f"{older.stack} revision {older.number}", f"{newer.stack} revision {newer.number}")
    known = {secret.digest for secret in older.spec.secrets}
    before = _values(older)
    bodies = (_body(older, known, before), _body(newer, known, before))
    return [line.rstrip("\n") for line in difflib.unified_diff(*bodies, *names, lineterm="")]


def _body(revision: Revision, known: set[str], before: Mapping[str, set[str]]) -> list[str]:
    """`known`: digests of secrets that were there before; `before`: values of variables that hold secrets, by service.

    Of the others it is said that they changed, and no more.
    """
    from shipyard.model.canonical import to_data

    data = to_data(revision.spec)
    values = _values(revision)
    for service in data.get("services", ()):
        there = before.get(service["name"], set())
        shown = {value: _AS_IT_WAS if value in there else _CHANGED for value in values[service["name"]]}
        service.update(_masked(service, shown))
    everywhere = {
        value: _AS_IT_WAS if any(value in there for there in before.values()) else _CHANGED
        for mine in values.values()
        for value in mine
    }
    for shown_config, config in zip(data.get("configs", ()), revision.spec.configs, strict=True):
        shown_config["content"] = _masked(_readable(config.content), everywhere)
    for kind in ("services", "networks", "volumes", "configs", "secrets"):
        if kind in data:
            data[kind] = {each["name"]: each for each in data[kind]}
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
    for digest in {secret.digest for secret in revision.spec.secrets if secret.digest}:
        text = text.replace(f'"{digest}"', f'"{_AS_IT_WAS if digest in known else _CHANGED}"')
    return text.splitlines()


def _readable(content: bytes) -> list[str] | str:
    """A config's lines, so that a difference names those that changed; of what is no text, its length."""
    try:
        return content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return f"{len(content)} bytes that are no text"


def _values(revision: Revision) -> dict[str, set[str]]:
    """The values of all variables that hold secrets, by service."""
    from shipyard.model.hiding import hidden

    found: dict[str, set[str]] = {}
    for service in revision.spec.services:
        mine = found.setdefault(service.name, set())
        for container in service.containers():
            names = hidden(container)
            mine.update(value for name, value in container.environment if name in names)
    return found


def _masked(data: Any, shown: Mapping[str, str]) -> Any:
    """With secret values replaced, also where a command or another variable holds one that is not all too short."""
    if isinstance(data, dict):
        return {key: _masked(item, shown) for key, item in data.items()}
    if isinstance(data, list):
        return [_masked(item, shown) for item in data]
    if not isinstance(data, str):
        return data
    if data in shown:
        return shown[data]
    for value in sorted(shown, key=len, reverse=True):
        if len(value) >= _SHORTEST_WITHIN:
            data = data.replace(value, f"({shown[value]})")
    return data
