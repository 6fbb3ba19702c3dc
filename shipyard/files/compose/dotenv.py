"""Environment files in the two formats that Compose reads: its own (quotes, `$NAME`, comments) and `raw`."""

from __future__ import annotations

import re

from shipyard.files.compose.substitution import Lookup, substitute

_KEY = re.compile(r"(?:export[ \t]+)?(?P<name>[^=:\n]*)(?P<sign>[=:\n]|$)")
_NAME = re.compile(r"[\w.\[\]-]*")
_ESCAPE = re.compile(r"\\(0[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "\\": "\\"}
_COMMENT = re.compile(r"\s#.*")


def parse(text: str, into: dict[str, str], lookup: Lookup) -> None:
    """Add the variables of a file. What is in `into` already can be used in values, as what `lookup` finds can be.

    Raises ValueError with the line and the reason.
    """
    at = 0

    def known(name: str) -> str | None:
        value = lookup(name)
        return into.get(name) if value is None else value

    while True:
        at = _statement(text, at)
        if at >= len(text):
            return
        try:
            at = _variable(text, at, into, known)
        except ValueError as error:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1}: {error}") from error


def parse_raw(text: str, into: dict[str, str], lookup: Lookup) -> None:
    """NAME=VALUE a line, the value as it stands; a name alone takes its value from `lookup`."""
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.lstrip().removesuffix("\r")
        if not bare or bare.startswith("#"):
            continue
        name, equals, value = bare.partition("=")
        if not name or re.search(r"\s", name):
            raise ValueError(f"line {number}: {name!r} is no name of a variable")
        inherited = None if equals else lookup(name)
        if equals or inherited is not None:
            into[name] = value if equals else inherited or ""


def _statement(text: str, at: int) -> int:
    """Where the next variable begins: white space and comments skipped."""
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        else:
            break
    return at


def _variable(text: str, at: int, into: dict[str, str], known: Lookup) -> int:
    match = _KEY.match(text, at)
    assert match is not None, "the pattern matches everywhere"
    name = match["name"].strip()
    if not name:
        raise ValueError("has no name before the =")
    if _NAME.fullmatch(name) is None:
        reason = "can't hold a space" if " " in name else "holds a character that no name has"
        raise ValueError(f"the name {name!r} {reason}")
    if match["sign"] not in ("=", ":"):
        inherited = known(name)
        if inherited is not None:
            into[name] = inherited
        return match.end()
    start = match.end()
    while start < len(text) and text[start] in " \t\r\v\f":
        start += 1
    value, end = _value(text, start, known)
    into[name] = value
    return end


def _value(text: str, at: int, known: Lookup) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote in ("'", '"') and quote:
        end = _closing(text, at + 1, quote)
        inner = text[at + 1 : end]
        if quote == "'":
            return inner.replace("\\'", "'"), end + 1
        return substitute(_ESCAPE.sub(_unescape, inner), known), end + 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return substitute(_COMMENT.sub("", text[at:end]).rstrip(), known), end


def _closing(text: str, start: int, quote: str) -> int:
    at = start
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == quote:
            return at
        at += 1
    raise ValueError(f"the quote {quote} is never closed")


def _unescape(match: re.Match[str]) -> str:
    char = match.group(1)
    if char == "$":
        return "$$"
    if len(char) > 1:
        return chr(int(char, 8))
    return _ESCAPED.get(char, match.group())
