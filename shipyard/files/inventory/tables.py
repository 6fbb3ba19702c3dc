"""Inventories written as TOML: a table for each group, with `hosts` and `vars` as tables and `children` as a list."""

from __future__ import annotations

import tomllib
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.text import one_line
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError, expand

_KINDS: dict[str, type] = {"hosts": dict, "vars": dict, "children": list}
_SHOWN = {"hosts": "a table", "vars": "a table", "children": "a list"}


def read(data: bytes, file: str, draft: Draft) -> None:
    """Read a TOML inventory into the draft. Raises FileError."""
    try:
        groups = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(f"can't be read as TOML: {one_line(str(error))}", file=file) from None
    if not groups:
        raise FileError("holds no table of a group", file=file)
    if groups.get("plugin"):
        raise FileError("is the configuration of an inventory plugin, which can't be run here", file=file, key="plugin")
    for name, body in groups.items():
        if not isinstance(body, dict):
            draft.warn(f"{file}: skipped the group {name!r}: it is no table")
            continue
        try:
            _group(name, body, file, draft)
        except BadNameError as error:
            raise FileError(str(error), file=file, key=name) from None


def _group(name: str, body: dict[str, Any], file: str, draft: Draft) -> None:
    draft.add_group(name)
    for key, value in body.items():
        if key not in _KINDS:
            draft.warn(f"{file}: skipped the key {key!r} of a group; hosts, children and vars are what a group has")
        elif not _is_of(value, key):
            raise FileError(f"takes {_SHOWN[key]}, not {value!r:.60}", file=file, key=f"{name}.{key}")
        elif key == "vars":
            for variable, said in value.items():
                draft.set_var(name, variable, said)
        elif key == "children":
            for child in value:
                draft.add_child(name, draft.add_group(child))
        else:
            _hosts(name, value, file, draft)


def _is_of(value: Any, key: str) -> bool:
    return isinstance(value, _KINDS[key])


def _hosts(group: str, hosts: dict[str, Any], file: str, draft: Draft) -> None:
    for pattern, variables in hosts.items():
        if not isinstance(variables, dict):
            raise FileError("a host's variables are a table", file=file, key=f"{group}.hosts.{pattern}")
        names, port = expand(pattern)
        for name in names:
            draft.add_host(name, group, port)
            for key, value in variables.items():
                draft.set_var(name, key, value)
