"""What there is by slot, kept by service: what is asked for most is all replicas of one service.

With 150,000 replicas in 2,000 services a look through all of them for each service would be the whole plan's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TypeVar

from shipyard.model.memory import Placement, SlotKey

T = TypeVar("T")

ServiceKey = tuple[str, str]
"""stack, service."""


class BySlot(MutableMapping[SlotKey, T]):
    """In no particular order unless asked for `of_service` or `services`."""

    def __init__(self, by_service: dict[ServiceKey, dict[int, T]] | None = None) -> None:
        self._by_service = by_service if by_service is not None else {}

    def of_service(self, stack: str, service: str) -> dict[int, T]:
        """Those of one service by slot, sorted; a copy, so that they may change while one goes through it."""
        return dict(sorted(self._by_service.get((stack, service), {}).items()))

    def now_of(self, stack: str, service: str) -> Mapping[int, T]:
        """Those of one service by slot, unsorted, as long as nothing changes."""
        return self._by_service.get((stack, service), {})

    def services(self) -> list[ServiceKey]:
        """Services that have any, sorted."""
        return sorted(key for key, slots in self._by_service.items() if slots)

    def __getitem__(self, key: SlotKey) -> T:
        return self._by_service[key[:2]][key[2]]

    def __setitem__(self, key: SlotKey, value: T) -> None:
        self._by_service.setdefault(key[:2], {})[key[2]] = value

    def __delitem__(self, key: SlotKey) -> None:
        del self._by_service[key[:2]][key[2]]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[2] in self._by_service.get(key[:2], ())

    def __iter__(self) -> Iterator[SlotKey]:
        return ((*service, slot) for service, slots in self._by_service.items() for slot in slots)

    def __len__(self) -> int:
        return sum(map(len, self._by_service.values()))


class Placements(BySlot[Placement]):
    """The placements of one step."""

    def __init__(self, placements: Iterable[Placement] = ()) -> None:
        super().__init__()
        for placement in placements:
            self._by_service.setdefault((placement.stack, placement.service), {})[placement.slot] = placement

    def complete(self, stack: str, service: str, replicas: int) -> bool:
        """Whether all slots of a service with so many replicas are placed, and no others."""
        there = self._by_service.get((stack, service), {})
        return len(there) == replicas and max(there, default=0) <= replicas

    def ordered(self) -> tuple[Placement, ...]:
        """All of them, sorted by slot."""
        return tuple(placement for key in self.services() for placement in self.of_service(*key).values())
