"""Lines laid out for a page: columns that line up, and long sentences folded beneath where they began."""

from __future__ import annotations

import textwrap

from shipyard.base.text import one_line
from shipyard.cli.output import Line, Span
from shipyard.model.plan import Notice

WHOLE = 4000
"""Characters that a line keeps of what a node said: in effect all of it, but bounded."""


def cell(text: str) -> str:
    """What came from elsewhere as one clean piece of a line."""
    return one_line(text, WHOLE)


def width(text: str) -> int:
    """Columns that a terminal needs for this text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, columns: int) -> str:
    """The text, filled up with blanks to this many columns."""
    return text + " " * (columns - width(text))


def widest(texts: list[str]) -> int:
    """Columns of the widest."""
    return max((width(text) for text in texts), default=0)


def hanging(head: Line, sentence: str, fold: int | None, indent: int = 6) -> list[Line]:
    """`head` and a sentence after it: on the same line where it fits, else folded beneath at `indent`."""
    used = sum(width(_text(span)) for span in head)
    if fold is None or used + 2 + width(sentence) <= fold:
        return [(*head, "  ", sentence) if sentence else _stripped(head)]
    room = max(fold - indent, 20)
    folded = textwrap.wrap(sentence, room, break_on_hyphens=False)
    return [_stripped(head), *((" " * indent, part) for part in folded)]


def _stripped(line: Line) -> Line:
    """Without the blanks at the end that line up what is not on this line."""
    last = line[-1]
    return (*line[:-1], last.rstrip() if isinstance(last, str) else (last[0].rstrip(), last[1]))


def _text(span: Span) -> str:
    return span if isinstance(span, str) else span[0]


def sentence(reason: str, detail: str) -> str:
    """`Reason: detail`, clean."""
    return cell(f"{reason}: {detail}" if reason and detail else reason or detail)


def heading(text: str) -> Line:
    """A title above some lines."""
    return ((text, "bold"),)


def list_of(entries: list[tuple[str, str, str]], style: str, fold: int | None) -> list[Line]:
    """A line for each (target, reason, detail), the targets in a column of their own."""
    targets = widest([cell(target) for target, _, _ in entries])
    lines: list[Line] = []
    for target, reason, detail in entries:
        name: Span = (padded(cell(target), targets), style)
        lines += hanging(("  ", name), sentence(reason, detail), fold)
    return lines


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `5 h`, `12 d`."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def soon(seconds: float) -> str:
    """`in 45 s`, or `now` where the time has come."""
    return f"in {duration(seconds)}" if seconds >= 1 else "now"


def known(notice: Notice) -> tuple[str, str, str]:
    """Target, reason and detail of a notice. What a file's words say of themselves needs no reason before it."""
    return (notice.target, "" if notice.reason == "Note" else notice.reason, notice.detail)


def ago(then: float, now: float) -> str:
    """`3 min ago`, `now`, or `never` for 0."""
    if not then:
        return "never"
    return f"{duration(now - then)} ago" if now - then >= 1 else "now"
