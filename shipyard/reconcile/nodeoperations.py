"""What people can ask about nodes and networks, or decide about them, without a pass: the part of Operations for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shipyard.base.errors import NodeError, StoreError
from shipyard.model.node import Availability
from shipyard.model.request import HostKey, NodeCheck
from shipyard.reconcile.session import Session
from shipyard.runtime.dialect import Dialect
from shipyard.runtime.dialects import by_name
from shipyard.transport.connection import NodeConnection

if TYPE_CHECKING:
    from shipyard.model.netview import NetworkView, Reach


class NodeOperations:
    """The nodes of the fleet of a session. All methods raise ShipyardError's children."""

    _session: Session

    def check_nodes(self, pattern: str) -> Sequence[NodeCheck]:
        """Connect to each node the pattern names, and say what is missing."""
        from shipyard.reconcile import nodecare

        return nodecare.check(self._session, pattern)

    def host_keys(self, pattern: str) -> tuple[Sequence[HostKey], Sequence[NodeError]]:
        """The keys that the hosts show now, beside what known_hosts has."""
        from shipyard.reconcile import nodecare

        return nodecare.host_keys(self._session, pattern)

    def record_host_keys(self, keys: Sequence[HostKey]) -> Path:
        """Write these keys to known_hosts; returns the file."""
        from shipyard.reconcile import nodecare

        return nodecare.record_host_keys(self._session, keys)

    def known_node(self, name: str) -> None:
        """UsageError where the fleet has no such node."""
        from shipyard.reconcile import nodecare

        nodecare.known_node(self._session, name)

    def remove_node(self, name: str, force: bool) -> tuple[str, ...]:
        """Forget an orphaned node. Returns what was left on it, which only `force` allows."""
        from shipyard.reconcile import nodecare

        return nodecare.remove(self._session, name, force)

    def cordon(self, pattern: str) -> tuple[str, ...]:
        """Place no more on these nodes; returns their names."""
        from shipyard.reconcile import draining

        return draining.decide(self._session, pattern, Availability.PAUSE)

    def activate(self, pattern: str) -> tuple[str, ...]:
        """Let these nodes take work again; returns their names."""
        from shipyard.reconcile import draining

        return draining.decide(self._session, pattern, Availability.ACTIVE)

    def left_on(self, pattern: str) -> Sequence[tuple[str, str]]:
        """Replicas still placed on these nodes, each with its node."""
        from shipyard.reconcile import draining

        return draining.left_on(self._session, pattern)

    def confirm_dead(self, name: str) -> None:
        """A person says that this node is off for good: its work can be moved."""
        from shipyard.reconcile import nodecare

        nodecare.confirm_dead(self._session, name)

    def repin(self, name: str) -> None:
        """Take the node's runtime and user as they are now."""
        from shipyard.reconcile import nodecare

        nodecare.repin(self._session, name)

    def networks(self) -> Sequence[NetworkView]:
        """The networks, as the nodes have them now."""
        from shipyard.reconcile import networking

        return networking.networks(self._session)

    def check_networks(self, network: str | None) -> Sequence[Reach]:
        """Try which containers can connect to which."""
        from shipyard.reconcile import networking

        return networking.check(self._session, network)

    def connection(self, node: str) -> NodeConnection:
        """A connection of its own to one node; the caller closes it."""
        membership = self._session.membership((node,) if self._session.inventory.host(node) else ())
        return self._session.fleet(membership).open(node)

    def dialect(self, node: str) -> Dialect:
        """The container runtime of a node."""
        for record in self._session.store.nodes():
            if record.node.name == node and record.node.runtime:
                return by_name(record.node.runtime)
        raise StoreError(f"the container runtime of {node} is not known yet", hint=f"shipyard nodes check {node}")
