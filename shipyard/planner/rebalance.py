"""Which replicas would have to move so that the fleet is more even, as if they were all placed anew, one by one.

Nothing moves by itself because of this: people ask for it. A replica moves only if its new node is better by what
first placement goes by (places that `preferences` name, what speaks against a node, neighbours, replicas of the
service, replicas at all), so that the same question asked again after the moves finds none. What is packed stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.base.record import Struct, replace
from shipyard.model.memory import Placement, Relocation
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.planner import relocation, slots
from shipyard.planner.nodes import judge
from shipyard.planner.scheduling import Choices, Ledger
from shipyard.planner.world import World, build


class Move(Struct, frozen=True):
    """One replica, from where to where, and why there."""

    placement: Placement
    node: str
    why: str

    @property
    def target(self) -> str:
        return f"{self.placement.stack}/{self.placement.service}.{self.placement.slot}"


def moves(situation: Situation) -> tuple[Move, ...]:
    """All moves that make the fleet more even, those within services first; each replica moves once at most."""
    judgement = judge(situation)
    world = build(replace(situation, memory=replace(situation.memory, nodes=judgement.nodes)), judgement)
    ledger = Ledger(world)
    done: dict[tuple[str, str, int], Move] = {}
    for by_total in (False, True):
        for _, (desired, service) in sorted(ledger.services.items()):
            if service.mode == "replicated" and service.placement.strategy == "spread":
                for move in _of_service(world, ledger, desired, service, set(done), by_total=by_total):
                    done[move.placement.key] = move
    return tuple(done.values())


def relocations(chosen: tuple[Move, ...], now: float) -> tuple[Relocation, ...]:
    """What is to be remembered for these moves."""
    wishes = (Relocation(*move.placement.key, move.node, now) for move in chosen)
    return tuple(sorted(wishes, key=lambda wish: wish.key))


def _of_service(
    world: World,
    ledger: Ledger,
    stack: DesiredStack,
    service: ServiceSpec,
    moved: set[tuple[str, str, int]],
    *,
    by_total: bool,
) -> Iterator[Move]:
    """Always the replica that is worst off, until that one is where it should be."""
    rest = [
        placement
        for placement in world.placements.of_service(stack.revision.stack, service.name).values()
        if placement.key not in moved
        and relocation.possible(world, ledger, stack, service, placement)
        and not slots.why_move(world, ledger, stack, service, placement)
    ]
    while rest:
        choices = Choices(world, ledger, stack, service, stack.eligible_for(service.name))
        worst = max(rest, key=lambda placement: (choices.rank(placement.node), placement.slot))
        rest.remove(worst)
        ledger.remove(worst, service)
        choices = Choices(world, ledger, stack, service, stack.eligible_for(service.name))
        node = choices.take_any()
        if node is None or not choices.better(node, worst.node, by_total=by_total):
            ledger.add(worst, service)
            return
        why = choices.compared(node, worst.node)
        fresh = replace(worst, node=node)
        world.placements[fresh.key] = fresh
        ledger.add(fresh, service)
        yield Move(worst, node, why)
