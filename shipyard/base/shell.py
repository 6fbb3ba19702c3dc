"""The one place that turns argument lists into shell text.

Nothing a user wrote is interpreted by a shell on the way to a container: builders return argument
lists, and only the edge (transport and execute) calls `quote`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote(word: str) -> str:
    """One word for a POSIX shell, byte for byte. Raises ValueError on NUL, which no argument can hold."""
    if "\0" in word:
        raise ValueError("an argument of a command can't hold a NUL byte")
    if _PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def join(argv: Iterable[str]) -> str:
    """An argument list as one shell command line."""
    return " ".join(quote(word) for word in argv)
