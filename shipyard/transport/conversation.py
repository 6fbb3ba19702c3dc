"""One command from start to end: the script handed over, sudo answered, the output bounded.

The same for ssh and local: both give a `Process`. The password is sent only when sudo asks for it, so that no
shell can ever read it as a command where sudo does not ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shipyard.base import clock, text
from shipyard.base.errors import NotObserved, SudoFailed, TimedOut, Truncated, Unreachable
from shipyard.base.record import Struct
from shipyard.transport.connection import Completed
from shipyard.transport.program import PROMPT, READY, Program, frame

LINGER = 2.0
"""Seconds to wait for output after the command ended while something it left behind holds its output open."""

_NOISE = 256 * 1024
"""Bytes a login shell may print before the command starts."""


class Chunk(Struct, frozen=True):
    """What arrived on standard output and error. `ended`: nothing more will."""

    stdout: bytes = b""
    stderr: bytes = b""
    ended: bool = False


class Process(Protocol):
    """A command that was started on a node."""

    def send(self, data: bytes, timeout: float) -> None:
        """Give it input. TimeoutError when it does not take it; nothing when it has ended."""
        ...

    def read(self, timeout: float) -> Chunk:
        """Wait until something arrives, at most `timeout` seconds."""
        ...

    def status(self, timeout: float) -> int | None:
        """The exit status; None when there is none (yet)."""
        ...

    def stop(self) -> None:
        """End it and everything it started; harmless when it has ended."""
        ...


class Conversation:
    """Talks to one process. `timeout`: seconds for all of it. `starting`: those until the script runs, at most."""

    def __init__(self, node: str, process: Process, program: Program, *, timeout: float, starting: float) -> None:
        self._node = node
        self._process = process
        self._program = program
        self._timeout = timeout
        now = clock.monotonic()
        self._deadline = now + timeout
        self._start_by = min(self._deadline, now + starting)
        self._early = Early(split=program.split)

    def run(self, script: bytes, max_bytes: int) -> Completed:
        """The whole answer."""
        stdout, stderr = bytearray(), bytearray()
        status = self._guarded(frame(script), _Bounded(self._node, max_bytes, stdout.extend, stderr.extend))
        return Completed(status, bytes(stdout), bytes(stderr))

    def stream(self, script: bytes, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> int:
        """The answer as it comes."""
        return self._guarded(frame(script), _Bounded(self._node, None, on_stdout, on_stderr))

    def begin(self) -> Chunk:
        """For `interact`: until the command has the input; what it said by then."""
        try:
            return self._start(b"")
        except BaseException:
            self._process.stop()
            raise

    def end(self) -> int:
        """The exit status, after the output ended."""
        status = self._process.status(max(0.0, self._deadline - clock.monotonic()))
        if status is None:
            self._check_time(self._deadline)
            raise Truncated(self._node, "the connection broke before the answer ended")
        return status

    def _guarded(self, framed: bytes, sink: _Bounded) -> int:
        try:
            chunk = self._start(framed)
            sink.take(chunk)
            if not chunk.ended:
                self._listen(sink)
            return self.end()
        except BaseException:
            self._process.stop()
            raise

    def _start(self, framed: bytes) -> Chunk:
        """Until the script is read: what of it was already answered."""
        if self._program.password is None:
            self._send(framed)  # no need to wait for an invitation: a round trip less
        while not self._early.ready:
            chunk = self._read(self._start_by)
            self._early.take(chunk)
            if self._early.prompts and self._program.password is not None:
                self._answer(self._early.prompts, self._program.password)
            if chunk.ended and not self._early.ready:
                raise self._not_started()
        if self._program.password is not None:
            self._send(framed)
        return self._early.rest()

    def _answer(self, prompts: int, password: str) -> None:
        if prompts > 1:
            raise SudoFailed(
                self._node,
                f"sudo did not accept the password{self._early.words()}",
                hint="ansible_become_password is that of the login user on this node",
            )
        if "\n" in password:
            raise SudoFailed(self._node, "ansible_become_password holds a line break, which sudo can't read")
        if not self._early.answered:
            self._early.answered = True
            self._send(password.encode() + b"\n")

    def _not_started(self) -> NotObserved | Unreachable:
        status = self._process.status(LINGER)
        words = self._early.words()
        if self._program.sudo:
            ended = "sudo did not run the command" if status is not None else "the connection broke during sudo"
            return SudoFailed(self._node, ended + words, hint=_sudo_hint(words))
        if status is None:
            return Unreachable(self._node, f"the connection broke before the command started{words}")
        return NotObserved(
            self._node,
            f"the login shell ended with status {status} instead of running a command{words}",
            hint="the login user needs a shell and must be allowed to run commands (no ForceCommand, no nologin)",
        )

    def _listen(self, sink: _Bounded) -> None:
        while True:
            left_behind = self._process.status(0) is not None  # seen late at worst: nothing announces it
            chunk = self._process.read(max(0.0, min(LINGER, self._deadline - clock.monotonic())))
            sink.take(chunk)
            if chunk.ended or (left_behind and not chunk.stdout and not chunk.stderr):
                return
            self._check_time(self._deadline)

    def _read(self, deadline: float) -> Chunk:
        chunk = self._process.read(max(0.0, deadline - clock.monotonic()))
        if not (chunk.stdout or chunk.stderr or chunk.ended):
            self._check_time(deadline)
        return chunk

    def _send(self, data: bytes) -> None:
        try:
            self._process.send(data, max(0.01, self._deadline - clock.monotonic()))
        except TimeoutError:
            raise self._timed_out() from None

    def _check_time(self, deadline: float) -> None:
        if clock.monotonic() >= deadline:
            raise self._timed_out()

    def _timed_out(self) -> TimedOut:
        if self._early.ready:
            return TimedOut(self._node, f"the command did not end in {self._timeout:g} s and was stopped")
        waiting = "sudo" if self._program.sudo else "the login shell"
        return TimedOut(self._node, f"{waiting} did not start the command in time{self._early.words()}")


class Early:
    """What a node says before the script starts: noise of the login shell, sudo's questions and complaints.

    `split`: the start is announced on standard error too.
    """

    def __init__(self, *, split: bool) -> None:
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._split = split
        self._ended = False
        self.answered = False

    @property
    def ready(self) -> bool:
        """Whether the node's side said that it reads the script now."""
        return _after_ready(self._stdout) >= 0 and (not self._split or _after_ready(self._stderr) >= 0)

    @property
    def prompts(self) -> int:
        """How often sudo asked for the password (on the terminal, where there is one)."""
        return self._stderr.count(PROMPT) + self._stdout.count(PROMPT)

    def take(self, chunk: Chunk) -> None:
        """More of it; of endless noise only the end is kept."""
        self._stdout += chunk.stdout
        self._stderr += chunk.stderr
        self._ended = chunk.ended
        for noise in (self._stdout, self._stderr):
            if len(noise) > _NOISE and _after_ready(noise) < 0:
                del noise[: len(noise) - _NOISE // 2]

    def rest(self) -> Chunk:
        """What came after the script's start."""
        stderr = self._stderr[_after_ready(self._stderr) :] if self._split else self._stderr.replace(PROMPT, b"")
        return Chunk(bytes(self._stdout[_after_ready(self._stdout) :]), bytes(stderr), self._ended)

    def words(self) -> str:
        """`: ` and what was said, for an error; empty when nothing was."""
        said = bytes(self._stderr + b"\n" + self._stdout).replace(PROMPT, b"").decode(errors="replace")
        line = text.one_line(said)
        return f": {line}" if line else ""


def _after_ready(said: bytearray) -> int:
    """Where the answer begins: behind the line that says so (a terminal ends it with CR LF); -1 before that."""
    found = said.find(READY)
    end = said.find(b"\n", found) if found >= 0 else -1
    return end + 1 if end >= 0 else -1


class _Bounded(Struct):
    """Passes output on until it is more than a node may say."""

    node: str
    left: int | None
    on_stdout: Callable[[bytes], None]
    on_stderr: Callable[[bytes], None]

    def take(self, chunk: Chunk) -> None:
        if self.left is not None:
            self.left -= len(chunk.stdout) + len(chunk.stderr)
            if self.left < 0:
                raise Truncated(self.node, "the answer is longer than a node may say; the command was stopped")
        if chunk.stdout:
            self.on_stdout(chunk.stdout)
        if chunk.stderr:
            self.on_stderr(chunk.stderr)


def _sudo_hint(words: str) -> str:
    if "must have a tty" in words:
        return "sudoers has `requiretty`; add `Defaults:USER !requiretty` for the login user"
    if "password is required" in words or "no password was provided" in words:
        return "give ansible_become_password, or let the login user run sudo without a password (NOPASSWD)"
    if "not found" in words or "No such file" in words:
        return "install sudo on the node, or log in as the user that runs the containers"
    return "the login user must be allowed to run `sudo sh` on this node"
