"""A node over ssh: one connection, a channel for each command."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST
from paramiko.message import Message

from shipyard.base import clock
from shipyard.base.errors import NotObserved, TimedOut, Unreachable
from shipyard.base.text import one_line
from shipyard.model.inventory import Connection
from shipyard.transport import terminal
from shipyard.transport.connection import MAX_OUTPUT, Completed, Wire
from shipyard.transport.conversation import Chunk, Conversation
from shipyard.transport.dialer import Dialer, reason
from shipyard.transport.options import SshOptions
from shipyard.transport.program import STOP, Program, attached, script_runner
from shipyard.transport.resolve import Resolver
from shipyard.transport.target import Target

_LONGEST_WAIT = 3600.0
_FORBIDDEN = 1
"""RFC 4254's reason for a channel that is administratively prohibited."""
_STARTING = 60.0
"""Seconds for the login shell, PAM and sudo to begin, at most."""


class SshConnections:
    """What the connections of one process share."""

    def __init__(self, options: SshOptions) -> None:
        self._resolver = Resolver(options)
        self._dialer = Dialer(options)

    def connection(self, node: str, host: Connection) -> SshConnection:
        """Not opened yet."""
        return SshConnection(node, self._resolver, host, self._dialer)

    def close(self) -> None:
        """Close every connection, also those being opened, and those to jump hosts."""
        self._dialer.close()


class SshConnection:
    """One open connection to one node; see NodeConnection. A connection that broke while idle is made anew."""

    def __init__(self, node: str, resolver: Resolver, host: Connection, dialer: Dialer) -> None:
        self.node = node
        self._resolver = resolver
        self._host = host
        self._dialer = dialer
        self._transport: paramiko.Transport | None = None

    @functools.cached_property
    def _target(self) -> Target:
        return self._resolver.target(self.node, self._host)

    def open(self) -> None:
        """Connect and log in, unless that is done."""
        if self._transport is None or not self._transport.is_active():
            self.close()
            self._transport = self._dialer.open(self.node, self._target)

    def run(self, script: bytes, *, timeout: float, max_bytes: int = MAX_OUTPUT) -> Completed:
        """See NodeConnection."""
        program = script_runner(self._host.become, self._target.user)
        process = self._start(program)
        try:
            return Conversation(self.node, process, program, timeout=timeout, starting=timeout).run(script, max_bytes)
        finally:
            process.close()

    def stream(self, script: bytes, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> int:
        """See NodeConnection."""
        program = script_runner(self._host.become, self._target.user, follow=True)
        process = self._start(program)
        talk = Conversation(self.node, process, program, timeout=math.inf, starting=_STARTING)
        try:
            return talk.stream(script, on_stdout, on_stderr)
        finally:
            process.close()

    def interact(self, argv: tuple[str, ...], *, tty: bool) -> int:
        """See NodeConnection."""
        program = attached(argv, self._host.become, self._target.user)
        channel = self._channel()
        try:
            if tty:
                columns, rows = terminal.size()
                channel.get_pty(os.environ.get("TERM") or "vt100", columns, rows)
            process = ChannelProcess(channel, program)
            talk = Conversation(self.node, process, program, timeout=math.inf, starting=_STARTING)
            return terminal.attach(talk, process, channel, tty=tty)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Unreachable(self.node, f"the connection broke: {reason(error)}") from None
        finally:
            channel.close()

    def reach(self, address: str, port: int, *, timeout: float) -> Wire:
        """See NodeConnection. A forwarded channel is no session: sshd's MaxSessions does not count it."""
        transport = self._transport
        if transport is None or not transport.is_active():
            raise NotObserved(self.node, "the connection broke")
        try:
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout)
        except paramiko.ChannelException as error:
            if error.code == _FORBIDDEN:
                raise NotObserved(
                    self.node,
                    f"its sshd forwards no connection to {address} port {port} ({one_line(error.text)})",
                    hint="see AllowTcpForwarding and PermitOpen in its sshd_config; exec probes need neither",
                ) from None
            raise OSError(one_line(error.text)) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            if transport.is_active():
                raise TimeoutError(f"no answer in {timeout:g} s") from None
            raise NotObserved(self.node, f"the connection broke: {reason(error)}") from None

    def close(self) -> None:
        """See NodeConnection."""
        if self._transport is not None:
            self._dialer.forget(self._transport)
            self._transport = None

    def _start(self, program: Program) -> ChannelProcess:
        return ChannelProcess(self._channel(), program)

    def _channel(self) -> paramiko.Channel:
        """A new channel. A connection used before may have died unnoticed: then once more, over a new one."""
        used_before = self._transport is not None
        self.open()
        try:
            return self._open_channel()
        except (paramiko.SSHException, EOFError, OSError) as error:
            problem = error
        if used_before and not isinstance(problem, paramiko.ChannelException):
            self.close()
            self.open()
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                return self._open_channel()
        if isinstance(problem, paramiko.ChannelException):
            raise NotObserved(
                self.node,
                f"sshd gave no session: {one_line(problem.text)}",
                hint="see MaxSessions in its sshd_config, and whether the login user may run commands",
            )
        if self._transport is not None and self._transport.is_active():
            raise TimedOut(self.node, f"sshd gave no session in {self._target.timeout:g} s")
        raise Unreachable(self.node, f"the connection broke: {reason(problem)}")

    def _open_channel(self) -> paramiko.Channel:
        if self._transport is None:
            raise EOFError("closed")
        return self._transport.open_session(timeout=max(self._target.timeout, 10.0))


