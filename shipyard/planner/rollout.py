"""Which replicas an update replaces in this wave: few at a time, the first alone until it has proven good.

A rolling update is no script. A replica whose turn it is gets a new incarnation, and from then on is simply one whose
container is missing. Moves to other nodes are counted with it: both take something away that serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Placement, Rollout
from shipyard.model.node import Availability, NodeState
from shipyard.model.plan import Blocked, Notice, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import dependencies, handover, judging, placing, slots, storage, succession
from shipyard.planner.condition import Kind
from shipyard.planner.scheduling import Ledger
from shipyard.planner.turns import Turn, resting_turn, target, turn_of
from shipyard.planner.world import World

BUSY = (Kind.MISSING, Kind.RECREATE, Kind.START, Kind.UNPAUSE, Kind.LOOPING, Kind.STARTING, Kind.FAILED)


def roll(
    world: World,
    ledger: Ledger,
    stack: DesiredStack,
    service: ServiceSpec,
    placements: Sequence[Placement],
    resting: AbstractSet[int] = frozenset(),
) -> list[Turn]:
    """Every replica beside what it follows, once those whose turn it is follow the newest revision.

    `resting`: slots that need no closer look (`rest`).
    """
    turns = [
        resting_turn(world, stack, service, placement)
        if placement.slot in resting
        else turn_of(world, stack, service, placement)
        for placement in placements
    ]
    rollout = judging.judge(world, stack, service, turns)
    if rollout is not None and rollout.target != target(service):
        detail = f"goes back to revision {rollout.before}: {rollout.message}"
        world.wave.waiting.append(Waiting(f"{rollout.stack}/{rollout.service}", "RollingBack", detail))
        return []
    if rollout is not None:
        _hold_back(world, stack, service, turns, rollout)
        _tell(world, stack, service, turns, rollout)
    todo = []
    for index, turn in enumerate(turns):
        if turn.slot in resting:
            continue
        why = slots.why_move(world, ledger, stack, service, turn.condition.placement)
        if why or turn.outdated:
            waits = _costs(turn) and not (why and _hurried(world, turn.condition.placement.node))
            todo.append((waits, -turn.slot if service.order == "ordered" else turn.slot, index, why))
    room = Room(world, stack, service, turns, rollout) if todo else None
    for costs, _, index, why in sorted(todo):
        turn = turns[index]
        if room is None or not world.wave.may_act(turn.condition.placement.node):
            continue
        if why and not room.may_move(costs=costs):
            room.wait(turn)
            continue
        if not why and (not room.may_replace(turn) or (room.on_trial and turn.kind == Kind.UNSEEN)):
            continue  # nobody would see how a canary there fares
        if not why and room.updating and _port_taken(world, ledger, service, turn):
            continue
        hurried = why and _hurried(world, turn.condition.placement.node)
        last = turn.serving and _busy(turn) and not hurried and _goes_first(world, stack, service, turn, why)
        if last and not room.may_give_up():
            room.wait(turn)
            continue
        stays_old = room.on_trial and not room.may_try and _goes_anywhere(turn.service)
        fresh = _renewed(world, ledger, stack, service, turn, why, updating=room.updating and not stays_old)
        if fresh is not None:
            counted = _under_way(world, turn)
            turns[index] = turn_of(world, stack, service, fresh)
            room.take(costs=costs or not counted, gives_up=costs or last, tries=not turns[index].outdated)
            if turns[index].kind == Kind.READY:  # taken back as it runs: judged from the next pass on, so there is one
                detail = "runs still as it should, and is watched again"
                world.wave.waiting.append(Waiting(turn.condition.target, "Monitoring", detail, world.now))
    return turns


def _hold_back(world: World, stack: DesiredStack, service: ServiceSpec, turns: list[Turn], rollout: Rollout) -> None:
    """Replicas that are added while an update is not known to be good are made as they were before it.

    So it is while canaries are on trial, of which there are only so many, and once it has stopped. Whose turn had come
    by then, and nothing of whom was made yet, goes on as it was, too.
    """
    trial = service.canary is not None and judging.on_trial(service, rollout)
    stopped = rollout.state == "paused" or (rollout.active and not rollout.gated and _held(world, stack))
    before = world.history.get((rollout.stack, rollout.before))
    old = before.spec.service(service.name) if before is not None else None
    if old is None or not (trial or stopped):
        return
    added = [index for index, turn in enumerate(turns) if not turn.outdated and _never_made(turn)]
    spare = 0
    if service.canary is not None and not stopped:
        spare = service.canary.replicas - sum(not turn.outdated for turn in turns) + len(added)
    as_before = set(added[max(spare, 0) :])
    if rollout.state == "paused":
        tried = {*rollout.good, *rollout.failed, *(slot for slot, _ in rollout.watched)}
        for index, turn in enumerate(turns):
            if turn.kind == Kind.MISSING and not turn.outdated and turn.slot not in tried:
                as_before.add(index)
    for index in sorted(as_before):
        held = _as_it_was(world, old, turns[index], rollout.before)
        if held is not None:
            turns[index] = turn_of(world, stack, service, held)


def _as_it_was(world: World, old: ServiceSpec, turn: Turn, revision: int) -> Placement | None:
    """The replica as this revision had it: the container that still serves, or one to be made; None where it can't."""
    placement = turn.condition.placement
    wanted = spec_hash(old.container_for(placement.node, placement.slot)) if old.has_values(placement.node) else None
    for node, box in turn.condition.strays:
        if node == placement.node and turn.condition.serves(box) and box.label(labels.SPEC) == wanted:
            return slots.taken_back(world, placement, box, revision)
    if wanted is None or turn.condition.strays or not _goes_anywhere(old):
        return None
    return slots.retargeted(world, placement, revision)


