"""What the commands ask of the layer below: the one place where the command line meets the passes.

`open_fleet` is imported and called when a command needs nodes or the store, never for help or completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from shipyard.cli.app import App
    from shipyard.model.plan import Plan
    from shipyard.model.progress import Ending, Progress
    from shipyard.model.request import ApplyRequest, HostKey, NodeCheck, ReconcileRequest, RemoveRequest
    from shipyard.model.situation import Situation
    from shipyard.model.spec import Revision
    from shipyard.model.status import PassSummary
    from shipyard.runtime.dialect import Dialect
    from shipyard.store.records import EventRow, RevisionRow
    from shipyard.transport.connection import NodeConnection


class Fleet(Protocol):
    """The fleet of some settings: its store and its nodes. All methods raise ShipyardError's children."""

    def plan(self, request: ApplyRequest | None = None) -> tuple[Situation, Plan]:
        """What `apply` would do; without a request, what `reconcile` would. Changes nothing, takes no lease."""
        ...

    def apply(self, request: ApplyRequest, progress: Progress) -> Ending:
        """Store the new revisions, and run passes."""
        ...

    def reconcile(self, request: ReconcileRequest, progress: Progress) -> Ending:
        """Run passes."""
        ...

    def remove(self, request: RemoveRequest, progress: Progress) -> Ending:
        """Remove a stack, and run passes until nothing of it is left."""
        ...

    def last_pass(self) -> PassSummary | None:
        """The newest pass that did something, or looked."""
        ...

    def events(self, *, stack: str | None, after: int, limit: int) -> Sequence[EventRow]:
        """Events with an id greater than `after`, oldest first; of these the newest `limit`. `stack` None: of all."""
        ...

    def stacks(self) -> tuple[str, ...]:
        """Names of all stacks, sorted."""
        ...

    def history(self, stack: str) -> Sequence[RevisionRow]:
        """A stack's revisions, newest first. Raises StoreError for a stack that is not known."""
        ...

    def revision(self, stack: str, number: int | None = None) -> Revision:
        """One revision, or the newest. Raises StoreError."""
        ...

    def check_nodes(self, pattern: str) -> Sequence[NodeCheck]:
        """Connect to each node the pattern names, and say what is missing."""
        ...

    def host_keys(self, pattern: str) -> Sequence[HostKey]:
        """The keys that the hosts show now, beside what known_hosts has."""
        ...

    def record_host_keys(self, keys: Sequence[HostKey]) -> Path:
        """Write these keys to known_hosts; returns the file."""
        ...

    def remove_node(self, name: str) -> None:
        """Forget an orphaned node."""
        ...

    def confirm_dead(self, name: str) -> None:
        """A person says that this node is off for good: what only it may write can be moved."""
        ...

    def repin(self, name: str) -> None:
        """Take the node's runtime and user as they are now."""
        ...

    def adopt_volume(self, stack: str, volume: str, node: str | None) -> Sequence[str]:
        """Take an existing volume into a stack; returns the nodes that have it."""
        ...

    def connection(self, node: str) -> NodeConnection:
        """A connection of its own to one node; the caller closes it."""
        ...

    def dialect(self, node: str) -> Dialect:
        """The container runtime of a node."""
        ...

    def close(self) -> None:
        """Close the store and all connections."""
        ...


@contextmanager
def opened(app: App) -> Iterator[Fleet]:
    """The fleet of this run's settings, closed afterwards."""
    from shipyard.reconcile.session import Session

    fleet: Fleet = Session.open(app.settings)
    try:
        yield fleet
    finally:
        fleet.close()
