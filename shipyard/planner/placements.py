"""The placements of one step, by service: what is asked for most is all replicas of one service.

With 150,000 replicas in 2,000 services a look through all placements for each service would be the whole plan's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping

from shipyard.model.memory import Placement, SlotKey

ServiceKey = tuple[str, str]
"""stack, service."""


class Placements(MutableMapping[SlotKey, Placement]):
    """Placements by slot, in no particular order unless asked for `of_service`, `services` or `ordered`."""

    def __init__(self, placements: Iterable[Placement] = ()) -> None:
        self._by_service: dict[ServiceKey, dict[int, Placement]] = {}
        for placement in placements:
            self._by_service.setdefault((placement.stack, placement.service), {})[placement.slot] = placement

    def of_service(self, stack: str, service: str) -> dict[int, Placement]:
        """Those of one service by slot, sorted; a copy, so that placements may change while one goes through it."""
        return dict(sorted(self._by_service.get((stack, service), {}).items()))

    def complete(self, stack: str, service: str, replicas: int) -> bool:
        """Whether all slots of a service with so many replicas are placed, and no others."""
        there = self._by_service.get((stack, service), {})
        return len(there) == replicas and max(there, default=0) <= replicas

    def services(self) -> list[ServiceKey]:
        """Services that have any, sorted."""
        return sorted(key for key, slots in self._by_service.items() if slots)

    def ordered(self) -> tuple[Placement, ...]:
        """All of them, sorted by slot."""
        return tuple(placement for key in self.services() for placement in self.of_service(*key).values())

    def __getitem__(self, key: SlotKey) -> Placement:
        return self._by_service[key[:2]][key[2]]

    def __setitem__(self, key: SlotKey, placement: Placement) -> None:
        self._by_service.setdefault(key[:2], {})[key[2]] = placement

    def __delitem__(self, key: SlotKey) -> None:
        del self._by_service[key[:2]][key[2]]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[2] in self._by_service.get(key[:2], ())

    def __iter__(self) -> Iterator[SlotKey]:
        return ((*service, slot) for service, slots in self._by_service.items() for slot in slots)

    def __len__(self) -> int:
        return sum(map(len, self._by_service.values()))
