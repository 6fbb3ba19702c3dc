"""What one probe of a node came to. Unknown is not absent: a node that can't be read has no lists at all."""

from __future__ import annotations

from enum import StrEnum

from shipyard.base.record import Struct
from shipyard.model.container import Pairs
from shipyard.model.node import Availability
from shipyard.model.wire import ObservedWiring


class ContainerState(StrEnum):
    """Docker's words, which podman's and nerdctl's are mapped to."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


class Health(StrEnum):
    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ObservedAttachment(Struct, frozen=True):
    """A container on a runtime's network. `aliases`: sorted; the container's own id and name left out."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    mac_address: str | None = None
    ipv6_address: str | None = None


class Container(Struct, frozen=True):
    """A container that carries this cluster's label, as observed.

    `id`: full. `image`: the image's id (`sha256:…`). `age`: seconds since it last started, by the node's own clock;
    None when it never did. `started`: when that was, in unix seconds of that clock. `ended`: seconds since it last
    ended. `restarts`: the runtime's own count.
    `error`: the runtime's words for why it did not start. `log`: last lines, only where it failed.
    `anonymous`: volumes that the runtime named by itself, as (target in the container, volume), sorted.
    `files`: shipyard's own files on the node that are mounted into it (`configs/…`, `secrets/…`), sorted.
    `parts`: of a replica of several containers seen as one, they themselves (the planner's groups).
    """

    id: str
    name: str
    state: ContainerState
    labels: Pairs = ()
    image: str = ""
    health: Health = Health.NONE
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    restarts: int = 0
    age: float | None = None
    started: float | None = None
    ended: float | None = None
    networks: tuple[ObservedAttachment, ...] = ()
    log: str = ""
    anonymous: Pairs = ()
    files: tuple[str, ...] = ()
    parts: tuple[Container, ...] = ()

    def label(self, name: str) -> str | None:
        """A label's value, or None."""
        for key, value in self.labels:
            if key == name:
                return value
        return None


class ObservedNetwork(Struct, frozen=True):
    """`device`: the bridge on the node, "" where the runtime does not say."""

    id: str
    name: str
    labels: Pairs = ()
    driver: str = ""
    subnets: tuple[str, ...] = ()
    internal: bool = False
    device: str = ""


class ObservedVolume(Struct, frozen=True):
    name: str
    labels: Pairs = ()
    driver: str = ""


class ObservedImage(Struct, frozen=True):
    """`reference`: as asked for. `id`: `sha256:…` of the image's config. `digests`: `name@sha256:…`, sorted."""

    reference: str
    id: str
    digests: tuple[str, ...] = ()


class Facts(Struct, frozen=True):
    """What a node says of itself. `memory` in bytes, `clock` in unix seconds (the node's own), `uptime` in seconds.

    `os`: its distribution, in its own words; `platform`: the name of its kernel (`Linux`), "" in facts of old stores.
    `systemd`: it runs as pid 1, so podman's health checks and boot units work. `rootless`: the runtime is.
    """

    node_id: str = ""
    hostname: str = ""
    os: str = ""
    arch: str = ""
    kernel: str = ""
    cpus: int = 0
    memory: int = 0
    clock: float = 0.0
    boot_id: str = ""
    uptime: float = 0.0
    systemd: bool = False
    rootless: bool = False
    user: str = ""
    runtime: str = ""
    runtime_version: str = ""
    platform: str = ""


class HeldRevision(Struct, frozen=True):
    """A revision's body kept on the node, for rebuilding a lost store."""

    stack: str
    number: int
    digest: str


class Usage(Struct, frozen=True):
    """What a container uses now: cores, and bytes of memory. None: its runtime did not say."""

    container: str
    cpu: float | None = None
    memory: int | None = None


class ObservedNode(Struct, frozen=True):
    """Everything that one probe found. `owner`: the uuid of the store that owns the node, "" when nobody does.

    `epoch`: the newest lease holder's number the node has seen. `configs`, `secrets`: names of the files kept there
    (`ConfigMount.file_name`). `markers`: of jobs' runs that were begun here. `availability`, `drain_until`: its copy of
    what people decided about it. `others`: other clusters of which a store
    owns this node too, each with that owner: where this cluster's own store is new, they may be what it was called
    before its store was lost. `usage`: of containers, sorted by id; only where it was asked for. `wiring`: what it has
    of the cluster's network, where it was asked for. `open_connections`: of the containers asked about, by name, how
    many TCP connections from elsewhere are established; `datagrams`: those of them that take UDP, too. `all_networks`:
    `networks` has those of the cluster, too, that nobody asked for.
    """

    name: str
    facts: Facts
    owner: str = ""
    epoch: int = 0
    containers: tuple[Container, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    volumes: tuple[ObservedVolume, ...] = ()
    images: tuple[ObservedImage, ...] = ()
    revisions: tuple[HeldRevision, ...] = ()
    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    availability: Availability = Availability.ACTIVE
    drain_until: float = 0.0
    others: tuple[tuple[str, str], ...] = ()
    usage: tuple[Usage, ...] = ()
    wiring: ObservedWiring | None = None
    open_connections: tuple[tuple[str, int], ...] = ()
    datagrams: tuple[str, ...] = ()
    all_networks: bool = True


class Silent(Struct, frozen=True):
    """A node about which nothing could be learnt in this pass.

    `connected` False: no connection (a miss). True: alive, not observed. `kind`: the error's class name, `message`
    and `hint`: its words. `via`: the jump host that failed, so that nodes behind it count as one failure.
    """

    name: str
    connected: bool
    kind: str
    message: str
    hint: str | None = None
    via: str | None = None


Observation = ObservedNode | Silent
