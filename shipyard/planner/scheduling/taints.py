"""Taints keep replicas away from a node, unless their service tolerates them: Kubernetes' rules."""

from __future__ import annotations

from shipyard.model.node import Node, Taint
from shipyard.model.spec import ServiceSpec, Toleration

FORBIDDING = ("NoSchedule", "NoExecute")


def tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    """Whether any of these is meant for the taint."""
    return any(
        each.key in ("", taint.key) and each.value in (None, taint.value) and each.effect in ("", taint.effect)
        for each in tolerations
    )


def untolerated(node: Node, service: ServiceSpec, effects: tuple[str, ...]) -> Taint | None:
    """The first taint of these effects that keeps the service's replicas away, if any."""
    rules = service.placement.tolerations
    return next((each for each in node.taints if each.effect in effects and not tolerated(each, rules)), None)


def unwelcome(node: Node, service: ServiceSpec) -> int:
    """How many taints would rather have the replica elsewhere."""
    rules = service.placement.tolerations
    return sum(each.effect == "PreferNoSchedule" and not tolerated(each, rules) for each in node.taints)
