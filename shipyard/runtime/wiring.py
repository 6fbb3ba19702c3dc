"""Ports, names and addresses of a container as options; what differs between runtimes is how a network is joined."""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.model.container import Attachment, ContainerSpec, Port
from shipyard.runtime.dialect import Unsupported
from shipyard.runtime.traits import Traits, csv_field


def common(spec: ContainerSpec, traits: Traits) -> tuple[str, ...]:
    """Ports, exposed ports, resolver settings and extra hosts."""
    return tuple(_words(spec, traits))


def _words(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    for port in spec.ports:
        yield _port(port)
    for text in spec.expose:
        yield traits.option("expose", text)
    for name, values in (("dns", spec.dns), ("dns-search", spec.dns_search), ("dns-option", spec.dns_opt)):
        for value in values:
            yield traits.option(name, value)
    for host, address in () if spec.hosts else spec.extra_hosts:
        yield traits.option("add-host", f"{host}:{address}")


def _port(port: Port) -> str:
    """A port that is not published on the node is only exposed: an ephemeral port of the node is never taken."""
    inside = f"{port.target}/{port.protocol}"
    if port.published is None:
        return f"--expose={inside}"
    if port.address is None:
        return f"--publish={port.published}:{inside}"
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"--publish={address}:{port.published}:{inside}"


def separate(attachment: Attachment) -> tuple[str, ...]:
    """A network and what belongs to it as options of their own, for `run` and `create` with one network."""
    words = [f"--network={attachment.network}"]
    words += [f"--network-alias={alias}" for alias in attachment.aliases]
    words += [f"--ip={attachment.ipv4_address}"] if attachment.ipv4_address else []
    words += [f"--ip6={attachment.ipv6_address}"] if attachment.ipv6_address else []
    words += [f"--mac-address={attachment.mac_address}"] if attachment.mac_address else []
    return tuple(words)


def together(attachment: Attachment) -> str:
    """Podman's `--network=NAME:alias=…,ip=…`, of which there may be several."""
    parts = [f"alias={alias}" for alias in attachment.aliases]
    parts += [f"ip={attachment.ipv4_address}"] if attachment.ipv4_address else []
    parts += [f"ip6={attachment.ipv6_address}"] if attachment.ipv6_address else []
    parts += [f"mac={attachment.mac_address}"] if attachment.mac_address else []
    if any("," in part for part in parts):
        raise Unsupported("podman", "aliases", f"a comma in a name on the network {attachment.network}")
    return f"--network={attachment.network}" + (f":{','.join(parts)}" if parts else "")


def joining(attachment: Attachment, program: str, *, mac: bool) -> tuple[str, ...]:
    """The options of `network connect`; `mac`: it has one for the MAC address. Aliases are read as CSV by podman."""
    words = [
        f"--alias={csv_field(alias, program, 'aliases') if program == 'podman' else alias}"
        for alias in attachment.aliases
    ]
    words += [f"--ip={attachment.ipv4_address}"] if attachment.ipv4_address else []
    words += [f"--ip6={attachment.ipv6_address}"] if attachment.ipv6_address else []
    words += [f"--mac-address={attachment.mac_address}"] if mac and attachment.mac_address else []
    return tuple(words)
