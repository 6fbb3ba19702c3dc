"""A new project: complete, private where it must be, and never over what is there."""

import errno
from pathlib import Path

import pytest
import yaml

from shipyard.base.errors import UsageError
from shipyard.cli.app import App
from shipyard.cli.init import make
from shipyard.cli.main import run
from shipyard.files.config import Options, load_settings


def test_it_writes_a_project_that_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "fleet"], App({}, tmp_path)) == 0
    project = tmp_path / "fleet"
    settings = load_settings(Options(), {}, project)
    assert settings.inventory == (str(project / "inventory" / "hosts.yml"),)
    assert settings.database == f"sqlite:///{project}/.shipyard/state.db"
    assert yaml.safe_load((project / "inventory" / "hosts.yml").read_text()) == {
        "all": {"hosts": {"localhost": {"ansible_connection": "local"}}}
    }
    (play,) = yaml.safe_load((project / "playbooks" / "hello.yml").read_text())
    assert (play["hosts"], play["stack"], list(play["services"])) == ("all", "hello", ["web"])
    assert ".shipyard/" in (project / ".gitignore").read_text().splitlines()
    assert "shipyard apply playbooks/hello.yml" in capsys.readouterr().out


def test_it_begins_with_a_compose_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").mkdir()
    file = tmp_path / "shop" / "compose.yaml"
    file.write_text("services: {web: {image: 'nginx:${TAG:-1}', env_file: a.env}}\n")
    assert run(["init", "shop", "--from", "shop"], App({}, tmp_path)) == 0
    (play,) = yaml.safe_load((tmp_path / "shop" / "shop.yml").read_text())
    assert play == {"hosts": "all", "stack": "shop", "services": {"web": {"image": "nginx:1", "env_file": "a.env"}}}
    assert not (tmp_path / "shop" / "playbooks").exists()
    assert "shipyard apply shop.yml" in capsys.readouterr().out
    assert run(["init", "other", "--from", "shop/compose.yaml"], App({}, tmp_path)) != 0
    assert "is not in" in capsys.readouterr().err


def test_every_project_has_an_id_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / name)
    ids = {load_settings(Options(), {}, tmp_path / name).cluster for name in ("a", "b")}
    assert len(ids) == 2


@pytest.mark.parametrize("there", ["shipyard.toml", "inventory/hosts.yml", "playbooks/hello.yml"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match=f"has {there} already"):
        make(tmp_path)
    assert (tmp_path / there).read_text() == "mine"
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_gitignore_is_added_to(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\n.shipyard/")
    make(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.shipyard/\nshipyard-*.db\nsecrets.key*\n"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["init", "file/fleet"], App({}, tmp_path)) == 1
    assert "can't be written" in capsys.readouterr().err


def test_a_full_disk_is_said_with_the_file_that_found_no_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it: without a name

    monkeypatch.setattr(Path, "write_text", full)
    assert run(["init"], App({}, tmp_path)) == 1
    assert f"{tmp_path / 'shipyard.toml'}: can't be written: No space left" in capsys.readouterr().err


def test_json_names_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert run(["init", "-o", "json"], App({}, tmp_path)) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["files"] == [
        "shipyard.toml",
        "inventory/hosts.yml",
        "playbooks/hello.yml",
        ".gitignore",
    ]
    assert "What to do next:" in captured.err
