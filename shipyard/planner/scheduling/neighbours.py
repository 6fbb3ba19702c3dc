"""Neighbours that a replica must, must not or would rather have: `x-shipyard.affinity` and `anti_affinity`.

As in Kubernetes: a node that has no such label is no place at all, so nobody can be beside anyone there; a service
that wants to be beside itself may begin anywhere; and who must be apart is so from both sides.
"""

from __future__ import annotations

from shipyard.model.spec import Neighbour, ServiceSpec
from shipyard.planner.placements import ServiceKey
from shipyard.planner.scheduling.explain import Refusal, having, lacking
from shipyard.planner.scheduling.ledger import Attributes, Ledger, neighbour

HOST = "node.hostname"


class Neighbours:
    """The rules about one service, its own and others'. `wide`: attributes other than the node by which some go."""

    def __init__(self, ledger: Ledger, stack: str, service: ServiceSpec) -> None:
        self._ledger, self._own = ledger, (stack, service.name)
        rules = [(neighbour(stack, rule), rule) for rule in service.placement.neighbours]
        away = [(key, rule) for key, rule in ledger.keep_away.get(self._own, []) if key != self._own]
        self._required = [*((key, rule) for key, rule in rules if rule.weight is None), *away]
        self._preferred = [(key, rule) for key, rule in rules if rule.weight is not None]
        self.wide: Attributes = tuple(sorted({rule.by for _, rule in self._preferred if rule.by != HOST}))

    def refusal(self, node: str) -> Refusal | None:
        """Why the replica must not be there."""
        for key, rule in self._required:
            words = f"{_name(key, self._own)} in the same {_word(rule)}" if rule.by != HOST else _name(key, self._own)
            if rule.apart and self._beside(key, rule, node):
                return having(f"{words} (anti_affinity)")
            if not rule.apart and not self._beside(key, rule, node) and not self._first(key, rule, node):
                return lacking(f"{words} (affinity)")
        return None

    def pull(self, node: str, *, wide: bool) -> int:
        """How much preferred neighbours draw a replica there; `wide`: those by more than the node, or the others."""
        drawn = 0
        for key, rule in self._preferred:
            if (rule.by != HOST) == wide:
                beside = self._beside(key, rule, node)
                drawn += -beside * (rule.weight or 0) if rule.apart else bool(beside) * (rule.weight or 0)
        return drawn

    def _beside(self, key: ServiceKey, rule: Neighbour, node: str) -> int:
        if self._ledger.value(node, rule.by) is None:
            return 0
        return self._ledger.counts(key, (rule.by,))[self._ledger.place(node, (rule.by,))]

    def _first(self, key: ServiceKey, rule: Neighbour, node: str) -> bool:
        """Whether it wants to be beside its own kind, of which there is none yet."""
        if key != self._own or self._ledger.value(node, rule.by) is None:
            return False
        return not any(self._ledger.places[key].values())


def neighbours_of(ledger: Ledger, stack: str, service: ServiceSpec) -> Neighbours | None:
    """The rules about a service, if there are any."""
    has_any = service.placement.neighbours or ledger.keep_away.get((stack, service.name))
    return Neighbours(ledger, stack, service) if has_any else None


def _name(key: ServiceKey, own: ServiceKey) -> str:
    return key[1] if key[0] == own[0] else "/".join(key)


def _word(rule: Neighbour) -> str:
    return rule.by.removeprefix("node.labels.").removeprefix("node.")