def _held(world: World, stack: DesiredStack) -> bool:
    """Whether somebody paused the stack's updates."""
    return any(hold.stack == stack.revision.stack for hold in world.situation.memory.holds)


def _goes_anywhere(old: ServiceSpec) -> bool:
    """Whether replicas as they were fit wherever newer ones do: places are found by what is declared now."""
    return all(port.published is None for each in old.containers() for port in each.ports)


def _never_made(turn: Turn) -> bool:
    each = turn.condition
    return each.kind == Kind.MISSING and each.placement.incarnation == 1 and each.current is None and not each.strays


def spared(world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn]) -> set[int]:
    """Slots that are to have other containers, and keep the one that serves for now: as many go at once as may.

    Who follows an update, or moves, was counted when that was decided. A store that was restored from a backup decided
    nothing: all that was made since would be replaced in one wave. And nobody decided about a replica whose newest
    container failed while the one before it serves on.
    """
    policy = succession.policy_of(world, stack, service)
    if not policy.parallelism:
        return set()
    going = [turn for turn in turns if turn.kind == Kind.MISSING and turn.serving and not _from_hurried(world, turn)]
    failed = [turn for turn in turns if turn.kind == Kind.RECREATE and turn.serving and not _itself_serves(turn)]
    if not going and (not failed or policy.order == "start-first"):
        return set()
    rollout = world.rollouts.get((stack.revision.stack, service.name))
    active = rollout is not None and rollout.active
    tolerated = rollout.failed if rollout is not None and active else ()
    down = sum(_under_way(world, turn) and not turn.serving and turn.slot not in tolerated for turn in turns)
    going.sort(key=lambda turn: -turn.slot if service.order == "ordered" else turn.slot)
    kept = going[max(policy.parallelism - (0 if active else down), 0) :]
    if policy.order == "stop-first":
        kept += failed[max(policy.parallelism - down - len(going), 0) :]
    return {turn.slot for turn in kept}


def _itself_serves(turn: Turn) -> bool:
    """Whether its newest container does: what is wrong with that is no failure, but its network, say."""
    box = turn.condition.current
    return box is not None and turn.condition.serves(box)


def _from_hurried(world: World, turn: Turn) -> bool:
    return any(_hurried(world, node) for node, _ in turn.condition.strays)


def _goes_first(world: World, stack: DesiredStack, service: ServiceSpec, turn: Turn, why: str) -> bool:
    """Whether what serves of it still, while its newest container does not, has to go before the next one comes."""
    if succession.policy_of(world, stack, service).order != "start-first":
        return True
    placement = turn.condition.placement
    return not why and bool(succession.conflict(stack, service, service.container_for(placement.node, placement.slot)))


