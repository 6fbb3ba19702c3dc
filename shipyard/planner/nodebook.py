"""What is noted from pass to pass about nodes in trouble: whose work is being moved, and what was left there.

Kept apart from how a node answers (`nodes.py`), which is judged anew by every pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet
from typing import TypeVar

from shipyard.base.record import Struct, field, replace
from shipyard.model.memory import Departed, Evacuation, FailedFencing, Memory, NodeMemory, SlotKey

T = TypeVar("T")

PERIOD = 300.0
"""Seconds in which the work of only so many nodes is moved."""


class NodeBook(Struct):
    """One step's working view of it. `silence`: how each node has answered. `most`: nodes whose work may move at once.

    `departed`: by slot, what was left behind on other nodes. `fencings`, `evacuations`: by node. `fence`: nodes whose
    work could move if they were known to be off.
    """

    now: float
    most: int
    silence: dict[str, NodeMemory]
    departed: dict[SlotKey, tuple[Departed, ...]]
    fencings: dict[str, FailedFencing]
    evacuations: dict[str, Evacuation]
    fence: set[str] = field(default_factory=set)
    _left_on: dict[str, set[SlotKey]] | None = None

    def may_evacuate(self, node: str) -> float | None:
        """None, and noted, when the node's work may be moved now; else unix seconds when to ask again."""
        if node in self.evacuations:
            return None
        recent = [each.since for each in self.evacuations.values() if self.now - each.since < PERIOD]
        if len(recent) >= self.most:
            return min(recent) + PERIOD
        self.evacuations[node] = Evacuation(node, self.now)
        return None

    def leave(self, left: Departed) -> None:
        """A replica has left this node, where a container of it may still be at work."""
        others = (each for each in self.departed.get(left.slot_key, ()) if each.node != left.node)
        self.departed[left.slot_key] = (*others, left)
        if self._left_on is not None:
            self._left_on.setdefault(left.node, set()).add(left.slot_key)

    def left_on(self, node: str) -> AbstractSet[SlotKey]:
        """The slots of which something may be left on a node."""
        if self._left_on is None:
            self._left_on = {}
            for key, there in self.departed.items():
                for left in there:
                    self._left_on.setdefault(left.node, set()).add(key)
        return self._left_on.get(node, frozenset())

    def settle(self, key: SlotKey, node: str) -> None:
        """What is left there is to go."""
        self.departed[key] = tuple(
            replace(left, decided=True) if left.node == node else left for left in self.departed.get(key, ())
        )

    def undecided(self, key: SlotKey, node: str) -> bool:
        """Whether a slot's container on a node that has come back may yet be the one that stays."""
        return any(left.node == node and not left.decided for left in self.departed.get(key, ()))

    def memory(self, memory: Memory) -> Memory:
        """The memory with what is to be remembered of this."""
        departed = (left for there in self.departed.values() for left in there)
        return replace(
            memory,
            departed=tuple(sorted(departed, key=lambda left: left.key)),
            fencings=_sorted(self.fencings),
            evacuations=_sorted(self.evacuations),
        )


def _sorted(entries: dict[str, T]) -> tuple[T, ...]:
    return tuple(entry for _, entry in sorted(entries.items()))


def book(memory: Memory, now: float, share: float) -> NodeBook:
    """From what is remembered. `share`: of the nodes, whose work may be moved in one period; one at least.

    A node that answers is not being evacuated.
    """
    silence = {node.name: node for node in memory.nodes}
    silent = {name for name, node in silence.items() if node.misses}
    departed: defaultdict[SlotKey, list[Departed]] = defaultdict(list)
    for left in memory.departed:
        departed[left.slot_key].append(left)
    return NodeBook(
        now=now,
        most=max(1, int(share * len(silence))),
        silence=silence,
        departed={key: tuple(there) for key, there in departed.items()},
        fencings={each.node: each for each in memory.fencings if each.node in silent},
        evacuations={
            each.node: each for each in memory.evacuations if each.node in silent or now - each.since < PERIOD
        },
    )
