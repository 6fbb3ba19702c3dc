"""What becomes of each replica of a service in this wave: made, started, put right, removed, or left alone.

Which of them an update reaches is decided in `rollout`; from then on such a replica is simply one whose container is
missing.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import spec_hash
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import (
    Blocked,
    RemoveContainer,
    StopContainer,
    UnpauseContainer,
    Waiting,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import (
    anonymous,
    backoff,
    condition,
    filing,
    groups,
    loss,
    making,
    ordered,
    rest,
    restarts,
    returning,
    rollout,
    slots,
    storage,
    stumbling,
    wiring,
)
from shipyard.planner.condition import SETTLED, Condition, Kind
from shipyard.planner.scheduling import Ledger
from shipyard.planner.succession import may_go, policy_of
from shipyard.planner.wave import Phase
from shipyard.planner.world import World

HELD_BACK = ("CrashLoopBackOff", "GaveUp")
"""Why shipyard stopped what the runtime restarted."""


def advance(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec) -> None:
    """Plan this wave's steps for one service."""
    placements = list(world.placements.of_service(stack.revision.stack, service.name).values())
    if service.mode == "replicated":  # those beyond its number wait for their turn to go
        placements = [placement for placement in placements if placement.slot <= service.replicas]
    placements = returning.welcome(world, ledger, stack, service, placements)
    resting = rest.at_rest(world, ledger, stack, service, placements)
    if resting is not None and len(resting) == len(placements):
        return
    resting = resting or set()
    turns = rollout.roll(world, ledger, stack, service, placements, resting)
    held = ordered.held(service, [turn.condition for turn in turns])
    spared = rollout.spared(world, stack, service, turns)
    for turn in turns:
        each = turn.condition
        if turn.slot in resting:
            continue
        condition.forget_if_well(world, each)
        if turn.slot in held:
            world.wave.waiting.append(held[turn.slot])
        elif turn.slot in spared:
            detail = "waits for its turn to be replaced"
            world.wave.waiting.append(Waiting(each.target, "RollingUpdate", detail))
        elif world.wave.may_act(each.placement.node):
            _act(world, ledger, turn.stack, turn.service, each)


def _act(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition) -> None:
    box, node = each.current, each.placement.node
    match each.kind:
        case Kind.UNSEEN:
            _unseen(world, stack, service, each)
        case Kind.MISSING:
            making.create(world, ledger, stack, service, each, retry=box is not None)
        case Kind.RECREATE if box is not None:
            _recreate(world, ledger, stack, service, each)
        case Kind.START if box is not None:
            _start(world, ledger, stack, service, each, box)
        case Kind.LOOPING if box is not None:
            _hold_back(world, each, box)
        case Kind.UNPAUSE if box is not None:
            step = UnpauseContainer(box.id, box.name)
            world.wave.add(node, Phase.RUN, each.target, each.reason, each.detail, step)
        case Kind.FAILED if box is not None:
            world.wave.blocked.append(Blocked(each.target, each.reason, each.detail))
            _let_go(world, stack, service, each, box)
            _wind_down(world, each, box)
        case Kind.COMPLETED if box is not None:
            _let_go(world, stack, service, each, box)
            _wind_down(world, each, box)
        case Kind.OUTDATED if box is not None and each.serves(box):
            # it waits for its turn, or can't be replaced: those before it go all the same
            _let_go(world, stack, service, each, box)
        case Kind.STARTING | Kind.READY if box is not None:
            _keep(world, ledger, stack, service, each, box)
        case _:
            pass


def _unseen(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition) -> None:
    held = loss.verdict(world, stack, service, each.placement).held
    world.wave.tell(held or Waiting(each.target, each.reason, each.detail))


def _keep(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition, box: Container
) -> None:
    """It runs; see to its wiring, and let its older containers go."""
    node = each.placement.node
    if not wiring.in_order(world, stack, each.spec, each.placement, box):
        if lost := wiring.lost_network(world, stack, each.spec, node, box):
            fresh = slots.renew(world, each.placement, each.placement.revision)
            again = condition.of(world, stack, service, fresh)
            making.create(world, ledger, stack, service, again, ("NetworkGone", f"{lost} was removed under it"))
            return
        wiring.mend(world, stack, each.spec, each.placement, box, each.target)
    filing.ensure(world, stack, each.spec, node)
    before = world.failures.get(each.placement.key)
    failed = before.count if before is not None else 0
    if each.kind == Kind.READY and (box.restarts or failed > 1) and box.age is not None and box.age < SETTLED:
        times = "once" if box.restarts == 1 else f"{box.restarts} times"
        what = f"the runtime has restarted it {times}" if box.restarts else f"it failed {failed} times lately"
        detail, until = f"{what}, and it is up again", world.asked + SETTLED - box.age
        world.wave.waiting.append(Waiting(each.target, "Restarted", detail, until))
    if each.reason:
        world.wave.waiting.append(Waiting(each.target, each.reason, each.detail, each.until))
    _let_go(world, stack, service, each, box)


