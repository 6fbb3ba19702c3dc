"""This process's own terminal (or pipes) attached to a command on a node."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import sys
import termios
import threading
import tty as tty_modes
from collections.abc import Iterator

import paramiko

from shipyard.transport.conversation import Chunk, Conversation, Process

_BLOCKED = 0.05
"""Seconds between looks whether the other side takes input again, while it does not."""


def size() -> tuple[int, int]:
    """Columns and rows of the terminal itself: COLUMNS and LINES of the environment don't follow a resize."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            columns, rows = os.get_terminal_size(stream.fileno())
            if columns and rows:
                return columns, rows
    columns, rows = shutil.get_terminal_size()
    return columns, rows


def attach(talk: Conversation, process: Process, channel: paramiko.Channel, *, tty: bool) -> int:
    """Pass everything on in both directions until the command ends; its exit status."""
    begun = talk.begin()
    with contextlib.ExitStack() as stack:
        if tty and sys.stdin.isatty():
            stack.enter_context(_raw(sys.stdin.fileno()))
        if tty:
            stack.enter_context(_resizing(channel))
        _show(begun)  # not before keys go to the node: who sees a question answers it
        _pump(process, channel)
    return talk.end()


def _pump(process: Process, channel: paramiko.Channel) -> None:
    typed = _input()
    waiting = b""
    with selectors.PollSelector() as ready:  # epoll takes no regular files
        ready.register(channel.fileno(), selectors.EVENT_READ)
        while True:
            # Never wait for room alone: a command that echoes its input would wait for us to read.
            listening = typed is not None and not waiting
            if listening and typed is not None:
                ready.register(typed, selectors.EVENT_READ)
            events = ready.select(_BLOCKED if waiting else None)
            if listening and typed is not None:
                ready.unregister(typed)
            chunk = process.read(0)
            _show(chunk)
            if chunk.ended:
                return
            if typed is not None and any(key.fd == typed for key, _ in events):
                waiting = os.read(typed, 32768)
                if not waiting:
                    typed = None
                    channel.shutdown_write()
            if waiting and channel.send_ready():
                waiting = waiting[channel.send(waiting) :]


def _input() -> int | None:
    """Standard input; None where it is closed."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):
        return None


def _show(chunk: Chunk) -> None:
    for stream, data in ((sys.stdout, chunk.stdout), (sys.stderr, chunk.stderr)):
        if data:
            stream.buffer.write(data)
            stream.buffer.flush()


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Keys reach the node as they are typed, Ctrl-C included; what was typed ahead is kept, as ssh keeps it."""
    before = termios.tcgetattr(terminal)
    try:
        tty_modes.setraw(terminal, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resizing(channel: paramiko.Channel) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def resized(_signal: int, _frame: object) -> None:
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            channel.resize_pty(*size())

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
