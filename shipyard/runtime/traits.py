"""Where the runtimes' command lines differ in how an option is written, as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shipyard.runtime.dialect import Unsupported

_NEEDS_CSV = re.compile(r'[,"\r\n]')


@dataclass(frozen=True, slots=True)
class Traits:
    """`program`: what is run. `lists`: the options that are read as a line of CSV, so that commas must be quoted.

    `refused`: keys there is no option for, with the reason. `readonly`: the word for it in `--mount`. `rotation`: the
    log options when nothing was written; `log_driver` is the driver they belong to. `all_gpus`: the option for all
    of a node's GPUs, where so many of them can't be asked for.
    """

    program: str
    readonly: str
    log_driver: str
    rotation: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    all_gpus: str = ""

    def option(self, name: str, value: str) -> str:
        """`--name=value`: one word, so that a value that begins with `-` is never an option of its own."""
        if name in self.lists:
            value = csv_field(value, self.program, name)
        return f"--{name}={value}"

    def refuse(self, key: str) -> None:
        """Raise Unsupported if this runtime has no word for the key."""
        if key in self.refused:
            raise Unsupported(self.program, key, self.refused[key])


def csv_field(value: str, program: str, name: str) -> str:
    """One field as Go's CSV reader takes it apart; it has no spelling for a carriage return before a newline."""
    if "\r\n" in value:
        raise Unsupported(program, name, "a value with a Windows line ending can't be handed over")
    if not _NEEDS_CSV.search(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def number(value: float) -> str:
    """A decimal without an exponent: `1.5`, `3`."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """As Go reads it: `1.5s`."""
    return f"{number(seconds)}s"
