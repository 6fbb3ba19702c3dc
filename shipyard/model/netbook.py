"""What is remembered of the cluster's network: who was given which address, and how each node was left."""

from __future__ import annotations

from shipyard.base.record import Struct


class NetworkNode(Struct, frozen=True):
    """A node as the others' packets find it. `number`: of its tunnel address in the range's first part, from 1.

    `address`: its own, by which the others reach it; `device`: where that is. `mtu`: of that device. `public_key`:
    WireGuard's. `link`: its link-local address on `device`, "" where none is known.
    """

    node: str
    number: int
    address: str = ""
    device: str = ""
    mtu: int = 1500
    public_key: str = ""
    link: str = ""

    @property
    def key(self) -> tuple[str]:
        return (self.node,)


class NetworkBlock(Struct, frozen=True):
    """The addresses of one network's containers on one node: `block` is `A/LENGTH`."""

    network: str
    node: str
    block: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.network, self.node)


class NetworkDriver(Struct, frozen=True):
    """What was decided for a network whose file names no driver, and holds while replicas are on it."""

    network: str
    driver: str

    @property
    def key(self) -> tuple[str]:
        return (self.network,)


class ServiceAddress(Struct, frozen=True):
    """The stable address of a service on a network."""

    stack: str
    service: str
    network: str
    address: str

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.stack, self.service, self.network)


class AddressLease(Struct, frozen=True):
    """The address that the container of this incarnation has on a network."""

    stack: str
    service: str
    slot: int
    network: str
    node: str
    incarnation: int
    address: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.network)


class Wired(Struct, frozen=True):
    """How a node was when all was found as it should be, so that the next pass needs no details.

    `wanted`: digest of what it should have (rules left out), and `kernel` of how its listing looked then.
    `loaded`: digest of the rules' text, and `rules` of how their listing looked. `shape`: digest of all in the rules
    but the replicas. `ports`: of the node, that it answers on (`tcp/80`), and `owners`: whose they are
    (`tcp/80 shop/web`). `led`: the UDP ports that have led to some replica ever since. `failures`: in a row, of changes
    here; the next is made at `retry_at` (unix seconds); `message`: the node's words about the last; `names_failed`: of
    them hosts files. `plug_failures`, `plug_at`, `plug_message`: likewise, of containers that were to be put back on a
    bridge. `six`: something of IPv6 was made there, so that it is asked about that until it is gone.
    """

    node: str
    wanted: str = ""
    kernel: str = ""
    loaded: str = ""
    rules: str = ""
    shape: str = ""
    ports: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    led: tuple[int, ...] = ()
    failures: int = 0
    retry_at: float = 0.0
    message: str = ""
    six: bool = False
    names_failed: bool = False
    plug_failures: int = 0
    plug_at: float = 0.0
    plug_message: str = ""

    @property
    def key(self) -> tuple[str]:
        return (self.node,)


class Endpoint(Struct, frozen=True):
    """A replica that a service's addresses led to, as of the last pass. `addresses`: (network, address), sorted."""

    stack: str
    service: str
    slot: int
    node: str
    container: str
    addresses: tuple[tuple[str, str], ...]

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.container)


class Draining(Struct, frozen=True):
    """A container that is to stop. `since`: unix seconds when no address led to it any more, 0 before that.

    `told`: when the wave ended in which the nodes were last told to lead nobody there, whether they did it or not.
    """

    container: str
    node: str
    since: float = 0.0
    told: float = 0.0

    @property
    def key(self) -> tuple[str]:
        return (self.container,)
