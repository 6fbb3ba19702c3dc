"""How OpenSSH takes a line of ssh_config apart: its own rules for quotes, `#`, `=`, and patterns; not a shell's."""

from __future__ import annotations

import re

_BLANK = " \t\r\n"
_ENDS_KEYWORD = re.compile(r'[ \t\r\n"=]')
_ESCAPED = frozenset("'\"\\")


class QuotesError(ValueError):
    """A quote that is opened and never closed."""

    def __init__(self) -> None:
        super().__init__("a quote is not closed")


def keyword(line: str) -> tuple[str, str] | None:
    """The keyword in lower case and what follows it; None for blank lines and comments."""
    line = line[:1] + line[1:].rstrip(_BLANK + "\f")
    word, rest = delimited(line)
    if word == "":
        word, rest = delimited(rest)
    if not word or word.startswith("#"):
        return None
    return word.lower(), (rest or "").lstrip(_BLANK)


def words(text: str) -> tuple[str, ...]:
    """The arguments of a line: `#` ends them where a word would begin. Raises QuotesError."""
    found: list[str] = []
    index, size = 0, len(text)
    while index < size:
        if text[index] in " \t":
            index += 1
            continue
        if text[index] == "#":
            break
        word, index = _word(text, index)
        found.append(word)
    return tuple(found)


def _word(text: str, index: int) -> tuple[str, int]:
    """The word that begins there, and where it ends. A backslash stands for itself unless it hides something."""
    word, quote = "", ""
    while index < len(text):
        char, following = text[index], text[index + 1 : index + 2]
        if char == "\\" and following and (following in _ESCAPED or (not quote and following == " ")):
            word += following
            index += 1
        elif not quote and char in " \t":
            break
        elif not quote and char in "'\"":
            quote = char
        elif quote and char == quote:
            quote = ""
        else:
            word += char
        index += 1
    if quote:
        raise QuotesError
    return word, index


def delimited(text: str | None) -> tuple[str | None, str | None]:
    """The next word of a keyword or of a Match line, which `=` may end too, and the rest; None where there is none."""
    if text is None:
        return None, None
    end = _ENDS_KEYWORD.search(text)
    if end is None:
        return text, None
    before, char, rest = text[: end.start()], end[0], text[end.end() :]
    if char == '"':
        inside, closed, rest = rest.partition('"')
        return (before + inside, rest.lstrip(_BLANK)) if closed else (None, None)
    rest = rest.lstrip(_BLANK)
    if char != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_BLANK)
    return before, rest


def matches(name: str, pattern: str) -> bool:
    """`*` and `?`; nothing else means anything, and case counts. Takes length times length at most."""
    if not ("*" in pattern or "?" in pattern):
        return name == pattern
    at, place, star, behind = 0, 0, -1, 0
    while place < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, behind = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            behind += 1
            at, place = star + 1, behind
        else:
            return False
    return not pattern[at:].strip("*")


def in_list(name: str, patterns: str) -> bool:
    """A list with commas; `!` before a pattern that matches rules all others out."""
    found = False
    for pattern in patterns.split(","):
        if matches(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found
