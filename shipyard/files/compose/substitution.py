"""`$NAME` and `${NAME…}` in texts, as Compose substitutes them."""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
MAX_DEPTH = 20


def substitute(text: str, lookup: Lookup, depth: int = 0) -> str:
    """The text with every variable replaced; unset ones are empty. Raises ValueError with the reason."""
    if depth > MAX_DEPTH:
        raise ValueError("variables are nested too deeply")
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            parts.append("$")
            at = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 2)
            parts.append(_braced(text[dollar + 2 : end], lookup, depth))
            at = end + 1
        elif name := _NAME.match(text, dollar + 1):
            parts.append(lookup(name.group()) or "")
            at = name.end()
        else:
            parts.append("$")
            at = dollar + 1
    parts.append(text[at:])
    return "".join(parts)


def _closing(text: str, start: int) -> int:
    level = 1
    at = start
    while at < len(text):
        if text.startswith("${", at):
            level += 1
            at += 1
        elif text[at] == "}":
            level -= 1
            if level == 0:
                return at
        at += 1
    raise ValueError(f"${{{text[start:]} has no closing brace")


def _braced(body: str, lookup: Lookup, depth: int) -> str:
    name = _NAME.match(body)
    if name is None:
        raise ValueError(f"${{{body}}} names no variable")
    rest = body[name.end() :]
    value = lookup(name.group())
    if not rest:
        return value or ""
    operator = rest[:2] if rest[0] == ":" else rest[0]
    if operator not in (":-", "-", ":?", "?", ":+", "+"):
        raise ValueError(f"${{{body}}} has no operator that is known (:- - :? ? :+ +)")
    word = rest[len(operator) :]
    there = bool(value) if operator[0] == ":" else value is not None
    match operator[-1]:
        case "-":
            return value or "" if there else substitute(word, lookup, depth + 1)
        case "+":
            return substitute(word, lookup, depth + 1) if there else ""
        case _:
            if not there:
                raise ValueError(f"{name.group()} is required: {substitute(word, lookup, depth + 1)}")
            return value or ""
