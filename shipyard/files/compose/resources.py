"""Top-level `networks`, `volumes` and `configs`: each declaration made into its spec."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from shipyard.files.compose import nearby, power
from shipyard.files.compose.declared import KEY, full_name
from shipyard.files.compose.keys import OWN, Key, Table, not_yet, refused
from shipyard.files.compose.scalars import address, boolean, label_pairs, options, text
from shipyard.files.compose.value import Value
from shipyard.model.canonical import digest
from shipyard.model.spec import ConfigSpec, NetworkSpec, VolumeSpec

SOURCES = ("file", "content", "environment", "external")
"""Of a config."""


def external(value: Value) -> dict[str, Any]:
    """`true`, or the old form with a name."""
    if isinstance(value.data, dict):
        got = Table("external", Key("name", "text", "", text)).read(value)
        return {"external": True, **got}
    return {"external": boolean(value)}


def _section(value: Value, table: Table, only_external: Iterable[str]) -> dict[str, Any]:
    if value.data is None:
        return {}
    got = table.read(value)
    outside = got.pop("external", None) or {}
    got = {**got, **outside}
    if got.get("external"):
        extra = sorted({key for key, said in got.items() if said not in ({}, ())} - {"external", *only_external})
        if extra:
            raise value.error(f"is external, so shipyard does not make it and {', '.join(extra)} can't be said of it")
    return got


_COMMON = (
    Key("name", "text", "Its name on the nodes.", text, "`STACK_KEY`"),
    Key("external", "boolean", "It is there already; shipyard neither makes nor removes it.", external, "`false`"),
    Key("driver_opts", "mapping", "Options of the driver.", options),
    Key("labels", "mapping or list", "Labels.", label_pairs),
)


def _subnet(value: Value) -> str:
    said = value.text("a subnet, such as 10.5.0.0/24")
    try:
        ipaddress.ip_network(said)
    except ValueError as error:
        raise value.error(f"{said!r} is no subnet: {error}") from error
    return said


IPAM_CONFIG = Table(
    "ipam.config",
    Key("subnet", "subnet", "The network's addresses.", _subnet),
    Key("gateway", "IP address", "The nodes' own address in it.", address),
    Key("ip_range", "subnet", "Where addresses are taken from.", _subnet),
    not_yet("aux_addresses"),
)


ACROSS = ("routed", "vxlan", "wireguard")
"""Drivers of networks that are one on all nodes."""


def _ipam_config(value: Value) -> dict[str, Any]:
    """One entry, or one of each family; then what is said of IPv6 has a 6 behind its name."""
    found = [(item, IPAM_CONFIG.read(item)) for item in value.items()]
    if len(found) < 2:
        return found[0][1] if found else {}
    families = [":" in got.get("subnet", "") for _, got in found]
    if len(found) > 2 or families[0] == families[1]:
        raise value.error("several address ranges of one family for one network are not carried out yet")
    (_, four), (_, six) = sorted(found, key=lambda each: ":" in each[1].get("subnet", ""))
    if "subnet" not in four or four.keys() != six.keys():
        # podman tells which gateway is whose by their order alone
        raise value.error("takes a subnet in each of two ranges, and gateway and ip_range in both or in neither")
    return {**four, **{f"{key}6": said for key, said in six.items()}}


def _ipam_driver(value: Value) -> None:
    if value.text() != "default":
        raise value.error("drivers of address management are not carried out yet")


IPAM = Table(
    "ipam",
    Key("config", "list", "An entry with `subnet`, `gateway`, `ip_range`; two for IPv4 and IPv6.", _ipam_config),
    Key("driver", "`default`", "The runtime's own.", _ipam_driver, "`default`"),
    not_yet("options"),
)


def _network_driver(value: Value) -> str:
    said = value.text()
    if said in ("host", "none"):
        raise value.error(f"the driver {said} is not carried out", hint=f"a service says network_mode: {said}")
    return "vxlan" if said == "overlay" else said


def _enable_ipv4(value: Value) -> None:
    if not boolean(value):
        raise value.error("networks without IPv4 are not carried out yet")


NETWORK = Table(
    "a network",
    *_COMMON,
    Key(
        "driver",
        "`bridge`, `routed`, `vxlan`, `wireguard`, text",
        "How it gets from node to node: not at all, by plain routes, tunnelled, encrypted. `overlay` is `vxlan`. "
        "Others are the runtime's own.",
        _network_driver,
        "`vxlan`; on a single node `bridge`",
    ),
    Key("internal", "boolean", "No way out of it.", boolean, "`false`"),
    Key("attachable", "boolean", "Others may join it.", boolean, "`false`"),
    Key("enable_ipv4", "`true`", "IPv4 addresses.", _enable_ipv4, "`true`"),
    Key("enable_ipv6", "boolean", "IPv6 addresses as well.", boolean, "`false`"),
    Key("ipam", "mapping", "Addresses: `config` with `subnet`, `gateway`, `ip_range`.", IPAM.read),
)
OWN_OF_VOLUME = Table(
    "x-shipyard of a volume",
    Key(
        "per_replica",
        "boolean",
        "Each replica has one of its own, with `_` and its number behind the name; it stays with that replica.",
        boolean,
        "`false`",
    ),
)
VOLUME = Table(
    "a volume",
    *_COMMON,
    Key("driver", "text", "The runtime's volume driver.", text, "`local`"),
    Key(OWN, "mapping", "What Compose has no word for: `per_replica`.", OWN_OF_VOLUME.read),
)


CONFIG = Table(
    "a config",
    Key(
        "name",
        "text",
        "Its name; what an external one was called when it was set.",
        text,
        "`STACK_KEY`; of an external one its key",
    ),
    Key("file", "path", "Its content, from a file of the project.", text),
    Key("content", "text", "Its content.", lambda value: value.scalar()),
    Key("environment", "name", "Its content, from a variable of shipyard's own environment.", text),
    Key("external", "boolean", "It was stored by `shipyard configs set`.", external, "`false`"),
    Key("labels", "mapping or list", "Accepted, and of no effect.", label_pairs),
    refused("template_driver", "is not known", "content is a Jinja template already"),
)


def network(value: Value, stack: str, key: str) -> NetworkSpec:
    got = _section(value, NETWORK, ("name",))
    name = full_name(value, stack, key, got)
    ipam = got.pop("ipam", {}).get("config", {})
    kept = {field_: got[field_] for field_ in _NETWORK_FIELDS if field_ in got}
    if "gateway" in ipam and "subnet" not in ipam:
        raise value.error("has a gateway but no subnet")
    if kept.get("driver") in ACROSS and ipam:
        raise value.error(
            f"has driver {kept['driver']}, whose addresses shipyard gives out, so ipam can't be said",
            hint="network.containers and network.containers6 in shipyard.toml are the ranges that they are from",
        )
    return NetworkSpec(name, key, **kept, **ipam)


_NETWORK_FIELDS = ("driver", "driver_opts", "internal", "attachable", "enable_ipv6", "labels", "external")


def volume(value: Value, stack: str, key: str) -> VolumeSpec:
    got = _section(value, VOLUME, ("name",))
    name = full_name(value, stack, key, got)
    device = dict(got.get("driver_opts", ())).get("device", "")
    if device.startswith("/"):
        power.path(value, device)
    kept = {part: got[part] for part in ("driver", "driver_opts", "labels", "external") if part in got}
    return VolumeSpec(name, key, **kept, per_replica=got.get(OWN, {}).get("per_replica", False))


def config(value: Value, stack: str, key: str) -> ConfigSpec | None:
    """None where its content could not be read, which is noted. What an external one holds, the store knows."""
    if value.data is None:
        raise value.error("has no content", hint="give it file:, content:, environment: or external: true")
    before = len(value.reading.problems)
    got = CONFIG.read(value)
    if len(value.reading.problems) > before:
        return None
    outside = got.get("external") or {"external": False}
    said = {**got, "external": outside["external"] or None}
    sources = [source for source in SOURCES if said.get(source) is not None]
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        raise value.error(f"takes exactly one of file, content, environment and external, found {found}")
    if sources[0] == "external":
        return ConfigSpec(stored_name(value, {**got, **outside}, key, "configs"), key, b"", "", external=True)
    source = value.child(sources[0], said[sources[0]])
    content = nearby.content(source, sources[0], said[sources[0]], nearby.MAX_CONFIG)
    return ConfigSpec(full_name(value, stack, key, got), key, content, digest(content))


def stored_name(value: Value, got: Mapping[str, Any], key: str, command: str) -> str:
    """What an external config or secret is called in the store. `command`: what puts it there."""
    name: str = got.get("name") or key
    if KEY.fullmatch(name) is None:
        raise value.error(f"the name {name!r} is none that `shipyard {command} set` takes: letters, digits, _ . - only")
    return name
