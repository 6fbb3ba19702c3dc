"""One more container for a replica, with everything it needs, and what has to go before it, beside it or after it."""

from __future__ import annotations

from collections.abc import Sequence

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
    condition,
    dependencies,
    filing,
    groups,
    handover,
    loss,
    placing,
    restarts,
    slots,
    storage,
    wiring,
)
from shipyard.planner.condition import Condition
from shipyard.planner.network import addressing
from shipyard.planner.network.book import RangeExhaustedError
from shipyard.planner.scheduling import Ledger
from shipyard.planner.succession import both_at_once, policy_of
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World

STEADY = 60.0
"""Seconds of running after which a container's restarts are no longer held against it beside another one."""


def create(
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
        world.wave.tell(lost or wait)
        return
    if _waits_for_others(world, stack, service, each):
        return
    if home is not None:
        _go_home(world, ledger, stack, service, each, home)
        return
    unsure = loss.still_there(world, stack, service, each.placement)
    if (at_work := _at_work(world, stack, service, each, unsure)) is not None:
        world.wave.tell(at_work)
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
        world.wave.tell(unsure.said)
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


def _at_work(
    world: World, stack: DesiredStack, service: ServiceSpec, each: Condition, unsure: loss.Unsure | None
) -> Waiting | Blocked | None:
    """Why no container may be made beside others of the replica: some out of sight, or one under another name."""
    if unsure is not None and (unsure.containers > 1 or policy_of(world, stack, service).order == "stop-first"):
        return unsure.said
    return storage.occupied(world, stack, each.spec, each.placement)


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
        anew = f"`shipyard reconcile --accept-empty {home.volume}`"
        detail = f"its data (volume {home.volume}) is on {full}; begin anew: {anew}"
        world.wave.blocked.append(Blocked(each.target, "Unschedulable", detail))
        return
    slots.leave(world, before, decided=True)
    fresh = slots.follow(world, ledger, service, before, home.node, before.revision)
    if world.wave.may_act(home.node):
        back = ("Moved", f"its data is on {home.node}, where it was before")
        create(world, ledger, stack, service, condition.of(world, stack, service, fresh), back)


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

    There are several where an update is overtaken by the next: what came last has proven nothing yet. One that the
    runtime restarted often, and just now, only seems to serve.
    """

    def worth(stray: tuple[str, Container]) -> tuple[bool, float, str]:
        age, box = stray[1].age or 0.0, stray[1]
        return box.restarts <= restarts.TOLERATED or age >= STEADY, age, box.id

    return max((stray for stray in strays if each.serves(stray[1])), key=worth, default=None)


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


def _waits_for_others(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition) -> bool:
    """Whether it is to start for the first time, also where it was moved before it came up, and may not yet."""
    first = each.placement.incarnation == 1 or (stack.revision.stack, service.name) not in world.rollouts
    unmet = dependencies.unmet(world, stack, service, update=False) if first and not each.strays else None
    if unmet is not None:
        unmet.tell(world, each.target)
    return unmet is not None


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
