"""Banner and key exchange with one sshd, without any polling and with an end."""

from __future__ import annotations

import signal
import threading

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST
from paramiko.message import Message
from paramiko.packet import Packetizer

from shipyard.transport.sockets import Stream

KEX = ("curve25519-sha256@libssh.org", "mlkem768x25519-sha256", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384")
"""First what costs least on both sides; classic Diffie-Hellman costs ten times the CPU of curve25519."""
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""First: what they encrypt they also authenticate, where paramiko compares a separate MAC byte by byte in Python."""


class HandshakeError(Exception):
    """Why. `answered`: an sshd said something; `incompatible`: no algorithm that both know."""

    def __init__(self, words: str, *, answered: bool, timed_out: bool = False, incompatible: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.answered = answered
        self.timed_out = timed_out
        self.incompatible = incompatible


class DroppedError(Exception):
    """Closed before ssh began, as an sshd does that has too many to serve. `said`: a line before that, or empty."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class _Lines(Packetizer):
    """Keeps what was said before the version line, and leaves time-keeping to `exchange_keys`."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)  # type: ignore[arg-type]  # paramiko asks for no more than Stream has
        self.lines: list[str] = []

    def readline(self, timeout: float) -> str:
        """The next line; `timeout` is not used, closing the stream ends the wait."""
        line = super().readline(timeout)
        self.lines.append(line)
        return line

    def start_handshake(self, timeout: float) -> None:
        """Starts no timer thread."""


class _Transport(paramiko.Transport):
    """Knows commands that were ended by a signal: paramiko drops that message, and a status never comes."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, packetizer_class=_Lines)  # type: ignore[arg-type]  # see _Lines
        usual = paramiko.Transport._channel_handler_table  # type: ignore[attr-defined]  # the only place to listen at
        self._channel_handler_table = {**usual, MSG_CHANNEL_REQUEST: _channel_request}

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """As they were asked for: paramiko would put certificates behind all keys, whoever wants them."""
        return tuple(self.get_security_options().key_types)


def _channel_request(channel: paramiko.Channel, message: Message) -> None:
    start = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        name = "SIG" + message.get_text()
        channel.exit_status = 128 + (signal.Signals[name] if name in signal.Signals.__members__ else 0)
        channel.status_event.set()
        return
    message.packet.seek(start)
    channel._handle_request(message)  # type: ignore[attr-defined]  # what paramiko's own table has here


class Handshake:
    """A transport that was not started yet. `key_types`: host key algorithms in the order to ask for them."""

    def __init__(self, stream: Stream, key_types: tuple[str, ...]) -> None:
        self._stream = stream
        self.transport = _Transport(stream)
        self.done = threading.Event()
        wanted = self.transport.get_security_options()
        known = wanted.kex
        wanted.kex = (*(name for name in KEX if name in known), *(name for name in known if name not in KEX))
        wanted.key_types = key_types
        ciphers = wanted.ciphers
        wanted.ciphers = (
            *(name for name in CIPHERS if name in ciphers),
            *(name for name in ciphers if name not in CIPHERS),
        )

    def abandon(self) -> None:
        """Close it; who waits for the key exchange is woken, which paramiko does only when the other side closes."""
        self.transport.close()
        self._stream.close()  # a transport that was not started yet does not do it
        self.done.set()

    @property
    def lines(self) -> list[str]:
        """What the other side said until its version, that included."""
        packetizer = self.transport.packetizer
        return packetizer.lines if isinstance(packetizer, _Lines) else []


def exchange_keys(handshake: Handshake, timeout: float) -> None:
    """Until the connection is encrypted. Raises DroppedError or HandshakeError; the caller closes then."""
    transport = handshake.transport
    transport.start_client(event=handshake.done)
    in_time = handshake.done.wait(timeout)
    if in_time and transport.is_active():
        return
    answered = any(line.startswith("SSH-") for line in handshake.lines)
    error = transport.get_exception()
    if not in_time:
        raise HandshakeError("timed out", answered=answered, timed_out=True)
    if not answered and not isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        raise DroppedError(" ".join(handshake.lines))
    raise HandshakeError(
        str(error) or "the connection was closed during the key exchange",
        answered=answered,
        incompatible=isinstance(error, paramiko.ssh_exception.IncompatiblePeer),
    )
