"""`shipyard inventory`: what people and scripts see of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipyard.cli.main import run


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


def test_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-i", "hosts", "inventory", "host", "web1"]) == 0
    assert json.loads(capsys.readouterr().out) == {"port": 80}
    assert run(["-i", "hosts", "inventory", "host", "localhost"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ansible_connection": "local"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-i", "hosts", "inventory", "host", "web"], 5, "'web' is 2 hosts; one is expected"),
        (["-i", "hosts", "inventory", "host", "nope"], 5, "'nope' is no hosts; one is expected"),
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
