"""`x-shipyard` of a service about who finds and reaches it, on networks that span nodes."""

from __future__ import annotations

import ipaddress
import re

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.ports import PROTOCOLS
from shipyard.files.compose.scalars import boolean
from shipyard.files.compose.value import Value
from shipyard.model.labels import NAME
from shipyard.model.spec import AllowFrom, ServicePort

_SERVICE_PORT = re.compile(r"(?P<port>[0-9]{1,5}):(?P<target>[0-9]{1,5})(?:/(?P<protocol>[a-z]+))?")
_PORT = re.compile(r"(?P<port>[0-9]{1,5})(?:/(?P<protocol>[a-z]+))?")


def _service_ports(value: Value) -> tuple[ServicePort, ...]:
    made: dict[tuple[int, str], ServicePort] = {}
    for item in value.items('a list of ports, such as "80:8080"'):
        with value.reading.collect():
            said = item.scalar('"80:8080"', empty=False)
            match = _SERVICE_PORT.fullmatch(said)
            if match is None:
                raise item.expected('the address\'s port and the container\'s, such as "80:8080" or "53:5353/udp"')
            port = ServicePort(_number(item, match["port"]), _number(item, match["target"]), _protocol(item, match))
            if (port.port, port.protocol) in made:
                raise item.error(f"says port {port.port}/{port.protocol} a second time")
            made[port.port, port.protocol] = port
    return tuple(made.values())


def _number(value: Value, said: str) -> int:
    if not 1 <= int(said) <= 65535:
        raise value.error(f"ports are between 1 and 65535, found {said}")
    return int(said)


def _protocol(value: Value, match: re.Match[str]) -> str:
    said = match["protocol"] or "tcp"
    if said not in PROTOCOLS:
        raise value.error(f"the protocol is one of {', '.join(PROTOCOLS)}, found {said!r}")
    return said


def _allowed_ports(value: Value) -> tuple[tuple[str, int], ...]:
    found: dict[tuple[str, int], None] = {}
    for item in value.items("a list of ports of the container"):
        with value.reading.collect():
            match = _PORT.fullmatch(item.scalar("a port number", empty=False))
            if match is None:
                raise item.expected("a port of the container, such as 80 or 53/udp")
            found[_protocol(item, match), _number(item, match["port"])] = None
    return tuple(found)


def _service(value: Value) -> str:
    said = value.text("a service of this stack, or STACK/SERVICE", empty=False)
    if said != "*" and not all(NAME.fullmatch(part) for part in said.split("/", 1)):
        raise value.expected("a service of this stack, or STACK/SERVICE, or `*`")
    return "" if said == "*" else said


ALLOW = Table(
    "an entry of allow",
    Key("service", "text", "A service of this stack, `STACK/SERVICE`, or `*` for whoever shares a network.", _service),
    Key("ports", "list", "Ports of the container: `80`, `53/udp`.", _allowed_ports, "all"),
)


def _allow(value: Value) -> tuple[AllowFrom, ...]:
    made = []
    for item in value.items("a list of who may connect"):
        with value.reading.collect():
            if not isinstance(item.data, dict):
                made.append(AllowFrom(_service(item)))
                continue
            got = ALLOW.read(item)
            if item.data.get("service") is None:
                raise item.error("has no service")
            if "service" in got:
                made.append(AllowFrom(**got))
    return tuple(made)


def _expose_on(value: Value) -> tuple[str, ...]:
    made = []
    for item in value.items("a list of addresses or networks of the nodes"):
        with value.reading.collect():
            said = item.text("an address or a network", empty=False)
            try:
                network = ipaddress.IPv4Network(said)
            except ValueError as error:
                raise item.expected("an IPv4 address or a network, such as 10.0.0.0/24") from error
            made.append(str(network.network_address) if network.prefixlen == 32 else str(network))
    return tuple(made)


KEYS = (
    Key(
        "service_ports",
        "list",
        'Ports of the service\'s address that are others in the container: `"80:8080"`.',
        _service_ports,
        "every port is the same",
    ),
    Key(
        "session_affinity",
        "boolean",
        "All connections of one client, by its address, go to one replica while that is ready.",
        boolean,
        "`false`",
    ),
    Key("peer_names", "boolean", "Each replica is also called `SLOT.SERVICE.STACK`.", boolean, "`false`"),
    Key(
        "allow",
        "list",
        "Who alone may connect to it: services, or mappings with `service` and `ports`.",
        _allow,
        "whoever shares a network with it",
    ),
    Key(
        "expose_on",
        "list",
        "Addresses and networks of the nodes on which its ingress ports answer.",
        _expose_on,
        "all of the nodes' addresses",
    ),
)
