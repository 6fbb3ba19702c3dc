"""`binpack`: as few nodes as possible. Large replicas first, each where it leaves the least room."""

from __future__ import annotations

from shipyard.planner.scheduling.capacity import Capacity, Demand, Used


def tightness(wants: Demand, used: Used, offers: Capacity) -> float:
    """How much of a node would be left: the lower, the better it fits. Each resource counts as its share is wanted."""
    left = 0.0
    if offers.cpus:
        share = wants.cpus / offers.cpus
        left += share * (1 - used.cpus / offers.cpus)
    if offers.memory:
        share = wants.memory / offers.memory
        left += share * (1 - used.memory / offers.memory)
    return left


def bulk(wants: Demand, offers: Capacity) -> float:
    """How large a replica is: the share of a node that its dominant resource takes."""
    cpus = wants.cpus / offers.cpus if offers.cpus else 0.0
    memory = wants.memory / offers.memory if offers.memory else 0.0
    return max(cpus, memory)
