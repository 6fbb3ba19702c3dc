"""A replica that is about to stop leaves the addresses of its service first, and finishes what it is at.

Nothing is remembered to be done: a step that would stop a container which clients may still come to is taken out of
the wave, as long as some node may lead them there, and while connections are open, up to the container's own grace.
The next pass plans the same step again, and lets it be done when it may.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.base.record import Struct, replace
from shipyard.model.netbook import Draining
from shipyard.model.observed import Container
from shipyard.model.plan import (
    WIRING,
    CreateContainer,
    DropRevision,
    KeepRevision,
    LoadHolder,
    Plan,
    PullImage,
    RemoveContainer,
    StopContainer,
    Waiting,
)
from shipyard.planner import condition, groups
from shipyard.planner.wave import Draft
from shipyard.planner.world import World, slot_of

GRACE = 10.0
"""Seconds, where no stop_grace_period is written: the runtimes' own."""
LEAST = 1.0
"""Seconds that a container goes on once no node leads anyone to it: its name may have been looked up just before."""
UNDER_WAY = 0.15
"""Seconds for the same where no name means the container itself and it has connections, which are counted: nothing that
a node sent there before is still under way by then. Longer than a packet takes between two continents."""


def _needs_an_image(draft: Draft) -> bool:
    """Whether its successor's image has to be fetched first, which may fail: it goes on serving until that is there."""
    return any(isinstance(need.step, PullImage | LoadHolder) or _needs_an_image(need) for need in draft.needs)


class _Stop(Struct, frozen=True):
    """One draft that takes a container down to which clients may still come. `named`: some find it by a name."""

    draft: Draft
    container: str
    node: str
    named: bool


class Drain:
    """Of one step, made once all that is to stop is known. `leaving`: names of the containers that are to stop.

    Who waits for an image is not among them: nobody is led elsewhere for the sake of what can't be made.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        served = {each.container: each.node for each in world.net.endpoints}
        served.update({each.container: each.node for each in world.net.draining.values()})
        told = any(each.wiring is not None for each in world.seen.values())
        nodes = {node for node in served.values() if node in world.seen} if told else set()
        names: dict[tuple[str, str], tuple[str, bool]] = {}
        for node in sorted(nodes):
            ours = (box for box in world.seen[node].containers if slot_of(box) is not None)
            for box in groups.as_one(ours):
                if served.get(box.name) == node and condition.serves(box):
                    known = (box.name, _named(world, box))
                    names.update({(node, part.id): known for part in (box, *box.parts)})
        self._stops: list[_Stop] = []
        self._early: set[Draft] = set()
        for draft in world.wave.drafts:
            if isinstance(draft.step, RemoveContainer | StopContainer):
                name, named = names.get((draft.node, draft.step.id), ("", False))
                if not name or name in world.wave.broken:
                    continue
                if _needs_an_image(draft) and not world.situation.foresight:
                    self._early.add(draft)
                else:
                    self._stops.append(_Stop(draft, name, draft.node, named))

    @property
    def leaving(self) -> frozenset[str]:
        return frozenset(stop.container for stop in self._stops)

    def hold(self, *, everywhere: bool) -> None:
        """Take out what may not be done yet. `everywhere`: every node that was asked has dropped what is leaving."""
        world = self.world
        kept: dict[str, Draining] = {}
        held = set(self._early)
        decided: dict[str, bool] = {}
        for stop in self._stops:
            if stop.container not in decided:
                decided[stop.container] = self._may_stop(stop, kept, everywhere=everywhere)
            if not decided[stop.container]:
                held.add(stop.draft)
        world.net.draining = kept
        if not held:
            return
        self._hold_whoever_needs(held)
        world.wave.drafts = [draft for draft in world.wave.drafts if draft not in held]
        gone = {id(draft) for draft in held}
        world.wave.once = {key: draft for key, draft in world.wave.once.items() if id(draft) not in gone}

    def _hold_whoever_needs(self, held: set[Draft]) -> None:
        """These, too; who is to start where another one has to leave first is told to wait."""
        found = True
        while found:
            found = False
            for draft in self.world.wave.drafts:
                need = next((need for need in draft.needs if need in held), None) if draft not in held else None
                if need is None:
                    continue
                held.add(draft)
                found = True
                starts = isinstance(draft.step, CreateContainer) and isinstance(need.step, RemoveContainer)
                if starts and need.target != draft.target:
                    detail = f"starts on {draft.node} once {need.target} has left it"
                    self.world.wave.waiting.append(Waiting(draft.target, "MakingRoom", detail))

    def _may_stop(self, stop: _Stop, kept: dict[str, Draining], *, everywhere: bool) -> bool:
        world = self.world
        known = world.net.draining.get(stop.container, Draining(stop.container, stop.node))
        if not everywhere:
            kept[stop.container] = Draining(stop.container, stop.node)  # told again, in this wave
            detail = f"{stop.container}: leaves the addresses of its service first"
            world.wave.waiting.append(Waiting(stop.draft.target, "Draining", detail))
            return False
        if world.situation.foresight:
            return True
        since = known.since or known.told or world.asked
        kept[stop.container] = replace(known, since=since)
        grace = getattr(stop.draft.step, "grace", None)
        node = world.seen[stop.node]
        still = dict(node.open_connections).get(stop.container)
        least = LEAST if stop.named or stop.container in node.datagrams else UNDER_WAY
        waited, longest = world.asked - since, max(GRACE if grace is None else grace, least)
        if waited >= longest or (still == 0 and waited >= least):
            return True
        said = f"{still} connections are open" if still else "leaves the addresses of its service first"
        again = max(since + least, world.now + min(max(waited / 2, UNDER_WAY), LEAST)) if still else since + least
        until = min(since + longest, again)
        world.wave.waiting.append(Waiting(stop.draft.target, "Draining", f"{stop.container}: {said}", until))
        return False


def told(known: Iterable[Draining], now: float) -> tuple[Draining, ...]:
    """These after a wave, at whose end every node that could be told knew of them."""
    return tuple(each if each.since else replace(each, told=now) for each in known)


def settling(decided: Plan) -> float:
    """Seconds until another look is of use, after a wave that did nothing but take containers out of addresses."""
    waits = any(not each.since for each in decided.memory.draining)
    quiet = (*WIRING, KeepRevision, DropRevision)
    only = all(isinstance(action.step, quiet) for wave in decided.waves[:1] for action in wave)
    return UNDER_WAY if waits and only else 0.0


def _named(world: World, box: Container) -> bool:
    """Whether its service's name means the containers themselves."""
    key = slot_of(box)
    stack = None if key is None else world.stack(key[0])
    service = None if key is None or stack is None else stack.revision.spec.service(key[1])
    return service is None or service.endpoint_mode != "vip"
