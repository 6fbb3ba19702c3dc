"""What a connection to a node can do, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shipyard.base.record import Struct

MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes a node may say in one answer."""


class Completed(Struct, frozen=True):
    """A command that ended. `status`: its exit status (128+n for a signal)."""

    status: int
    stdout: bytes
    stderr: bytes


class Wire(Protocol):
    """Bytes to and from a port on the node's side: a socket, or an ssh channel, which looks like one."""

    def settimeout(self, seconds: float | None, /) -> None: ...

    def recv(self, size: int, /) -> bytes:
        """Some bytes, none at the end. Raises OSError."""
        ...

    def sendall(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...


class NodeConnection(Protocol):
    """One open connection to one node. Not for use by two threads at once.

    All methods raise NodeError's children: Unreachable (the connection could not be made, or broke before the
    command was started), SudoFailed, TimedOut, Truncated (more than `max_bytes`, or it broke during the answer).
    """

    node: str

    def run(self, script: bytes, *, timeout: float, max_bytes: int = MAX_OUTPUT) -> Completed:
        """Run `sh` with this script, by `become` where the host has it. The script goes over standard input only:

        it is in no argv. A script cut short on the way is not run at all. The script's own standard input is empty.
        """
        ...

    def stream(self, script: bytes, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> int:
        """Run a script and hand over its output as it comes, until it ends; returns the exit status (for `logs -f`)."""
        ...

    def interact(self, argv: tuple[str, ...], *, tty: bool) -> int:
        """Run a command with this process's own terminal (or pipes) attached (for `exec`); returns the exit status."""
        ...

    def reach(self, address: str, port: int, *, timeout: float) -> Wire:
        """Connect by TCP as the node itself would. Several threads may ask at once, once the connection is open.

        Raises OSError with words where nobody listens there; NotObserved where this connection can't be asked.
        """
        ...

    def close(self) -> None:
        """Close at once; harmless when closed."""
        ...
