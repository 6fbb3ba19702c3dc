"""What is remembered between passes, beside the desired state: the planner reads it and returns it changed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from shipyard.base.record import Struct
from shipyard.model.job import Job
from shipyard.model.netbook import (
    AddressLease,
    Draining,
    Endpoint,
    NetworkBlock,
    NetworkDriver,
    NetworkNode,
    ServiceAddress,
    Wired,
)
from shipyard.model.node import NodeState

if TYPE_CHECKING:
    from collections.abc import Mapping

SlotKey = tuple[str, str, int]
"""stack, service, slot (a stable number from 1)."""


class Placement(Struct, frozen=True):
    """Which node a replica is on. `incarnation`: how many containers the slot has had, this one included.

    It is recorded before the container is made, and names it: a pass that was killed can be carried on.
    `revision`: the one that last (re)placed it.
    """

    stack: str
    service: str
    slot: int
    node: str
    incarnation: int
    revision: int

    @property
    def key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)


class Failures(Struct, frozen=True):
    """How a slot has fared with one spec (`spec`: its hash). Kept per slot and spec.

    `count`: failures in a row; `retry_at`: unix seconds before which it is not tried again; `reason` (CamelCase) and
    `message` (the runtime's words) of the last. `restarts`: the runtime's own restart count of `container` when last
    seen, so that restarts between two passes can be told. `stopped`: shipyard stopped it for restarting too often.
    """

    stack: str
    service: str
    slot: int
    spec: str
    count: int = 0
    retry_at: float = 0.0
    reason: str = ""
    message: str = ""
    container: str = ""
    restarts: int = 0
    last: float = 0.0

    @property
    def key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)


class NodeMemory(Struct, frozen=True):
    """How a node has answered. `since`: unix seconds when `state` began. `misses`: in a row.

    `silent_for`: seconds that count towards unreachable and lost: only between misses close enough to each
    other, so a laptop that wakes on Monday declares nobody lost. `last_miss`, `last_seen`: unix seconds, 0 never.
    """

    name: str
    state: NodeState = NodeState.UNKNOWN
    since: float = 0.0
    misses: int = 0
    silent_for: float = 0.0
    last_miss: float = 0.0
    last_seen: float = 0.0
    kind: str = ""
    message: str = ""


class KnownVolume(Struct, frozen=True):
    """A volume that was seen, or made, on a node: when it is gone, that is a loss and not a fresh start."""

    node: str
    name: str
    stack: str


class Rollout(Struct, frozen=True):
    """How a service's last update goes, or went. `revision`: the one it is going to (or went to). `since`: when it
    began, or was resumed; times are unix seconds.

    `state`: Swarm's words. `message`: why it stopped or goes back, where it does. `target`: a digest of what its
    containers should be made from: a revision that changes only other services is no other update. `before`: the last
    revision that was good, 0 for none; `undone`: the one that a rollback leaves. `watched`: new replicas that have
    become ready, as (slot, since when). `good`: slots whose new replica has stood its test. `failed`: those whose new
    replica failed. `gated`: the first of them was well, so that others may follow. `last`: when the newest one became
    ready. `stalled`: seconds of looking without progress; `looked`: when it was last looked at. `canary`: since when
    all canaries are in `good`, 0 while they are not; -1 once they were judged: until then they may still fail.
    """

    stack: str
    service: str
    revision: int
    state: Literal["updating", "paused", "completed", "rollback_started", "rollback_paused", "rollback_completed"]
    since: float = 0.0
    message: str = ""
    target: str = ""
    before: int = 0
    undone: int = 0
    watched: tuple[tuple[int, float], ...] = ()
    good: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    gated: bool = False
    last: float = 0.0
    stalled: float = 0.0
    looked: float = 0.0
    canary: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        return (self.stack, self.service)

    @property
    def active(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in ("updating", "rollback_started")

    @property
    def paused(self) -> bool:
        """Whether it waits for a person."""
        return self.state in ("paused", "rollback_paused")

    @property
    def completed(self) -> bool:
        """Whether it is over."""
        return self.state in ("completed", "rollback_completed")


class Hold(Struct, frozen=True):
    """A person has paused a stack's rollouts: nothing that serves is replaced until `resume`. `author`: user@host."""

    stack: str
    since: float
    author: str

    @property
    def key(self) -> tuple[str]:
        return (self.stack,)


StumbleKey = tuple[str, str, str]
"""stack, service, node."""


class Stumbles(Struct, frozen=True):
    """When replicas of a service failed on a node of late: unix seconds, oldest first."""

    stack: str
    service: str
    node: str
    times: tuple[float, ...] = ()

    @property
    def key(self) -> StumbleKey:
        return (self.stack, self.service, self.node)


class Relocation(Struct, frozen=True):
    """A replica that a person asked to move to `node`, so that the fleet is more even. `since`: unix seconds."""

    stack: str
    service: str
    slot: int
    node: str
    since: float

    @property
    def key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)


ProbeName = Literal["startup", "liveness", "readiness"]


class ProbeCount(Struct, frozen=True):
    """How one probe of one container has gone. `probe`: hash of the probe as declared; another one is counted anew.

    `tried`: unix seconds. `passed`: the last try that came to anything, and `row` how many in a row came to the same.
    `holds`: the verdict, which changes only when a threshold is reached. `words`: of the last failure. `obstacle`: why
    it could not be tried of late, "" when it could.
    """

    name: ProbeName
    probe: str
    tried: float
    passed: bool = False
    row: int = 0
    holds: bool = False
    words: str = ""
    obstacle: str = ""


