"""How much of what has been is kept."""

from __future__ import annotations

from shipyard.base.record import Struct


class Retention(Struct, frozen=True):
    """How many of each the store keeps. `revisions`: of each stack, its present one included (Kubernetes'
    revisionHistoryLimit), beside those that replicas and updates still use. `passes`: with their actions."""

    revisions: int = 10
    passes: int = 1000
    events: int = 10_000
