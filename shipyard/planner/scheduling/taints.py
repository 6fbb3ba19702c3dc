"""Taints keep replicas away from a node, unless their service tolerates them: Kubernetes' rules, but for one.

Kubernetes also places new pods where they are tolerated only for a time, evicts them after that, and places them there
again. Here a node that is tolerated for a time takes no new replicas.
"""

from __future__ import annotations

from shipyard.model.memory import Placement, Tainted
from shipyard.model.node import Node, Taint
from shipyard.model.plan import Notice
from shipyard.model.situation import Situation
from shipyard.model.spec import ServiceSpec, Toleration
from shipyard.planner.scheduling.explain import Refusal
from shipyard.planner.world import World

EXECUTING = "NoExecute"
FORBIDDING = ("NoSchedule", EXECUTING)


def seen(situation: Situation) -> tuple[Tainted, ...]:
    """Which nodes have taints that move what is there, and since when."""
    known = {each.key: each for each in situation.memory.tainted}
    keys = {(node.name, str(each)) for node in situation.nodes for each in node.taints if each.effect == EXECUTING}
    return tuple(known.get(key) or Tainted(*key, since=situation.now) for key in sorted(keys))


def tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    """Whether any of these is meant for the taint, and none of those that are says for how long."""
    meant = _meant(taint, tolerations)
    return bool(meant) and all(each.seconds is None for each in meant)


def _meant(taint: Taint, tolerations: tuple[Toleration, ...]) -> list[Toleration]:
    return [
        each
        for each in tolerations
        if each.key in ("", taint.key) and each.value in (None, taint.value) and each.effect in ("", taint.effect)
    ]


def executed(world: World, node: Node, service: ServiceSpec, placement: Placement) -> Refusal | None:
    """Why a replica that is there may not stay; each taint that moves what is there counts."""
    rules = service.placement.tolerations
    left = [each for each in node.taints if each.effect == EXECUTING and not tolerated(each, rules)]
    for taint in left:
        patience = [each.seconds for each in _meant(taint, rules) if each.seconds is not None]
        if not patience:
            return Refusal(f"has the taint {taint}", "")
        since = world.tainted[node.name, str(taint)]
        if world.now >= since + min(patience):
            return Refusal(f"has had the taint {taint} for {min(patience):g} s", "")
    if left:
        target = f"{placement.stack}/{placement.service}.{placement.slot}"
        detail = f"may stay on {node.name} for a time only, which has the taint {left[0]}"
        world.wave.notices.append(Notice(target, "Tainted", detail))
    return None


def untolerated(node: Node, service: ServiceSpec, effects: tuple[str, ...]) -> Taint | None:
    """The first taint of these effects that keeps the service's replicas away, if any."""
    rules = service.placement.tolerations
    return next((each for each in node.taints if each.effect in effects and not tolerated(each, rules)), None)


def unwelcome(node: Node, service: ServiceSpec) -> int:
    """How many taints would rather have the replica elsewhere."""
    rules = service.placement.tolerations
    return sum(each.effect == "PreferNoSchedule" and not tolerated(each, rules) for each in node.taints)
