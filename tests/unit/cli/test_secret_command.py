"""`shipyard secret`: where a content is taken from, and that it is never shown."""

from __future__ import annotations

import io
import json
import os
import pty
from pathlib import Path

import pytest

from shipyard.cli.app import App
from shipyard.cli.main import run

CONTENT = b"correct horse \xff\n"


def secret(folder: Path, *args: str) -> int:
    return run(["secret", *args], App({"HOME": str(folder)}, folder))


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert secret(folder, "list", "-o", "json") == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_from_standard_input_or_a_file_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, CONTENT)
    assert secret(tmp_path, "set", "token") == 0
    (tmp_path / "key.pem").write_bytes(CONTENT)
    assert secret(tmp_path, "set", "shop/key", "--file", "key.pem", "-vv") == 0
    assert secret(tmp_path, "list") == 0
    assert secret(tmp_path, "rotate-key") == 0
    said = capsys.readouterr()
    assert "horse" not in said.out + said.err
    assert "ends with a line break" in said.err
    assert [(each["name"], each["stored"], each["declared"]) for each in listed(tmp_path, capsys)] == [
        ("shop/key", True, False),
        ("token", True, False),
    ]
    assert secret(tmp_path, "remove", "token", "shop/key") == 0
    assert listed(tmp_path, capsys) == []


@pytest.mark.parametrize(("second", "code"), [("hunter2", 0), ("hunter3", 5)])
def test_on_a_terminal_it_is_asked_for_twice_and_not_echoed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str, code: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"hunter2\n{second}\n".encode())
    asked: list[str] = []
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        answers = iter(["hunter2", second])
        monkeypatch.setattr("getpass.getpass", lambda question, stream: asked.append(question) or next(answers))
        assert secret(tmp_path, "set", "token") == code
    os.close(ours)
    assert asked == ["token: ", "token, once more: "]


def test_what_can_not_be_set_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, b"")
    assert secret(tmp_path, "set", "token") == 5
    assert secret(tmp_path, "set", "token", "--file", "nowhere") == 1
    assert secret(tmp_path, "set", "token", "--file", str(tmp_path)) == 5
    given(monkeypatch, b"x" * 600_000)
    assert secret(tmp_path, "set", "token") == 5
    assert secret(tmp_path, "remove", "token") == 5
    assert secret(tmp_path, "rotate-key", "--lost") == 5
    assert secret(tmp_path, "rotate-key") == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for words in ("is empty", "nowhere: can't be read", "larger than 500 KiB", "there is no secret token", "--yes"):
        assert words in said
