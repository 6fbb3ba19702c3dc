"""A service's `networks`, `network_mode`, `extra_hosts`: where it is on the network and whom it knows."""

from __future__ import annotations

import re
from typing import Any

from shipyard.base.record import Struct
from shipyard.files.compose import ports
from shipyard.files.compose.declared import DEFAULT
from shipyard.files.compose.keys import Key, Table, not_yet
from shipyard.files.compose.scalars import address, decimal, pattern, text_or_texts, texts
from shipyard.files.compose.value import Value
from shipyard.model.container import Attachment, Pairs
from shipyard.model.labels import NAME

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
mac_address = pattern(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", "a MAC address, such as 02:42:ac:11:00:02")
hostname = pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})", "a host name of letters, digits, - and .")


class Join(Struct, frozen=True):
    """A service's wish to be on a network. `network`: its key in the file."""

    network: str
    place: Value
    priority: float = 0
    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    mac_address: str | None = None


def _aliases(value: Value) -> tuple[str, ...]:
    for item in value.items():
        with value.reading.collect():
            hostname(item)
    return texts(value)


JOIN = Table(
    "a service's network",
    Key("aliases", "list", "More names under which others on the network find it.", _aliases, "the service's name"),
    Key("ipv4_address", "IP address", "A fixed address.", lambda value: address(value, 4)),
    Key("ipv6_address", "IP address", "A fixed address.", lambda value: address(value, 6)),
    Key("mac_address", "MAC address", "A fixed MAC address.", mac_address),
    Key("priority", "number", "Networks of higher priority are joined first.", decimal, "`0`"),
    not_yet("gw_priority"),
    not_yet("interface_name"),
    not_yet("link_local_ips"),
    not_yet("driver_opts"),
)


def networks(value: Value) -> tuple[Join, ...]:
    """A list of keys, or a mapping from keys to how to join."""
    if isinstance(value.data, list):
        found = {item.text("a network's name", empty=False): item for item in value.items()}
        return tuple(Join(key, item) for key, item in found.items())
    joins = []
    for key, entry in value.mapping("a list or a mapping of networks"):
        with value.reading.collect():
            got = JOIN.read(entry) if entry.data is not None else {}
            joins.append(Join(key, entry, **got))
    return tuple(joins)


def attach(service: Value, name: str, joins: tuple[Join, ...], mac: str | None) -> tuple[Attachment, ...]:
    """The attachments, those of higher priority first, then by key. The service's own name is always an alias."""
    wanted = joins or (Join(DEFAULT, service),)
    made: list[Attachment] = []
    for join in sorted(wanted, key=lambda join: (-join.priority, join.network)):
        with service.reading.collect():
            spec = service.reading.resources.network(join.place, join.network)
            aliases = tuple(dict.fromkeys((name, *join.aliases)))
            first_mac = mac if not made else None
            made.append(
                Attachment(spec.name, aliases, join.ipv4_address, join.ipv6_address, join.mac_address or first_mac)
            )
    return tuple(made)


def network_mode(value: Value) -> str:
    said = value.text("host, none, bridge or service:NAME", empty=False)
    if said.startswith("container:"):
        raise value.error("container:… is not carried out yet; known are host, none, bridge and service:NAME")
    if said.startswith("service:") and NAME.fullmatch(said.removeprefix("service:")):
        return said
    if said not in ("host", "none", "bridge"):
        hint = "networks of the stack are named under networks:"
        raise value.expected("host, none, bridge or service:NAME", hint=hint)
    return said


def extra_hosts(value: Value) -> Pairs:
    """Names and addresses: a mapping (an address or several), or a list of NAME=ADDRESS or NAME:ADDRESS."""
    found: dict[tuple[str, str], None] = {}
    if isinstance(value.data, list):
        for item in value.items():
            with value.reading.collect():
                said = item.text("a text of the form NAME=ADDRESS")
                name, separator, where = said.partition("=") if "=" in said else said.partition(":")
                if not separator:
                    raise item.expected("a text of the form NAME=ADDRESS")
                found.setdefault(_host(item, name, where))
        return tuple(sorted(found))
    for name, entry in value.mapping("a mapping, or a list of NAME=ADDRESS"):
        with value.reading.collect():
            several: list[Any] = entry.items() if isinstance(entry.data, list) else [entry]
            for item in several:
                found.setdefault(_host(item, name, item.text("an IP address or host-gateway")))
    return tuple(sorted(found))


def _host(value: Value, name: str, where: str) -> tuple[str, str]:
    if _HOST.fullmatch(name) is None:
        raise value.error(f"{name!r} is no host name")
    bare = where[1:-1] if where.startswith("[") and where.endswith("]") else where
    return name, bare if bare == "host-gateway" else address(Value(bare, value.path, value.reading))


KEYS = (
    Key(
        "ports",
        "list",
        'Published ports: `"8080:80"`, `"127.0.0.1:53:53/udp"`, `"3000-3002:3000-3002"`, or mappings.',
        ports.ports,
    ),
    Key("expose", "list", "Ports that others on its networks may use; for people.", ports.expose),
    Key("networks", "list or mapping", "Networks to join; a mapping says how.", networks, "`default`"),
    Key(
        "network_mode",
        "`host`, `none`, `bridge`, `service:NAME`",
        "Instead of `networks`. `service:NAME`: a container beside that service's own, in each of its replicas.",
        network_mode,
    ),
    Key("mac_address", "MAC address", "On the first network.", mac_address),
    Key("dns", "text or list", "Name servers.", text_or_texts),
    Key("dns_search", "text or list", "Search domains.", text_or_texts),
    Key("dns_opt", "list", "Resolver options.", texts),
    Key("extra_hosts", "mapping or list", "Names in the hosts file; `host-gateway` is the node.", extra_hosts),
    Key("hostname", "text", "The container's host name.", hostname),
    Key("domainname", "text", "Its domain; podman has no option for it.", hostname),
)
