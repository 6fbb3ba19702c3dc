"""Nodes by how many replicas they have, each level in the order of its nodes' lots.

Every service has an order of its own among nodes that are equal otherwise: that of `lot ^ salt`. Read from what is
sorted by lots it comes node by node, so a service with few replicas looks at few nodes, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

Entry = tuple[int, str]
"""A node's lot (32 bits), and its name."""

FEW = 8
"""Entries that are sorted at once rather than divided further."""


class Levels:
    """Kept right by whoever changes how much is on a node."""

    def __init__(self) -> None:
        self._levels: dict[int, list[Entry]] = {}

    def add(self, total: int, lot: int, node: str) -> None:
        """A node that has so many replicas."""
        insort(self._levels.setdefault(total, []), (lot, node))

    def move(self, before: int, after: int, lot: int, node: str) -> None:
        """It has another number of them now."""
        level = self._levels[before]
        del level[bisect_left(level, (lot, node))]
        self.add(after, lot, node)

    def rising(self, salt: int) -> Iterator[tuple[int, int, str]]:
        """Number of replicas, `lot ^ salt` and name of each node, the lowest first; each level as it is when reached.

        A node that gets more meanwhile may come again, and one that gets fewer may not come.
        """
        total = 0
        while total <= max(self._levels, default=-1):
            for lot, node in _by_lot(tuple(self._levels.get(total, ())), salt):
                yield total, lot ^ salt, node
            total += 1


def _by_lot(level: tuple[Entry, ...], salt: int) -> Iterator[Entry]:
    """In the order of `lot ^ salt`: of each half by the next bit, the one that has the salt's bit comes first."""
    parts = [(0, len(level), 0, 1 << 31)]
    while parts:
        start, end, prefix, bit = parts.pop()
        if end - start <= FEW or not bit:
            yield from sorted(level[start:end], key=lambda entry: (entry[0] ^ salt, entry[1]))
            continue
        middle = bisect_left(level, (prefix | bit,), start, end)
        halves = [(start, middle, prefix, bit >> 1), (middle, end, prefix | bit, bit >> 1)]
        parts += halves if salt & bit else reversed(halves)
