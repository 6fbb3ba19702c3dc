"""Who this process is, and whether another one is surely dead: what a lease needs to be taken over at once.

A process id alone says little: ids are used again, containers of one machine have ids of their own, and another
machine has the same ones. Where anything is unclear the answer is "not surely dead", and the lease's time decides.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from shipyard.base.record import Struct

PROC = Path("/proc")


class Process(Struct, frozen=True):
    """`host`: names one boot of one machine and one space of process ids. `started`: the kernel's mark of its start."""

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """This one."""
    pid = os.getpid()
    return Process(_host(), pid, _stat(pid)[1])


def surely_dead(process: Process) -> bool:
    """True only for a process of this machine, in this boot, that no longer exists."""
    if process.host != _host():
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it exists, and belongs to somebody else
    state, started = _stat(process.pid)
    if state in ("Z", "X"):
        return True  # killed, and its parent has not looked yet
    return bool(started) and bool(process.started) and started != process.started


def _host() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _stat(pid: int) -> tuple[str, str]:
    """State letter and start time; empty where the kernel does not show them."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return "", ""
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return fields[0], fields[19]
