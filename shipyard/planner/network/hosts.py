"""Hosts files: how every container knows services and itself by name, with no DNS server anywhere.

Services with an address of their own are in it under that, which never changes; so a running container need not hear of
replicas that come and go. Lines are sorted, so that equal files are equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from shipyard.base.record import Struct
from shipyard.model.container import ContainerSpec
from shipyard.model.netbook import Endpoint
from shipyard.model.plan import Blocked, WriteHosts
from shipyard.model.spec import ServiceSpec
from shipyard.model.wire import HostsFile
from shipyard.planner.network import endpoints, six
from shipyard.planner.world import World

_HEAD = (
    "# Written by shipyard, which rewrites it in place.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
)


class Directory(Struct, frozen=True):
    """Names on each network: (stack whose service is called so, name, addresses). `full`: first in their lines."""

    names: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]]
    full: frozenset[str] = frozenset()


def directory(world: World, ready: Sequence[Endpoint]) -> Directory:
    """Who is called what on each network that spans nodes."""
    by_service: defaultdict[tuple[str, str], list[Endpoint]] = defaultdict(list)
    for endpoint in ready:
        by_service[endpoint.stack, endpoint.service].append(endpoint)
    names: defaultdict[str, list[tuple[str, str, tuple[str, ...]]]] = defaultdict(list)
    full: set[str] = set()
    for stack, service, networks in endpoints.served(world):
        name = stack.revision.stack
        replicas = by_service[name, service.name]
        full |= {called for each in replicas for called in full_names(service, each.slot)[:1]}
        for network in networks:
            names[network] += _of_service(world, name, service, network, replicas)
    return Directory({network: tuple(sorted(found)) for network, found in names.items()}, frozenset(full))


def _of_service(
    world: World, stack: str, service: ServiceSpec, network: str, replicas: Sequence[Endpoint]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    dual = world.spanning[network][1].enable_ipv6
    ranges = world.situation.ranges
    own = {
        each.slot: (address, six.address_of(ranges, address)) if dual else (address,)
        for each in replicas
        for on, address in each.addresses
        if on == network
    }
    if service.endpoint_mode == "vip":
        addresses: tuple[str, ...] = (world.net.service(stack, service.name, network),)
    else:
        addresses = tuple(sorted({address for both in own.values() for address in both}))
    aliases = next((each.aliases for each in service.container.networks if each.network == network), ())
    for alias in dict.fromkeys((service.name, *aliases, f"{service.name}.{stack}")):
        yield stack, alias, addresses
    for slot, both in sorted(own.items()):
        if service.stable_names:
            for called in (service.stable_name(slot), *full_names(service, slot)):
                yield stack, called, both
        if service.peer_names:
            yield stack, f"{slot}.{service.name}.{stack}", both


def full_names(service: ServiceSpec, slot: int) -> tuple[str, ...]:
    """A replica's name with the domains that it is found in, the longest first, which is what `hostname -f` says."""
    name = service.stable_name(slot)
    found = sorted(service.peer_domains, key=lambda domain: (-domain.count("."), domain))
    return tuple(f"{name}.{domain}" for domain in found) if service.stable_names else ()


def clashes(found: Directory) -> Iterator[Blocked]:
    """One name that means services of two stacks on one network. Within a stack that is how Compose shares a name."""
    for network, names in sorted(found.names.items()):
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for stack, name, _ in names:
            owners[name].add(stack)
        for name, stacks in sorted(owners.items()):
            if len(stacks) > 1:
                detail = (
                    f"on {network} the name {name} means a service of each of {', '.join(sorted(stacks))}; "
                    "rename one of them, or drop the alias"
                )
                yield Blocked(network, "NameTwice", detail)


class Wanted(Struct, frozen=True):
    """One file that should be on a node. `gateway`: the node's own address, as the container sees it. `beside`: the
    container's own address of IPv6, "" where it has none."""

    node: str
    container: str
    spec: ContainerSpec
    addresses: tuple[tuple[str, str], ...]
    hostname: str
    gateway: str
    full_names: tuple[str, ...] = ()
    beside: str = ""


def compose(wanted: Iterable[Wanted], found: Directory) -> WriteHosts:
    """The files of one node. Those of containers on the same networks share all but their own lines."""
    shared: dict[tuple[str, ...], int] = {}
    texts: list[str] = []
    files: list[HostsFile] = []
    for each in wanted:
        networks = tuple(attachment.network for attachment in each.spec.networks if attachment.network in found.names)
        if networks not in shared:
            shared[networks] = len(texts)
            texts.append("".join(f"{line}\n" for line in (*_HEAD, *_lines(networks, found))))
        files.append(HostsFile(each.container, shared[networks], tuple(_own(each))))
    return WriteHosts(tuple(texts), tuple(files))


def _lines(networks: Sequence[str], found: Directory) -> Iterator[str]:
    """By address, since that is how a hosts file is read; a name on several networks means the first."""
    known: dict[str, str] = {}
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for network in networks:
        for _, name, addresses in found.names[network]:
            if known.setdefault(name, network) == network:
                for address in addresses:
                    if name not in lines[address]:
                        lines[address].append(name)
    for address, names in sorted(lines.items()):
        yield f"{address}\t{' '.join(sorted(names, key=lambda name: name not in found.full))}"


def _own(each: Wanted) -> Iterator[str]:
    """What the container itself is called, and what its people wrote."""
    spec = each.spec
    names = [*each.full_names, each.hostname]
    if spec.domainname:
        names.insert(0, f"{each.hostname}.{spec.domainname}")
    for _, address in each.addresses[:1]:
        yield f"{address}\t{' '.join(names)}"
    if each.beside:
        yield f"{each.beside}\t{' '.join(names)}"
    for host, address in spec.extra_hosts:
        yield f"{each.gateway if address == 'host-gateway' else address}\t{host}"


def hostname_of(spec: ContainerSpec, container: str) -> str:
    """What a container calls itself: a host name has 63 characters at most."""
    return spec.hostname or container[-63:].lstrip("-._")
