"""One node's life: boot, what runs in it, power cut. Alive means that its first process holds the lock.

Nothing is found by its name: the lock tells whether there is such a process, its record which one, and a
descriptor of it makes sure that nobody else's is meant by the time it is killed.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import subprocess
from importlib import resources
from pathlib import Path

from shipyard.base.clock import monotonic, sleep
from shipyard.base.errors import LabError
from shipyard.base.record import Struct
from shipyard.base.text import tail
from shipyard.lab import cgroups
from shipyard.lab.command import SYSTEM_PATH
from shipyard.lab.layout import Runtime

BOOT_TIMEOUT = 60.0
_DYING = 5.0
"""Seconds that the kernel may need to end everything in a node."""
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
_ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@"'
"""Moves itself into the cgroups given before `--`, then becomes the command after it."""
_ENVIRONMENT = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8"}


class Node(Struct, frozen=True):
    """One node of a lab. `number`: from 1. `disk`: its folder on this machine."""

    lab: str
    name: str
    number: int
    address: str
    runtime: Runtime
    disk: Path

    def pid(self) -> int | None:
        """This machine's pid of the node's first process; None when the node has no power."""
        deadline = monotonic() + BOOT_TIMEOUT
        while _is_held(self.disk / "alive"):
            try:
                return int((self.disk / "pid").read_text())
            except (FileNotFoundError, ValueError):
                # Being started by someone who was interrupted: it says its pid first of all.
                if monotonic() > deadline:
                    raise LabError(f"{self.name}: has not said its process id; see {self.disk / 'boot.log'}") from None
                sleep(0.01)
        return None

    def boot(self) -> int:
        """Power on; returns the first process's pid. The network comes with the cable, and then `wait_ready`."""
        pid = self.pid()
        if pid is not None:
            return pid
        (self.disk / "pid").unlink(missing_ok=True)
        entrances = cgroups.make(self.lab, self.name)
        (self.disk / "cgroups").write_text(cgroups.table(self.lab, self.name))
        self._launch([str(folder / "cgroup.procs") for folder in entrances])
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self.name}: did not boot: {_words(self.disk / 'boot.log')}")
        return pid

    def _launch(self, procs: list[str]) -> None:
        scripts = resources.files("shipyard.lab")
        (self.disk / "boot.sh").write_text(scripts.joinpath("node.sh").read_text())
        (self.disk / "usr/sbin/lab-init").write_text(scripts.joinpath("init.sh").read_text())
        node = ["sh", str(self.disk / "boot.sh"), str(self.disk), self.name, self.runtime]
        argv = [
            "setsid",
            "--fork",
            "sh",
            "-ec",
            _ENTER,
            "enter",
            *procs,
            "--",
            "unshare",
            *_NAMESPACES,
            "--fork",
            *node,
        ]
        with (self.disk / "alive").open("a") as lock, (self.disk / "boot.log").open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Handed on as standard input: the lock is free again when the node's first process is gone.
            subprocess.run(argv, stdin=lock, stdout=log, stderr=log, env=_ENVIRONMENT, check=True)

    def wait_ready(self) -> None:
        """Until it answers as a server does: sshd, and docker's daemon where it has one. Raises LabError."""
        deadline = monotonic() + BOOT_TIMEOUT
        while not self._ready():
            pid = self.pid()
            if pid is None or monotonic() > deadline:
                what = "stopped while booting" if pid is None else f"was not ready within {BOOT_TIMEOUT:.0f} s"
                logs = [self.disk / "boot.log", *sorted((self.disk / "root/var/log").glob("*.log"))]
                words = "\n".join(text for log in logs if (text := _words(log)))
                raise LabError(f"{self.name}: {what}: {words}", hint=f"its disk is {self.disk}")
            sleep(0.02)

    def _ready(self) -> bool:
        pid = self.pid()
        if pid is None or not _listens(pid, 22):
            return False
        return self.runtime != "docker" or _docker_answers(f"/proc/{pid}/root/run/docker.sock")

    def is_gone(self, pid: int) -> bool:
        """Whether the node that ran as `pid` has no power any more. A process that was killed needs a moment to die."""
        deadline = monotonic() + _DYING
        while self.pid() == pid:
            if monotonic() > deadline:
                return False
            sleep(0.02)
        return True

    def command(self, argv: tuple[str, ...]) -> list[str]:
        """The command line that runs `argv` inside the node, as root. Raises LabError when it has no power."""
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self.name} is powered off", hint=f"shipyard lab start {self.name}")
        procs = [str(folder / "cgroup.procs") for folder in cgroups.entrances(self.lab, self.name)]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in _ENVIRONMENT.items())]
        return [
            "sh",
            "-ec",
            _ENTER,
            "enter",
            *procs,
            "--",
            "nsenter",
            f"--target={pid}",
            *_NAMESPACES,
            "--root",
            *clean,
            *argv,
        ]

    def kill(self) -> None:
        """Power cut: everything in the node dies at once. Its disk stays as it is. Nothing is done when it is off."""
        pid = self.pid()
        if pid is None:
            return
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            handle = -1
        if handle >= 0:
            try:
                if _is_held(self.disk / "alive"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], BOOT_TIMEOUT)
            finally:
                os.close(handle)
        deadline = monotonic() + BOOT_TIMEOUT
        while _is_held(self.disk / "alive"):
            if monotonic() > deadline:
                raise LabError(f"{self.name}: process {pid} is still there after it was killed")
            sleep(0.005)


def _is_held(path: Path) -> bool:
    """Whether a process holds this lock. Asked with a shared lock, which hinders nobody else who asks."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _listens(pid: int, port: int) -> bool:
    """Whether something in this process's network namespace listens on a TCP port."""
    try:
        table = Path(f"/proc/{pid}/net/tcp").read_text()
    except OSError:
        return False
    rows = (line.split() for line in table.splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _docker_answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def _words(path: Path) -> str:
    try:
        return tail(path.read_text(errors="replace"))
    except OSError:
        return ""
