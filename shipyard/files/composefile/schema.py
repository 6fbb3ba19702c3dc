"""Compose's own JSON schema, held against a project of which every value has its place.

`compose_spec.json` is the Compose Specification's, unchanged (see NOTICE). Of JSON schema only what it uses is known
here, and a test says so when a later one uses more: a whole validator would take longer to load than all files to read,
and of an alternative that does not fit it can't say which key is the wrong one.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError
from shipyard.files.compose.value import found
from shipyard.files.composefile.nodes import Node
from shipyard.files.yamldoc import Path as KeyPath

Schema = Mapping[str, Any]

_SPEC = Path(__file__).with_name("compose_spec.json")
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_TITLES = {
    "services": "a service",
    "networks": "a network",
    "volumes": "a volume",
    "configs": "a config",
    "secrets": "a secret",
}
_MORE = {("secrets", "content")}
"""What is taken beyond the schema: a secret's content, as a config's; Secrets of Kubernetes are converted to it."""
_OF_ENTRIES = ("networks", "depends_on", "ulimits", "models")
"""Keys under which entries stand by names that people choose."""


@cache
def specification() -> Schema:
    """The schema as it is."""
    read: Schema = json.loads(_SPEC.read_bytes())
    return read


def problems(whole: Node) -> list[FileError]:
    """What Compose's schema refuses in a project, each at its place, in the order of the project."""
    checking = _Checking(specification())
    checking.value(whole, checking.root, ())
    return checking.problems


def left(of_schema: Iterable[FileError], others: Iterable[FileError]) -> list[FileError]:
    """Those problems of the schema about whose value nothing better is said already."""
    said = [(error.file, error.key or "") for error in others]
    return [
        error
        for error in of_schema
        if not any(
            file == error.file and (_in(error.key or "", key) or _in(key, error.key or "")) for file, key in said
        )
    ]


def _in(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))


