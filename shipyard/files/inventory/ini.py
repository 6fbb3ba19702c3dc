"""Inventories in the INI form: sections of hosts, children and variables."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Iterator
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, field
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError, check_group, expand, parse_address
from shipyard.files.values import Unsafe

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?\Z")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?\Z")
_PLAIN_WORDS = re.compile(r"[^ \t\r\n]+")
_NEEDS_SHLEX = re.compile(r"[#'\"\\]")
_COMMENTED = re.compile(r"([^#'\"\\]*)[ \t]#")
_KINDS = ("hosts", "children", "vars")
MAX_LITERAL = 100_000
"""Characters of a value that are still tried as a Python literal."""


class _Pending(Struct):
    """A group that was used before it was declared: legal as long as that still comes."""

    kind: str
    line: int
    parents: list[str] = field(default_factory=list)


class _Reader:
    """One file; the state is the section it is in."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.group, self.kind = "ungrouped", "hosts"
        self.pending: dict[str, _Pending] = {}

    def line(self, number: int, text: str) -> None:
        if section := _SECTION.match(text):
            self._section(section[1], section[2] or "hosts", number)
        elif text.startswith("[") and text.endswith("]"):
            raise BadNameError(
                f"{text!r} is no section; [group], [group:children] and [group:vars] are, without spaces"
            )
        elif self.kind == "hosts":
            self._hosts(text)
        elif self.kind == "vars":
            key, equals, value = text.partition("=")
            if not equals:
                raise BadNameError(f"expected key=value, found {text!r}")
            self.draft.set_var(self.group, key.strip(), literal(value.strip()))
        else:
            self._child(text, number)

    def _section(self, name: str, kind: str, number: int) -> None:
        if kind not in _KINDS:
            raise BadNameError(f"[{name}:{kind}] is of no known kind: {', '.join(_KINDS)}")
        self.group, self.kind = name, kind
        if name not in self.draft.groups:
            if kind == "vars":
                self.pending.setdefault(name, _Pending("vars", number))
            self.draft.add_group(name)
        if kind != "vars" and (declared := self.pending.pop(name, None)):
            for parent in declared.parents:
                self.draft.add_child(parent, name)

    def _child(self, text: str, number: int) -> None:
        found = _CHILD.match(text)
        if found is None:
            raise BadNameError(f"expected the name of a group, found {text!r}")
        child = check_group(found[1])
        if child in self.draft.groups:
            self.draft.add_child(self.group, child)
        else:
            self.pending.setdefault(child, _Pending("children", number)).parents.append(self.group)

    def _hosts(self, text: str) -> None:
        first, *rest = _words(text)
        if first.endswith(":") and parse_address(first) is None:
            raise BadNameError(f"{first!r} ends with ':', after which a port is expected")
        names, port = expand(first)
        variables = dict(_assignment(word) for word in rest)
        for name in names:
            self.draft.add_host(name, self.group, port)
            for key, value in variables.items():
                self.draft.set_var(name, key, value)

    def undeclared(self) -> Iterator[tuple[int, str]]:
        """Line and message for every group that was used but never declared."""
        for name, group in self.pending.items():
            if group.kind == "vars":
                yield group.line, f"[{name}:vars] is of a group that no section declares"
            else:
                yield group.line, f"[{group.parents[-1]}:children] names {name!r}, a group that no section declares"


def _words(text: str) -> list[str]:
    """The line as a shell would split it, comments included; without its slow reader where nothing is quoted."""
    if not _NEEDS_SHLEX.search(text):
        return _PLAIN_WORDS.findall(text)
    if plain := _COMMENTED.match(text):
        return _PLAIN_WORDS.findall(plain[1])
    try:
        return shlex.split(text, comments=True) or [""]
    except ValueError as error:
        raise BadNameError(f"{text!r} can't be split into words: {str(error).lower()}") from None


def _assignment(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals:
        raise BadNameError(f"expected key=value after the host's name, found {word!r}")
    return key, literal(value)


_WHOLE_NUMBER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){2,}\Z")
_SURELY_TEXT = re.compile(r"[A-Za-z/~%][^'\"(\[{,}\])#]*\Z")
_WORDS = {"True": True, "False": False, "None": None}


def literal(text: str) -> Any:
    """The value that Python would read (`8080`, `True`, `[1, 2]`), or the text itself where it would read none."""
    if (word := text.strip(" \t")) in _WORDS:
        return _WORDS[word]
    if _SURELY_TEXT.match(text) or _DOTTED.match(text) or len(text) > MAX_LITERAL:
        return text
    if _WHOLE_NUMBER.match(text):
        return int(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
    except (TypeError, MemoryError, RecursionError) as error:
        raise BadNameError(f"the value {text[:60]!r} can't be read: {error or 'it is nested too deep'}") from None


def _plain(value: Any) -> Any:
    """Without the types that only Python has."""
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return Unsafe(value.decode("utf-8", "surrogateescape"))
    if isinstance(value, complex) or value is ...:
        return "..." if value is ... else str(value)
    return value


def read(data: bytes, file: str, draft: Draft) -> None:
    """Read an INI inventory into the draft. Raises FileError."""
    reader = _Reader(draft)
    for number, line in enumerate(_lines(data, file), 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        try:
            reader.line(number, text)
        except BadNameError as error:
            raise FileError(str(error), file=file, line=number) from None
    for number, message in reader.undeclared():
        raise FileError(message, file=file, line=number)


def _lines(data: bytes, file: str) -> list[str]:
    """Lines of text; comments may be in any encoding."""
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            lines.append("" if line[:1] in (b"#", b";") else line.decode())
        except UnicodeDecodeError:
            raise FileError("is not UTF-8 text", file=file, line=number) from None
    return lines
