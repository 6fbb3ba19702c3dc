"""This machine as a node (`ansible_connection: local`): the same semantics without ssh."""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import IO

from shipyard.base import clock
from shipyard.base.errors import NotObserved
from shipyard.model.inventory import Become
from shipyard.transport.connection import MAX_OUTPUT, Completed, Wire
from shipyard.transport.conversation import Chunk, Conversation
from shipyard.transport.program import STOP, Program, attached, script_runner

_STARTING = 60.0
_LONGEST_WAIT = 3600.0
_GRACE = 2.0
"""Seconds between asking a command to end and ending it."""


class LocalConnection:
    """See NodeConnection. `user`: who runs this process, so that sudo is left out where it adds nothing."""

    def __init__(self, node: str, become: Become | None) -> None:
        self.node = node
        self._become = become
        self._user = this_user()

    def open(self) -> None:
        """Nothing to open."""

    def run(self, script: bytes, *, timeout: float, max_bytes: int = MAX_OUTPUT) -> Completed:
        """See NodeConnection."""
        program = script_runner(self._become, self._user)
        with self._started(program) as process:
            return Conversation(self.node, process, program, timeout=timeout, starting=timeout).run(script, max_bytes)

    def stream(self, script: bytes, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> int:
        """See NodeConnection."""
        program = script_runner(self._become, self._user, follow=True)
        with self._started(program) as process:
            talk = Conversation(self.node, process, program, timeout=math.inf, starting=_STARTING)
            return talk.stream(script, on_stdout, on_stderr)

    def interact(self, argv: tuple[str, ...], *, tty: bool) -> int:
        """See NodeConnection. sudo asks on the terminal by itself where it must."""
        program = attached(argv, self._become, self._user)
        if program.sudo:
            argv = ("sudo", "-H", "-u", self._become.user if self._become else "root", "--", *argv)
        try:
            return _shell_status(subprocess.run(argv, check=False).returncode)
        except OSError as error:
            raise NotObserved(self.node, f"can't run {argv[0]}: {error.strerror}") from None

    def reach(self, address: str, port: int, *, timeout: float) -> Wire:
        """See NodeConnection."""
        return socket.create_connection((address, port), timeout)

    def close(self) -> None:
        """Nothing stays open between commands."""

    @contextlib.contextmanager
    def _started(self, program: Program) -> Iterator[LocalProcess]:
        try:
            process = LocalProcess(program)
        except OSError as error:
            raise NotObserved(self.node, f"can't run {program.argv[0]}: {error.strerror}") from None
        try:
            yield process
        finally:
            process.close()


def this_user() -> str:
    """By whose rights this process runs, whatever the environment says."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


class LocalProcess:
    """A command in a process group of its own, as Conversation wants one."""

    def __init__(self, program: Program) -> None:
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(
            program.argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
        )
        if self._popen.stdin is None or self._popen.stdout is None or self._popen.stderr is None:
            raise OSError("no pipes")
        self._stdin: IO[bytes] = self._popen.stdin
        self._outputs = {self._popen.stdout.fileno(): bytearray(), self._popen.stderr.fileno(): bytearray()}
        self._stdout, self._stderr = self._outputs
        self._waiting = bytearray()
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._stdin.fileno(), False)
        for output in self._outputs:
            self._selector.register(output, selectors.EVENT_READ)

    def send(self, data: bytes, timeout: float) -> None:
        """Only queued: `read` writes it, so that two full pipes can't wait for each other."""
        if not self._stdin.closed:
            if not self._waiting:
                self._selector.register(self._stdin, selectors.EVENT_WRITE)
            self._waiting += data

    def read(self, timeout: float) -> Chunk:
        """Waits for output; writes what waits meanwhile."""
        until = clock.monotonic() + min(timeout, _LONGEST_WAIT)
        while True:
            left = until - clock.monotonic()
            for key, _ in self._selector.select(max(0.0, left)):
                if key.fileobj is self._stdin:
                    self._write()
                else:
                    self._take(key.fd)
            open_outputs = [output for output in self._outputs if output in self._selector.get_map()]
            if any(self._outputs.values()) or not open_outputs or left <= 0:
                stdout, stderr = bytes(self._outputs[self._stdout]), bytes(self._outputs[self._stderr])
                for said in self._outputs.values():
                    said.clear()
                return Chunk(stdout, stderr, ended=not open_outputs)

    def status(self, timeout: float) -> int | None:
        """As a shell has it: 128+n for a signal."""
        try:
            return _shell_status(self._popen.wait(min(timeout, _LONGEST_WAIT)))
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Ask the inner shell to end everything, which reaches also what runs as another user; then kill the group."""
        if self._popen.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._stdin.fileno(), STOP)
            if self.status(_GRACE) is None:
                with contextlib.suppress(OSError):
                    os.killpg(self._popen.pid, signal.SIGKILL)
                self.status(_GRACE)
        self.close()

    def close(self) -> None:
        """Close the pipes."""
        self._selector.close()
        for pipe in (self._stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._popen.poll()

    def _write(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._waiting)
        except BlockingIOError:
            return
        except OSError:
            written = len(self._waiting)  # it ended; reading tells how
        del self._waiting[:written]
        if not self._waiting:
            self._selector.unregister(self._stdin)

    def _take(self, output: int) -> None:
        data = os.read(output, 65536)
        if data:
            self._outputs[output] += data
        else:
            self._selector.unregister(output)


def _shell_status(code: int) -> int:
    return 128 - code if code < 0 else code
