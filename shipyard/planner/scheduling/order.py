"""In which order services find their nodes: the order decides who gets what is short, and how well it all packs."""

from __future__ import annotations

from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner.placements import ServiceKey
from shipyard.planner.scheduling.ledger import Ledger, neighbour
from shipyard.planner.scheduling.packing import bulk


def in_order(ledger: Ledger) -> list[tuple[DesiredStack, ServiceSpec]]:
    """Highest priority first, then the largest replicas; and before each, those whom it must be beside."""
    average = ledger.typical()

    def rank(key: ServiceKey) -> tuple[int, float, ServiceKey]:
        service = ledger.services[key][1]
        return -service.priority, -bulk(ledger.known(key[0], service)[0], average), key

    ordered: dict[ServiceKey, None] = {}
    for key in sorted(ledger.services, key=rank):
        ahead = [key]
        entered = set()
        while ahead:
            needs = [] if ahead[-1] in entered else _beside(ledger, ahead[-1])
            entered.add(ahead[-1])
            open_ones = [need for need in needs if need not in ordered and need not in entered]
            if open_ones:
                ahead.extend(reversed(open_ones))
            else:
                ordered.setdefault(ahead.pop())
    return [ledger.services[key] for key in ordered]


def _beside(ledger: Ledger, key: ServiceKey) -> list[ServiceKey]:
    rules = ledger.services[key][1].placement.neighbours
    needs = {neighbour(key[0], rule) for rule in rules if not rule.apart and rule.weight is None}
    return sorted(need for need in needs if need in ledger.services)
