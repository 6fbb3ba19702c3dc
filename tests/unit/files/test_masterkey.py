"""Where the key of secrets is found, what is refused, and how it is written."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError
from shipyard.base.secret import SecretBytes
from shipyard.base.trust import NOTHING, Trust
from shipyard.files import masterkey
from shipyard.files.config import KeySource

KEY = SecretBytes(b"k" * 32)
OTHER = SecretBytes(b"o" * 32)
TEXT = base64.b64encode(KEY.reveal()).decode()


def find(path: Path, **given: object) -> masterkey.Found | None:
    command = tuple(given.get("command", ()))  # type: ignore[arg-type]  # a list of words
    environ = dict(given.get("environ", {"PATH": "/usr/bin:/bin"}))  # type: ignore[call-overload]  # a mapping of texts
    source = KeySource(path / "secrets.key", "THE_KEY", command)
    return masterkey.find(source, environ, trusted=Trust.all() if given.get("trusted", True) else NOTHING, folder=path)


def test_there_is_none_at_first_and_one_of_its_owner_alone_once_it_was_made(tmp_path: Path) -> None:
    folder = tmp_path / ".shipyard"
    assert find(folder) is None
    masterkey.make(folder / "secrets.key", KEY)
    assert (folder / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    found = find(folder)
    assert found is not None
    assert (found.keys, found.file) == ((KEY,), folder / "secrets.key")
    assert TEXT not in repr(found)
    assert [path.name for path in folder.iterdir()] == ["secrets.key"]


def test_a_key_that_is_there_is_never_written_over_by_a_new_one(tmp_path: Path) -> None:
    masterkey.make(tmp_path / "secrets.key", KEY)
    with pytest.raises(ConfigError, match="File exists"):
        masterkey.make(tmp_path / "secrets.key", OTHER)
    assert masterkey.read_file(tmp_path / "secrets.key") == (KEY,)
    masterkey.replace(tmp_path / "secrets.key", (OTHER, KEY))
    assert masterkey.read_file(tmp_path / "secrets.key") == (OTHER, KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = masterkey.make(tmp_path / "secrets.key", KEY).file
    assert path is not None
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"others than its owner may read or change this key .mode {mode:04o}"):
        find(tmp_path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "hunter2", TEXT[:-8], f"{TEXT}\nhunter2", "\xff" * 44])
def test_what_is_no_key_is_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no key for secrets") as caught:
        find(tmp_path)
    assert "openssl rand -base64 32" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "secrets.key").mkdir()
    with pytest.raises(ConfigError, match="the key of secrets"):
        find(tmp_path)


def test_a_variable_counts_before_a_program_and_that_before_the_file(tmp_path: Path) -> None:
    masterkey.make(tmp_path / "secrets.key", OTHER)
    command = ["sh", "-c", f"echo {TEXT}"]
    told = find(tmp_path, command=command)
    assert told is not None
    assert (told.keys, told.origin, told.file) == ((KEY,), "that sh tells", None)
    set_ = find(tmp_path, command=["false"], environ={"THE_KEY": f"{TEXT} {base64.b64encode(OTHER.reveal()).decode()}"})
    assert set_ is not None
    assert (set_.keys, set_.origin) == ((KEY, OTHER), "in $THE_KEY")


def test_a_program_needs_a_trusted_project(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not run until the project is trusted") as caught:
        find(tmp_path, command=["touch", "here"], trusted=False)
    assert "trust-project" in str(caught.value)
    assert not (tmp_path / "here").exists()
