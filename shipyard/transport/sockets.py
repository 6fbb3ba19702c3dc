"""The byte streams under ssh: TCP, a jump host's channel, a ProxyCommand.

They are made for many connections in one process: nothing polls (reads block until data comes or another thread
closes the stream), reads are taken in large pieces, and TCP neither delays small packets nor their acknowledgements,
which costs two stalls of 40 ms a connection otherwise.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
from typing import Protocol

from shipyard.base import clock

STALL = 30
"""Seconds that a peer may refuse to take data before the connection counts as broken."""

_READ_SIZE = 32 * 1024


class Raw(Protocol):
    """What carries the bytes: a socket, or a channel of paramiko."""

    def recv(self, size: int, /) -> bytes:
        """Some bytes; none at the end."""
        ...

    def send(self, data: bytes, /) -> int:
        """How many of them were taken."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Stream:
    """A socket as paramiko wants one (`recv`, `send`, `close`, `settimeout`, `_closed`), over any of the carriers."""

    def __init__(self, raw: Raw, process: subprocess.Popen[bytes] | None = None) -> None:
        self._raw = raw
        self._process = process
        self._buffer = b""
        self._position = 0
        self._closed = False
        self._tcp = isinstance(raw, socket.socket) and raw.family in {socket.AF_INET, socket.AF_INET6}

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; blocks until there are some or the stream is closed."""
        if self._position >= len(self._buffer):
            self._buffer, self._position = self._fill(), 0
        piece = self._buffer[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def send(self, data: bytes) -> int:
        """At least one byte, or OSError when the peer has taken none for too long."""
        try:
            return self._raw.send(data)
        except (BlockingIOError, TimeoutError):
            # not EAGAIN: paramiko would try again for ever
            raise ConnectionAbortedError(f"the peer has taken no data for {STALL} s") from None

    def settimeout(self, seconds: float | None) -> None:
        """Ignored: paramiko asks for 0.1 s to notice that it was closed; closing wakes the reader here."""

    def close(self) -> None:
        """Close, and wake who reads."""
        if self._closed:
            return
        self._closed = True
        if isinstance(self._raw, socket.socket):
            with contextlib.suppress(OSError):
                self._raw.shutdown(socket.SHUT_RDWR)
        self._raw.close()
        if self._process is not None:
            _end(self._process)

    def _fill(self) -> bytes:
        while True:
            try:
                data = self._raw.recv(_READ_SIZE)
                break
            except TimeoutError:  # a jump host's channel has one timeout for reading and writing
                if self._closed:
                    return b""
        if self._tcp and isinstance(self._raw, socket.socket):
            with contextlib.suppress(OSError):
                self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def dial(host: str, port: int, timeout: float, family: int = socket.AF_UNSPEC, bind: str | None = None) -> Stream:
    """Connect by TCP, trying each address of the name within `timeout` seconds all together. Raises OSError.

    `bind`: this machine's address to come from, or a name of it.
    """
    deadline = clock.monotonic() + timeout
    addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    problem = OSError(f"{host} has no address")
    for index, (kind, type_, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(kind, type_, protocol)
        try:
            share = (deadline - clock.monotonic()) / (len(addresses) - index)
            sock.settimeout(max(0.05, share))
            if bind is not None:
                sock.bind(socket.getaddrinfo(bind, None, kind, type_, 0, socket.AI_PASSIVE)[0][4])
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return Stream(_prepared(sock))
    raise problem


def by_command(command: str) -> Stream:
    """Start a ProxyCommand in the user's shell, as ssh does; its standard input and output are the connection."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [shell, "-c", "exec " + command], stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True
        )
    _limit_sending(ours)
    return Stream(ours, process)


def _prepared(sock: socket.socket) -> socket.socket:
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A node that vanished is noticed while nothing is sent too (`logs -f`), without a thread that keeps time.
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    _limit_sending(sock)
    return sock


def _limit_sending(sock: socket.socket) -> None:
    """Only of sending: Python's own timeout would make reading poll."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", STALL, 0))


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