class _Checking:
    """One walk. Schemas are looked up by identity once: references followed, `allOf` laid together."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.problems: list[FileError] = []
        self._flat: dict[int, Schema] = {}

    def value(self, node: Node, schema: Schema, path: KeyPath) -> None:
        data = node.data
        schema = self._whole(schema)
        branches = schema.get("oneOf")
        if branches is not None:  # which one is meant is told by the kind of the value alone
            fitting = [branch for each in branches if _is(data, _types(branch := self._whole(each)))]
            if not fitting:
                kinds = [kind for each in branches for kind in _types(self._whole(each))]
                return self._expected(node, kinds, path)
            schema = fitting[0]
            if "oneOf" in schema:
                return self.value(node, schema, path)
        if (only := _types(schema)) and not _is(data, only):
            return self._expected(node, only, path)
        if isinstance(data, dict):
            self._mapping(node, schema, path)
        elif isinstance(data, list):
            self._list(node, schema, path)
        else:
            self._scalar(node, schema, path)
        return None

    def _mapping(self, node: Node, schema: Schema, path: KeyPath) -> None:
        known: Mapping[str, Schema] = schema.get("properties", {})
        patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
        closed = schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
        others = schema.get("additionalProperties")
        for key, value in node.data.items():
            name, here = str(key), (*path, key)
            inner = known.get(name)
            if inner is None:
                inner = next((each for pattern, each in patterns.items() if _pattern(pattern).search(name)), None)
            if inner is None and len(path) == 2 and (path[0], name) in _MORE:
                continue
            if inner is None and closed:
                self._unknown(value, name, known, here)
            elif inner is not None or isinstance(others, Mapping):
                self.value(value, inner if inner is not None else others, here)  # type: ignore[arg-type]  # a mapping, by the line above
        for name in schema.get("required", ()):
            if name not in node.data:
                self._say(node, f"has no {name}", path)

    def _list(self, node: Node, schema: Schema, path: KeyPath) -> None:
        items = schema.get("items")
        if items is not None:
            for index, item in enumerate(node.data):
                self.value(item, items, (*path, index))
        if schema.get("uniqueItems"):
            seen: set[tuple[bool, Any]] = set()
            for index, item in enumerate(node.data):
                one = (
                    (isinstance(item.data, str | bool), item.data) if isinstance(item.data, str | int | float) else None
                )
                if one is not None and one in seen:
                    self._say(item, f"is there twice: {item.data}", (*path, index))
                elif one is not None:
                    seen.add(one)

    def _scalar(self, node: Node, schema: Schema, path: KeyPath) -> None:
        data, choice = node.data, schema.get("enum")
        if choice is not None and data not in choice:
            near = difflib.get_close_matches(str(data), choice, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            return self._say(node, f"expected {_either(choice)}, found {found(data)}", path, hint)
        if isinstance(data, str) and "pattern" in schema and not _pattern(schema["pattern"]).search(data):
            return self._say(node, f"expected {_form(path, schema['pattern'])}, found {found(data)}", path)
        if isinstance(data, int | float):
            least, most = schema.get("minimum"), schema.get("maximum")
            if (least is not None and data < least) or (most is not None and data > most):
                bounds = f"at least {least}" if most is None else f"from {least} to {most}"
                return self._say(node, f"expected a number {bounds}, found {found(data)}", path)
        return None

    def _expected(self, node: Node, kinds: Iterable[str], path: KeyPath) -> None:
        wanted = [_WORDS[kind] for kind in dict.fromkeys(kinds) if kind != "null"]
        hint = "leave the key out where it has no value" if node.data is None else None
        self._say(node, f"expected {_either(wanted)}, found {found(node.data)}", path, hint)

    def _unknown(self, node: Node, name: str, known: Mapping[str, Schema], path: KeyPath) -> None:
        if not known:  # names, of which Compose has a rule
            return self._say(node, "is not a name that Compose takes: letters, digits, dots, - and _", path)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        return self._say(node, f"is not a key of {_title(path)}", path, f"did you mean {near[0]}?" if near else None)

    def _say(self, node: Node, words: str, path: KeyPath, hint: str | None = None) -> None:
        self.problems.append(node.error(words, path=path, hint=hint))

    def _whole(self, schema: Schema) -> Schema:
        made = self._flat.get(id(schema))
        if made is None:
            made = self._flat[id(schema)] = self._laid_together(schema)
        return made

    def _laid_together(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            target: Any = self.root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return self._whole(target)
        if "allOf" not in schema:
            return schema
        parts = [*(self._whole(each) for each in schema["allOf"]), schema]
        mappings = {
            key: {name: one for part in parts for name, one in part.get(key, {}).items()}
            for key in ("properties", "patternProperties")
        }
        required = [name for part in parts for name in part.get("required", ())]
        kind = next(part["type"] for part in parts if "type" in part)
        return {**schema, **mappings, "type": kind, "required": required}


def _types(schema: Schema) -> tuple[str, ...]:
    kinds = schema.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def _is(data: Any, kinds: Iterable[str]) -> bool:
    if isinstance(data, bool):
        return "boolean" in kinds
    if isinstance(data, int | float):
        return "number" in kinds or ("integer" in kinds and data == data // 1)
    for kind, name in ((str, "string"), (dict, "object"), (list, "array")):
        if isinstance(data, kind):
            return name in kinds
    return data is None and "null" in kinds


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _form(path: KeyPath, pattern: str) -> str:
    if path[-1] == "pull_policy":
        return "always, never, missing, build, daily, weekly or every_<time>"
    return f"a text of the form {pattern}"


def _title(path: KeyPath) -> str:
    """What a key's mapping is called: by the key that it stands under, if it is not an entry of a section."""
    if len(path) == 1:
        return "a Compose file"
    if len(path) == 3 and path[0] in _TITLES:
        return _TITLES[str(path[0])]
    if len(path) > 3 and path[-3] in _OF_ENTRIES:
        return f"an entry of {path[-3]}"
    under = path[-2]
    return f"an item of {path[-3]}" if isinstance(under, int) else str(under)