def _port_taken(world: World, ledger: Ledger, service: ServiceSpec, turn: Turn) -> bool:
    """Whether another replica has a port still that this one is to have; says so."""
    placement = turn.condition.placement
    held = handover.taken(world, ledger, service, placement)
    if held is None or handover.goes_first(world, ledger, service, placement, held):
        return False
    world.wave.waiting.append(Waiting(turn.condition.target, "PortTaken", held.words))
    return True


def _hurried(world: World, node: str) -> bool:
    """Whether the time in which a drain is gentle is over."""
    said = world.nodes.get(node)
    return said is not None and said.availability == Availability.DRAIN and 0 < said.drain_until <= world.now


class Room:
    """How many replicas may still be replaced in this wave.

    `updating`: whether the update goes on at all. `on_trial`: whether its canaries are not judged yet.
    """

    def __init__(
        self, world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout | None
    ) -> None:
        self._world, self._rollout = world, rollout
        self.updating = rollout is not None and rollout.active and not _held(world, stack)
        self.on_trial = rollout is not None and judging.on_trial(service, rollout)
        policy = succession.policy_of(world, stack, service)
        tolerated = rollout.failed if rollout is not None and rollout.active else ()
        busy = sum(_under_way(world, turn) and turn.slot not in tolerated for turn in turns)
        self._left = max(policy.parallelism - busy, 0) if policy.parallelism else len(turns)
        down = sum(_under_way(world, turn) and not turn.serving and turn.slot not in tolerated for turn in turns)
        self._down, self._most = down, policy.parallelism or len(turns)
        self._trials = _trials(service, turns, rollout)
        self._at_stake = any(turn.outdated and _costs(turn) for turn in turns)
        self._delayed = 0.0
        if rollout is not None and policy.delay and rollout.last and not world.situation.foresight:
            self._delayed = rollout.last + policy.delay
        waits = self.updating and any(turn.outdated for turn in turns)
        self._unmet = dependencies.unmet(world, stack, service, update=True) if waits else None

    @property
    def may_try(self) -> bool:
        """Whether one more replica may follow the new revision, as far as that has proven good."""
        return self._trials > 0 or not self._at_stake

    def may_move(self, *, costs: bool) -> bool:
        """Whether one more replica may leave its node."""
        return not costs or self._left > 0

    def may_replace(self, turn: Turn) -> bool:
        """Whether one more replica may be updated; says why not where it may not."""
        if not self.updating:
            return False
        if self._unmet is not None:
            self._unmet.tell(self._world, turn.condition.target)
            return False
        if not self.may_try:
            self.wait(turn, "waits until the first new replicas have proven good")
            return False
        if not _costs(turn):
            return True
        if self._delayed > self._world.now:
            detail = "waits for the time between two batches (update_config.delay)"
            self._world.wave.waiting.append(Waiting(turn.condition.target, "UpdateDelay", detail, self._delayed))
            return False
        if self._left <= 0:
            self.wait(turn)
            return False
        return True

    def wait(self, turn: Turn, detail: str = "waits for its turn in the rolling update") -> None:
        """Say so, of a replica whose turn it is not."""
        self._world.wave.waiting.append(Waiting(turn.condition.target, "RollingUpdate", detail))

    def may_give_up(self) -> bool:
        """Whether one more may lose what serves of it, though it was not well before."""
        return self._down < self._most

    def take(self, *, costs: bool, gives_up: bool, tries: bool) -> None:
        """One is replaced, or leaves its node. `costs`: it served, or is only now made again: others wait for it.

        `gives_up`: what serves of it goes. `tries`: it follows the new revision.
        """
        self._left -= costs
        self._down += gives_up
        self._trials -= tries


def _costs(turn: Turn) -> bool:
    """Whether replacing it takes something away: what is broken, or not the newest of its slot's, is free."""
    return turn.serving and not _busy(turn)


def _busy(turn: Turn) -> bool:
    return turn.kind in BUSY or (turn.kind == Kind.OUTDATED and not turn.serving)


def _under_way(world: World, turn: Turn) -> bool:
    """Whether it does no work for now: as many others go on."""
    return _busy(turn) or _silent(world, turn)


def _silent(world: World, turn: Turn) -> bool:
    """Whether nobody knows that it serves, and it may yet come back: no other is taken down meanwhile."""
    state = world.states.get(turn.condition.placement.node)
    return turn.kind == Kind.UNSEEN and state in (NodeState.SUSPECT, NodeState.UNREACHABLE)


