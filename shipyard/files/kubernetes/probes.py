"""`startupProbe`, `livenessProbe`, `readinessProbe` as `x-shipyard.probes`, which mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.fields import Fields, done, itself, need, passed, refused, said, warn
from shipyard.files.kubernetes.scalars import port, port_or_name, text, texts, whole, word
from shipyard.files.kubernetes.tree import node

KINDS = {"startupProbe": "startup", "livenessProbe": "liveness", "readinessProbe": "readiness"}
_TIMES = {"initialDelaySeconds": "initial_delay", "periodSeconds": "period", "timeoutSeconds": "timeout"}
_COUNTS = {"successThreshold": "success_threshold", "failureThreshold": "failure_threshold"}

PROBE = Fields(
    "a probe",
    done("httpGet", "`http`", itself),
    done("tcpSocket", "`tcp`", itself),
    done("exec", "`exec`", itself),
    done("grpc", "`tcp`, with a warning: it asks whether the port answers, and not for its health", itself),
    done("initialDelaySeconds", "`initial_delay`", whole()),
    done("periodSeconds", "`period`; passes try it, so no more often than these", whole(1)),
    done("timeoutSeconds", "`timeout`", whole(1)),
    done("successThreshold", "`success_threshold`", whole(1, 1000)),
    done("failureThreshold", "`failure_threshold`", whole(1, 1000)),
    said("terminationGracePeriodSeconds", "has no effect: the pod's own counts"),
)
HTTP = Fields(
    "an httpGet",
    done("port", "a number, or the name of a container's port", port_or_name),
    done("path", "the path", text),
    done("scheme", "`HTTP`, `HTTPS`", word("HTTP", "HTTPS")),
    done("host", "the host", text),
    done("httpHeaders", "headers", itself),
    refused("protocol", "is not carried out: HTTP/1.1 is spoken", "", "HTTP1"),
)
HEADER = Fields("a header", done("name", "the name", text), done("value", "the value", text))
TCP = Fields(
    "a tcpSocket",
    done("port", "a number, or the name of a container's port", port_or_name),
    done("host", "the host", text),
)
GRPC = Fields("a grpc probe", done("port", "a number", port), passed("service", "of the server, which is not asked"))
EXEC = Fields("an exec", done("command", "the command, no shell runs it", texts))


def probe(value: Value, ports: Mapping[str, int]) -> Node | None:
    """None where it has errors, which are noted. `ports`: numbers by name."""
    before = len(value.reading.problems)
    got = PROBE.read(value)
    kinds = [name for name in ("httpGet", "tcpSocket", "grpc", "exec") if name in got]
    if len(value.reading.problems) > before:
        return None
    if len(kinds) != 1:
        raise value.error(f"takes one of httpGet, tcpSocket, grpc and exec, found {' and '.join(kinds) or 'none'}")
    at: Value = got[kinds[0]]
    made: dict[str, Any] = {}
    match kinds[0]:
        case "httpGet":
            made["http"] = _http(at, ports)
        case "tcpSocket":
            made["tcp"] = node(at, _reached(at, TCP.read(at), ports))
        case "grpc":
            warn(at, "asks only whether the port answers: what the server says of its health is not asked")
            made["tcp"] = node(at, _reached(at, GRPC.read(at), ports))
        case _:
            command = EXEC.read(at)
            need(at, "command")
            made["exec"] = node(at.child("command", None), command["command"])
    for field, key in _TIMES.items():
        if field in got:
            made[key] = node(value.child(field, None), f"{got[field]}s")
    for field, key in _COUNTS.items():
        if field in got:
            made[key] = node(value.child(field, None), got[field])
    return node(value, made) if len(value.reading.problems) == before else None


def _reached(value: Value, got: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    need(value, "port")
    made: dict[str, Any] = {
        "port": node(value.child("port", None), numbered(value.child("port", got.get("port")), ports))
    }
    if got.get("host"):
        made["host"] = node(value.child("host", None), got["host"])
    return made


def numbered(value: Value, ports: Mapping[str, int]) -> int:
    """The number of a port that is given by number or name. Raises FileError."""
    said = value.data
    if not isinstance(said, str):
        return int(said or 0)
    if said not in ports:
        known = f"named ports are {', '.join(ports)}" if ports else "no port of this pod has a name"
        raise value.error(f"no container of this pod has a port named {said}", hint=known)
    return ports[said]


def _http(value: Value, ports: Mapping[str, int]) -> Node:
    got = HTTP.read(value)
    made = _reached(value, got, ports)
    if got.get("path"):
        path = got["path"] if got["path"].startswith("/") else f"/{got['path']}"
        made["path"] = node(value.child("path", None), path)
    if "scheme" in got:
        made["scheme"] = got["scheme"].lower()
    headers: dict[str, Any] = {}
    for item in got["httpHeaders"].items("a list of headers") if "httpHeaders" in got else ():
        with value.reading.collect():
            header = HEADER.read(item)
            need(item, "name")
            if header.get("name") in headers:
                raise item.error(f"says {header['name']} a second time, which is not carried out")
            headers[header.get("name", "")] = node(item, header.get("value", ""))
    if headers:
        made["headers"] = headers
    return node(value, made)
