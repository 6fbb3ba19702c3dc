"""A lab's name and network on this machine: taken before anything is made, so that no two labs have the same."""

from __future__ import annotations

from pathlib import Path

from shipyard.base.errors import LabError
from shipyard.lab import network
from shipyard.lab.layout import (
    DEFAULT_NAME,
    Layout,
    Record,
    Runtime,
    all_records,
    locked,
    read_record,
    write_record,
)

_INDEXES = "_indexes"
"""Of the lock under which a lab chooses its network; no lab can have this name."""


def claim(layout: Layout, wanted: tuple[Runtime, ...]) -> Record:
    """The lab's record, written before anything is made: a new one, or the one that is there, grown."""
    with locked(_INDEXES):
        before = read_record(layout.name)
        if before is None:
            taken = network.used_indexes() | {record.index for record in all_records()}
            index = next((number for number in range(256) if number not in taken), None)
            if index is None:
                raise LabError("all 256 networks for labs are in use", hint="shipyard lab down --name NAME")
        else:
            _check_same(before, layout, wanted)
            index = before.index
        record = Record(layout.name, str(layout.directory), index, wanted)
        write_record(record)
        return record


def _check_same(before: Record, layout: Layout, wanted: tuple[Runtime, ...]) -> None:
    option = name_option(before.name)
    if Path(before.directory) != layout.directory and Path(before.directory).is_dir():
        raise LabError(
            f"there is a lab {before.name!r} already, of {before.directory}",
            hint=f"another name: shipyard lab up --name OTHER; or take that one down: shipyard lab down{option}",
        )
    if wanted[: len(before.runtimes)] != before.runtimes:
        raise LabError(
            f"the lab {before.name!r} is there with other nodes ({', '.join(before.runtimes)}); it can only grow",
            hint=f"shipyard lab down{option}, then up again; or another lab beside it with --name",
        )


def name_option(name: str) -> str:
    """What tells this lab from others on a command line."""
    return "" if name == DEFAULT_NAME else f" --name {name}"
