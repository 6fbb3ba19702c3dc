"""The nodes for one service's replicas, decided one after the other.

Among nodes that fit, in this order: places with the fewest of the service (`placement.preferences`); nodes that
nothing speaks against (a PreferNoSchedule taint, replicas that failed there of late); preferred neighbours; the
fewest of the service; the fewest at all; a lot. With `binpack` the fullest that has room comes before the fewest.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Iterator

from shipyard.model.container import Port
from shipyard.model.memory import Placement
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner import storage
from shipyard.planner.scheduling import filters
from shipyard.planner.scheduling.capacity import Used
from shipyard.planner.scheduling.explain import Refusal, being, explain, lacking
from shipyard.planner.scheduling.ledger import Attributes, Ledger, Load
from shipyard.planner.scheduling.neighbours import HOST, neighbours_of
from shipyard.planner.scheduling.packing import room, tightness
from shipyard.planner.scheduling.taints import executed, unwelcome
from shipyard.planner.stumbling import stumbled
from shipyard.planner.world import World

STUMBLED = 100
"""Speaks more against a node than any number of taints that only prefer."""

Rank = tuple[int, int, float, float, float, str]
"""What speaks against it, how little it is wanted, how it is filled (three numbers), its name: the lowest wins."""


class Choices:
    """For replicas of one service. A node that is taken is expected in the ledger before the next is asked for.

    `fitting`: nodes that nothing but their load could refuse. `freed`: the ledger's when this was made.
    """

    def __init__(
        self, world: World, ledger: Ledger, stack: DesiredStack, service: ServiceSpec, eligible: tuple[str, ...]
    ) -> None:
        self._world, self._ledger, self._stack, self._service = world, ledger, stack, service
        self.key = (stack.revision.stack, service.name)
        self.fitting, self._refused = filters.static(world, ledger, self.key[0], service, eligible)
        self._full: dict[str, Refusal] = {}
        self._neighbours = neighbours_of(ledger, self.key[0], service)
        self._salt = zlib.crc32("/".join(self.key).encode())
        self._wants = ledger.known(self.key[0], service)[0]
        self._binpack = service.placement.strategy == "binpack"
        self._opened = ledger.opened.get(self.key, frozenset())
        self._own = ledger.places[self.key]
        self._against = self._spoken_against()
        spread = tuple(name for name in service.placement.preferences if name != HOST)
        self._levels = [ledger.counts(self.key, spread[: end + 1]) for end in range(len(spread))]
        self._spread = spread
        self._heaps: dict[Attributes, list[Rank]] | None = None
        self._by_load = not (self._spread or self._neighbours or self._against or self._binpack)
        self._risen = set[str]()
        self._risers: Iterator[Rank] = iter(())
        self._riser: Rank | None = None
        self._taken: str | None = None
        self._why_not = ""
        self.freed = ledger.freed

    def take(self, slot: int) -> str | None:
        """The node for this slot; None when there is none (`why_not` tells)."""
        self._return()
        here, held = self._drawn(slot)
        self._taken = here or (None if held else self._next())
        return self._taken

    def take_any(self) -> str | None:
        """The node for a replica that may be anywhere."""
        self._return()
        self._taken = self._next()
        return self._taken

    def better(self, node: str, other: str, *, by_total: bool) -> bool:
        """Whether a node is the better of two, not by lot; `by_total`: also if only for fewer replicas at all."""
        (spread, mine), (others_spread, theirs) = self.rank(node), self.rank(other)
        end = 4 if by_total else 3
        return (spread, mine[:end]) < (others_spread, theirs[:end])

    def compared(self, node: str, other: str) -> str:
        """In words, what tells two nodes apart before the replica is on either."""
        (spread, mine), (others_spread, theirs) = self.rank(node), self.rank(other)
        if spread != others_spread:
            level = next(index for index, count in enumerate(spread) if count != others_spread[index])
            here, there = (self._ledger.place(each, self._spread[level : level + 1])[0] for each in (node, other))
            name = self._spread[level].removeprefix("node.labels.")
            return (
                f"{name} {there or 'none'} has {others_spread[level] + 1} of it, {here or 'none'} has {spread[level]}"
            )
        if mine[:2] != theirs[:2]:
            return "neighbours or taints speak for it"
        if mine[2] != theirs[2]:
            return f"{other} has {theirs[2] + 1:g} of it, {node} has {mine[2]:g}"
        return f"{other} has {theirs[3] + 1:g} replicas, {node} has {mine[3]:g}"

    def candidates(self, slot: int) -> tuple[str, ...]:
        """Nodes that could be this slot's if others made room."""
        held = self._holders(slot)
        return tuple(node for node in self.fitting if held is None or node in held[1])

    def why_not(self, slot: int) -> str:
        """Why there was no node for this slot."""
        held = self._holders(slot)
        if held:
            volume, nodes = held
            words = lacking(f"its volume {volume} (which is on {', '.join(nodes)})")
            full = {name: self.refusal(name) if name in nodes else words for name in self.fitting}
            refusals = {**self._refused, **{name: why for name, why in full.items() if why}}
            return explain(refusals.values(), self._service.pattern)
        if not self._why_not:
            self._why_not = explain([*self._refused.values(), *self._full.values()], self._service.pattern)
        return self._why_not

    def standing(self, node: str) -> Refusal | None:
        """Why a node is refused whatever its load."""
        return None if node in self.fitting else self._refused.get(node, being("not among its hosts"))

    def refusal(self, node: str, used: Used | None = None, ports: dict[Port, str] | None = None) -> Refusal | None:
        """Why a replica more does not fit on a node that passed the static filters.

        `used`, `ports`: what is taken there, if it is to be other than it is.
        """
        load, name = self._ledger.on(node), self.key[0]
        full = filters.crowding(self._ledger, name, self._service, node)
        full = full or filters.resources(self._ledger, name, self._service, load, used or load.used)
        wanted = filters.ports_of(self._ledger, name, self._service, node)
        if not full and wanted:
            full = filters.ports(wanted, load.ports if ports is None else ports)
        if not full and self._neighbours:
            full = self._neighbours.refusal(node)
        return full

    def best(self, nodes: Iterable[str]) -> str | None:
        """The best of these nodes, of those that fit."""
        fit = [node for node in nodes if not self.refusal(node)]
        return min(fit, key=self.rank) if fit else None

    def rank(self, node: str) -> tuple[tuple[int, ...], Rank]:
        """How a node stands, with what speaks for its place."""
        return self._compare(self._ledger.place(node, self._attributes()), self._of_node(node))

    def _attributes(self) -> Attributes:
        return (*self._spread, *self._neighbours.wide) if self._neighbours else self._spread

    def _drawn(self, slot: int) -> tuple[str | None, tuple[str, list[str]] | None]:
        """Where the slot's data or container is: the node, if it fits; and the volume that leaves no other choice."""
        held = self._holders(slot)
        nodes = held[1] if held else [node for node, _ in self._world.containers.get((*self.key, slot), ())]
        return self.best(node for node in nodes if node in self.fitting) if nodes else None, held

    def _holders(self, slot: int) -> tuple[str, list[str]] | None:
        """Nodes with a local volume that this slot would use and no other replica of the service does."""
        if not self._world.volumes or not any(each.mounts for each in self._service.container.containers()):
            return None
        local = storage.local(self._stack, self._service.container_for("", slot))
        slots_own = storage.own(self._service, slot)
        for volume in local:
            if volume not in self._world.situation.accept_empty:
                holders = self._ledger.holders(volume)
                free = [node for node in holders if volume in slots_own or not self._own[node]]
                if free:
                    return volume, free
        return None

    def _next(self) -> str | None:
        heaps = self._filled()
        while True:
            best: tuple[tuple[tuple[int, ...], Rank], list[Rank]] | None = None
            for place in list(heaps):
                heap = heaps[place]
                if not self._settle_top(heap):
                    del heaps[place]
                elif len(heaps) == 1:
                    return heapq.heappop(heap)[-1]
                else:
                    found = (self._compare(place, heap[0]), heap)
                    best = found if best is None or found[0] < best[0] else best
            if best is not None:
                return heapq.heappop(best[1])[-1]
            if not heaps:
                return None

    def _settle_top(self, heap: list[Rank]) -> bool:
        """Make the top of a heap a node that fits and stands as the heap says. False when none is left."""
        while True:
            if self._by_load:
                self._rise(heap)
            if not heap:
                return False
            node = heap[0][-1]
            full = self.refusal(node)
            if full is not None:
                self._full[node] = full
                heapq.heappop(heap)
                continue
            now = self._of_node(node)
            if now == heap[0]:
                return True
            heapq.heapreplace(heap, now)

    def _filled(self) -> dict[Attributes, list[Rank]]:
        """A heap for each place, made when it is first needed."""
        if self._heaps is None:
            attributes = self._attributes()
            self._heaps = {}
            if attributes:
                for node in self.fitting:
                    self._heaps.setdefault(self._ledger.place(node, attributes), []).append(self._of_node(node))
            elif self.fitting and self._by_load:
                self._risen.update(node for node, number in self._own.items() if number and node in self.fitting)
                self._heaps[()] = [self._of_node(node) for node in self._risen]
                self._risers = self._rising()
                self._riser = next(self._risers, None)
            elif self.fitting:
                self._heaps[()] = [self._of_node(node) for node in self.fitting]
            for heap in self._heaps.values():
                heapq.heapify(heap)
        return self._heaps

    def _rise(self, heap: list[Rank]) -> None:
        """Add nodes that have none of the service, as soon as the next of them could be better than the heap's top.

        Where nothing but their load tells nodes apart, this spares a look at most of them. A node's load does not
        shrink while these choices last (`freed`), so none can come to where it was passed already.
        """
        while self._riser is not None and not (heap and heap[0] < self._riser):
            heapq.heappush(heap, self._riser)
            self._riser = next(self._risers, None)

    def _rising(self) -> Iterator[Rank]:
        """As nodes stand that have none of the service, the best first; each node once."""
        for total, lot, node in self._ledger.levels().rising(self._salt):
            if node in self.fitting and node not in self._risen:
                self._risen.add(node)
                yield 0, 0, 0, total, lot, node

    def _return(self) -> None:
        """The node that was taken last stands otherwise now."""
        if self._taken is not None and self._heaps is not None:
            place = self._ledger.place(self._taken, self._attributes())
            heapq.heappush(self._heaps.setdefault(place, []), self._of_node(self._taken))
            self._risen.add(self._taken)
        self._taken = None

    def _of_node(self, node: str) -> Rank:
        load = self._ledger.on(node)
        against = self._against.get(node, 0)
        pull = -self._neighbours.pull(node, wide=False) if self._neighbours else 0
        if self._binpack:
            return against, pull, *self._packed(node, load), 0, node
        return against, pull, self._own.get(node, 0), load.total, load.lot ^ self._salt, node

    def _packed(self, node: str, load: Load) -> tuple[float, float]:
        """Nodes in use, or needed, before others; level where more are needed, and else the tightest."""
        if not self._opened:
            return load.total == 0, tightness(self._wants, load.used, load.offers)
        unused = load.total == 0 and node not in self._opened
        return unused, -room(self._wants, load.used, load.offers)

    def _compare(self, place: Attributes, rank: Rank) -> tuple[tuple[int, ...], Rank]:
        """A node's rank with what only its place decides."""
        spread = tuple(counts[place[: end + 1]] for end, counts in enumerate(self._levels))
        if self._neighbours is None or not self._neighbours.wide:
            return spread, rank
        return spread, (rank[0], rank[1] - self._neighbours.pull(rank[-1], wide=True), *rank[2:])

    def _spoken_against(self) -> dict[str, int]:
        against = {}
        for name in self._ledger.tainted:
            if name in self.fitting:
                against[name] = unwelcome(self._world.nodes[name], self._service)
        if self._world.stumbles:
            for name in self.fitting:
                if stumbled(self._world, *self.key, name):
                    against[name] = against.get(name, 0) + STUMBLED
        return {name: number for name, number in against.items() if number}


def standing_refusal(world: World, ledger: Ledger, service: ServiceSpec, placement: Placement) -> Refusal | None:
    """Why a replica that is already placed may not stay. What merely keeps new ones away does not count."""
    node = world.nodes[placement.node]
    refusal = filters.constraints(world, node, service)
    if refusal is None and node.taints:
        refusal = executed(world, node, service, placement)
    wanted = filters.ports_of(ledger, placement.stack, service, node.name)
    if refusal is None and wanted:
        mine = f"{placement.stack}/{placement.service}.{placement.slot}"
        refusal = filters.ports(wanted, ledger.on(node.name).ports, mine)
    return refusal or filters.overcrowding(ledger, service, placement)
