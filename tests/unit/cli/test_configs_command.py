"""`configs`: what is typed, piped and answered; and where those who know Docker would look for it."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
from pathlib import Path
from types import SimpleNamespace

import pytest

from shipyard.cli.app import App
from shipyard.cli.main import run

CONTENT = b"hello\nworld\x1b[2J\n"


def configs(folder: Path, *args: str) -> int:
    return run(["configs", *args], App(environ={"PATH": "/usr/bin:/bin"}, cwd=folder))


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False))


def told(folder: Path, capsys: pytest.CaptureFixture[str], *args: str) -> object:
    capsys.readouterr()
    assert configs(folder, *args, "-o", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_from_a_file_or_standard_input_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "blob").write_bytes(b"\0\xff\r\n")
    assert configs(tmp_path, "set", "shop/blob", "blob") == 0
    for name, words in (("dash", ["-"]), ("none", [])):
        given(monkeypatch, CONTENT)
        assert configs(tmp_path, "set", name, *words) == 0
    for name, content in (("shop/blob", b"\0\xff\r\n"), ("dash", CONTENT), ("none", CONTENT)):
        capsysbinary.readouterr()
        assert configs(tmp_path, "show", name, "--raw") == 0
        assert capsysbinary.readouterr() == (content, b"")


def test_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert configs(tmp_path, "list") == 0
    given(monkeypatch, CONTENT)
    assert configs(tmp_path, "set", "motd") == 0
    given(monkeypatch, CONTENT)
    assert configs(tmp_path, "set", "motd") == 0
    assert capsys.readouterr().out == (
        "There are no configs outside of stacks: shipyard configs set NAME FILE stores one.\n"
        "motd is stored.\nmotd is what it was.\n"
    )
    assert configs(tmp_path, "list") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "SET", "BY", "BYTES", "USED", "BY"]
    assert (row.split()[0], row.split()[3]) == ("motd", "16")
    assert configs(tmp_path, "show", "motd") == 0
    shown = capsys.readouterr().out
    assert shown.endswith("Used by:  no stack\nData:     16 bytes\nhello\nworld[2J\n"), "and no escapes of a terminal"
    assert "Name:     motd\nSet:      20" in shown
    given(monkeypatch, b"\0")
    assert configs(tmp_path, "set", "blob") == 0
    assert configs(tmp_path, "show", "blob") == 0
    assert "Data:     1 bytes that are no text (--raw writes them)" in capsys.readouterr().out
    assert configs(tmp_path, "remove", "motd", "blob") == 0
    assert capsys.readouterr().out == "motd, blob: removed.\n"


def test_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, capsys, "list") == []
    given(monkeypatch, b"hi")
    assert told(tmp_path, capsys, "set", "motd") == {"config": "motd", "changed": True, "apply": []}
    (listed,) = told(tmp_path, capsys, "list")  # type: ignore[misc]  # a list, as is compared here
    assert listed["set"].startswith("20")
    assert listed == {
        "name": "motd",
        "stored": True,
        "set": listed["set"],
        "author": listed["author"],
        "bytes": 2,
        "digest": "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4",
        "used_by": [],
        "outdated": [],
    }
    data = base64.b64encode(b"hi").decode()
    assert told(tmp_path, capsys, "show", "motd") == {**listed, "content": "hi", "data": data}
    given(monkeypatch, b"\xff")
    told(tmp_path, capsys, "set", "blob")
    shown = told(tmp_path, capsys, "show", "blob")
    assert isinstance(shown, dict)
    assert (shown["content"], shown["data"]) == (None, "/w==")
    assert told(tmp_path, capsys, "remove", "motd") == {"removed": ["motd"]}


def test_on_a_terminal_nothing_is_waited_for_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        assert configs(tmp_path, "set", "motd") == 5
    os.close(ours)
    assert "name its FILE, or - to type it" in capsys.readouterr().err


def test_what_can_not_be_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, b"")
    assert configs(tmp_path, "set", "motd") == 5
    assert configs(tmp_path, "set", "motd", "nowhere") == 1
    assert configs(tmp_path, "set", "motd", str(tmp_path)) == 5
    given(monkeypatch, b"x" * 1_100_000)
    assert configs(tmp_path, "set", "motd") == 5
    assert configs(tmp_path, "show", "motd") == 5
    assert configs(tmp_path, "remove", "motd") == 5
    given(monkeypatch, b"x")
    assert configs(tmp_path, "set", "motd") == 0
    assert configs(tmp_path, "show", "motd", "--raw", "-o", "json") == 5
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for words in ("is empty", "nowhere: can't be read", "larger than 1000 KiB", "there is no config motd", "in base64"):
        assert words in said


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("configs", "create", "motd", "f"), "No such command 'create'. Here it is 'set'."),
        (("configs", "ls"), "No such command 'ls'. Here it is 'list'."),
        (("configs", "inspect", "motd"), "No such command 'inspect'. Here it is 'show'."),
        (("configs", "rm", "motd"), "No such command 'rm'. Here it is 'remove'."),
        (("secret", "create", "key"), "No such command 'create'. Here it is 'set'."),
        (("secret", "inspect", "key"), "No such command 'inspect'."),
        (("config", "create", "motd", "f"), "'shipyard configs set' is about those of containers."),
        (("config", "ls"), "'shipyard configs list' is about those of containers."),
        (("config", "something"), "Got unexpected extra argument (something)"),
    ],
)
def test_dockers_words_are_answered_with_those_of_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], says: str
) -> None:
    assert run([*typed], App(environ={}, cwd=tmp_path)) == 5
    assert says in capsys.readouterr().err
