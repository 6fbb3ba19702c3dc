"""`rebalance`: the moves that would even the fleet out, shown first; then wishes that passes carry out."""

from __future__ import annotations

from shipyard.base.record import Struct, replace
from shipyard.model.event import Event
from shipyard.model.plan import Plan
from shipyard.model.progress import Ending, Progress
from shipyard.model.situation import Situation
from shipyard.planner import rebalance
from shipyard.planner.plan import plan
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.reconcile.looking import look, look_closer
from shipyard.reconcile.run import Wish, converge, with_lease
from shipyard.reconcile.session import Session


class Proposal(Struct, frozen=True):
    """`moves`: what would be moved; `more`: how many others would be, were it not for the limit. `plan`: all of it."""

    situation: Situation
    moves: tuple[rebalance.Move, ...]
    more: int
    plan: Plan


def propose(session: Session, most: int) -> Proposal:
    """At most so many moves, and what the passes would then do. Changes nothing."""
    membership = session.membership()
    situation = look(session, membership, session.situation(membership, session.stacks()))
    found = rebalance.moves(situation)
    wishes = rebalance.relocations(found[:most], situation.now)
    wished = replace(situation, memory=replace(situation.memory, relocations=wishes))
    wished = look_closer(session, membership, wished)  # the nodes that they move to were not asked for their images
    return Proposal(situation, found[:most], len(found) - len(found[:most]), plan(wished))


def carry_out(session: Session, proposal: Proposal, progress: Progress, timeout: float) -> Ending:
    """Keep the wishes, and run passes. Replicas that are elsewhere by now keep their places."""

    def work(keeper: LeaseKeeper) -> Ending:
        memory, now = session.store.memory(), session.now()
        placed = {placement.key: placement.node for placement in memory.placements}
        still = tuple(move for move in proposal.moves if placed.get(move.placement.key) == move.placement.node)
        session.store.save_memory(replace(memory, relocations=rebalance.relocations(still, now)))
        session.store.add_events(
            Event(now, "Rebalanced", move.target, f"moves from {move.placement.node} to {move.node}: {move.why}")
            for move in still
        )
        return converge(session, keeper, Wish(kind="rebalance", timeout=timeout), progress)

    return with_lease(session, work, progress, wait=timeout)
