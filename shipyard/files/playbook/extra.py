"""Variables from the command line: `-e name=value`, `-e @file`, `-e '{"name": …}'`, as Ansible takes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError, UsageError
from shipyard.base.text import one_line
from shipyard.files import yamldoc
from shipyard.files.ansiblevault import Keys
from shipyard.files.values import ansible_tags


def extra_vars(words: Sequence[str], *, cwd: Path, keys: Keys | None = None) -> dict[str, Any]:
    """All of them together, the later overriding the earlier. Raises UsageError and FileError.

    `keys`: what opens what is encrypted.
    """
    keys = Keys() if keys is None else keys
    found: dict[str, Any] = {}
    for word in words:
        found.update(_one(word, cwd, keys))
    return found


def _one(word: str, cwd: Path, keys: Keys) -> dict[str, Any]:
    if word.startswith("@"):
        return read(cwd / word[1:], word[1:], keys)
    if word.lstrip()[:1] in ("{", "["):
        return parse(word.encode(errors="surrogateescape"), "-e", keys)
    try:
        parts = shlex.split(word)
    except ValueError as error:
        raise UsageError(f"-e {one_line(word, 80)}: {error}") from error
    pairs = [part.partition("=") for part in parts]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageError(f"-e {one_line(word, 80)}: expected NAME=VALUE, @FILE or JSON")
    return {name: value for name, _, value in pairs}


def read(path: Path, shown: str, keys: Keys) -> dict[str, Any]:
    """The variables in a file, which is YAML 1.1 or JSON."""
    try:
        if not path.is_file():
            raise FileError("is no file" if path.exists() else "there is no such file", file=shown)
        with path.open("rb") as file:
            content = file.read(yamldoc.MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=shown) from error
    return parse(content, shown, keys)


def parse(content: bytes, shown: str, keys: Keys) -> dict[str, Any]:
    """A mapping of variables; an empty text has none. One that is encrypted is opened."""
    document = yamldoc.load_one(keys.plain(content, shown), shown, "1.1", ansible_tags(keys))
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise document.marks.error((), "expected a mapping of variables")
    for name in document.data:
        if not isinstance(name, str):
            raise document.marks.error((name,), f"the name of a variable must be a text, found {name!r}")
    return document.data
