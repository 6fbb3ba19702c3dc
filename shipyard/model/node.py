"""Nodes: hosts that shipyard manages, as the planner sees them."""

from __future__ import annotations

from enum import StrEnum

from shipyard.base.record import Struct
from shipyard.model.container import Pairs


class Availability(StrEnum):
    """What an operator said (Swarm's words)."""

    ACTIVE = "active"
    PAUSE = "pause"
    DRAIN = "drain"


class NodeState(StrEnum):
    """What the passes saw. `unobserved`: alive, but what it said could not be used."""

    READY = "ready"
    UNOBSERVED = "unobserved"
    SUSPECT = "suspect"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    UNKNOWN = "unknown"


class Taint(Struct, frozen=True):
    """What keeps replicas away that don't tolerate it. `effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class Node(Struct, frozen=True):
    """One node of the fleet.

    `groups`: the inventory groups (roles). `labels`: `shipyard_labels` of the inventory. `orphaned`: no longer in
    the inventory, kept with its last known connection. `runtime`, `user`: pinned at first contact, None before.
    `taints`, `devices`: `shipyard_taints` and `shipyard_devices`, the latter by kind (`gpu`, `nvidia/gpu`), how many.
    What people decide about it: `availability`; `drain_until`: unix seconds until which a drain waits for others, 0 for
    ever; `dead`: it is known to be switched off, which holds until it answers.
    """

    name: str
    address: str = ""
    groups: tuple[str, ...] = ()
    labels: Pairs = ()
    availability: Availability = Availability.ACTIVE
    orphaned: bool = False
    runtime: str | None = None
    user: str | None = None
    node_id: str | None = None
    taints: tuple[Taint, ...] = ()
    devices: tuple[tuple[str, int], ...] = ()
    drain_until: float = 0.0
    dead: bool = False
