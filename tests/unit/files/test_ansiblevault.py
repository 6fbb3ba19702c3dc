"""What ansible-vault encrypted: opened by the right password, and said in plain words by none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError, FileError
from shipyard.base.trust import NOTHING, Trust
from shipyard.files.ansiblevault import Identity, Keys, identities
from shipyard.files.config import Options, load_settings
from shipyard.files.inventory import connection_of, load
from tests.vaulted import encrypted, value

ANSIBLES = """\
$ANSIBLE_VAULT;1.2;AES256;prod
37626263643065623564386539306462323237393466306436353963346539353364356534393565
3836376438636364313361613837386636663236653533610a653864613336383464616165383034
37353665623564373764316133396663613533663266616431353634336265393133623266386230
3339376666613232610a386365386363383630656334343136373838373565616438313133366336
6336
"""
"""`plain 2`, by `ansible-vault encrypt_string` of ansible-core 2.19 with the password `secret2`."""


def keys(folder: Path, *said: str, trusted: bool = False, **options: object) -> Keys:
    named = identities(said, folder, "--vault-id")
    return Keys(
        named, environ={"PATH": "/usr/bin:/bin"}, root=folder, trusted=Trust.all() if trusted else NOTHING, **options
    )  # type: ignore[arg-type]  # what a case says


def passwords(folder: Path, **files: str) -> None:
    for name, password in files.items():
        (folder / name).write_text(password + "\n")


def program(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def said(folder: Path, text: str, *named: str, **options: object) -> str:
    with pytest.raises(FileError) as caught:
        keys(folder, *named, **options).plain(text.encode(), "group_vars/web.yml")
    return str(caught.value)


def test_what_ansible_encrypted_is_opened(tmp_path: Path) -> None:
    passwords(tmp_path, pw="secret2")
    assert keys(tmp_path, "prod@pw").plain(ANSIBLES.encode(), "f") == b"plain 2"
    assert keys(tmp_path, "pw").plain(ANSIBLES.replace("\n", "\r\n").encode(), "f") == b"plain 2"


@pytest.mark.parametrize("content", [b"", b"x" * 15, b"x" * 16, "a: é\n".encode(), bytes(range(256)) * 40])
def test_any_content_is_opened(tmp_path: Path, content: bytes) -> None:
    passwords(tmp_path, pw="secret")
    assert keys(tmp_path, "pw").plain(encrypted(content).encode(), "f") == content


def test_what_is_not_encrypted_is_as_it_is_and_needs_no_password(tmp_path: Path) -> None:
    assert keys(tmp_path, "missing").plain(b"a: 1\n", "f") == b"a: 1\n"


def test_the_label_says_which_password_is_tried_first_and_all_are_tried(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return {"Vault password (dev)": "d", "Vault password (prod)": "p"}[question]

    both = keys(tmp_path, "dev@prompt", "prod@prompt", ask=ask)
    assert both.plain(encrypted("a", "p", "prod").encode(), "f") == b"a"
    assert asked == ["Vault password (prod)"]
    assert both.plain(encrypted("b", "d", "other").encode(), "f") == b"b"
    assert both.plain(encrypted("c", "p", "dev").encode(), "f") == b"c"
    assert asked == ["Vault password (prod)", "Vault password (dev)"]


NO_PASSWORD = "group_vars/web.yml:1: is encrypted with ansible-vault{}, and no vault password was given\n  hint: {}, "


def test_no_password_at_all_says_how_to_give_one(tmp_path: Path) -> None:
    assert said(tmp_path, encrypted("a")).startswith(NO_PASSWORD.format("", "--vault-id FILE"))
    assert said(tmp_path, ANSIBLES).startswith(NO_PASSWORD.format(" (vault id prod)", "--vault-id prod@FILE"))
    assert "$ANSIBLE_VAULT_PASSWORD_FILE, or password_file of [vault] in shipyard.toml" in said(tmp_path, ANSIBLES)


def test_a_wrong_password_says_which_were_tried(tmp_path: Path) -> None:
    passwords(tmp_path, pw="hunter2", other="hunter3")
    message = said(tmp_path, ANSIBLES, "dev@pw", "other", "gone")
    assert message.startswith("group_vars/web.yml:1: can't be opened (vault id prod): it was encrypted with another")
    assert f"dev ({tmp_path}/pw; --vault-id), default ({tmp_path}/other; --vault-id), or was changed since" in message
    assert f"not to be had: default ({tmp_path}/gone; --vault-id): can't be read: No such file" in message
    assert "hunter" not in message


def test_a_changed_ciphertext_is_not_opened(tmp_path: Path) -> None:
    passwords(tmp_path, pw="secret2")
    for line in range(1, 6):
        lines = ANSIBLES.splitlines()
        lines[line] = lines[line][:-2] + ("30" if lines[line][-2:] != "30" else "31")
        assert "group_vars/web.yml:1: " in said(tmp_path, "\n".join(lines), "pw")


HEAD = "$ANSIBLE_VAULT;1.1;AES256\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("$ANSIBLE_VAULT;1.3;AES256\n3061\n", 1, "is of ansible-vault's format '1.3'; 1.1 and 1.2 can be read"),
        ("$ANSIBLE_VAULT;1.0;AES\n3061\n", 1, "is of ansible-vault's format '1.0'"),
        ("$ANSIBLE_VAULT;1.1;ROT13\n3061\n", 1, "is encrypted by ansible-vault with 'ROT13'; AES256 can be read"),
        ("$ANSIBLE_VAULT;1.1\n", 1, "is no text of ansible-vault"),
        (HEAD + "3061\n30x1\n", 3, "not all here is hexadecimal"),
        (HEAD + "30 61\n", 2, "not all here is hexadecimal"),
        (HEAD + "306\n", 1, "it is not made of salt, HMAC and ciphertext"),
        (HEAD, 1, "it is not made of salt, HMAC and ciphertext"),
        (HEAD + "61\n", 1, "it is not made of salt, HMAC and ciphertext"),
        (HEAD + b"30\n30\nxx".hex() + "\n", 1, "it is not made of salt, HMAC and ciphertext"),
        (encrypted("fifteen letters", padded=False), 1, "was not encrypted by ansible-vault"),
    ],
)
def test_what_is_damaged(tmp_path: Path, text: str, line: int, message: str) -> None:
    passwords(tmp_path, pw="secret")
    told = said(tmp_path, text, "pw")
    assert told.startswith(f"group_vars/web.yml:{line}: ")
    assert message in told
    assert "hint: put back a copy that is whole, or encrypt it anew" in told


def test_a_password_file_may_be_encrypted_with_a_password_named_before_it(tmp_path: Path) -> None:
    passwords(tmp_path, first="one", second=encrypted("secret2\n", "one"))
    assert keys(tmp_path, "first", "second").plain(ANSIBLES.encode(), "f") == b"plain 2"
    assert "is encrypted itself: is encrypted with ansible-vault" in said(tmp_path, ANSIBLES, "second", "first")


@pytest.mark.parametrize(("content", "why"), [("", "there is no password in it"), ("x" * 70_000, "larger than 64 KiB")])
def test_files_that_hold_no_password(tmp_path: Path, content: str, why: str) -> None:
    passwords(tmp_path, pw=content)
    assert why in said(tmp_path, ANSIBLES, "pw")
    (tmp_path / "folder").mkdir()
    assert "can't be read: Is a directory" in said(tmp_path, ANSIBLES, "folder")


def test_programs_of_the_project_run_only_when_it_is_trusted(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    program(project / "tell", "touch ran; echo secret2\n")
    told = said(project, ANSIBLES, "tell")
    assert "is a program of this project, and those are not run until the project is trusted" in told
    assert not (project / "ran").exists()
    assert keys(project, "tell", trusted=True).plain(ANSIBLES.encode(), "f") == b"plain 2"
    outside = program(tmp_path / "tell", "echo secret2\n")
    assert keys(project, str(outside)).plain(ANSIBLES.encode(), "f") == b"plain 2"
    named_by_the_project = Identity("default", str(outside), "shipyard.toml", own=False)
    with pytest.raises(FileError, match="are not run until the project is trusted"):
        Keys([named_by_the_project], root=project).plain(ANSIBLES.encode(), "f")


def test_client_programs_are_told_the_label(tmp_path: Path) -> None:
    program(tmp_path / "any-client.sh", '[ "$1 $2" = "--vault-id prod" ] || exit 2\necho secret2\n')
    assert keys(tmp_path, "prod@any-client.sh", trusted=True).plain(ANSIBLES.encode(), "f") == b"plain 2"
    told = said(tmp_path, ANSIBLES, "dev@any-client.sh", trusted=True)
    assert "any-client.sh knows no password of this label" in told
    program(tmp_path / "broken", "echo hunter2; echo locked >&2; exit 3\n")
    told = said(tmp_path, ANSIBLES, "broken", trusted=True)
    assert "ended with status 3: locked" in told
    assert "hunter2" not in told


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    assert "there is no terminal to ask on" in said(tmp_path, ANSIBLES, "prod@prompt")
    asked: list[str] = []
    no_answer = keys(tmp_path, "prod@prompt", ask=asked.append)
    for _ in range(2):
        with pytest.raises(FileError, match="no vault password can be had: prod"):
            no_answer.plain(ANSIBLES.encode(), "f")
    assert len(asked) == 1


def inventory(folder: Path) -> None:
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts").write_text("[web]\nh1\n")
    (folder / "group_vars" / "web.yml").write_text(
        "ansible_user: ops\n"
        "ansible_password: " + value("{{ pw }}", "p", "prod") + "ansible_port: " + value("over 22", "p") + "plain: 1\n"
    )


def test_a_value_is_opened_where_it_is_used_and_is_no_template(tmp_path: Path) -> None:
    inventory(tmp_path)
    passwords(tmp_path, pw="p")
    (tmp_path / "group_vars" / "web.yml").write_text("ansible_password: " + value("{{ pw }}", "p") + "b: !vault no\n")
    read = load(["hosts"], cwd=tmp_path, keys=keys(tmp_path, "pw"))
    assert "{{ pw }}" not in repr(read.hosts[0].vars)
    assert connection_of(read, read.hosts[0]).password == "{{ pw }}"


def test_what_is_wrong_with_an_encrypted_value_does_not_say_what_it_is(tmp_path: Path) -> None:
    inventory(tmp_path)
    passwords(tmp_path, pw="p")
    read = load(["hosts"], cwd=tmp_path, keys=keys(tmp_path, "pw"))
    with pytest.raises(FileError, match=r"h1\.ansible_port: what is encrypted there can't be used") as caught:
        connection_of(read, read.hosts[0])
    assert "22" not in str(caught.value)
    variables = (
        "inner: " + value("hunter2", "p") + 'other: 1\nansible_port: "{{ inner }}"\nansible_become: "{{ other }}2"\n'
    )
    (tmp_path / "group_vars" / "web.yml").write_text(variables)
    read = load(["hosts"], cwd=tmp_path, keys=keys(tmp_path, "pw"))
    with pytest.raises(FileError, match=r"h1\.ansible_port: what is encrypted there can't be used"):
        connection_of(read, read.hosts[0])
    (tmp_path / "group_vars" / "web.yml").write_text(variables.replace('_port: "{{ inner }}"', '_user: "{{ inner }}"'))
    read = load(["hosts"], cwd=tmp_path, keys=keys(tmp_path, "pw"))
    with pytest.raises(FileError, match=r"h1\.ansible_become: '12' is neither yes nor no"):
        connection_of(read, read.hosts[0])


def test_a_value_without_a_password_says_where_it_stands_and_who_needs_it(tmp_path: Path) -> None:
    inventory(tmp_path)
    read = load(["hosts"], cwd=tmp_path)
    with pytest.raises(FileError) as caught:
        connection_of(read, read.hosts[0])
    assert str(caught.value).startswith("group_vars/web.yml:")
    assert "h1.ansible_port: is encrypted with ansible-vault, and no vault password was given" in str(caught.value)


def test_a_value_that_is_no_text(tmp_path: Path) -> None:
    passwords(tmp_path, pw="secret")
    with pytest.raises(FileError, match=r"f:7: the encrypted value is no UTF-8 text"):
        keys(tmp_path, "pw").text(encrypted(b"\xff\xfe"), "f", 7)
    with pytest.raises(FileError, match=r"f:7: .*not all here is hexadecimal \(line 2 of the value\)"):
        keys(tmp_path, "pw").text("$ANSIBLE_VAULT;1.1;AES256\nno\n", "f", 7)


def test_passwords_come_in_ansibles_order(tmp_path: Path) -> None:
    (tmp_path / "shipyard.toml").write_text('[vault]\nidentities = ["a@one"]\npassword_file = "two"\n')
    options = Options(vault_id=("b@three", "prompt"), vault_password_file=("four@home",), ask_vault_pass=True)
    found = load_settings(options, {}, tmp_path).vault
    file = str(tmp_path / "shipyard.toml")
    assert found == (
        Identity("a", f"{tmp_path}/one", file, own=False),
        Identity("b", f"{tmp_path}/three", "--vault-id"),
        Identity("default", "prompt", "--vault-id"),
        Identity("default", f"{tmp_path}/four@home", "--vault-password-file"),
        Identity("default", f"{tmp_path}/two", file, own=False),
        Identity("default", "prompt", "--ask-vault-pass"),
    )


def test_ansibles_variables_count_and_shipyards_own_win(tmp_path: Path) -> None:
    environ = {"ANSIBLE_VAULT_PASSWORD_FILE": "~/pw", "ANSIBLE_VAULT_IDENTITY_LIST": "a@one, b@two"}
    found = load_settings(Options(), environ, tmp_path).vault
    home = Path("~").expanduser()
    assert [(each.label, each.source) for each in found] == [
        ("a", f"{tmp_path}/one"),
        ("b", f"{tmp_path}/two"),
        ("default", f"{home}/pw"),
    ]
    assert all(each.own for each in found)
    environ |= {"SHIPYARD_VAULT_PASSWORD_FILE": "mine", "SHIPYARD_VAULT_IDENTITIES": "c@x"}
    found = load_settings(Options(), environ, tmp_path).vault
    assert [(each.label, each.origin) for each in found] == [
        ("c", "$SHIPYARD_VAULT_IDENTITIES"),
        ("default", "$SHIPYARD_VAULT_PASSWORD_FILE"),
    ]


def test_an_identity_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--vault-id: prod@ names no file"):
        load_settings(Options(vault_id=("prod@",)), {}, tmp_path)


@pytest.mark.thorough
def test_what_ansible_vault_encrypts_today_is_opened(tmp_path: Path) -> None:
    passwords(tmp_path, pw="a pass phrase")
    (tmp_path / "file").write_text("a: 1\n" * 100)
    command = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt", "--encrypt-vault-id", "x"]
    subprocess.run([*command, "--vault-id", "x@pw", "file"], cwd=tmp_path, check=True, capture_output=True)
    data = (tmp_path / "file").read_bytes()
    assert data.startswith(b"$ANSIBLE_VAULT;1.2;AES256;x\n")
    assert keys(tmp_path, "pw").plain(data, "f") == b"a: 1\n" * 100
    (tmp_path / "ours").write_text(encrypted("b: 2\n", "a pass phrase", "x"))
    view = [command[0], "view", "--vault-id", "x@pw", "ours"]
    assert subprocess.run(view, cwd=tmp_path, check=True, capture_output=True).stdout.strip() == b"b: 2"
