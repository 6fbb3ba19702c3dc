"""What came from elsewhere (nodes, logs, files) made safe to show: data, never terminal commands."""

from __future__ import annotations

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


def tail(text: str, lines: int = 10) -> str:
    """The last lines of `printable` text: what a failure shows of a command's output."""
    return "\n".join(printable(text).rstrip().splitlines()[-lines:])