def _let_go(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition, box: Container) -> None:
    """Its older containers, as far as they are of no use now that this one has run."""
    if groups.main_in(groups.parts_of(box)) is None:
        return  # init containers are at work: what the main one is to take over is still with the older ones
    for where, stray in each.strays:
        if world.book.undecided(each.placement.key, where):
            continue
        if where != each.placement.node and each.kind == Kind.STARTING and each.serves(stray):
            continue  # it moves, and the old one serves until the new one does
        if where in world.seen and world.wave.may_act(where) and may_go(world, stack, service, each, stray):
            step = RemoveContainer(stray.id, stray.name, each.spec.stop_grace_period)
            detail = f"{box.name} has taken its place"
            world.wave.add(where, Phase.REMOVE, each.target, "Superseded", detail, step)


def _clear(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition) -> bool:
    """Remove what runs of it on other nodes and may not go on beside it; whether there is any."""
    alone = policy_of(world, stack, service).order == "stop-first"
    drafts = [
        world.wave.add(
            where,
            Phase.REMOVE,
            each.target,
            "Superseded",
            f"{each.target} is on {each.placement.node}, and starts again",
            RemoveContainer(stray.id, stray.name, each.spec.stop_grace_period),
        )
        for where, stray in each.strays
        if where != each.placement.node and where in world.seen and world.wave.may_act(where)
        if alone or not each.serves(stray)
        if any(part.state in anonymous.ALIVE for part in groups.parts_of(stray))
        if not world.book.undecided(each.placement.key, where)
    ]
    return bool(drafts)


def _wind_down(world: World, each: Condition, box: Container) -> None:
    """What ran beside a main container that has ended for good, or will not come."""
    main = groups.main_in(groups.parts_of(box))
    ended = main is None or main.state == ContainerState.EXITED
    if ended and any(part.state in anonymous.ALIVE for part in box.parts):
        step = StopContainer(box.id, box.name)
        world.wave.add(each.placement.node, Phase.RUN, each.target, each.reason, "ends with its main container", step)


def _start(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition, box: Container
) -> None:
    wait = slots.in_backoff(world, each.placement, service)
    if wait is not None:
        _note(world, each)
    wait = wait or restarts.delayed(world, each.target, each.spec, box)
    if wait is not None:
        world.wave.waiting.append(wait)
        return
    if _clear(world, stack, service, each):
        return
    node = each.placement.node
    if wiring.lost_network(world, stack, each.spec, node, box):
        _recreate(world, ledger, stack, service, each)
        return
    _fail(world, each)
    filed = filing.ensure(world, stack, each.spec, node)
    restarts.note(world, each.placement, each.spec, box)
    wiring.mend(world, stack, each.spec, each.placement, box, each.target)
    needs = filed
    for step in groups.starting(each.spec, box):
        needs = (*needs, world.wave.add(node, Phase.RUN, each.target, each.reason, each.detail, step, needs))


def _recreate(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition) -> None:
    wait = slots.in_backoff(world, each.placement, service)
    lost = storage.blocked(world, stack, each.spec, each.placement.node, each.target)
    if wait is not None:
        _note(world, each)
    if held := lost or wait:
        world.wave.tell(held)
        return
    _fail(world, each)
    fresh = slots.renew(world, each.placement, each.placement.revision)
    again = condition.of(world, stack, service, fresh)
    making.create(world, ledger, stack, service, again, (each.reason, each.detail), retry=True)


def _hold_back(world: World, each: Condition, box: Container) -> None:
    """Stop what the runtime restarts again and again; after a wait it is started, and its restarts count anew."""
    count = restarts.since(world, each.placement, box)
    times = f"restarted {count} times"
    why = f"{times}; {each.detail}" if each.detail else times
    _fail(world, replace(each, detail=why), count)
    key = each.placement.key
    world.failures[key] = replace(world.failures[key], container=box.id, restarts=box.restarts)
    loops = groups.culprit(box)
    step = StopContainer(loops.id, loops.name)
    world.wave.add(each.placement.node, Phase.RUN, each.target, each.reason, why, step)


def _note(world: World, each: Condition) -> None:
    """It failed once more while it has to wait: its last words now. What was held back was stopped by shipyard."""
    failures = world.failures[each.placement.key]
    if failures.reason not in HELD_BACK and each.detail not in failures.message:
        world.failures[each.placement.key] = replace(failures, reason=each.reason, message=each.detail)


def _fail(world: World, each: Condition, times: int = 1) -> None:
    """Count what happened: if the repair does not hold, the next one waits longer. `times`: it came to this.

    The repair follows in this wave: what has been counted is not put off until clients have left.
    """
    placed = each.placement
    if each.current is not None:
        world.wave.broken.add(each.current.name)
    stumbling.note(world.stumbles, placed.stack, placed.service, placed.node, world.now, times)
    failures = backoff.failed(
        world.failures.get(each.placement.key),
        each.placement.key,
        spec_hash(each.spec),
        world.now,
        world.situation.timing,
        reason=each.reason,
        message=each.detail,
    )
    world.failures[each.placement.key] = failures
