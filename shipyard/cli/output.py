"""Where a command prints, and how: for people, for scripts, for terminals and for pipes.

JSON goes to standard output alone; then all else goes to standard error. Rich is used (and imported) only where there
is colour or a table. What comes from nodes and files arrives here as data: it is cleaned of control characters and
never read as markup.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from shipyard.base.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Span = str | tuple[str, str]
"""A piece of a line, or a piece and its style (`bold red`)."""
Line = tuple[Span, ...]

WIDE = 110
"""From this many columns on, tables show what is nice to have."""
UNBOUNDED = 100_000
"""Columns of a pipe: tables are as wide as what is in them."""


def plain(*spans: Span) -> str:
    """The text of some spans, safe to print."""
    return printable("".join(span if isinstance(span, str) else span[0] for span in spans))


class Output:
    """Standard output and standard error, used as the options and the surroundings ask for."""

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self._stdout, self._stderr, self._environ = stdout, stderr, environ
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self._consoles: dict[int, Console] = {}

    @property
    def people(self) -> TextIO:
        """The stream for what people read."""
        return self._stderr if self.json else self._stdout

    @property
    def live(self) -> bool:
        """Whether people look at a terminal that can redraw."""
        return self.people.isatty() and self._environ.get("TERM") != "dumb" and not self.quiet

    def data(self, value: Any) -> None:
        """A JSON document on standard output. ASCII only: no terminal and no encoding can be upset by it."""
        self._write(self._stdout, jsonlib.dumps(value, indent=2) + "\n")

    def raw(self, text: str) -> None:
        """A document of another format, as it is, on standard output."""
        self._write(self._stdout, text)

    def binary(self, content: bytes) -> None:
        """Bytes as they are, on standard output."""
        self._stdout.flush()
        self._stdout.buffer.write(content)
        self._stdout.buffer.flush()

    def record(self, value: Any) -> None:
        """One JSON value on one line, for what goes on without end (`--follow`)."""
        self._write(self._stdout, jsonlib.dumps(value) + "\n")

    def line(self, *spans: Span) -> None:
        """A line for people; nothing with -q."""
        if not self.quiet:
            self._line(self.people, spans, fold=True)

    def lines(self, lines: Iterable[Line]) -> None:
        """Several lines for people."""
        for line in lines:
            self.line(*line)

    def warn(self, *spans: Span) -> None:
        """A line on standard error, also with -q."""
        self._line(self._stderr, (("warning: ", "yellow"), *spans))

    def error(self, *spans: Span) -> None:
        """A line on standard error, also with -q."""
        self._line(self._stderr, (("error: ", "bold red"), *spans))

    def draw(self, renderable: RenderableType) -> None:
        """A table. In a pipe it is as wide as its data, since what reads it can't unfold it again."""
        if self.quiet:
            return
        console = self.console(self.people)
        if self.people.isatty():
            console.print(renderable)
            return
        with console.capture() as capture:
            console.print(renderable)
        lines = capture.get().split("\n")
        self._write(self.people, "\n".join(line.rstrip() for line in lines))

    def fold(self) -> int | None:
        """Where people's lines are to be folded: at the terminal's width; None in a pipe."""
        return self.console(self.people).width if self.people.isatty() else None

    @property
    def wide(self) -> bool:
        """Whether there is room for what is nice to have: on wide terminals, and in pipes, which never fold."""
        return not self.people.isatty() or self.console(self.people).width >= WIDE

    def console(self, stream: TextIO) -> Console:
        """A rich console that neither parses nor decorates what it is given."""
        if id(stream) not in self._consoles:
            from rich.console import Console

            self._consoles[id(stream)] = Console(
                file=stream,
                width=None if stream.isatty() else UNBOUNDED,
                force_terminal=self._coloured(stream),
                no_color=not self._coloured(stream),
                markup=False,
                emoji=False,
                highlight=False,
                _environ=self._environ,
            )
        return self._consoles[id(stream)]

    def _coloured(self, stream: TextIO) -> bool:
        if self._environ.get("NO_COLOR"):
            return False
        forced = self._environ.get("FORCE_COLOR", "")
        return forced not in ("", "0") or (stream.isatty() and self._environ.get("TERM") != "dumb")

    def _line(self, stream: TextIO, spans: Line, *, fold: bool = False) -> None:
        """`fold`: between words, on a terminal. Errors are not folded, so that paths in them can be copied."""
        if not (self._coloured(stream) or stream.isatty()):
            self._write(stream, plain(*spans) + "\n")
            return
        from rich.text import Text

        text = Text()
        for span in spans:
            piece, style = (span, "") if isinstance(span, str) else span
            text.append(printable(piece), style or None)
        if stream.isatty():
            self.console(stream).print(text, soft_wrap=not fold)
            return
        with self.console(stream).capture() as capture:
            self.console(stream).print(text, soft_wrap=True)
        self._write(stream, capture.get())

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


def discard(stream: TextIO) -> None:
    """Let what is still buffered for a reader that has gone end nowhere, instead of in a second error at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
