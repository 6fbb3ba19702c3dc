"""Real sshds on loopback and a user to log in as, for the transport's tests."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

KEY_TYPES = ("ed25519", "ecdsa", "rsa")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A private key, with its public half beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return path


@functools.cache
def _host_key(role: str, kind: str) -> tuple[bytes, bytes]:
    """Private and public half; the same for all daemons of a role, since making them takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        key = make_key(Path(folder) / role, kind)
        return key.read_bytes(), key.with_suffix(".pub").read_bytes()


def host_public(role: str, kind: str = "ed25519") -> bytes:
    """The public half of a daemon's key, known before it runs. `role`: the name of its folder."""
    return _host_key(role, kind)[1]


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it holds before the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def running(words: str) -> bool:
    """Whether a process has these words as the end of its command line."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if place.read_bytes().rstrip(b"\0").replace(b"\0", b" ").endswith(words.encode()):
                return True
    return False


@dataclass
class User:
    """A login with a password, a home and no more rights than that."""

    name: str
    password: str
    home: Path


@contextlib.contextmanager
def temporary_user(shell: str = "/bin/sh") -> Iterator[User]:
    """Gone afterwards, with its processes."""
    user = User(f"shipyard-{secrets.token_hex(3)}", secrets.token_urlsafe(9), Path("/"))
    subprocess.run(["useradd", "--create-home", "--shell", shell, user.name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{user.name}:{user.password}\n".encode(), check=True)
        user.home = Path("/home") / user.name
        yield user
    finally:
        subprocess.run(["pkill", "-KILL", "-u", user.name], check=False)
        eventually(lambda: subprocess.run(["pgrep", "-u", user.name], check=False, capture_output=True).returncode != 0)
        subprocess.run(["userdel", "--remove", user.name], check=True, capture_output=True)


class Sshd:
    """One daemon with keys of its own. `lines`: of sshd_config, before the defaults."""

    def __init__(self, folder: Path, authorized: Path, *lines: str, port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for kind in KEY_TYPES:
            private, public = _host_key(folder.name, kind)
            (folder / f"host_{kind}").write_bytes(private)
            (folder / f"host_{kind}").chmod(0o600)
            (folder / f"host_{kind}.pub").write_bytes(public)
        config = [
            *lines,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {folder}/host_{kind}" for kind in KEY_TYPES),
            f"AuthorizedKeysFile {authorized}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "LogLevel VERBOSE",
        ]
        (folder / "sshd_config").write_text("".join(line + "\n" for line in config))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        if not eventually(lambda: "Server listening" in self.log()):
            raise RuntimeError(self.log())

    def log(self) -> str:
        """What it wrote until now."""
        return (self.folder / "log").read_text(errors="replace")

    def logins(self) -> int:
        """How many connections were logged in."""
        return self.log().count("Accepted publickey") + self.log().count("Accepted password")

    def known(self, kind: str = "ed25519", *, marker: str = "", name: str = "") -> str:
        """Its line of known_hosts."""
        type_, blob = (self.folder / f"host_{kind}.pub").read_text().split()[:2]
        return f"{marker}{name or f'[127.0.0.1]:{self.port}'} {type_} {blob}\n"

    def stop(self) -> None:
        """End it with all its sessions' daemons."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.terminate()
        self._process.wait(10)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


class Cable:
    """A TCP relay to a port that can be pulled out, or just stop passing anything on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._passing = threading.Event()
        self._passing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._passing.clear()

    def cut(self) -> None:
        """Close every connection."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take it away."""
        self._listener.close()
        self._passing.set()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(65536):
                self._passing.wait()
                sink.sendall(data)
