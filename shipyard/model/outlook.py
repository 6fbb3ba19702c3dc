"""What would become of the fleet (`simulate`): every replica, and how full each node would be."""

from __future__ import annotations

from typing import Literal

from shipyard.base.record import Struct
from shipyard.model.plan import Notice


class ReplicaOutlook(Struct, frozen=True):
    """One replica. `before`, `after`: its node; None where it has none.

    `kind`: `unschedulable` where it has no node, `held` where it must leave its node and can't. `why`: for these.
    """

    target: str
    kind: Literal["stays", "moves", "new", "removed", "unschedulable", "held"]
    before: str | None = None
    after: str | None = None
    why: str = ""


class Fullness(Struct, frozen=True):
    """What is placed on a node, and reserved there: cores and bytes."""

    replicas: int = 0
    cpus: float = 0.0
    memory: int = 0


class NodeOutlook(Struct, frozen=True):
    """One node. `cpus`, `memory`: what it gives to replicas, 0 where that is not known.

    `change`: `added`, `gone` or "". `state`: whether it takes replicas (`ready`), or why not.
    """

    name: str
    state: str
    change: str
    cpus: float
    memory: int
    before: Fullness
    after: Fullness


class Outlook(Struct, frozen=True):
    """All of it, sorted by name. `notices`: who would be evicted for whom, and the like."""

    replicas: tuple[ReplicaOutlook, ...]
    nodes: tuple[NodeOutlook, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def without_place(self) -> tuple[ReplicaOutlook, ...]:
        """Replicas that would not run."""
        return tuple(each for each in self.replicas if each.kind in ("unschedulable", "held"))
