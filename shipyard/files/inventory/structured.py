"""Inventories written as YAML or JSON mappings: groups with hosts, children and vars."""

from __future__ import annotations

import json
from typing import Any

from shipyard.base.errors import FileError
from shipyard.files import yamldoc
from shipyard.files.ansiblevault import Keys
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError, expand
from shipyard.files.values import Unsafe, Vaulted, ansible_tags
from shipyard.files.yamldoc import Document, Marks, Path

MAX_DEPTH = 32
"""Groups within groups."""
_FALSE_WORDS = ("no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE", "n")


def parse(data: bytes, file: str, keys: Keys) -> Document:
    """JSON or YAML 1.1 with Ansible's tags. JSON first, as it allows what YAML does not (tabs)."""
    text = data.decode("utf-8-sig", "surrogateescape")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return Document(from_json(text, file, keys), Marks(file))
        except (ValueError, RecursionError):
            pass
    return yamldoc.load_one(data, file, "1.1", ansible_tags(keys))


class _TwiceError(Exception):
    """A key that an object of JSON has twice."""


def from_json(text: str | bytes, file: str, keys: Keys, *, twice: bool = False) -> Any:
    """JSON as Ansible writes it, with its marks of what is no template, and of what is encrypted.

    `twice`: of a key that an object has twice the last counts; otherwise that is a FileError. Raises ValueError and
    RecursionError for what is no JSON.
    """

    def made(pairs: list[tuple[str, Any]]) -> Any:
        return _json_object(dict(pairs) if twice else _once(pairs), file, keys)

    try:
        return json.loads(text, object_pairs_hook=made)
    except _TwiceError as error:
        raise FileError(f"the key {error} is there twice", file=file) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(repr(name) for name in names if names.count(name) > 1))
    return made


def _json_object(made: dict[str, Any], file: str, keys: Keys) -> Any:
    match made:
        case {"__ansible_unsafe": str(text)} if len(made) == 1:
            return Unsafe(text)
        case {"__ansible_vault": str(text)} if len(made) == 1:
            return Vaulted(text, file, 1, keys)
    return made


def read(document: Document, draft: Draft) -> None:
    """Read a mapping of groups into the draft. Raises FileError."""
    reader = _Reader(document.marks, draft)
    if document.data.get("plugin"):
        raise document.marks.error(
            ("plugin",),
            "this is the configuration of an inventory plugin, which can't be run here",
            hint="let a script print `ansible-inventory -i THIS-FILE --list` and use it as an executable inventory",
        )
    for name, body in document.data.items():
        reader.group(name, body, (name,))


class _Reader:
    """One document; paths say where in it a value stands."""

    def __init__(self, marks: Marks, draft: Draft) -> None:
        self.marks, self.draft = marks, draft

    def group(self, name: Any, body: Any, path: Path) -> str:
        if len(path) > MAX_DEPTH * 2:
            raise self.marks.error(path, f"groups are nested deeper than {MAX_DEPTH} levels")
        if body is not None and not isinstance(body, dict):
            self._warn(path, f"skipped the group {name!r}: it is {_kind(body)}, not a mapping")
            return str(name)
        try:
            self.draft.add_group(name)
        except BadNameError as error:
            raise self.marks.error(self._named(path), str(error)) from None
        sections = {key: self._section(key, value, (*path, key)) for key, value in (body or {}).items()}
        for key, value in sections.items():
            if value is None:
                continue
            if key == "vars":
                self._vars(name, value, (*path, key))
            elif key == "children":
                self._children(name, value, (*path, key))
            elif key == "hosts":
                self._hosts(name, value, (*path, key))
        return str(name)

    def _section(self, key: Any, value: Any, path: Path) -> dict[Any, Any] | None:
        if key in ("hosts", "children", "vars"):
            if isinstance(value, str):
                return {value: None}
            if value is not None and not isinstance(value, dict):
                raise self.marks.error(path, f"takes a mapping, not {_kind(value)}", hint=_as_mapping(key, value))
        elif value is not None:
            self._warn(path, f"skipped the key {key!r} of a group; hosts, children and vars are what a group has")
            return None
        return value  # type: ignore[no-any-return]  # checked above to be a dict or None

    def _vars(self, group: str, variables: dict[Any, Any], path: Path) -> None:
        for key, value in variables.items():
            try:
                self.draft.set_var(group, key, value)
            except BadNameError as error:
                raise self.marks.error((*path, key), str(error)) from None

    def _children(self, group: str, children: dict[Any, Any], path: Path) -> None:
        for name, body in children.items():
            here = (*path, name)
            child = self.group(name, body, here)
            try:
                self.draft.add_child(group, child)
            except BadNameError as error:
                raise self.marks.error(here, str(error)) from None

    def _hosts(self, group: str, hosts: dict[Any, Any], path: Path) -> None:
        for pattern, variables in hosts.items():
            here = (*path, pattern)
            if not isinstance(pattern, str):
                raise self.marks.error(
                    self._named(here), f"a host's name must be a text, not {pattern!r}; put it in quotes"
                )
            if variables and not isinstance(variables, dict):
                raise self.marks.error(here, f"a host's variables are a mapping, not {_kind(variables)}")
            try:
                names, port = expand(pattern)
                for name in names:
                    self.draft.add_host(name, group, port)
                    for key, value in (variables or {}).items():
                        self.draft.set_var(name, key, value)
            except BadNameError as error:
                raise self.marks.error(here, str(error)) from None

    def _named(self, path: Path) -> Path:
        """The path of a key that YAML did not read as text, under the word that stands in the file."""
        last = path[-1]
        words = _FALSE_WORDS if last is False else (str(last), str(last).lower())
        parent = self.marks.at(path[:-1])
        return next((here for word in words if self.marks.at(here := (*path[:-1], word)) != parent), path)

    def _warn(self, path: Path, message: str) -> None:
        mark = self.marks.at(path)
        self.draft.warn(f"{mark.file}:{mark.line}: {message}")


def _kind(value: Any) -> str:
    names = {
        list: "a list",
        dict: "a mapping",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _as_mapping(key: str, value: Any) -> str | None:
    if isinstance(value, list) and value and isinstance(value[0], str):
        return f"write each as a key with a colon: `{key}: {{{value[0]}: }}`"
    return None
