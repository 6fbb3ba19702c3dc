"""Logs of many containers as one: scripts that print them on a node, and their lines merged by time.

PURE: it runs nothing. A node's answer is data: the line that parts one container's log from the next holds a word
that no container could know, and lines are cleaned where they are shown.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

from shipyard.base.record import Struct
from shipyard.base.shell import join, quote
from shipyard.runtime.dialect import Command

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class LogLine(Struct, frozen=True):
    """`at`: nanoseconds since 1970, by the node's clock. `replica`: `web.1`. `text`: as the container wrote it."""

    at: int
    replica: str
    text: str


def read_script(commands: Sequence[Command], mark: str) -> bytes:
    """Print the logs of several containers, one after the other, each after a line `MARK index`."""
    parts = [f"printf '\\n%s %d\\n' {quote(mark)} {index}; {_shell(each)} 2>&1" for index, each in enumerate(commands)]
    return ("\n".join(parts) + "\n").encode()


def split_read(answer: str, mark: str, replicas: Sequence[str]) -> list[list[LogLine]]:
    """What `read_script` printed, by replica."""
    streams: list[list[str]] = [[] for _ in replicas]
    current: list[str] | None = None
    for line in answer.split("\n"):
        if line.startswith(f"{mark} "):
            current = streams[int(line.removeprefix(f"{mark} "))]
        elif current is not None and line:
            current.append(line)
    return [lines_of(replica, stream) for replica, stream in zip(replicas, streams, strict=True)]


def follow_script(commands: Sequence[Command]) -> bytes:
    """Print the logs of several containers as they come, every line after its container's index."""
    loop = "while IFS= read -r shipyard_line; do printf '%d %s\\n' {index} \"$shipyard_line\"; done"
    parts = [f"{{ {_shell(each)} 2>&1 | {loop.format(index=index)}; }} &" for index, each in enumerate(commands)]
    return ("\n".join([*parts, "wait"]) + "\n").encode()


class Follower:
    """Turns what `follow_script` prints, in whatever pieces it arrives, into lines."""

    def __init__(self, replicas: Sequence[str]) -> None:
        self._replicas = replicas
        self._rest = b""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 1024 * 1024:
            whole, self._rest = [*whole, self._rest], b""
        lines = (self._line(each.decode(errors="replace")) for each in whole)
        return [line for line in lines if line is not None]

    def _line(self, text: str) -> LogLine | None:
        index, _, rest = text.partition(" ")
        if not (index.isascii() and index.isdigit() and int(index[:9]) < len(self._replicas)):
            return None
        return lines_of(self._replicas[int(index)], [rest])[0]


def lines_of(replica: str, stream: Iterable[str]) -> list[LogLine]:
    """Lines with their times. One without a time (the runtime's own words) counts with the line before it."""
    lines, at = [], 0
    for line in stream:
        found = _STAMP.match(line)
        if found:
            at = _nanoseconds(*found.groups())
        text = line[found.end() :].removeprefix(" ") if found else line
        lines.append(LogLine(at, replica, text.rstrip("\r")))
    return lines


def merge(streams: Iterable[Sequence[LogLine]]) -> Iterator[LogLine]:
    """By time; lines of one replica stay in its own order, also where its node's clock was set back."""
    return heapq.merge(*streams, key=lambda line: line.at)


def _nanoseconds(seconds: str, fraction: str | None, offset: str) -> int:
    zone = UTC if offset == "Z" else _zone(offset)
    try:
        whole = datetime.fromisoformat(seconds).replace(tzinfo=zone)
    except ValueError:
        return 0
    return int(whole.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _zone(offset: str) -> timezone:
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return timezone(timedelta(minutes=min(minutes, 1439) * (-1 if offset[0] == "-" else 1)))


def _shell(command: Command) -> str:
    assignments = "".join(f"{name}={quote(value)} " for name, value in command.env)
    return assignments + join(command.argv)
