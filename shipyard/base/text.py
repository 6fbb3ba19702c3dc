"""What came from elsewhere (nodes, logs, files) made safe to show: data, never terminal commands."""

from __future__ import annotations

import re
import unicodedata

_KEEP = {"\n", "\t"}


def printable(text: str) -> str:
    """Without control characters (so no terminal escapes), bidirectional overrides and lone surrogates."""
    return "".join(
        char for char in text if char in _KEEP or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )


def one_line(text: str, limit: int = 300) -> str:
    """`printable`, on one line, shortened in the middle with `…` to `limit` characters."""
    line = " ".join(printable(text).split())
    if len(line) <= limit:
        return line
    half = (limit - 1) // 2
    return f"{line[: limit - 1 - half]}…{line[-half:]}"


def last_words(text: str, limit: int = 240) -> str:
    """The last lines as one, ` / ` between them, as many as fit; what was said again and again is said once."""
    lines = [line.strip() for line in printable(text).splitlines()]
    newest = list(dict.fromkeys(line for line in reversed(lines) if line))
    kept, room = [one_line(line, limit) for line in newest[:1]], limit
    for line in newest[1:]:
        room -= len(kept[-1]) + 3
        if len(line) > room:
            break
        kept.append(one_line(line))
    return " / ".join(reversed(kept))


def tail(text: str, lines: int = 10) -> str:
    """The last lines of `printable` text: what a failure shows of a command's output."""
    return "\n".join(printable(text).rstrip().splitlines()[-lines:])


def without_password(url: str) -> str:
    """The URL with `***` for its password, also where a `/`, `@` or `:` in that was not written as `%2F` and so on."""
    address, query, parameters = url.partition("?")
    address = re.sub(r"^(\w[\w+.-]*:/*[^/@:]*):.*@", r"\1:***@", address)
    return re.sub(r"(\b\w*password ?=)[^&\s]*", r"\1***", address + query + parameters)
