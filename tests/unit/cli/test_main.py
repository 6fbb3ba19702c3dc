"""The program as a whole: what ends it, and the words and exit code of each end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from shipyard import __version__
from shipyard.base.errors import (
    ConfigError,
    FileError,
    FileErrors,
    LeaseHeld,
    NotObserved,
    ShipyardError,
    Unreachable,
    UsageError,
)
from shipyard.cli import everywhere
from shipyard.cli.app import App, pass_app
from shipyard.cli.commands import COMMANDS, Entry
from shipyard.cli.lazy import LazyGroup
from shipyard.cli.main import cli, run

HEAVY = {
    "alembic",
    "fabric",
    "jinja2",
    "paramiko",
    "pydantic",
    "rich.console",
    "rich.table",
    "sqlalchemy",
    "yaml",
    "shipyard.files.config",
}


def probe(work: Callable[[App], int | None]) -> click.Command:
    """A command `probe` that does this."""

    @click.command()
    @click.argument("words", nargs=-1)
    @pass_app
    def command(app: App, words: tuple[str, ...]) -> int | None:
        return work(app)

    return command


@pytest.fixture
def with_probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[App], int | None]], None]]:
    """Puts a `probe` into the program for one test."""
    monkeypatch.setitem(COMMANDS, "probe", Entry("nowhere:probe", "A probe."))

    def install(work: Callable[[App], int | None]) -> None:
        assert isinstance(cli, LazyGroup)
        cli.add_command(everywhere.add_to(probe(work)), "probe")

    yield install
    cli.commands.pop("probe", None)


def raising(error: BaseException) -> Callable[[App], None]:
    def work(_: App) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ShipyardError("it is broken"), 1, "error: it is broken\n"),
        (ConfigError("no such thing", hint="make one"), 1, "error: no such thing\n  hint: make one\n"),
        (UsageError("not like that"), 5, "error: not like that\n"),
        (LeaseHeld("ann@bastion is at work"), 75, "error: ann@bastion is at work\n"),
        (NotObserved("node1", "sudo refused"), 2, "error: node1: sudo refused\n"),
        (Unreachable("node1", "no route"), 4, "error: node1: no route\n"),
        (FileError("unknown", file="a.yml", line=3, column=5, key="services.web.imge"), 1, "error: a.yml:3:5: "),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (click.Abort(), 130, "error: interrupted\n"),
        (RuntimeError("\x1b[31mboom"), 1, "error: unexpected RuntimeError: [31mboom\n"),
    ],
)
def test_how_it_ends(
    error: BaseException,
    code: int,
    words: str,
    with_probe: Callable[[Callable[[App], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_probe(raising(error))
    assert run(["probe"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.lstrip("\n").startswith(words)
    assert "Traceback" not in captured.err


def test_all_errors_of_files_are_shown(
    with_probe: Callable[[Callable[[App], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_probe(raising(FileErrors((FileError("first", file="a.yml", line=1), FileError("second", file="b.yml")))))
    assert run(["probe"]) == 1
    assert capsys.readouterr().err == "error: a.yml:1: first\nerror: b.yml: second\n"


def test_a_traceback_is_shown_on_request(
    with_probe: Callable[[Callable[[App], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_probe(raising(RuntimeError("boom")))
    assert run(["-v", "probe", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_a_command_returns_is_the_exit_code(with_probe: Callable[[Callable[[App], int]], None]) -> None:
    with_probe(lambda _: 14)
    assert run(["probe"]) == 14


def test_sigterm_is_an_interrupt(with_probe: Callable[[Callable[[App], None]], None]) -> None:
    with_probe(lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert run(["probe"]) == 130


@pytest.mark.parametrize(
    "args",
    [
        ["probe", "-i", "b", "-o", "json", "--yes", "-q", "--forks", "7", "--database", "x.db", "-vv"],
        ["-i", "b", "-o", "json", "--yes", "-q", "--forks", "7", "--database", "x.db", "-vv", "probe"],
        ["-i", "b", "-v", "-o", "text", "probe", "-o", "json", "--yes", "-q", "-v", "--forks=7", "--database=x.db"],
    ],
)
def test_options_are_accepted_on_both_sides(
    args: list[str], with_probe: Callable[[Callable[[App], None]], None]
) -> None:
    seen: list[dict[str, object]] = []
    with_probe(lambda app: seen.append(dict(app.given)))
    assert run(args) == 0
    assert seen == [
        {
            "inventory": ("b",),
            "output": "json",
            "yes": True,
            "quiet": True,
            "forks": 7,
            "database": "x.db",
            "verbose": 2,
        }
    ]


def test_inventories_of_both_sides_add_up(with_probe: Callable[[Callable[[App], None]], None]) -> None:
    seen: list[object] = []
    with_probe(lambda app: seen.append(app.given["inventory"]))
    run(["-i", "a", "-i", "b", "probe", "-i", "c"])
    assert seen == [("a", "b", "c")]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["statsu"], "Did you mean 'status'?"),
        (["status", "--colour"], "No such option"),
        (["--forks", "0", "status"], "--forks"),
        (["apply"], "FILE..."),
        (["--output", "yaml", "status"], "'json'"),
        ([], "Usage: shipyard"),
        (["reconcile", "--once", "--watch"], "exclude each other"),
        (["exec", "guestbook/web"], "takes a command"),
        (["logs", "guestbook", "--tail", "few"], "number of lines"),
    ],
)
def test_wrong_usage_is_5(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"shipyard {__version__}\n"


def test_help_and_completion_load_nothing_heavy() -> None:
    code = (
        "import sys, os\n"
        "from shipyard.cli.main import run\n"
        "run(['--help'])\n"
        "os.environ.update(COMP_WORDS='shipyard st', COMP_CWORD='1')\n"
        "import click.shell_completion as s\n"
        "from shipyard.cli.main import cli\n"
        "words = s.ShellComplete(cli, {}, 'shipyard', '_SHIPYARD_COMPLETE').get_completions([], 'st')\n"
        "print('completed', [each.value for each in words])\n"
        f"print('loaded', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "completed ['status', 'state']" in answer.stdout
    assert answer.stdout.endswith("loaded []\n")


def test_a_reader_that_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        answer = subprocess.run(
            [sys.executable, "-m", "shipyard", "--help"], stdout=stream, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (answer.returncode, answer.stderr) == (141, "")
