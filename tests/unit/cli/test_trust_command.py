"""`shipyard trust-project`: programs run as long as they are what somebody agreed to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shipyard.base.errors import NotObserved
from shipyard.base.trust import Trust, fingerprint
from shipyard.cli.main import run
from shipyard.files.inventory import connection_of, load
from shipyard.reconcile.trust import trust_of
from shipyard.transport.options import SshOptions
from shipyard.transport.resolve import Resolver
from tests.vaulted import encrypted

Said = Callable[..., tuple[int, str, str]]
SCRIPT = '#!/bin/sh\necho \'{"web": ["n1"], "_meta": {"hostvars": {"n1": {"x": %d}}}}\'\n'
CHANGED = "is new, or was changed, since the programs of this project were trusted"
NEVER = "is a program of this project, and those are not run until the project is trusted"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "inventory").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("XDG_CONFIG_HOME", "SHIPYARD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def shipyard(capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(args)
        return code, *capsys.readouterr()

    return call


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_an_inventory_that_was_changed_is_not_run_until_it_is_trusted_again(project: Path, shipyard: Said) -> None:
    program(project / "inventory" / "hosts.sh", SCRIPT % 1)
    assert NEVER in shipyard("inventory", "host", "n1")[2]
    code, out, err = shipyard("trust-project")
    assert (code, out) == (5, f"an inventory: {project}/inventory/hosts.sh\n")
    assert "the folder is not trusted" in err
    assert NEVER in shipyard("inventory", "host", "n1")[2]
    code, out, _ = shipyard("trust-project", "--yes")
    assert code == 0
    assert f"{project} is trusted from now on, with its 1 programs as they are" in out
    assert '"x": 1' in shipyard("inventory", "host", "n1")[1]
    program(project / "inventory" / "hosts.sh", SCRIPT % 2)
    code, _, err = shipyard("inventory", "host", "n1")
    assert code == 1
    assert f"inventory/hosts.sh: {CHANGED}\n  hint: look at it, then `shipyard trust-project`" in err
    assert shipyard("trust-project", "--yes")[0] == 0
    assert '"x": 2' in shipyard("inventory", "host", "n1")[1]
    program(project / "inventory" / "more.sh", SCRIPT % 3)
    assert f"more.sh: {CHANGED}" in shipyard("inventory", "host", "n1")[2]


def test_all_that_would_run_is_shown(project: Path, shipyard: Said) -> None:
    (project / "key.sh").write_text("exit 1\n")
    program(project / "pass.sh", "#!/bin/sh\necho p\n")
    (project / "ssh.cfg").write_text(f"Include {project}/more.cfg\n")
    (project / "more.cfg").write_text("Host web\n  ProxyCommand relay %h\n")
    (project / "shipyard.toml").write_text(
        'fence = ["off", "{node}"]\n[secrets]\nkey_command = ["sh", "key.sh"]\n[vault]\npassword_file = "pass.sh"\n'
    )
    hosts = (
        "n1 ansible_ssh_common_args='-o ProxyCommand=\"sh relay.sh %%h\"'\nn2 ansible_ssh_common_args='-F %s/ssh.cfg'\n"
    )
    (project / "inventory" / "hosts").write_text(hosts % project)
    (project / "inventory" / "group_vars").mkdir()
    (project / "inventory" / "group_vars" / "all.yml").write_text(encrypted("a: 1\n", "p"))
    play = "- hosts: n1\n  stack: shop\n  services: {web: {image: nginx, secrets: [db]}}\n  secrets:\n    db:\n"
    (project / "site.yml").write_text(play + "      x-shipyard: {command: [pass, show, '{{ a }}']}\n")
    (project / "deploy").mkdir()
    (project / "deploy" / "other.yml").write_text(play + "      x-shipyard: {command: [vault, read]}\n")
    code, out, err = shipyard("trust-project", "deploy/other.yml", "--yes")
    assert (code, err) == (0, "")
    toml = project / "shipyard.toml"
    assert out.splitlines()[:-1] == [
        "secrets.key_command: sh key.sh",
        "fence: off '{node}'",
        f"a vault password ({toml}): {project}/pass.sh",
        "SSH options of the inventory: ProxyCommand sh relay.sh %h",
        f"SSH options of the inventory: {project}/ssh.cfg 'as ssh -F' {project}/more.cfg",
        f"{project}/deploy/other.yml: vault read",
        f"{project}/site.yml: pass show 1",
    ]
    trust = trust_of(project)
    for words in (("sh", "key.sh"), ("off", "{node}"), ("pass", "show", "1"), ("vault", "read")):
        assert trust.allows(words)
    assert not trust.allows(("pass", "show", "2"))
    (project / "key.sh").write_text("exit 2\n")
    assert not trust.allows(("sh", "key.sh"))


def test_what_connects_is_trusted_as_it_was(project: Path, shipyard: Said) -> None:
    def command(args: str) -> str | None:
        (project / "inventory" / "hosts").write_text(f"n1 ansible_ssh_common_args='{args}'\n")
        inventory = load(["inventory"], cwd=project)
        options = SshOptions(trusted=trust_of(project), home=project.parent)
        return Resolver(options).target("n1", connection_of(inventory, inventory.hosts[0])).proxy_command

    relay = '-o ProxyCommand="sh relay.sh %h"'
    with pytest.raises(NotObserved, match="those are not run until the project is trusted"):
        command(relay)
    (project / "relay.sh").write_text("one\n")
    assert shipyard("trust-project", "--yes")[0] == 0
    assert command(relay) == "sh relay.sh n1"
    (project / "relay.sh").write_text("two\n")
    with pytest.raises(NotObserved, match="is new, or was changed"):
        command(relay)
    (project / "relay.sh").write_text("one\n")
    with pytest.raises(NotObserved, match="is new, or was changed"):
        command('-o ProxyCommand="sh relay.sh %h more"')
    config = project / "ssh.cfg"
    config.write_text(f"Include {project}/more.cfg\n")
    (project / "more.cfg").write_text("ProxyCommand relay %h\n")
    with pytest.raises(NotObserved, match="is new, or was changed"):
        command(f"-F {config}")
    assert shipyard("trust-project", "--yes")[0] == 0
    assert command(f"-F {config}") == "relay n1"
    (project / "more.cfg").write_text("ProxyCommand other %h\n")
    with pytest.raises(NotObserved, match="is new, or was changed"):
        command(f"-F {config}")


def test_what_can_not_be_read_is_left_out_and_said(project: Path, shipyard: Said) -> None:
    (project / "inventory" / "hosts").write_text("[broken\n")
    program(project / "inventory" / "hosts.sh", SCRIPT % 1)
    code, out, err = shipyard("trust-project", "--yes")
    assert code == 0
    assert "what the inventory names is left out: " in err
    assert "with its 1 programs" in out
    (project / "site.yml").write_text("- x-shipyard: {command: [a]}\n")
    (project / "inventory" / "hosts").unlink()
    code, _, err = shipyard("trust-project", "--yes")
    assert (code, "what" in err, "site.yml names is left out" in err) == (0, True, True)
    assert shipyard("trust-project", "missing.yml", "--yes")[0] == 1


def test_a_folder_that_an_older_shipyard_trusted_is_asked_about_again(project: Path, tmp_path: Path) -> None:
    register = tmp_path / "state" / "shipyard" / "trusted"
    register.parent.mkdir(parents=True)
    register.write_text(f"{project}\n/another folder\n")
    assert trust_of(project) == Trust(project)
    assert not trust_of(project).allows(("anything",))


def test_other_folders_stay_as_they_were(
    project: Path, tmp_path: Path, shipyard: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(project / "inventory" / "hosts.sh", SCRIPT % 1)
    assert shipyard("trust-project", "--yes")[0] == 0
    other = tmp_path / "an other"
    other.mkdir()
    (other / "shipyard.toml").write_text('fence = ["off"]\n')
    monkeypatch.chdir(other)
    assert shipyard("trust-project", "--yes")[0] == 0
    assert trust_of(other).allows(("off",))
    assert trust_of(project).allows((f"{project}/inventory/hosts.sh",))
    assert not trust_of(project).allows(("off",))
    assert not trust_of(tmp_path).allows(("off",))


def test_words_can_not_be_taken_for_others(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    told = [("x", "y"), ("xy",), ("x", "y", ""), ("x", "a"), ("./a",), ("a",), ("x", "./a"), ("x", "/etc/hostname")]
    assert len({fingerprint(words, tmp_path) for words in told}) == len(told)
    outside = tmp_path / "outside"
    (tmp_path / "root").mkdir()
    outside.write_text("one")
    before = fingerprint((str(outside),), tmp_path / "root"), fingerprint(("sh", str(outside)), tmp_path / "root")
    outside.write_text("two")
    after = fingerprint((str(outside),), tmp_path / "root"), fingerprint(("sh", str(outside)), tmp_path / "root")
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)
