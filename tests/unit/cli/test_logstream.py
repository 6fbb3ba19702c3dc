"""Logs of many containers as one: the scripts in a real shell, and the merging by time."""

import subprocess

import click
import pytest

from shipyard.cli.logs import logs, since_of
from shipyard.cli.logstream import Follower, LogLine, follow_script, lines_of, merge, read_script, split_read
from shipyard.cli.main import run
from shipyard.runtime.dialect import Command

SECOND = 1_000_000_000
AT = 1_795_000_000 * SECOND


def sh(script: bytes) -> str:
    return subprocess.run(["sh"], input=script, capture_output=True, check=True, timeout=30).stdout.decode()


@pytest.mark.parametrize(
    ("written", "given"),
    [
        (None, None),
        ("10m", "600.000s"),
        ("2d", "172800.000s"),
        ("1h30m", "5400.000s"),
        ("500ms", "0.500s"),
        ("2026-11-18T12:06:40+01:00", "2026-11-18T11:06:40Z"),
        ("2026-11-18T11:06:40Z", "2026-11-18T11:06:40Z"),
        ("1795000000", "2026-11-18T11:06:40Z"),
    ],
)
def test_since_is_given_in_a_form_that_every_runtime_reads(written: str | None, given: str | None) -> None:
    context = click.Context(logs)
    assert since_of(context, logs.params[0], written) == given


@pytest.mark.parametrize("written", ["yesterday", "", "-5m", "2026-13-01", "9" * 400, "10m; reboot"])
def test_since_that_is_no_time_is_refused_before_any_node_is_asked(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["logs", "guestbook", "--since", written]) == 5
    assert "expected how long ago (10m, 2d), or a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "at", "text"),
    [
        ("2026-11-18T11:06:40.000000001Z hello", AT + 1, "hello"),
        ("2026-11-18T11:06:40.5Z hello", AT + SECOND // 2, "hello"),
        ("2026-11-18T12:06:40.000000000+01:00 hello", AT, "hello"),
        ("2026-11-18T06:36:40-04:30   two blanks stay", AT, "  two blanks stay"),
        ("2026-11-18T11:06:40Z ", AT, ""),
        ("2026-11-18T11:06:40Z carriage\r", AT, "carriage"),
        ("no time at all", 0, "no time at all"),
        ("2026-99-99T99:99:99Z nonsense", 0, "nonsense"),
        ("2026-11-18T11:06:40+99:99 nonsense", AT - 1439 * 60 * SECOND, "nonsense"),
    ],
)
def test_times(line: str, at: int, text: str) -> None:
    assert lines_of("web.1", [line]) == [LogLine(at, "web.1", text)]


def test_a_line_without_a_time_counts_with_the_one_before() -> None:
    lines = lines_of("web.1", ["2026-11-18T11:06:40Z first", "and more of it"])
    assert [line.at for line in lines] == [AT, AT]


def test_merged_by_time_with_each_replica_in_its_own_order() -> None:
    one = [LogLine(1, "a", "1"), LogLine(5, "a", "2"), LogLine(4, "a", "clock set back"), LogLine(9, "a", "4")]
    two = [LogLine(2, "b", "1"), LogLine(6, "b", "2")]
    assert [(line.replica, line.text) for line in merge([one, two])] == [
        ("a", "1"),
        ("b", "1"),
        ("a", "2"),
        ("a", "clock set back"),
        ("b", "2"),
        ("a", "4"),
    ]


def test_read_through_a_real_shell() -> None:
    words = ("printf", r"2026-11-18T11:06:40Z %s\n", "it's $HOME; `id`", "deadbeef 1", "")
    commands = [Command(words), Command(("sh", "-c", "echo out; echo err >&2; printf unfinished"))]
    found = split_read(sh(read_script(commands, "deadbeef")), "deadbeef", ["web.1", "web.2"])
    assert [line.text for line in found[0]] == ["it's $HOME; `id`", "deadbeef 1", ""]
    assert [line.text for line in found[1]] == ["out", "err", "unfinished"]


def test_one_failing_command_does_not_hide_the_others() -> None:
    commands = [Command(("no-such-program",)), Command(("echo", "here"))]
    found = split_read(sh(read_script(commands, "mark")), "mark", ["web.1", "web.2"])
    assert "no-such-program" in found[0][0].text
    assert found[1] == [LogLine(0, "web.2", "here")]


def test_followed_through_a_real_shell() -> None:
    commands = [
        Command(("printf", "%s\\n", "2026-11-18T11:06:40Z back\\slash  and blanks ", "%d $HOME")),
        Command(("sh", "-c", "echo err >&2"), env=(("SOME", "va'lue"),)),
    ]
    lines = Follower(["web.1", "web.2"]).feed(sh(follow_script(commands)).encode())
    assert sorted((line.replica, line.text) for line in lines) == [
        ("web.1", "%d $HOME"),
        ("web.1", "back\\slash  and blanks "),
        ("web.2", "err"),
    ]


def test_followed_in_whatever_pieces_it_arrives() -> None:
    follower = Follower(["web.1", "web.2"])
    data = "0 2026-11-18T11:06:40Z grüße\n1 zwei\n".encode()
    lines = [line for index in range(len(data)) for line in follower.feed(data[index : index + 1])]
    assert [(line.replica, line.text) for line in lines] == [("web.1", "grüße"), ("web.2", "zwei")]


@pytest.mark.parametrize("noise", [b"\n", b"7 beyond\n", b"-1 x\n", b"x y\n", "² x\n".encode(), b"9" * 30 + b" x\n"])
def test_noise_is_dropped(noise: bytes) -> None:
    assert Follower(["web.1"]).feed(noise + b"0 ok\n") == [LogLine(0, "web.1", "ok")]


def test_an_endless_line_is_not_kept_for_ever() -> None:
    follower = Follower(["web.1"])
    lines = [line for _ in range(40) for line in follower.feed(b"0" + b" x" * 32768)]
    assert lines
    assert len(follower._rest) <= 1024 * 1024 + 65537
