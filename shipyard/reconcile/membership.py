"""Which nodes there are: the inventory's hosts that stacks use, beside those that the store remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct, replace
from shipyard.files.inventory import connection_of, node_settings
from shipyard.files.patterns import match
from shipyard.model.inventory import Connection, Inventory
from shipyard.model.node import Node, Taint
from shipyard.store.records import StoredNode

SHRINK_SHARE = 0.10
SHRINK_LEAST = 2
"""An inventory that lost more than this of the known nodes (and so many at least) is not believed unasked."""


class Membership(Struct, frozen=True):
    """`nodes`: sorted by name. `connections`: how to reach each. `gone`: known nodes that no source names any more."""

    nodes: tuple[Node, ...]
    connections: Mapping[str, Connection]
    gone: tuple[str, ...] = ()


def members(
    inventory: Inventory, stored: Iterable[StoredNode], patterns: Iterable[str], *, confirmed: bool
) -> Membership:
    """The nodes of the fleet. Raises ConfigError when the inventory has shrunk beyond belief, unless confirmed."""
    known = {record.node.name: record for record in stored}
    hosts = {host.name: host for host in inventory.hosts}
    gone = sorted(name for name in known if name not in hosts)
    newly = [name for name in gone if not known[name].node.orphaned]
    if not confirmed:
        _believe(inventory, newly, len([name for name in known if not known[name].node.orphaned]))
    local = inventory.implicit_localhost
    if local is not None:
        hosts.setdefault(local.name, local)
    wanted = {name for pattern in patterns for name in match(pattern, inventory).hosts} | (set(known) & set(hosts))
    nodes, connections = [], {}
    for name in sorted(wanted):
        host = hosts.get(name)
        if host is None:
            continue
        connection, said = connection_of(inventory, host), node_settings(inventory, host)
        before = known[name].node if name in known else Node(name)
        nodes.append(
            replace(
                before,
                address=connection.address,
                groups=host.groups,
                labels=said.labels,
                taints=tuple(Taint(*taint) for taint in said.taints),
                devices=said.devices,
                runtime=before.runtime or said.runtime,
                orphaned=False,
            )
        )
        connections[name] = connection
    for name in gone:
        nodes.append(replace(known[name].node, orphaned=True))
        connections[name] = known[name].connection
    return Membership(tuple(sorted(nodes, key=lambda node: node.name)), connections, tuple(gone))


def _believe(inventory: Inventory, newly_gone: list[str], known: int) -> None:
    if not newly_gone:
        return
    sources = ", ".join(inventory.sources) or "no source"
    if not inventory.hosts:
        raise ConfigError(
            f"the inventory ({sources}) names no host at all, and {known} nodes are known",
            hint="is it the right file? --yes believes it: nothing is moved, the nodes are kept as orphaned",
        )
    if len(newly_gone) >= SHRINK_LEAST and len(newly_gone) > known * SHRINK_SHARE:
        raise ConfigError(
            f"the inventory ({sources}) no longer names {len(newly_gone)} of {known} known nodes: "
            f"{', '.join(newly_gone[:10])}{' …' if len(newly_gone) > 10 else ''}",
            hint="--yes believes it: nothing is moved, the nodes are kept as orphaned until `shipyard nodes remove`",
        )
