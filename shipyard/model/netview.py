"""The cluster's network as people look at it: what `shipyard network` shows."""

from __future__ import annotations

from shipyard.base.record import Struct


class ReplicaView(Struct, frozen=True):
    """One replica on a network. `ready`: service addresses lead to it. `beside`: its address of IPv6, "" for none."""

    slot: int
    node: str
    container: str
    address: str
    ready: bool
    beside: str = ""


class ServiceView(Struct, frozen=True):
    """A service on a network. `address`: its stable one, "" where its name means its replicas.

    `names`: by which others find it. `allowed`: services that alone may connect (`stack/service`, `*`), None for all on
    the network. `ports`: of the nodes that lead to it (`tcp/8080`).
    """

    stack: str
    service: str
    address: str
    names: tuple[str, ...]
    replicas: tuple[ReplicaView, ...]
    allowed: tuple[str, ...] | None = None
    ports: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.stack}/{self.service}"


class NetworkView(Struct, frozen=True):
    """A network. `blocks`: (node, block) where it spans nodes. `nodes`: on which there is something of it."""

    name: str
    stack: str
    driver: str
    internal: bool
    blocks: tuple[tuple[str, str], ...]
    nodes: tuple[str, ...]
    services: tuple[ServiceView, ...]


class Reach(Struct, frozen=True):
    """One connection that was tried. `client`, `target`: `stack/service`. `expected`: whether it should succeed.

    `succeeded` None: it could not be tried, for the reason in `words`. `silent`: for all of a node from which nothing
    was, since it could not be reached.
    """

    network: str
    client: str
    target: str
    node: str
    address: str
    port: int
    expected: bool
    succeeded: bool | None
    words: str = ""
    silent: bool = False

    @property
    def wrong(self) -> bool:
        return self.succeeded is not self.expected
