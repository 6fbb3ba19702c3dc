"""A play's head: which keys there are, which hosts it means and which variables it brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from shipyard.base.errors import FileError, UsageError
from shipyard.base.record import Struct
from shipyard.files import patterns
from shipyard.files.ansiblevault import Keys
from shipyard.files.compose import nearby, tags
from shipyard.files.compose.keys import Key, Table, refused
from shipyard.files.compose.scalars import text
from shipyard.files.compose.value import Value, found
from shipyard.files.playbook import extra
from shipyard.files.values import holds_template
from shipyard.files.yamldoc import MAX_BYTES
from shipyard.model.inventory import Host, Inventory

_NOT_TASKS = "is Ansible's, and shipyard carries out no tasks: it runs the containers that services: declares"
_ANSIBLE = """
    tasks handlers roles pre_tasks post_tasks gather_facts gather_subset become become_user become_method remote_user
    connection port vars_prompt serial strategy any_errors_fatal max_fail_percentage ignore_errors environment
    collections import_playbook module_defaults check_mode diff order run_once throttle timeout force_handlers debugger
    no_log
"""
_INVENTORY = "how to reach hosts is said in the inventory, by ansible_* variables"
_ADVICE = dict.fromkeys(("become", "become_user", "become_method", "remote_user", "connection", "port"), _INVENTORY)


def _as_it_is(value: Value) -> Value:
    return value


def _pattern(value: Value) -> Value:
    if isinstance(value.data, list):
        for item in value.items():
            item.text("a host pattern", empty=False)
    else:
        value.text("a host pattern, or a list of them", empty=False)
    return value


def _variables(value: Value) -> dict[str, Any]:
    for name, entry in value.mapping("a mapping of variables"):
        if not name.isidentifier():
            with value.reading.collect():
                raise entry.error("is no name of a variable: letters, digits and _ only", hint=None)
    return dict(value.data)


def _names(value: Value) -> Value:
    if isinstance(value.data, list):
        for item in value.items():
            with value.reading.collect():
                item.text("a file's name", empty=False)
    else:
        value.text("a file's name, or a list of them", empty=False)
    return value


def _section(value: Value) -> Value:
    value.mapping("a mapping of names")
    return value


PLAY = Table(
    "a play",
    Key("name", "text", "For people.", text),
    Key("hosts", "pattern", "The hosts its services may run on, as an Ansible pattern. Required.", _pattern),
    Key("stack", "text", "The stack that it declares, or a part of it. Required.", text),
    Key("vars", "mapping", "Variables for templates.", _variables),
    Key("vars_files", "path or list", "Files of variables, inside the project.", _names),
    Key("tags", "text or list", "Tags for `--tags`.", tags.read),
    Key("services", "mapping", "Services by name.", _section),
    Key("networks", "mapping", "Networks by name.", _section),
    Key("volumes", "mapping", "Volumes by name.", _section),
    Key("configs", "mapping", "Configs by name.", _section),
    Key("secrets", "mapping", "Secrets by name.", _section),
    *(refused(name, _NOT_TASKS, _ADVICE.get(name, "")) for name in _ANSIBLE.split()),
    refused("include", "is Compose's, and is not carried out yet", "give several files to shipyard apply"),
    refused("version", "is Compose's old version line, which says nothing", "leave it out"),
)


class Play(Struct, frozen=True):
    """One play, its head read, its body not yet. `layers`: its variables, the later winning, over those of a host."""

    value: Value
    got: Mapping[str, Any]
    hosts: tuple[Host, ...]
    pattern: str
    layers: tuple[Mapping[str, Any], ...]


def read(value: Value, inventory: Inventory, extra_vars: Mapping[str, Any], keys: Keys) -> Play | None:
    """None where the head has errors, which are noted."""
    if not isinstance(value.data, dict):
        raise value.error(f"expected a play, a mapping with hosts and stack, found {found(value.data)}")
    before = len(value.reading.problems)
    got = PLAY.read(value)
    for needed in ("hosts", "stack"):
        if value.data.get(needed) is None:
            with value.reading.collect():
                raise value.error(f"the play has no {needed}:")
    if len(value.reading.problems) > before:
        return None
    own = got.get("vars", {})
    files = _vars_files(got["vars_files"], {**own, **extra_vars}, keys) if "vars_files" in got else {}
    layers = (own, files, extra_vars)
    pattern = _rendered_pattern(got["hosts"], {**own, **files, **extra_vars})
    return Play(value, got, _matching(got["hosts"], pattern, inventory), pattern, layers)


def _rendered_pattern(value: Value, variables: Mapping[str, Any]) -> str:
    said = _rendered(value, variables)
    if not isinstance(said, list):
        return str(said)
    return ",".join(part for item in said for part in patterns.split(str(item)))


def _rendered(value: Value, variables: Mapping[str, Any]) -> Any:
    if not holds_template(value.data):
        return value.data
    from shipyard.files.jinja import render

    return render(value.data, variables, where=value.reading.marks, path=value.path)


def _matching(value: Value, pattern: str, inventory: Inventory) -> tuple[Host, ...]:
    try:
        matched = patterns.match(pattern, inventory)
    except UsageError as error:
        raise value.error(error.message) from error
    hosts = tuple(host for name in matched.hosts if (host := inventory.host(name)) is not None)
    if not hosts:
        unknown = f"; nothing is called {', '.join(matched.unmatched)}" if matched.unmatched else ""
        raise value.error(
            f"the pattern {pattern!r} matches no host{unknown}", hint="shipyard inventory graph shows what there is"
        )
    for part in matched.unmatched:
        value.notice(f"the part {part!r} of the pattern names no host and no group")
    return hosts


def _vars_files(value: Value, variables: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """All files together, the later winning. Names may be templates of the play's and extra variables."""
    said = _rendered(value, variables)
    merged: dict[str, Any] = {}
    for index, name in enumerate(said if isinstance(said, list) else [said]):
        place = value.child(index, name) if isinstance(said, list) else value
        with value.reading.collect():
            merged.update(_vars_file(place, str(name), keys))
    return merged


def _vars_file(value: Value, name: str, keys: Keys) -> dict[str, Any]:
    content = nearby.read(value, name, MAX_BYTES)
    if content is None:
        raise value.error(f"there is no file {name}")
    shown = str(PurePath(value.reading.marks.file).parent / name)
    try:
        return extra.parse(content, shown, keys)
    except FileError as error:
        raise FileError(
            error.message, file=shown, line=error.line, column=error.column, key=error.key, hint=error.hint
        ) from error
