"""`shipyard inventory`: what people and scripts see of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipyard.cli.main import run
from tests.vaulted import encrypted, value


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "SHIPYARD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "hosts").write_text("[web]\nweb[1:2] port=80\n[empty]\n[odd-name]\n")
    (tmp_path / "play" / "group_vars").mkdir(parents=True)
    (tmp_path / "play" / "group_vars" / "web.yml").write_text("beside: playbook\n")
    return tmp_path


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-i", "hosts", "inventory", "list", "--playbook-dir", "play"]) == 0
    out, err = capsys.readouterr()
    listed = json.loads(out)
    assert listed["web"] == {"hosts": ["web1", "web2"]}
    assert listed["_meta"]["hostvars"]["web2"] == {"port": 80, "beside": "playbook"}
    assert "warning: the group name 'odd-name'" in err


def test_list_with_a_limit(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    (project / "keep").write_text("web2\n")
    for limit in ("web[1]", "@keep", "all:!web1"):
        assert run(["-i", "hosts", "inventory", "list", "--limit", limit]) == 0
        assert json.loads(capsys.readouterr().out)["web"] == {"hosts": ["web2"]}


def test_graph(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inventory", "graph", "-i", "hosts"]) == 0
    assert capsys.readouterr().out == (
        "@all:\n  |--@ungrouped:\n  |--@web:\n  |  |--web1\n  |  |--web2\n  |--@empty:\n  |--@odd-name:\n"
    )
    assert run(["-i", "hosts", "inventory", "graph", "web"]) == 0
    assert capsys.readouterr().out == "@web:\n  |--web1\n  |--web2\n"


def test_graph_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-i", "hosts", "inventory", "graph", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["group"] == "all"
    assert told["groups"]["all"] == {"hosts": [], "children": ["ungrouped", "web", "empty", "odd-name"]}
    assert told["groups"]["web"] == {"hosts": ["web1", "web2"], "children": []}
    assert run(["-i", "hosts", "inventory", "graph", "web", "-o", "json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["groups"]) == ["web"]


def test_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-i", "hosts", "inventory", "host", "web1"]) == 0
    assert json.loads(capsys.readouterr().out) == {"port": 80}
    assert run(["-i", "hosts", "inventory", "host", "localhost"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ansible_connection": "local"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-i", "hosts", "inventory", "host", "web"], 5, "'web' names 2 hosts; one is expected"),
        (["-i", "hosts", "inventory", "host", "nope"], 5, "'nope' names no host; one is expected"),
        (["-i", "hosts", "inventory", "graph", "nope"], 5, "there is no group 'nope'"),
        (["-i", "nope", "inventory", "list"], 1, "there is no such inventory"),
        (["-i", "hosts", "inventory", "list", "--limit", "~("], 5, "is no regular expression"),
        (["-i", "hosts", "inventory", "list", "--limit", "@gone"], 1, "the limit file can't be read"),
    ],
)
def test_errors(args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.fixture
def vaulted(project: Path) -> Path:
    (project / "group_vars").mkdir()
    (project / "group_vars" / "web.yml").write_text(encrypted("whole: 1\n", "p"))
    (project / "group_vars" / "all.yml").write_text("secret: " + value("hunter2", "p"))
    (project / "pw").write_text("p\n")
    return project


def test_what_is_encrypted_is_shown_as_ansible_inventory_shows_it(
    vaulted: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (["--vault-password-file", "pw"], ["--vault-id", "x@pw"]):
        assert run(["-i", "hosts", *given, "inventory", "host", "web1"]) == 0
        out, err = capsys.readouterr()
        assert "hunter2" not in out + err
        assert json.loads(out) == {"port": 80, "whole": 1, "secret": {"__ansible_vault": encrypted("hunter2", "p")}}
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "pw")
    assert run(["-i", "hosts", "inventory", "list"]) == 0
    assert '"whole": 1' in capsys.readouterr().out


def test_groups_need_no_password_and_variables_do(vaulted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-i", "hosts", "inventory", "graph"]) == 0
    assert "--web1" in capsys.readouterr().out
    assert run(["-i", "hosts", "inventory", "list"]) == 1
    assert "group_vars/web.yml:1: is encrypted with ansible-vault, and no vault" in capsys.readouterr().err
    assert run(["-i", "hosts", "--ask-vault-pass", "inventory", "list"]) == 1
    assert "there is no terminal to ask on" in capsys.readouterr().err


def test_a_program_that_prints_a_password_is_not_told_the_key_of_secrets(
    vaulted: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path_factory.mktemp("bin") / "tell"
    program.write_text('#!/bin/sh\necho "${OTHER}${SHIPYARD_SECRETS_KEY}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("OTHER", "p")
    monkeypatch.setenv("SHIPYARD_SECRETS_KEY", "k")
    assert run(["-i", "hosts", "--vault-id", f"x@{program}", "inventory", "list"]) == 0
    assert '"whole": 1' in capsys.readouterr().out


def test_who_plans_is_told_what_was_skipped_of_the_inventory(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "typo.yml").write_text("lab:\n  host:\n    n1:\n")
    (project / "site.yml").write_text("- hosts: lab\n  stack: s\n  services: {web: {image: 'x:1'}}\n")
    assert run(["-i", "typo.yml", "plan", "site.yml"]) == 1
    said = capsys.readouterr().err
    assert "typo.yml:2: skipped the key 'host' of a group" in said
    assert "the pattern 'lab' matches no host" in said
