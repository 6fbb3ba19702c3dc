"""What an http or tcp probe says over a connection to a port, and what it makes of the answer.

As Kubernetes does it: a status from 200 to 399 passes, a certificate is not checked, and all has to be done within the
probe's timeout. A redirect is not followed: it is an answer.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from shipyard.base import clock
from shipyard.base.record import Struct
from shipyard.model.probing import Try
from shipyard.transport.connection import Wire

MAX_HEAD = 16 * 1024
"""Bytes in which the status and what tells of a failure must be."""
TOLD = 120
"""Bytes of a body that are told where the answer was no good."""

Reach = Callable[[str, int, float], Wire]
"""Connects to an address and port within so many seconds. Raises OSError."""


class Answer(Struct, frozen=True):
    passed: bool
    words: str


def ask(attempt: Try, reach: Reach) -> Answer:
    """One try, within the probe's timeout. Raises what `reach` raises beside OSError."""
    probe = attempt.probe
    until = clock.monotonic() + probe.timeout
    place = f"{attempt.address} port {attempt.port}"
    try:
        wire = reach(attempt.address, attempt.port, probe.timeout)
    except OSError as error:
        return Answer(False, f"no connection to {place}: {_reason(error, probe.timeout)}")
    try:
        if probe.kind == "tcp":
            return Answer(True, "")
        within = _Deadline(wire, until)
        return _judged(_get(_Tls(within, attempt) if probe.scheme == "https" else within, attempt))
    except OSError as error:
        return Answer(False, f"no answer from {place}: {_reason(error, probe.timeout)}")
    finally:
        wire.close()


class _Deadline:
    """A wire of which all reads and writes together end in time."""

    def __init__(self, wire: Wire, until: float) -> None:
        self._wire, self._until = wire, until

    def send(self, data: bytes) -> None:
        self._wire.settimeout(self._left())
        self._wire.sendall(data)

    def recv(self, size: int) -> bytes:
        self._wire.settimeout(self._left())
        return self._wire.recv(size)

    def _left(self) -> float:
        left = self._until - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Tls:
    """TLS over any wire: an ssh channel is no socket that the ssl module could take over."""

    def __init__(self, wire: _Deadline, attempt: Try) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._wire = wire
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=_host_name(attempt))
        self._pumped(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        self._pumped(lambda: self._tls.write(data))
        self._flush()

    def recv(self, size: int) -> bytes:
        try:
            said = self._pumped(lambda: self._tls.read(size))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
        return said if isinstance(said, bytes) else b""

    def _pumped(self, step: Callable[[], object]) -> object:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._wire.recv(16384)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()

    def _flush(self) -> None:
        data = self._out.read()
        if data:
            self._wire.send(data)


def _host_name(attempt: Try) -> str | None:
    """For the name that TLS asks for: what the Host header says, if it is a name at all."""
    said = next((value for name, value in attempt.probe.headers if name.lower() == "host"), "").partition(":")[0]
    return said if any(char.isalpha() for char in said) and said.isascii() else None


def _get(wire: _Deadline | _Tls, attempt: Try) -> bytes:
    """The beginning of the answer: as much as came until its end, or until it is long enough."""
    probe = attempt.probe
    written = {name.lower() for name, _ in probe.headers}
    port = "" if attempt.port == {"http": 80, "https": 443}[probe.scheme] else f":{attempt.port}"
    defaults = (("Host", f"{attempt.address}{port}"), ("User-Agent", "shipyard-probe"), ("Accept", "*/*"))
    headers = [*((name, value) for name, value in defaults if name.lower() not in written), *probe.headers]
    lines = [f"GET {probe.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
    wire.send("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    said = b""
    while len(said) < MAX_HEAD:
        data = wire.recv(MAX_HEAD - len(said))
        said += data
        if not data or (b"\r\n\r\n" in said and _status(said) < 400):
            break
    return said


def _judged(said: bytes) -> Answer:
    status = _status(said)
    if not status:
        return Answer(False, "it answered nothing" if not said else f"it answered no HTTP: {_shown(said[:TOLD])}")
    if 200 <= status < 400:
        return Answer(True, "")
    first = said.split(b"\r\n", 1)[0].split(b"\n", 1)[0]
    body = said.partition(b"\r\n\r\n")[2][:TOLD]
    words = first.split(None, 1)[1] if len(first.split(None, 1)) > 1 else first
    return Answer(False, f"it answered {_shown(words)}" + (f": {_shown(body)}" if body.strip() else ""))


def _status(said: bytes) -> int:
    """Of an HTTP answer; 0 for what is none."""
    words = said.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        return 0
    return int(words[1])


def _shown(data: bytes) -> str:
    return " ".join(data.decode("utf-8", "replace").split())


def _reason(error: OSError, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"timed out after {timeout:g} s"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return error.strerror or str(error) or type(error).__name__
