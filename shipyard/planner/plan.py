"""The planner's one question: what should be done next, and after that, until nothing is left?

    plan(situation) -> Plan

The same situation gives the same plan, byte for byte. Waves after the first are found by assuming that every
action before them succeeds and asking again; there is no second way of planning.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter

from shipyard.base.record import replace
from shipyard.model.job import JOB_MODES
from shipyard.model.memory import Memory
from shipyard.model.node import NodeState
from shipyard.model.observed import Silent
from shipyard.model.plan import Action, Blocked, Notice, Plan, Waiting
from shipyard.model.situation import Situation
from shipyard.planner import (
    anonymous,
    dependencies,
    filing,
    jobs,
    judging,
    leaving,
    leftovers,
    placing,
    probes,
    relocation,
    replicas,
    scaling,
    slots,
    storage,
    stuck,
    stumbling,
    wiring,
)
from shipyard.planner.assume import assume
from shipyard.planner.network import kept, members, spanning, wire
from shipyard.planner.nodes import Judgement, judge
from shipyard.planner.scheduling import Ledger, taints
from shipyard.planner.world import World, build

MAX_WAVES = 10_000
"""More than any update of one service at a time needs; a plan that does not end is a bug, and is cut here."""


def plan(situation: Situation, *, waves: int = MAX_WAVES) -> Plan:
    """What would be done, `waves` waves ahead at most: one is enough for a pass, all are shown to people."""
    with _without_collection():
        return _plan(situation, waves)


@contextmanager
def _without_collection() -> Iterator[None]:
    """A plan of a large fleet is millions of small objects, none of which refers back to who refers to it.

    Looking for cycles among them again and again would take a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _plan(situation: Situation, waves: int) -> Plan:
    situation = spanning.resolved(in_order(situation))
    judgement = judge(situation)
    memory = replace(situation.memory, nodes=judgement.nodes, tainted=taints.seen(situation))
    situation = scaling.scaled(replace(situation, memory=memory))
    done: list[tuple[Action, ...]] = []
    first, memory = _step(situation, judgement)
    world, now = first, memory
    while True:
        actions = world.wave.actions(1 + sum(len(wave) for wave in done))
        if not actions:
            break
        done.append(actions)
        if len(done) >= waves:
            break
        situation = assume(replace(situation, memory=now, foresight=True), actions)
        world, now = _step(situation, judgement)
    silent = tuple(answer.name for answer in situation.observed if isinstance(answer, Silent) and not answer.connected)
    blocked = _sorted_blocked(first, judgement)
    return Plan(
        waves=tuple(done),
        blocked=blocked,
        waiting=_sorted_waiting(first),
        notices=_sorted_notices(first, judgement),
        unreachable=silent,
        forget=leftovers.forgettable(first) if not done else (),
        fence=tuple(sorted(first.book.fence)),
        rollbacks=tuple(first.rollbacks),
        inspect=tuple(sorted(first.inspect)),
        memory=stuck.remembered(situation, memory, blocked),
    )


def in_order(situation: Situation) -> Situation:
    """As it should be given: whoever put it together in another order gets the same plan."""
    return replace(
        situation,
        nodes=tuple(sorted(situation.nodes, key=attrgetter("name"))),
        stacks=tuple(sorted(situation.stacks, key=attrgetter("revision.stack"))),
        observed=tuple(sorted(situation.observed, key=attrgetter("name"))),
        memory=replace(
            situation.memory,
            placements=tuple(sorted(situation.memory.placements, key=attrgetter("stack", "service", "slot"))),
        ),
    )


def _step(situation: Situation, judgement: Judgement) -> tuple[World, Memory]:
    world = build(situation, judgement)
    members.learn(world)
    storage.remember(world)
    storage.forget_homes(world)
    anonymous.remember(world)
    stumbling.forget(world)
    probes.count(world)
    leftovers.drop_placements(world)
    slots.forget_gone(world)
    jobs.forget(world)
    judging.forget(world)
    ledger = Ledger(world)
    placing.settle(world, ledger)
    relocation.drop_stale(world, ledger)
    for stack in situation.stacks:
        if not stack.removing:
            for service in dependencies.in_order(stack.revision.spec.services):
                advance = jobs.advance if service.mode in JOB_MODES else replicas.advance
                advance(world, ledger, stack, service)
    leftovers.remove_containers(world)
    leaving.wait(world, ledger)
    jobs.tidy(world)
    leftovers.report_strangers(world)
    wiring.tidy(world)
    kept.keep(world)
    wire.wire(world)
    storage.report_changed(world)
    storage.remove_named(world)
    filing.tidy(world)
    leftovers.keep_revisions(world)
    leftovers.keep_decisions(world)
    ledger.choices = None  # they refer to the ledger: without that, nothing of it all has to wait for a collection
    return world, world.memory()


def _sorted_blocked(world: World, judgement: Judgement) -> tuple[Blocked, ...]:
    """Nodes that are alive and can't be observed count as blocked: someone has to mend them."""
    nodes = [
        Blocked(node.name, node.kind or "NotObserved", node.message)
        for node in judgement.nodes
        if node.state == NodeState.UNOBSERVED and node.name in {answer.name for answer in world.situation.observed}
    ]
    blocked = {*world.wave.blocked, *nodes}
    return tuple(sorted(blocked, key=lambda item: (item.target, item.reason, item.detail)))


def _sorted_waiting(world: World) -> tuple[Waiting, ...]:
    return tuple(sorted(set(world.wave.waiting), key=lambda item: (item.target, item.reason, item.detail)))


def _sorted_notices(world: World, judgement: Judgement) -> tuple[Notice, ...]:
    notices = {*world.wave.notices}
    notices |= {Notice(target, "ProbeNotTried", why) for target, why in probes.obstacles(world)}
    if judgement.brake:
        notices.add(Notice("fleet", "NetworkDown", judgement.brake))
    for memory in judgement.nodes:
        if memory.state in (NodeState.SUSPECT, NodeState.UNREACHABLE, NodeState.LOST):
            notices.add(Notice(memory.name, f"Node{memory.state.capitalize()}", memory.message))
    for node in world.situation.nodes:
        if node.orphaned:
            detail = (
                "is no longer in the inventory; what runs there is left as it is (`shipyard nodes remove` drains it)"
            )
            notices.add(Notice(node.name, "Orphaned", detail))
    return tuple(sorted(notices, key=lambda item: (item.target, item.reason, item.detail)))
