"""The sections of a probe: how a script frames them, and how they are read back whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from shipyard.base.errors import Truncated
from shipyard.base.record import Struct
from shipyard.base.text import tail
from shipyard.runtime.nodescript import Frame, ended, frames
from shipyard.transport.connection import Completed

FUNCTION = r"""
section() {
  sy_section=$1
  shift
  sy_frame begin "$sy_section"
  sy_frame "$sy_section" >&2
  "$@" </dev/null
  sy_frame end "$sy_section" "$?"
}
"""
"""`section NAME COMMAND…` of the dialects: standard output and exit status framed, standard error marked."""


class Section(Struct, frozen=True):
    """What one command printed. `words`: the last lines of its standard error, fit to be shown."""

    output: bytes
    status: int
    words: str


def read(node: str, output: Completed, nonce: str) -> Mapping[str, Section]:
    """All sections by name. Raises Truncated when the answer did not come to its end."""
    found = frames(output.stdout, nonce)
    if not ended(found):
        said = tail(output.stderr.decode("utf-8", "replace"), 3).strip()
        raise Truncated(
            node,
            f"the answer ended early, after {len(output.stdout)} bytes (exit status {output.status})"
            + (f": {said}" if said else ""),
            hint="nothing is concluded from half an answer; if it stays so, look at that node's sshd and disk",
        )
    errors = {frame.words[0]: frame.body for frame in frames(output.stderr, nonce) if frame.words}
    return dict(_sections(node, found, errors))


def _sections(node: str, found: tuple[Frame, ...], errors: Mapping[str, bytes]) -> list[tuple[str, Section]]:
    sections = []
    for begin, end in pairwise(found):
        match begin.words, end.words:
            case ("begin", name), ("end", same, status) if name == same and status.isdecimal():
                words = tail(errors.get(name, b"").decode("utf-8", "replace"), 5).strip()
                sections.append((name, Section(begin.body, int(status), words)))
            case ("begin", *_), _:
                raise Truncated(node, f"section {' '.join(begin.words[1:])} of the answer has no end")
            case _:
                pass
    return sections
