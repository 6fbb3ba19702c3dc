"""From a target to a transport that is logged in: dial, key exchange, the host's key, the user's.

Every step has a deadline. One connection a jump host serves all nodes behind it. sshd drops connections at random
while many are logging in (MaxStartups), so few are begun at once per address, and a dropped one is tried again.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable

import paramiko

from shipyard.base import clock
from shipyard.base.errors import AuthFailed, NodeError, NotObserved, TimedOut, Unreachable
from shipyard.base.text import one_line
from shipyard.transport import login, sockets
from shipyard.transport.credentials import Keyring
from shipyard.transport.handshake import DroppedError, Handshake, HandshakeError, exchange_keys
from shipyard.transport.hostkey_check import check_host_key, key_order
from shipyard.transport.knownhosts import KnownHosts
from shipyard.transport.options import SshOptions
from shipyard.transport.sockets import STALL, Stream
from shipyard.transport.target import Target

_REMEMBERED = 15.0
"""Seconds for which a jump host that failed is not tried again: all nodes behind it fail with it at once."""

# paramiko logs whole tracebacks of what is reported here as an error of one node.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


class Dialer:
    """Opens transports for many threads."""

    def __init__(self, options: SshOptions) -> None:
        self.known_hosts = KnownHosts()
        self._keyring = Keyring(options.passphrase)
        self._starts: defaultdict[tuple[str, int], threading.BoundedSemaphore] = defaultdict(
            lambda: threading.BoundedSemaphore(options.starts)
        )
        self._hops: defaultdict[Target, _Hop] = defaultdict(_Hop)
        self._lock = threading.Lock()
        self._open: dict[paramiko.Transport, Handshake] = {}
        self._closed = False

    def open(self, node: str, target: Target) -> paramiko.Transport:
        """A new connection, logged in. Raises Unreachable or a child of NotObserved."""
        with self._lock:
            starting = self._starts[target.host, target.port]
        until = clock.monotonic() + target.timeout
        attempt = 0
        while True:
            with starting:
                try:
                    return self._attempt(node, target)
                except DroppedError as dropped:
                    problem = dropped
            attempt += 1
            pause = random.uniform(0.1, 0.2 * 2**attempt)
            if self._closed or clock.monotonic() + pause >= until:
                raise refused(node, target, problem)
            clock.sleep(pause)

    def stream(self, node: str, target: Target) -> Stream:
        """The bytes to that sshd: by TCP, through its jump host, or by its ProxyCommand."""
        if self._closed:
            raise Unreachable(node, "interrupted")
        if target.proxy_command is not None:
            return sockets.by_command(target.proxy_command)
        if target.via is not None:
            return self._through(node, target, target.via)
        try:
            return sockets.dial(target.host, target.port, target.timeout, target.family, target.bind)
        except OSError as error:
            raise Unreachable(node, f"no connection to {target.host} port {target.port}: {reason(error)}") from None

    def begin(self, node: str, target: Target, key_types: tuple[str, ...]) -> Handshake:
        """A stream with nothing said yet; closed by `forget`, or with everything."""
        handshake = Handshake(self.stream(node, target), key_types)
        with self._lock:
            self._open[handshake.transport] = handshake
        if self._closed:
            self.forget(handshake.transport)
            raise Unreachable(node, "interrupted")
        return handshake

    def close(self) -> None:
        """Close every connection, also those being opened."""
        self._closed = True
        with self._lock:
            handshakes = list(self._open.values())
        for handshake in handshakes:
            handshake.abandon()
        self._keyring.close()

    def forget(self, transport: paramiko.Transport) -> None:
        """Close one of them."""
        with self._lock:
            handshake = self._open.pop(transport, None)
        if handshake is not None:
            handshake.abandon()

    def _attempt(self, node: str, target: Target) -> paramiko.Transport:
        handshake = self.begin(node, target, key_order(target, self.known_hosts))
        try:
            exchange_keys(handshake, target.timeout)
            verdict = check_host_key(node, target, handshake.transport.get_remote_server_key(), self.known_hosts)
            login.log_in(node, target, handshake.transport, self._keyring, password_allowed=verdict.password_allowed)
        except HandshakeError as failed:
            self.forget(handshake.transport)
            raise handshake_failed(node, target, failed) from None
        except BaseException:
            self.forget(handshake.transport)
            raise
        return handshake.transport

    def _through(self, node: str, target: Target, via: Target) -> Stream:
        with self._lock:
            hop = self._hops[via]
        jump = hop.transport(lambda: self.open(node, via), node, via)
        try:
            channel = jump.open_channel(
                "direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=target.timeout
            )
        except paramiko.ChannelException as error:
            raise _not_forwarded(node, target, via, error) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            if jump.is_active():
                raise Unreachable(
                    node, f"{via.host} could not connect to {target.host} port {target.port}: {reason(error)}"
                ) from None
            raise Unreachable(node, f"the connection to jump host {via.host} broke", via=via.host) from None
        channel.settimeout(STALL)
        return Stream(channel)


class _Hop:
    """The shared connection to one jump host, or why there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transport: paramiko.Transport | None = None
        self._failed: NodeError | None = None
        self._failed_at = 0.0

    def transport(self, opening: Callable[[], paramiko.Transport], node: str, via: Target) -> paramiko.Transport:
        """Open, or opened now; who comes meanwhile waits."""
        with self._lock:
            if self._transport is not None and self._transport.is_active():
                return self._transport
            if self._failed is not None and clock.monotonic() - self._failed_at <= _REMEMBERED:
                raise _jump_failed(node, via, self._failed)
            try:
                self._transport, self._failed = opening(), None
            except NodeError as error:
                self._transport, self._failed, self._failed_at = None, error, clock.monotonic()
                raise _jump_failed(node, via, error) from None
            return self._transport


