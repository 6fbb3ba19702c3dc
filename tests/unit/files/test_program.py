"""Programs that tell a secret: what they print is in no error, what they say about it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError
from shipyard.files.program import ask

ENVIRON = {"PATH": "/usr/bin:/bin", "WORD": "hunter2"}


def asked(folder: Path, text: str, timeout: float = 20.0) -> bytes:
    argv = ("sh", "-c", text)
    return ask(argv, environ=ENVIRON, folder=folder, limit=2048, timeout=timeout).reveal()


def test_it_tells_byte_for_byte_and_knows_folder_and_environment(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\xff\n")
    assert asked(tmp_path, 'cat file; printf %s "$WORD"; cat') == b"\x00\xff\nhunter2"


def test_no_shell_sees_the_words(tmp_path: Path) -> None:
    said = ask(("printf", "%s", "$(touch here) $WORD;"), environ=ENVIRON, folder=tmp_path, limit=2048).reveal()
    assert said == b"$(touch here) $WORD;"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo hunter2; echo locked >&2; exit 3", "sh ended with status 3: locked"),
        ("echo hunter2; exit 1", "sh ended with status 1: it said nothing"),
        ("echo hunter2; kill -9 $$", "sh ended with status -9"),
        ("yes hunter2", "sh printed more than 2 KiB"),
    ],
)
def test_a_failure_repeats_only_its_complaint(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        asked(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_one_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sh did not end within 0.2 s"):
        asked(tmp_path, "echo hunter2; exec sleep 100", timeout=0.2)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-program can't be run: No such file"):
        ask(("no-such-program",), environ=ENVIRON, folder=tmp_path, limit=2048)