def _trials(service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout | None) -> int:
    """How many more may follow the new revision while it is not known to be good: one, or as many as are canaries."""
    if rollout is None or not rollout.active:
        return 0
    judged = {*rollout.good, *rollout.failed}
    most = len(turns)
    if not rollout.gated:
        most = 1 - sum(not turn.outdated and turn.slot not in judged for turn in turns)
    if service.canary is not None and judging.on_trial(service, rollout):
        most = min(most, service.canary.replicas - sum(not turn.outdated for turn in turns))
    return most


def _renewed(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, turn: Turn, why: str, *, updating: bool
) -> Placement | None:
    placement = turn.condition.placement
    number = stack.revision.number if updating or not turn.outdated else placement.revision
    if why:
        volume = storage.pinned(world, *((stack, service) if updating else (turn.stack, turn.service)), placement)
        if volume:
            detail = f"{why}, but its volume {volume} is there and does not move"
            world.wave.blocked.append(Blocked(turn.condition.target, "PinnedByVolume", detail))
            return None
        fresh = placing.move(world, ledger, stack, service, placement)
        if fresh is None:
            return None
        slots.leave(world, placement)
        storage.leave(world, placement)
        as_before = turn.service.has_values(fresh.node)
        return slots.retargeted(world, fresh, number if as_before else stack.revision.number)
    spec = service.container_for(placement.node, placement.slot)
    wanted = spec_hash(spec)
    storage.leave(world, placement, spec)
    for node, box in turn.condition.strays:
        if node == placement.node and turn.condition.serves(box) and box.label(labels.SPEC) == wanted:
            back = slots.taken_back(world, placement, box, number)
            if back is not None:
                return back
    moved = None
    if updating and service.mode == "replicated" and placement.node in world.seen:
        pinned = storage.pinned(world, stack, service, placement)
        moved = None if pinned else placing.relieve(world, ledger, stack, service, placement)
    if moved is not None:
        slots.leave(world, placement)
        storage.leave(world, placement)
        return slots.retargeted(world, moved, number)
    if turn.condition.current is None and not turn.condition.strays:
        return slots.retargeted(world, placement, number)
    return slots.renew(world, placement, number)


def _tell(world: World, stack: DesiredStack, service: ServiceSpec, turns: Sequence[Turn], rollout: Rollout) -> None:
    """What people wait for, or have to decide on."""
    name = f"{rollout.stack}/{rollout.service}"
    hold = next((hold for hold in world.situation.memory.holds if hold.stack == rollout.stack), None)
    if rollout.paused:
        detail = (
            f"{_words(rollout)}. `shipyard resume {rollout.stack}` tries again, "
            f"`shipyard rollback {rollout.stack}` goes back"
        )
        reason = "UpdatePaused" if rollout.state == "paused" else "RollbackPaused"
        world.wave.blocked.append(Blocked(name, reason, detail))
    elif hold is not None and rollout.active:
        detail = f"paused by {hold.author}; `shipyard resume {rollout.stack}` goes on"
        world.wave.blocked.append(Blocked(name, "UpdatePaused", detail))
    if not rollout.active:
        return
    policy = succession.policy_of(world, stack, service)
    for slot, since in rollout.watched:
        detail = f"new, and watched for {policy.monitor:g} s"
        until = since + (policy.monitor if rollout.gated else judging.trial(service, policy))
        world.wave.waiting.append(Waiting(f"{name}.{slot}", "Monitoring", detail, until))
    if service.canary is not None and rollout.canary > 0:
        detail, until = f"canaries are watched for {service.canary.period:g} s", rollout.canary + service.canary.period
        world.wave.waiting.append(Waiting(name, "Canary", detail, until if until > world.now else None))
    if policy.order == "start-first":
        why = succession.conflict(stack, service, service.container)
        if why and any(turn.outdated for turn in turns):
            detail = f"each replica is stopped before its successor starts: {why}, so start-first can't be had"
            world.wave.notices.append(Notice(name, "StopFirst", detail))


def _words(rollout: Rollout) -> str:
    stopped = "the update to" if rollout.state == "paused" else "going back from"
    number = rollout.revision if rollout.state == "paused" else rollout.undone
    return f"{stopped} revision {number} stopped: {rollout.message or 'it was paused'}"