class _Bell(threading.Event):
    """Rung by both output buffers of a channel. paramiko clears it whenever one of the two is empty: not here."""

    def clear(self) -> None:
        """Does nothing."""

    def silence(self) -> None:
        """Clears it."""
        super().clear()


class ChannelProcess:
    """A command on a channel, as Conversation wants one."""

    def __init__(self, channel: paramiko.Channel, program: Program) -> None:
        self._channel = channel
        self._bell = _Bell()
        channel.in_buffer.set_event(self._bell)
        channel.in_stderr_buffer.set_event(self._bell)
        _request_exec(channel, program.command)

    def send(self, data: bytes, timeout: float) -> None:
        """Blocks until the other side has room for all of it."""
        self._channel.settimeout(min(timeout, _LONGEST_WAIT))
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            return  # it ended; reading tells how

    def read(self, timeout: float) -> Chunk:
        """What arrived since; waits for something."""
        until = clock.monotonic() + min(timeout, _LONGEST_WAIT)
        while True:
            left = until - clock.monotonic()
            self._bell.wait(max(0.0, left))
            self._bell.silence()
            ended = bool(self._channel.eof_received or self._channel.closed)  # before reading: no data comes after it
            stdout, stderr = bytearray(), bytearray()
            while self._channel.recv_ready():
                stdout += self._channel.recv(65536)
            while self._channel.recv_stderr_ready():
                stderr += self._channel.recv_stderr(65536)
            # The bell may ring for what the last call took along already: nothing there is no silence yet.
            if stdout or stderr or ended or left <= 0:
                return Chunk(bytes(stdout), bytes(stderr), ended)

    def status(self, timeout: float) -> int | None:
        """None also when the channel ended without one: the connection broke."""
        self._channel.status_event.wait(min(timeout, _LONGEST_WAIT))
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    def stop(self) -> None:
        """Tell the node's side to end everything, then close."""
        if not self._channel.closed and not self._channel.eof_received:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._channel.settimeout(1.0)
                self._channel.sendall(STOP)
        self.close()

    def close(self) -> None:
        """Close the channel."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()


def _request_exec(channel: paramiko.Channel, command: str) -> None:
    """Channel.exec_command without waiting for the answer, which it would do for ever.

    Saves a round trip too: input is sent right behind it. A refusal closes the channel.
    """
    transport = channel.get_transport()
    request = Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(True)
    request.add_string(command)
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        transport._send_user_message(request)  # type: ignore[attr-defined]  # has no public name; as old as paramiko
