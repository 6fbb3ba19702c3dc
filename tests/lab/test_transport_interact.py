"""A command on a node with a terminal of one's own, and with pipes; each in a process of its own, as `exec` is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.sshd import Sshd, User, make_key, temporary_user

CHILD = """
import json, sys
from pathlib import Path
from shipyard.model.inventory import Become, Connection
from shipyard.transport.fleet import Fleet, SshOptions
said = json.loads(sys.argv[1])
become = Become(**said["become"]) if said["become"] else None
host = Connection(address="127.0.0.1", port=said["port"], user=said["user"], key_file=said["key"], become=become)
home = Path(said["home"])
with Fleet({"node1": host}, options=SshOptions(home=home, system_config=home / "nothing")) as fleet:
    sys.exit(fleet.open("node1").interact(tuple(said["argv"]), tty=said["tty"]))
"""


class Place:
    """An sshd and a user."""

    def __init__(self, folder: Path, user: User) -> None:
        self.user = user
        self._key = make_key(folder / "key")
        (user.home / "authorized").write_text(self._key.with_suffix(".pub").read_text())
        self.sshd = Sshd(folder / "sshd", user.home / "authorized")
        (folder / ".ssh").mkdir()
        (folder / ".ssh" / "known_hosts").write_text(self.sshd.known())
        self._folder = folder

    def command(self, *argv: str, tty: bool, become: dict[str, str] | None = None) -> list[str]:
        said = {
            "port": self.sshd.port,
            "user": self.user.name,
            "key": str(self._key),
            "home": str(self._folder),
            "argv": argv,
            "tty": tty,
            "become": become,
        }
        return [sys.executable, "-c", CHILD, json.dumps(said)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with temporary_user() as user:
        place = Place(tmp_path_factory.mktemp("interact"), user)
        yield place
        place.sshd.stop()


class Terminal:
    """A pseudo-terminal with a process in it."""

    def __init__(self, command: list[str], rows: int, columns: int) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm"},
        )
        self._theirs = theirs
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def see(self, text: bytes, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while text not in self.shown:
            readable, _, _ = select.select([self._ours], [], [], max(0.0, until - time.monotonic()))
            assert readable, f"{text!r} not in {self.shown!r}"
            with contextlib.suppress(OSError):
                self.shown += os.read(self._ours, 65536)

    def end(self) -> int:
        status = self.process.wait(20)
        self.after = termios.tcgetattr(self._theirs)
        os.close(self._ours)
        os.close(self._theirs)
        return status


def test_a_terminal_with_its_size_its_keys_and_the_status(place: Place) -> None:
    script = """
        trap "stty size" WINCH
        stty size; echo "term $TERM"
        read -r line; echo "[$line]"
        sleep 9 & wait $!
        exec cat
    """
    terminal = Terminal(place.command("sh", "-c", script, tty=True), 33, 101)
    terminal.see(b"33 101")
    terminal.see(b"term xterm")
    terminal.type(b'it\'s "me" $HOME\r')
    terminal.see(b'[it\'s "me" $HOME]')
    terminal.resize(40, 120)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    terminal.see(b"40 120")
    terminal.type(b"\x03")  # reaches the node's terminal, and not this process
    assert terminal.end() == 130
    assert terminal.after == terminal.before
    assert b"shipyard" not in terminal.shown


def test_what_is_typed_before_the_command_runs_reaches_it(place: Place) -> None:
    terminal = Terminal(place.command("sh", "-c", 'read -r line; echo "[$line]"', tty=True), 24, 80)
    terminal.type(b"ahead\r")
    terminal.see(b"[ahead]")
    assert terminal.end() == 0


def test_a_terminal_behind_sudo_shows_no_password(place: Place) -> None:
    rule = Path("/etc/sudoers.d") / place.user.name
    rule.write_text(f"{place.user.name} ALL=(ALL) ALL\n")
    rule.chmod(0o440)
    try:
        become = {"user": "root", "password": place.user.password}
        terminal = Terminal(place.command("sh", "-c", "id -un; read -r x; exit 7", tty=True, become=become), 24, 80)
        terminal.see(b"root")
        terminal.type(b"\r")
        assert terminal.end() == 7
        assert place.user.password.encode() not in terminal.shown
        assert b"shipyard" not in terminal.shown
    finally:
        rule.unlink()


def test_pipes_carry_every_byte_both_ways_without_blocking(place: Place) -> None:
    data = bytes(range(256)) * 40_000
    done = subprocess.run(
        place.command("sh", "-c", "cat; echo done >&2; exit 3", tty=False),
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == data
    assert done.stderr == b"done\n"


def test_a_regular_file_as_input(place: Place, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"from a file")
    with (tmp_path / "input").open("rb") as file:
        done = subprocess.run(place.command("cat", tty=False), stdin=file, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"from a file")
