"""`x-shipyard.probes`: Kubernetes' probes, in Compose's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import command, duration, pattern, sorted_pairs, whole, word
from shipyard.files.compose.value import Value
from shipyard.model.container import Pairs, Probe, Probes

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_PORT = whole(1, 65535)
_HOST = pattern(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}", "a host name or an address")


def _path(value: Value) -> str:
    said = value.text("a path, such as /healthz")
    if re.fullmatch(r"/[\x21-\x7e]*", said) is None:
        raise value.expected("a path that begins with /, without blanks", hint="write a blank as %20")
    return said


def _headers(value: Value) -> Pairs:
    found: dict[str, str] = {}
    for name, entry in value.mapping("a mapping of headers"):
        with value.reading.collect():
            said = entry.scalar()
            if _HEADER.fullmatch(name) is None or _VALUE.fullmatch(said) is None:
                raise entry.error("is no header that HTTP can carry")
            found[name] = said
    return sorted_pairs(found)


def _command(value: Value) -> tuple[str, ...]:
    found = command(value)
    if not found or not found[0]:
        raise value.error("has no command")
    return found


def _positive(value: Value) -> float:
    seconds = duration(value)
    if seconds < 0.1:
        raise value.error("must be at least 100ms")
    return seconds


HTTP = Table(
    "an http probe",
    Key("port", "number", "The container's port. Required.", _PORT),
    Key("path", "text", "What is asked for.", _path, "`/`"),
    Key("scheme", "`http`, `https`", "A certificate is not checked.", word("http", "https"), "`http`"),
    Key("host", "text", "Connect there instead, as seen from the node; a `Host` header is better.", _HOST),
    Key("headers", "mapping", "Headers of the request.", _headers),
)
TCP = Table(
    "a tcp probe",
    Key("port", "number", "The container's port. Required.", _PORT),
    Key("host", "text", "Connect there instead, as seen from the node.", _HOST),
)


def _port_of(table: Table) -> Callable[[Value], dict[str, Any]]:
    def read(value: Value) -> dict[str, Any]:
        before = len(value.reading.problems)
        got = table.read(value)
        if "port" not in got and len(value.reading.problems) == before:
            raise value.error("has no port")
        return got

    return read


PROBE = Table(
    "a probe",
    Key("http", "mapping", "A GET is answered with 200 to 399.", _port_of(HTTP)),
    Key("tcp", "mapping", "A connection can be made.", _port_of(TCP)),
    Key("exec", "text or list", "A command in the container ends with 0; no shell runs it.", _command),
    Key("initial_delay", "duration", "Time after the container's start before the first try.", duration, "`0s`"),
    Key(
        "period",
        "duration",
        "Time between tries; they are made by passes, so no more often than these.",
        _positive,
        "`10s`",
    ),
    Key("timeout", "duration", "How long a try may take.", _positive, "`1s`"),
    Key(
        "success_threshold",
        "number",
        "Successes in a row that it takes; only readiness takes others than `1`.",
        whole(1, 1000),
        "`1`",
    ),
    Key("failure_threshold", "number", "Failures in a row that it takes.", whole(1, 1000), "`3`"),
)
Kind = Literal["http", "tcp", "exec"]
_KINDS: tuple[Kind, ...] = ("http", "tcp", "exec")


def _probe(*, lasting: bool) -> Callable[[Value], Probe | None]:
    """`lasting`: one success decides, as with all but readiness."""

    def read(value: Value) -> Probe | None:
        before = len(value.reading.problems)
        got = PROBE.read(value)
        if len(value.reading.problems) > before:
            return None
        kinds = [kind for kind in _KINDS if kind in got]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise value.error(f"takes one of http, tcp and exec, found {found}")
        if lasting and got.get("success_threshold", 1) != 1:
            raise value.child("success_threshold", None).error(
                "can only be said of readiness; here one success is enough"
            )
        return _made(kinds[0], got)

    return read


def _made(kind: Kind, got: dict[str, Any]) -> Probe:
    more = {"command": got["exec"]} if kind == "exec" else got[kind]
    times = {name: got[name] for name in ("initial_delay", "period", "timeout") if name in got}
    return Probe(
        kind,
        **more,
        **times,
        successes=got.get("success_threshold", 1),
        failures=got.get("failure_threshold", 3),
    )


PROBES = Table(
    "probes",
    Key(
        "startup",
        "mapping",
        "Until it has passed, the others are not tried; fails, and the replica is replaced.",
        _probe(lasting=True),
    ),
    Key("liveness", "mapping", "Fails, and the replica is replaced.", _probe(lasting=True)),
    Key("readiness", "mapping", "Fails, and the replica is not ready: updates wait for it.", _probe(lasting=False)),
)


def probes(value: Value) -> Probes:
    return Probes(**PROBES.read(value))


KEYS = (
    Key("probes", "mapping", "`startup`, `liveness`, `readiness`: how passes ask whether a replica is well.", probes),
)


def check(service: Value, found: Probes, network_mode: str | None) -> None:
    """Where there is no network, only a command can be asked."""
    if network_mode != "none":
        return
    for name in ("startup", "liveness", "readiness"):
        probe: Probe | None = getattr(found, name)
        if probe is not None and probe.kind != "exec":
            place = service.child("x-shipyard", None).child("probes", None).child(name, None)
            raise place.error("can't reach a container with network_mode none", hint="write an exec probe")
