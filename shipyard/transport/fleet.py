"""All nodes at once: bounded parallelism, one connection a node, every node with an outcome of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from shipyard.base.errors import NodeError, NotObserved
from shipyard.model.inventory import Connection
from shipyard.transport.connection import NodeConnection
from shipyard.transport.crew import Crew
from shipyard.transport.local import LocalConnection
from shipyard.transport.options import SshOptions

if TYPE_CHECKING:  # paramiko takes 0.3 s to import: not where all nodes are local, nor for --help
    from shipyard.transport.ssh import SshConnection, SshConnections

__all__ = ["Fleet", "SshOptions"]

T = TypeVar("T")


class Fleet:
    """Connections to nodes, opened when first asked for and kept open between calls; broken ones are made anew."""

    def __init__(self, hosts: Mapping[str, Connection], *, forks: int = 64, options: SshOptions | None = None) -> None:
        self._hosts = hosts
        self._forks = max(1, forks)
        self._options = options or SshOptions()
        self._lock = threading.Lock()
        self._connections: dict[str, SshConnection | LocalConnection] = {}
        self._calls: dict[str, _Call] = {}
        self._ssh: SshConnections | None = None

    def reach(self, hosts: Mapping[str, Connection]) -> None:
        """These hosts from now on. What is open stays so: a host that it knew before must be reached as before."""
        self._hosts = hosts

    def call(self, nodes: Iterable[str]) -> None:
        """Begin to connect, in the background. Whoever opens one of these next waits for that, and gets its error."""
        names = tuple(dict.fromkeys(nodes))
        with self._lock:
            calls = {node: _Call() for node in names}
            self._calls.update(calls)
            todo = iter([(self._connection(node), calls[node]) for node in names])
        turn = threading.Lock()

        def take_turns() -> None:
            while True:
                with turn:
                    item = next(todo, None)
                if item is None:
                    return
                item[1].make(item[0])

        for _ in range(min(self._forks, len(names))):
            threading.Thread(target=take_turns, name="shipyard-call", daemon=True).start()

    def open(self, node: str) -> NodeConnection:
        """The one connection of this node, open. Raises NodeError's children."""
        with self._lock:
            connection = self._connection(node)
            call = self._calls.pop(node, None)
        if call is not None:
            call.wait()
        connection.open()
        return connection

    def fresh(self, node: str) -> NodeConnection:
        """A further connection to a node, open, which the caller closes. Raises NodeError's children."""
        with self._lock:
            connection = self._make(node)
        connection.open()
        return connection

    def _connection(self, node: str) -> SshConnection | LocalConnection:
        if node not in self._connections:
            self._connections[node] = self._make(node)
        return self._connections[node]

    def each(self, nodes: Iterable[str], work: Callable[[NodeConnection], T]) -> dict[str, T | NodeError]:
        """Do something on every node, at most `forks` at once; the result or the error of each, in the order given.

        What is no NodeError is a bug: the rest is cancelled and it is raised. An interrupt closes all connections
        and so ends the waiting for what runs; what waits is not begun. A script that a node has begun runs to its end.
        """
        names = tuple(dict.fromkeys(nodes))
        crew = Crew(names, lambda node: work(self.open(node)))
        try:
            return crew.run(min(self._forks, len(names)))
        except BaseException:
            crew.cancel()
            self.close()
            crew.leave()
            raise

    def close(self) -> None:
        """Close everything at once; the fleet can be used again."""
        with self._lock:
            ssh, self._ssh = self._ssh, None
            connections, self._connections = self._connections, {}
            self._calls = {}
        if ssh is not None:
            ssh.close()
        for connection in connections.values():
            connection.close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make(self, node: str) -> SshConnection | LocalConnection:
        host = self._hosts.get(node)
        if host is None:
            raise NotObserved(node, "the inventory has no such host")
        if host.kind == "local":
            return LocalConnection(node, host.become)
        if host.kind not in {"ssh", "smart", "paramiko", "paramiko_ssh"}:
            raise NotObserved(
                node, f"ansible_connection `{host.kind}` is not supported", hint="supported are ssh and local"
            )
        if self._ssh is None:
            from shipyard.transport.ssh import SshConnections

            self._ssh = SshConnections(self._options)
        return self._ssh.connection(node, host)


class _Call:
    """A connection on its way to being open."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def make(self, connection: SshConnection | LocalConnection) -> None:
        """Connect; the error is kept for whoever waits."""
        try:
            connection.open()
        except BaseException as error:  # of this thread nobody would hear
            self._error = error
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Until it has ended. Raises its error."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
