"""The program: parse, run one command, and turn whatever ends it into words and an exit code.

All errors that are meant for people are caught here and nowhere else. Nothing heavy may be imported on the way to
`--help`.
"""

from __future__ import annotations

import gc
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from shipyard import __version__
from shipyard.base.errors import FileErrors, ShipyardError
from shipyard.base.text import one_line
from shipyard.cli import everywhere
from shipyard.cli.app import App
from shipyard.cli.lazy import LazyGroup, ReaderGoneError
from shipyard.cli.output import discard

FAILED = 1
USAGE = 5
INTERRUPTED = 130
BROKEN_PIPE = 141
"""As of a program that SIGPIPE ended: whoever reads the output has gone."""

EPILOG = """\b
Examples:
  shipyard init demo && cd demo && shipyard apply playbooks/hello.yml
  shipyard -i inventory/hosts.yml plan playbooks/web.yml
  shipyard status -o json
Completion: shipyard config --help says how to switch it on for bash, zsh and fish."""


@click.group(
    cls=LazyGroup,
    params=[*everywhere.options()],
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="shipyard", message="%(prog)s %(version)s")
def cli() -> None:
    """Containers on your servers, kept as your files say, over plain SSH."""


def main() -> NoReturn:
    """The program, as installed."""
    # what is imported stays, so looking through it again and again for garbage finds none
    gc.set_threshold(50_000, 20, 50)
    code = run(sys.argv[1:])
    gc.freeze()  # nor would the interpreter find any at its end, where it looks three times, for a tenth of a second
    sys.exit(code)


_UNDER_WAY = (
    "\n  hint: what was sent to nodes may still be done there; the same command again goes on from what it finds"
)
"""Said where a wave was interrupted, which click makes an Abort."""


def run(args: Sequence[str], app: App | None = None) -> int:
    """Run one command line; returns the exit code. Errors are printed, never raised."""
    app = App() if app is None else app
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _guarded(args, app)
    finally:
        signal.signal(signal.SIGTERM, before)


def _guarded(args: Sequence[str], app: App) -> int:
    try:
        result = cli.main(args=list(args), prog_name="shipyard", obj=app, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return FAILED
    except ShipyardError as error:
        _show(error, app)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as stopped:
        app.out.error("interrupted" + (_UNDER_WAY if hasattr(stopped.__cause__ or stopped, "outcomes") else ""))
        return INTERRUPTED
    except ReaderGoneError:
        discard(sys.stdout)
        return BROKEN_PIPE
    except Exception as error:  # the last resort: people get a line, and the traceback where they ask for it
        _unexpected(error, app)
        return FAILED
    return result if isinstance(result, int) else 0


def _show(error: ShipyardError, app: App) -> None:
    for each in error.errors if isinstance(error, FileErrors) else (error,):
        app.out.error(str(each))
    if app.verbose >= 2:
        traceback.print_exc()


def _unexpected(error: Exception, app: App) -> None:
    app.out.error(f"unexpected {type(error).__name__}: {one_line(str(error))}")
    if app.verbose >= 2:
        traceback.print_exception(error)
    else:
        app.out.error("this should not happen; run again with -vv to see where it came from")
