"""Where vault passwords come from, in Ansible's words: files, programs, and people who are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.text import printable
from shipyard.files.values import user_path

PROMPT = "prompt"
DEFAULT = "default"
"""The label of a password that was given none."""
Ask = Callable[[str], "str | None"]
"""Asks a person, who sees nothing of the answer; None when there was none."""


class Identity(Struct, frozen=True):
    """One source of a password. `source`: an absolute path, or PROMPT. `origin`: who named it, in words.

    `own`: whoever runs this named it, and not a file of the project.
    """

    label: str
    source: str
    origin: str
    own: bool = True

    def __str__(self) -> str:
        shown = "asked for" if self.source == PROMPT else printable(self.source)
        return f"{printable(self.label)} ({shown}; {self.origin})"


def identities(said: Iterable[str], base: Path, origin: str, *, own: bool = True) -> tuple[Identity, ...]:
    """`LABEL@SOURCE` or `SOURCE` each, as `--vault-id` has them; relative paths start from `base`."""
    found = []
    for word in said:
        label, at, source = word.partition("@")
        if not at:
            label, source = "", word
        if not source:
            raise ConfigError(f"{origin}: {printable(word)} names no file", hint="LABEL@FILE, or LABEL@prompt")
        path = source if source == PROMPT else str((base / user_path(source)).absolute())
        found.append(Identity(label or DEFAULT, path, origin, own))
    return tuple(found)
