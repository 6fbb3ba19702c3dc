"""A replica that is about to stop leaves the addresses of its service first, and finishes what it is at.

Nothing is remembered to be done: a step that would stop a container which clients may still come to is taken out of
the wave, as long as some node may lead them there, and while connections are open, up to the container's own grace.
The next pass plans the same step again, and lets it be done when it may.
"""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.netbook import Draining
from shipyard.model.plan import RemoveContainer, StopContainer, Waiting
from shipyard.planner import condition, groups
from shipyard.planner.wave import Draft
from shipyard.planner.world import World, slot_of

GRACE = 10.0
"""Seconds, where no stop_grace_period is written: the runtimes' own."""
LEAST = 1.0
"""Seconds that a container goes on once no node leads anyone to it: a connection may just be on its way."""


class _Stop(Struct, frozen=True):
    """One draft that takes a container down to which clients may still come."""

    draft: Draft
    container: str
    node: str


class Drain:
    """Of one step, made once all that is to stop is known. `leaving`: names of the containers that are to stop."""

    def __init__(self, world: World) -> None:
        self.world = world
        served = {each.container: each.node for each in world.net.endpoints}
        served.update({each.container: each.node for each in world.net.draining.values()})
        told = any(each.wiring is not None for each in world.seen.values())
        nodes = {node for node in served.values() if node in world.seen} if told else set()
        names: dict[tuple[str, str], str] = {}
        for node in sorted(nodes):
            ours = (box for box in world.seen[node].containers if slot_of(box) is not None)
            for box in groups.as_one(ours):
                if served.get(box.name) == node and condition.serves(box):
                    names.update({(node, part.id): box.name for part in (box, *box.parts)})
        self._all_leaving: set[str] = set()
        self._stops: list[_Stop] = []
        for draft in world.wave.drafts:
            if isinstance(draft.step, RemoveContainer | StopContainer):
                name = names.get((draft.node, draft.step.id))
                if name is not None and name not in world.wave.broken:
                    self._stops.append(_Stop(draft, name, draft.node))

    @property
    def leaving(self) -> frozenset[str]:
        return frozenset(stop.container for stop in self._stops)

    def hold(self, *, everywhere: bool) -> None:
        """Take out what may not be done yet. `everywhere`: every node that was asked has dropped what is leaving."""
        world = self.world
        kept: dict[str, Draining] = {}
        held: set[Draft] = set()
        decided: dict[str, bool] = {}
        for stop in self._stops:
            if stop.container not in decided:
                decided[stop.container] = self._may_stop(stop, kept, everywhere=everywhere)
            if not decided[stop.container]:
                held.add(stop.draft)
        world.net.draining = kept
        if not held:
            return
        # drafts are in the order in which they were made, so whoever needs one comes after it
        left: list[Draft] = []
        for draft in world.wave.drafts:
            if draft in held or any(need in held for need in draft.needs):
                held.add(draft)
            else:
                left.append(draft)
        world.wave.drafts = left
        gone = {id(draft) for draft in held}
        world.wave.once = {key: draft for key, draft in world.wave.once.items() if id(draft) not in gone}

    def _may_stop(self, stop: _Stop, kept: dict[str, Draining], *, everywhere: bool) -> bool:
        world = self.world
        known = world.net.draining.get(stop.container, Draining(stop.container, stop.node))
        if not everywhere:
            kept[stop.container] = Draining(stop.container, stop.node)
            return False
        if world.situation.foresight:
            return True
        since = known.since or world.now
        kept[stop.container] = Draining(stop.container, stop.node, since)
        grace = getattr(stop.draft.step, "grace", None)
        waited, longest = world.now - since, GRACE if grace is None else grace
        still = dict(world.seen[stop.node].open_connections).get(stop.container)
        if waited >= max(longest, LEAST) or (still == 0 and waited >= LEAST):
            return True
        said = f"{still} connections are open" if still else "leaves the addresses of its service first"
        until = min(since + max(longest, LEAST), world.now + LEAST)
        world.wave.waiting.append(Waiting(stop.draft.target, "Draining", f"{stop.container}: {said}", until))
        return False
