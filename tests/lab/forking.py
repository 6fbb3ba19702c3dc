"""Runs the program many times, each time as a process of its own, forked from one that has imported all of it.

What such a process does is what `python -m shipyard` does: it has its own arguments, folder, environment and standard
streams, and ends as a program ends. Only the imports are not done again, which were most of its work: with hundreds of
runs that is a third of what all lab tests take. How the program starts by itself is tested without a lab.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

_REQUEST = 1 << 18
"""Bytes of the longest: the words of a command line and its environment."""


def kept() -> dict[str, str]:
    """What programs need of the environment of whoever runs the tests: no agent, no settings, no home."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


class Program:
    """The process to fork from, and what asks it to. Any thread may."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
                env={**kept(), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """End it: it hears that nobody is there to ask."""
        self._ours.close()
        self._parent.wait()

    def run(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], input: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run it to the end. Raises TimeoutExpired after so many seconds; the process is killed then."""
        (stdin, entered), (printed, stdout), (complained, stderr) = os.pipe(), os.pipe(), os.pipe()
        answer, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answer, ThreadPoolExecutor(3) as pool:
            said = json.dumps([list(argv), str(cwd), dict(env)]).encode()
            socket.send_fds(self._ours, [said], [stdin, stdout, stderr, asked.fileno()])
            asked.close()
            for each in (stdin, stdout, stderr):
                os.close(each)
            pool.submit(_enter, entered, input)
            output, errors = pool.submit(_read, printed), pool.submit(_read, complained)
            answer.settimeout(timeout)
            try:
                code = answer.recv(100)
            except TimeoutError:
                answer.shutdown(socket.SHUT_RDWR)  # it kills what it runs for us
                raise subprocess.TimeoutExpired(list(argv), timeout, output.result(), errors.result()) from None
            return subprocess.CompletedProcess(list(argv), int(code), output.result(), errors.result())


def _enter(descriptor: int, text: str) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def _read(descriptor: int) -> str:
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        return stream.read()


@cache
def program() -> Program:
    """One for all tests of this process."""
    made = Program()
    atexit.register(made.close)
    return made


def _serve(requests: socket.socket) -> None:
    """Returns only in a process that was asked for, which is to be the program then."""
    programs: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor of the process: its id, and who asked
    waiting = select.poll()
    waiting.register(requests, select.POLLIN)
    while True:
        ready = waiting.poll()[0][0]  # one at a time: what is done about it may be about the next, too
        if ready in programs:
            pid, answer = programs.pop(ready)
            waiting.unregister(ready)
            with suppress(KeyError):
                waiting.unregister(answer)
            _, status = os.waitpid(pid, 0)
            with answer, suppress(BrokenPipeError):
                answer.send(str(os.waitstatus_to_exitcode(status)).encode())
            os.close(ready)
        elif ready == requests.fileno():
            said, descriptors, _, _ = socket.recv_fds(requests, _REQUEST, 4)
            if not said:
                os._exit(0)
            *streams, asked = descriptors
            pid = os.fork()
            if pid == 0:
                for process, (_, answer) in programs.items():
                    os.close(process)
                    answer.close()
                requests.close()
                os.close(asked)
                return _become(json.loads(said), streams)
            for each in streams:
                os.close(each)
            process = os.pidfd_open(pid)
            programs[process] = (pid, socket.socket(fileno=asked))
            waiting.register(process, select.POLLIN)
            waiting.register(asked, select.POLLIN)
        else:  # who asked wants to know no more
            waiting.unregister(ready)
            process = next(process for process, (_, answer) in programs.items() if answer.fileno() == ready)
            signal.pidfd_send_signal(process, signal.SIGKILL)


def _become(said: tuple[list[str], str, dict[str, str]], streams: Sequence[int]) -> None:
    argv, folder, environment = said
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = argv
    sys.stdin, sys.stdout, sys.stderr = _text(0, "r"), _text(1, "w"), _text(2, "w")


def _text(descriptor: int, mode: str) -> io.TextIOWrapper:
    stream: IO[bytes] = os.fdopen(descriptor, f"{mode}b")
    complains = descriptor == 2
    return io.TextIOWrapper(stream, "utf-8", "backslashreplace" if complains else "strict", line_buffering=complains)


def _import_everything() -> None:
    import shipyard

    for each in pkgutil.walk_packages(shipyard.__path__, "shipyard."):
        if not each.name.startswith(("shipyard.__main__", "shipyard.store.migrations.")):
            import_module(each.name)


if __name__ == "__main__":
    _import_everything()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from shipyard.cli.main import main

    main()
