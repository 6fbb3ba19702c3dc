"""sudo with real sudoers, over ssh: the password reaches sudo alone, and only when it asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base.errors import NodeError, SudoFailed, TimedOut
from shipyard.base.record import replace
from shipyard.model.inventory import Become, Connection
from shipyard.transport.connection import Completed
from shipyard.transport.fleet import Fleet, SshOptions
from tests.lab.sshd import Sshd, User, eventually, make_key, running


class Place:
    """An sshd, a user, and what sudoers says about that user."""

    def __init__(self, folder: Path, user: User) -> None:
        self.user = user
        key = make_key(folder / "key")
        authorized = user.home / "authorized"
        authorized.write_text(key.with_suffix(".pub").read_text())
        self.sshd = Sshd(folder / "sshd", authorized)
        (folder / ".ssh").mkdir()
        (folder / ".ssh" / "known_hosts").write_text(self.sshd.known())
        self._options = SshOptions(home=folder, system_config=folder / "nothing")
        self._host = Connection(address="127.0.0.1", port=self.sshd.port, user=user.name, key_file=str(key), timeout=5)
        self._rule = Path("/etc/sudoers.d") / user.name

    def allow(self, rule: str) -> None:
        self.forbid()
        text = f"Defaults:{self.user.name} timestamp_timeout=0\n{rule.format(user=self.user.name)}\n"
        self._rule.write_text(text)
        self._rule.chmod(0o440)

    def forbid(self) -> None:
        self._rule.unlink(missing_ok=True)

    def run(self, script: bytes, become: Become, timeout: float = 20) -> Completed | NodeError:
        with Fleet({"node1": replace(self._host, become=become)}, options=self._options) as fleet:
            return fleet.each(["node1"], lambda node: node.run(script, timeout=timeout))["node1"]


@pytest.fixture
def place(tmp_path: Path, user: User) -> Iterator[Place]:
    place = Place(tmp_path, user)
    yield place
    place.forbid()
    place.sshd.stop()


ASKS = "{user} ALL=(ALL) ALL"
NEVER_ASKS = "{user} ALL=(ALL) NOPASSWD: ALL"
WHO = b"id -un; pwd; cat; echo $HOME"


def test_the_right_password(place: Place) -> None:
    place.allow(ASKS)
    done = place.run(WHO, Become(password=place.user.password))
    assert done == Completed(0, b"root\n/root\n/root\n", b"")


@pytest.mark.parametrize("rule", [NEVER_ASKS, ASKS])
def test_the_password_is_read_by_nothing_but_sudo(place: Place, rule: str) -> None:
    place.allow(rule)
    secret = place.user.password.encode()
    done = place.run(
        b"set; cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline", Become(password=secret.decode())
    )
    assert isinstance(done, Completed)
    assert done.status == 0
    assert secret not in done.stdout + done.stderr
    assert b"not found" not in done.stderr


def test_without_a_password_where_none_is_asked(place: Place) -> None:
    place.allow(NEVER_ASKS)
    assert place.run(WHO, Become()) == Completed(0, b"root\n/root\n/root\n", b"")


def test_a_wrong_password_fails_after_one_try(place: Place) -> None:
    place.allow(ASKS)
    error = place.run(b"touch ~/ran", Become(password="not it"))
    assert isinstance(error, SudoFailed)
    assert "did not accept the password" in error.message
    assert "not it" not in str(error)
    assert not (place.user.home / "ran").exists()
    assert not Path("/root/ran").exists()


def test_a_missing_password_names_the_variable(place: Place) -> None:
    place.allow(ASKS)
    error = place.run(b"true", Become())
    assert isinstance(error, SudoFailed)
    assert "a password is required" in error.message
    assert "ansible_become_password" in str(error)


def test_a_user_that_sudoers_does_not_know(place: Place) -> None:
    place.forbid()
    error = place.run(b"true", Become(password=place.user.password))
    assert isinstance(error, SudoFailed)
    assert "sudoers" in error.message


def test_requiretty_is_named(place: Place) -> None:
    place.allow("Defaults:{user} requiretty\n" + NEVER_ASKS)
    error = place.run(b"true", Become())
    assert isinstance(error, SudoFailed)
    assert "requiretty" in str(error)


def test_another_user_than_root(place: Place) -> None:
    place.allow(ASKS)
    done = place.run(b"id -un; pwd", Become("nobody", place.user.password))
    assert done == Completed(0, b"nobody\n/\n", b"")


def test_ones_own_user_needs_no_sudo(place: Place) -> None:
    place.forbid()
    done = place.run(b"id -un", Become(place.user.name))
    assert done == Completed(0, place.user.name.encode() + b"\n", b"")


def test_a_hanging_command_of_root_is_stopped(place: Place) -> None:
    place.allow(ASKS)
    error = place.run(b"sleep 4720 & sleep 4721", Become(password=place.user.password), timeout=3)
    assert isinstance(error, TimedOut)
    assert eventually(lambda: not running("sleep 4720") and not running("sleep 4721"))


def test_a_terminal_that_sudo_makes_for_itself_changes_nothing(place: Place) -> None:
    place.allow("Defaults:{user} use_pty\n" + ASKS)
    become = Become(password=place.user.password)
    assert place.run(b"id -un; cat; exit 3", become) == Completed(3, b"root\n", b"")
    assert isinstance(place.run(b"sleep 4722", become, timeout=3), TimedOut)
    assert eventually(lambda: not running("sleep 4722"))


def test_a_failing_script_is_no_failure_of_sudo(place: Place) -> None:
    place.allow(NEVER_ASKS)
    assert place.run(b"echo sudo: no >&2; exit 1", Become()) == Completed(1, b"", b"sudo: no\n")