def reason(error: BaseException) -> str:
    """The system's or the other side's own words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(str(error)) or type(error).__name__


def _jump_failed(node: str, via: Target, failed: NodeError) -> NodeError:
    """The same error, of this node."""
    message = f"jump host {via.host}: {failed.message}"
    if isinstance(failed, Unreachable):
        return Unreachable(node, message, hint=failed.hint, via=failed.via or via.host)
    return type(failed)(node, message, hint=failed.hint)


def _not_forwarded(node: str, target: Target, via: Target, error: paramiko.ChannelException) -> NodeError:
    place = f"{target.host} port {target.port}"
    if error.code == 1:  # administratively prohibited: says nothing about the node
        return NotObserved(
            node,
            f"jump host {via.host} refuses to connect to {place}: {one_line(error.text)}",
            hint=f"AllowTcpForwarding and PermitOpen in sshd_config of {via.host} decide",
        )
    return Unreachable(node, f"jump host {via.host} could not connect to {place}: {one_line(error.text)}")


def refused(node: str, target: Target, dropped: DroppedError) -> NodeError:
    """The error of a node that closed the connection before ssh began."""
    if dropped.said:
        return NotObserved(
            node,
            f"{target.host} port {target.port} refuses connections: {one_line(dropped.said)}",
            hint="sshd limits connections that are not logged in yet: see MaxStartups and PerSourcePenalties",
        )
    return Unreachable(node, f"{target.host} port {target.port} closed the connection before ssh began")


def handshake_failed(node: str, target: Target, failed: HandshakeError) -> NodeError:
    """The error of a node whose key exchange failed."""
    place = f"{target.host} port {target.port}"
    if failed.timed_out and not failed.answered:
        return Unreachable(node, f"{place} accepts connections, but no sshd answered in {target.timeout:g} s")
    if failed.timed_out:
        return TimedOut(node, f"sshd on {place} did not finish the key exchange in {target.timeout:g} s")
    if failed.incompatible:
        return AuthFailed(node, f"no common algorithms with sshd on {place}: {one_line(failed.words)}")
    return NotObserved(node, f"{place} does not speak ssh as expected: {one_line(failed.words)}")
