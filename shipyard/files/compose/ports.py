"""`ports` and `expose`: short forms with ranges and addresses, and the long form."""

from __future__ import annotations

import ipaddress
import re

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import address, anything, text, word
from shipyard.files.compose.value import Value
from shipyard.model.container import Port

PROTOCOLS = ("tcp", "udp", "sctp")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_SHORT = re.compile(r"(?:(?P<host>.*):)?(?P<target>[^:/]*)(?:/(?P<protocol>[^/]*))?")


def ports(value: Value) -> tuple[Port, ...]:
    """All ports, in order, doubles left out. One port of the node can't lead to two of the container."""
    made: dict[Port, None] = {}
    for item in value.items("a list of ports"):
        with value.reading.collect():
            found = _ports(item)
            for port in found:
                _check_free(item, port, made)
                made.setdefault(port)
            _tell_unpublished(item, found)
    return tuple(made)


def _check_free(value: Value, port: Port, made: dict[Port, None]) -> None:
    for other in made:
        same = (other.published, other.protocol) == (port.published, port.protocol) and other != port
        same = same and port.published is not None
        if same and (other.address == port.address or None in (other.address, port.address)):
            raise value.error(f"publishes port {port.published}/{port.protocol} of the node a second time")


def _tell_unpublished(value: Value, found: list[Port]) -> None:
    """Compose would take any free port of the node, which nobody could know beforehand."""
    targets = [str(port.target) for port in found if port.published is None]
    if targets:
        value.notice(f"container port {', '.join(targets)}: no port of the node is named, so none is published")


def _ports(value: Value) -> list[Port]:
    if isinstance(value.data, dict):
        return [_long(value)]
    if isinstance(value.data, bool) or not isinstance(value.data, int | str):
        raise value.expected('a port, such as "8080:80", or a mapping with target')
    return _short(value, value.scalar())


def _short(value: Value, said: str) -> list[Port]:
    match = _SHORT.fullmatch(said)
    if match is None or not match["target"]:
        raise value.expected('a port, such as "8080:80"')
    protocol = _protocol(value, match["protocol"] or "tcp")
    targets = _range(value, match["target"])
    host, _, published = (match["host"] or "").rpartition(":")
    where = _host_address(value, host) if host else None
    if not published:
        return [Port(target, None, protocol, where) for target in targets]
    nodes = _range(value, published)
    if len(nodes) != len(targets):
        if len(targets) == 1:
            raise value.error(
                f"a range of ports of the node ({published}) to choose from is not carried out yet",
                hint=f'name one: "{nodes[0]}:{targets[0]}"',
            )
        raise value.error(f"the ranges {published} and {match['target']} are not of one length")
    pairs = zip(targets, nodes, strict=True)
    return [Port(target, node or None, protocol, where) for target, node in pairs]


def _range(value: Value, said: str) -> list[int]:
    match = _RANGE.fullmatch(said)
    if match is None:
        raise value.expected("a port number, or a range such as 3000-3005")
    first, last = int(match[1]), int(match[2] or match[1])
    if last > 65535 or (first == 0 and last > 0):
        raise value.error(f"ports are between 1 and 65535, found {said}")
    if last < first:
        raise value.error(f"the range {said} runs backwards")
    return list(range(first, last + 1))


def _protocol(value: Value, said: str) -> str:
    if said.lower() not in PROTOCOLS:
        raise value.error(f"the protocol is one of {', '.join(PROTOCOLS)}, found {said!r}")
    return said.lower()


def _host_address(value: Value, said: str) -> str | None:
    bare = said[1:-1] if said.startswith("[") and said.endswith("]") else said
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError as error:
        raise value.error(f"{said!r} is no IP address of the node to bind to") from error
    return None if str(parsed) == "0.0.0.0" else bare


def _published(value: Value) -> int | None:
    said = value.scalar("a port number")
    if not said:
        return None
    numbers = _range(value, said)
    if len(numbers) > 1:
        raise value.error("a range of ports of the node to choose from is not carried out yet", hint="name one")
    return numbers[0] or None


def _target(value: Value) -> int:
    numbers = _range(value, value.scalar("a port number", empty=False))
    if len(numbers) > 1 or not numbers[0]:
        raise value.expected("one port number")
    return numbers[0]


LONG = Table(
    "a port",
    Key("target", "port", "The container's port. Required.", _target),
    Key("published", "port", "The node's port.", _published, "none"),
    Key("protocol", "`tcp`, `udp` or `sctp`", "The protocol.", lambda value: _protocol(value, value.text()), "`tcp`"),
    Key("host_ip", "IP address", "The node's address to bind.", address, "all"),
    Key(
        "mode",
        "`host` or `ingress`",
        "Ingress: every node of the play answers, on a network across nodes. Host: the nodes that run a replica; none "
        "that answers on that port for another service.",
        word("host", "ingress"),
        "`ingress`",
    ),
    Key("name", "text", "For people.", text),
    Key("app_protocol", "text", "For people.", anything),
)


def _long(value: Value) -> Port:
    got = LONG.read(value)
    if "target" not in value.data:
        raise value.error("has no target, the container's port")
    where = got.get("host_ip")
    return Port(
        got.get("target", 1),
        got.get("published"),
        got.get("protocol", "tcp"),
        None if where == "0.0.0.0" else where,
        got.get("mode", "ingress"),
    )


def expose(value: Value) -> tuple[str, ...]:
    """Ports or ranges with an optional protocol, as text."""
    made: dict[str, None] = {}
    for item in value.items("a list of ports"):
        with value.reading.collect():
            said = item.scalar("a port number", empty=False)
            number, slash, protocol = said.partition("/")
            _range(item, number)
            made.setdefault(f"{number}/{_protocol(item, protocol)}" if slash else number)
    return tuple(made)