class Probed(Struct, frozen=True):
    """The probes of one run of a container: `restarts` and `started` tell when it has been started anew.

    `started`: unix seconds of the node's clock; 0.0 where an older version wrote this.
    """

    stack: str
    service: str
    slot: int
    container: str
    node: str
    restarts: int
    started: float = 0.0
    counts: tuple[ProbeCount, ...] = ()

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.container)

    def count(self, name: ProbeName) -> ProbeCount | None:
        """Of this probe, or None before its first try."""
        return next((count for count in self.counts if count.name == name), None)


class Scale(Struct, frozen=True):
    """How many replicas an autoscaled service is to have. `judged`: unix seconds of the last look at its use.

    `wishes`: what its use asked for of late, as (unix seconds, replicas), oldest first. `figures`: what `wanted` was
    last changed, or left, by.
    """

    stack: str
    service: str
    wanted: int
    judged: float = 0.0
    wishes: tuple[tuple[float, int], ...] = ()
    figures: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.stack, self.service)


class Attempts(Struct, frozen=True):
    """How often a slot was restarted with one spec (`spec`: its hash), where its policy limits that.

    `restarts`: the runtime's own count of `container` that is in `count` already.
    """

    stack: str
    service: str
    slot: int
    spec: str
    count: int = 0
    container: str = ""
    restarts: int = 0

    @property
    def key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)


class Nameless(Struct, frozen=True):
    """Volumes without a name that a replica had on a node, as (target, volume). `member`: of a replica of several.

    Only a container says whose they are: when it is removed by hand, this is what is left to tell.
    """

    stack: str
    service: str
    slot: int
    member: str
    node: str
    volumes: tuple[tuple[str, str], ...]

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.member)


class Departed(Struct, frozen=True):
    """A replica has left a node, where this incarnation of it may still be at work.

    Kept until the node answers and has no container of it any more. `decided`: whether that one is to go. Where a
    silent node was left, it may yet be the one that stays. `two`: whether another incarnation is at work there beside
    it, as in the midst of an update that is start-first.
    """

    stack: str
    service: str
    slot: int
    node: str
    incarnation: int
    decided: bool = False
    two: bool = False

    @property
    def slot_key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.node)


class Home(Struct, frozen=True):
    """A replica's data in a local volume is on this node, although what replaced it there did without that volume.

    Its service may want the volume again, after a rollback: then it goes back there. Kept as long as the replica is
    wanted and the volume is known.
    """

    stack: str
    service: str
    slot: int
    volume: str
    node: str

    @property
    def slot_key(self) -> SlotKey:
        return (self.stack, self.service, self.slot)

    @property
    def key(self) -> tuple[str, str, int, str]:
        return (self.stack, self.service, self.slot, self.volume)


class Evacuation(Struct, frozen=True):
    """A lost node's work is being moved since `since` (unix seconds); kept while that counts against the next."""

    node: str
    since: float

    @property
    def key(self) -> tuple[str]:
        return (self.node,)


class FailedFencing(Struct, frozen=True):
    """The fence command could not switch a silent node off, at `since` (unix seconds), for the reason in `message`."""

    node: str
    since: float
    message: str

    @property
    def key(self) -> tuple[str]:
        return (self.node,)


class Tainted(Struct, frozen=True):
    """A node has a taint that moves what is there, first seen at `since` (unix seconds)."""

    node: str
    taint: str
    since: float

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.taint)


class Stuck(Struct, frozen=True):
    """Something was blocked when it was last looked at, for this reason since `since` (unix seconds)."""

    target: str
    reason: str
    detail: str
    since: float

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.target, self.reason, self.detail)


class Memory(Struct, frozen=True):
    """All of it, each tuple sorted by its key.

    What has a table of its own comes first; the rest is kept as JSON bodies, so new kinds need no migration.
    """

    placements: tuple[Placement, ...] = ()
    failures: tuple[Failures, ...] = ()
    nodes: tuple[NodeMemory, ...] = ()
    volumes: tuple[KnownVolume, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    holds: tuple[Hold, ...] = ()
    stumbles: tuple[Stumbles, ...] = ()
    attempts: tuple[Attempts, ...] = ()
    nameless: tuple[Nameless, ...] = ()
    departed: tuple[Departed, ...] = ()
    homes: tuple[Home, ...] = ()
    evacuations: tuple[Evacuation, ...] = ()
    fencings: tuple[FailedFencing, ...] = ()
    jobs: tuple[Job, ...] = ()
    probed: tuple[Probed, ...] = ()
    scales: tuple[Scale, ...] = ()
    relocations: tuple[Relocation, ...] = ()
    network_nodes: tuple[NetworkNode, ...] = ()
    blocks: tuple[NetworkBlock, ...] = ()
    service_addresses: tuple[ServiceAddress, ...] = ()
    leases: tuple[AddressLease, ...] = ()
    wired: tuple[Wired, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    draining: tuple[Draining, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    network_drivers: tuple[NetworkDriver, ...] = ()
    tainted: tuple[Tainted, ...] = ()

    def placement_of(self) -> Mapping[SlotKey, Placement]:
        """Placements by slot."""
        return MappingProxyType({placement.key: placement for placement in self.placements})
