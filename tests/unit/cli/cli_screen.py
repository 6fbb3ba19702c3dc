"""An Output whose pages end up in memory: a terminal of a given width, or a pipe."""

import io

from shipyard.cli.output import Output


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def terminal(columns: int, **options: bool) -> tuple[Output, Screen]:
    """A terminal without colours, so that what is compared is the text."""
    screen = Screen(terminal=True)
    environ = {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm", "NO_COLOR": "1"}
    return Output(screen, Screen(terminal=True), environ, **options), screen


def pipe(environ: dict[str, str] | None = None, **options: bool) -> tuple[Output, Screen, Screen]:
    """Standard output and standard error of a command in a pipe."""
    stdout, stderr = Screen(terminal=False), Screen(terminal=False)
    return Output(stdout, stderr, environ or {}, **options), stdout, stderr
