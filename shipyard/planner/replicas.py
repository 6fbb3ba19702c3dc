"""What becomes of each replica of a service in this wave: made, started, put right, removed, or left alone.

Which of them an update reaches is decided in `rollout`; from then on such a replica is simply one whose container is
missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.container import ContainerSpec
from shipyard.model.image import HOLDER
from shipyard.model.memory import Home
from shipyard.model.node import NodeState
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import (
    Blocked,
    CreateContainer,
    LoadHolder,
    PullImage,
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
    dependencies,
    filing,
    groups,
    handover,
    loss,
    ordered,
    placing,
    rest,
    restarts,
    returning,
    rollout,
    slots,
    storage,
    stumbling,
    wiring,
)
from shipyard.planner.condition import Condition, Kind
from shipyard.planner.network import addressing
from shipyard.planner.network.book import RangeExhaustedError
from shipyard.planner.scheduling import Ledger
from shipyard.planner.succession import both_at_once, may_go, policy_of
from shipyard.planner.wave import Draft, Phase
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
    for turn in turns:
        each = turn.condition
        if turn.slot in resting:
            continue
        condition.forget_if_well(world, each)
        if turn.slot in held:
            world.wave.waiting.append(held[turn.slot])
        elif world.wave.may_act(each.placement.node):
            _act(world, ledger, turn.stack, turn.service, each)


def _act(world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition) -> None:
    box, node = each.current, each.placement.node
    match each.kind:
        case Kind.UNSEEN:
            _unseen(world, stack, service, each)
        case Kind.MISSING:
            _create(world, ledger, stack, service, each, retry=box is not None)
        case Kind.RECREATE if box is not None:
            _recreate(world, ledger, stack, service, each)
        case Kind.START if box is not None:
            if not _clear(world, each):
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
    _tell(world, held or Waiting(each.target, each.reason, each.detail))


def _tell(world: World, held: Waiting | Blocked) -> None:
    if isinstance(held, Blocked):
        world.wave.blocked.append(held)
    else:
        world.wave.waiting.append(held)


def _keep(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition, box: Container
) -> None:
    """It runs; see to its wiring, and let its older containers go."""
    node = each.placement.node
    if not wiring.in_order(world, stack, each.spec, each.placement, box):
        if lost := wiring.lost_network(world, stack, each.spec, node, box):
            fresh = slots.renew(world, each.placement, each.placement.revision)
            again = condition.of(world, stack, service, fresh)
            _create(world, ledger, stack, service, again, ("NetworkGone", f"{lost} was removed under it"))
            return
        wiring.mend(world, stack, each.spec, each.placement, box, each.target)
    filing.ensure(world, stack, each.spec, node)
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


def _clear(world: World, each: Condition) -> bool:
    """Remove what is left of it on other nodes and does no work, but may have parts that run; whether there is any."""
    drafts = [
        world.wave.add(
            where,
            Phase.REMOVE,
            each.target,
            "Superseded",
            f"it does no work, and {each.target} is on {each.placement.node}",
            RemoveContainer(stray.id, stray.name, each.spec.stop_grace_period),
        )
        for where, stray in each.strays
        if where != each.placement.node and where in world.seen and world.wave.may_act(where)
        if not each.serves(stray) and not world.book.undecided(each.placement.key, where)
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
        _tell(world, held)
        return
    _fail(world, each)
    fresh = slots.renew(world, each.placement, each.placement.revision)
    again = condition.of(world, stack, service, fresh)
    _create(world, ledger, stack, service, again, (each.reason, each.detail), retry=True)


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


def _create(
    world: World,
    ledger: Ledger,
    stack: DesiredStack,
    service: ServiceSpec,
    each: Condition,
    why: tuple[str, str] | None = None,
    *,
    retry: bool = False,
) -> None:
    """Everything one new container needs, in order; what it takes the place of goes only when that is there."""
    reason, detail = why or (each.reason, each.detail)
    wait = None if retry else slots.in_backoff(world, each.placement, service)
    wait = wait or _returned(world, each)
    home = storage.home(world, stack, service, each.placement, ledger.holders)
    if wait is not None:
        lost = storage.blocked(world, stack, each.spec, each.placement.node, each.target) if home is None else None
        _tell(world, lost or wait)
        return
    if not each.strays and each.placement.incarnation == 1:
        unmet = dependencies.unmet(world, stack, service, update=False)
        if unmet is not None:
            unmet.tell(world, each.target)
            return
    if home is not None:
        _go_home(world, ledger, stack, service, each, home)
        return
    unsure = loss.still_there(world, stack, service, each.placement)
    if unsure is not None and policy_of(world, stack, service).order == "stop-first":
        _tell(world, unsure)
        return
    node, spec = each.placement.node, each.spec
    if held := handover.taken(world, ledger, service, each.placement):
        world.wave.waiting.append(Waiting(each.target, "PortTaken", held.words))
        if handover.goes_first(world, ledger, service, each.placement, held):
            _make_room(world, each, [stray for stray in each.strays if stray[0] == node], reason, ())
        return
    fetched = fetch(world, stack, spec, node, each.target)
    volumes = None if fetched is None else storage.ensure(world, stack, spec, node, each.target)
    networks = None if volumes is None else wiring.ensure(world, stack, spec, node, each.target)
    if fetched is None or volumes is None or networks is None:
        return
    try:
        spec = addressing.addressed(world, each.placement, spec)
    except RangeExhaustedError as error:
        world.wave.blocked.append(addressing.blocked(each.target, error))
        return
    elsewhere = [(where, box) for where, box in each.strays if where != node and where in world.seen]
    if elsewhere and policy_of(world, stack, service).order == "stop-first":
        if not fetched:
            _make_room(world, each, elsewhere, "Moved", ())
        return
    here = [stray for stray in each.strays if stray[0] == node]
    staying = [*elsewhere, *(here if both_at_once(world, stack, service, each) else ())]
    goes_on = _longest_serving(each, staying)
    if unsure is not None and goes_on is not None:
        _tell(world, unsure)
        return
    if spare := _spare(elsewhere, goes_on, none=goes_on is not None or unsure is not None):
        _make_room(world, each, spare, reason, ())
        return
    here = [stray for stray in here if stray is not goes_on]
    kept, holders = anonymous.carried_over(world, stack, spec, each.placement, [box for _, box in here])
    gone = _make_room(world, each, here, reason, fetched, holders)
    needs = (*fetched, *volumes, *networks, *gone)
    marks = said(world, stack, service, each)
    for made in groups.to_make(spec, world.name_of(each.placement), each.current, marks):
        step = CreateContainer(made.name, made.spec, made.labels, kept.get(made.member, ()))
        needs = (*needs, world.wave.add(node, Phase.RUN, each.target, reason, detail, step, needs))
    if spec.ports:
        world.wave.publishing.setdefault(node, []).append((each.placement.key, spec.ports))


def _go_home(
    world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, each: Condition, home: Home
) -> None:
    """It wants a volume again whose data is on another node."""
    before = each.placement
    if home.node not in world.seen:
        state = world.states.get(home.node, NodeState.UNKNOWN)
        detail = f"{home.node} is {state}, and its data (volume {home.volume}) is there"
        world.wave.waiting.append(Waiting(each.target, "NodeNotObserved", detail))
        return
    ledger.remove(before, service)
    if full := placing.why_no_room(world, ledger, stack, service, home.node):
        ledger.add(before, service)
        detail = f"its data (volume {home.volume}) is on {full}; begin anew with --accept-empty {home.volume}"
        world.wave.blocked.append(Blocked(each.target, "Unschedulable", detail))
        return
    slots.leave(world, before, decided=True)
    fresh = slots.follow(world, ledger, service, before, home.node, before.revision)
    if world.wave.may_act(home.node):
        back = ("Moved", f"its data is on {home.node}, where it was before")
        _create(world, ledger, stack, service, condition.of(world, stack, service, fresh), back)


def _spare(
    elsewhere: Sequence[tuple[str, Container]], goes_on: tuple[str, Container] | None, *, none: bool
) -> list[tuple[str, Container]]:
    """Those that have to go before a new one is begun, so that there are never more than two: half made ones, or not
    yet ready, that were to follow the one that goes on. `none`: not even one of them may stay."""
    alive = [
        stray
        for stray in elsewhere
        if stray is not goes_on and any(part.state in anonymous.ALIVE for part in groups.parts_of(stray[1]))
    ]
    longest = sorted(alive, key=lambda stray: (stray[1].age or 0.0, stray[1].id), reverse=True)
    return longest if none else longest[1:]


def _longest_serving(each: Condition, strays: Sequence[tuple[str, Container]]) -> tuple[str, Container] | None:
    """Of those that could go on beside a new container, the only one that does.

    There are several where an update is overtaken by the next: what came last has proven nothing yet.
    """
    serving = [stray for stray in strays if each.serves(stray[1])]
    return max(serving, key=lambda stray: (stray[1].age or 0.0, stray[1].id), default=None)


def _make_room(
    world: World,
    each: Condition,
    strays: Sequence[tuple[str, Container]],
    reason: str,
    needs: tuple[Draft, ...],
    holders: Sequence[Container] = (),
) -> tuple[Draft, ...]:
    """Remove what was in this place; `holders` of anonymous volumes are only stopped for now."""
    drafts: list[Draft] = []
    for where, box in strays:
        if not world.wave.may_act(where):
            continue
        detail = f"{world.name_of(each.placement)} takes its place"
        if box not in holders:
            step = RemoveContainer(box.id, box.name, each.spec.stop_grace_period)
            drafts.append(world.wave.add(where, Phase.REMOVE, each.target, reason, detail, step, needs))
            continue
        if box.state == ContainerState.PAUSED:  # podman stops nothing that is paused
            wake = UnpauseContainer(box.id, box.name)
            drafts.append(world.wave.add(where, Phase.REMOVE, each.target, reason, detail, wake, needs))
        if box.state in anonymous.ALIVE:
            detail = f"{detail}, and its volumes at {', '.join(target for target, _ in box.anonymous)}"
            stop = StopContainer(box.id, box.name, each.spec.stop_grace_period)
            drafts.append(world.wave.add(where, Phase.REMOVE, each.target, reason, detail, stop, (*needs, *drafts)))
    return tuple(drafts)


def _returned(world: World, each: Condition) -> Waiting | None:
    """What was left on a node that is back may yet be the one that stays: nothing takes its place meanwhile."""
    for where, box in each.strays:
        if where in world.seen and world.book.undecided(each.placement.key, where):
            return Waiting(each.target, "NodeReturned", f"waits for {box.name}, which is still on {where}")
    return None


def fetch(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, target: str) -> tuple[Draft, ...] | None:
    """Drafts for images and files; None (reason in the wave's blocked) when an image can't be had."""
    drafts: list[Draft] = []
    if spec.members and HOLDER not in world.stock(node).images:
        load = LoadHolder(world.seen[node].facts.arch)
        drafts.append(world.wave.fetch(node, HOLDER, HOLDER, f"{node} does not have the image", load))
    for each in spec.containers():
        more = _fetch_image(world, each, node, target)
        if more is None:
            return None
        drafts += more
    return (*drafts, *filing.ensure(world, stack, spec, node))


def _fetch_image(world: World, spec: ContainerSpec, node: str, target: str) -> tuple[Draft, ...] | None:
    drafts = []
    image = world.stock(node).images.get(spec.image)
    always = spec.pull_policy == "always" and "@" not in spec.image
    if image is None and spec.image.startswith("sha256:"):
        detail = f"{node} has no image {spec.image[:19]}…, which came from no registry: load it there"
        world.wave.blocked.append(Blocked(target, "ImageMissing", detail))
        return None
    if (image is None or always) and spec.pull_policy != "never" and not spec.image.startswith("sha256:"):
        pull = PullImage(spec.image, spec.platform, always)
        key = f"image {spec.platform} {always} {spec.image}"
        drafts.append(world.wave.fetch(node, key, spec.image, f"{node} does not have the image", pull))
    return tuple(drafts)


def said(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition) -> tuple[tuple[str, str], ...]:
    """The labels of a replica's container."""
    return (
        (labels.CLUSTER, world.situation.cluster),
        (labels.REVISION, str(stack.revision.number)),
        (labels.SERVICE, service.name),
        (labels.SLOT, str(each.placement.slot)),
        (labels.SPEC, spec_hash(each.spec)),
        (labels.STACK, stack.revision.stack),
    )
