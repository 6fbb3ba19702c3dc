"""What is blocked, remembered from pass to pass: that something became so, or no longer is, is told once.

A pass a minute that finds the same shortage again has nothing to tell, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.base.record import replace
from shipyard.model.event import Event
from shipyard.model.memory import Memory, Stuck
from shipyard.model.plan import Blocked
from shipyard.model.situation import Situation

ENDED = "Unblocked"


def remembered(situation: Situation, memory: Memory, blocked: Iterable[Blocked]) -> Memory:
    """The memory, with what is blocked now. A pass limited to some nodes does not say that the rest is well."""
    before = {each.key: each for each in memory.stuck}
    now = {(each.target, each.reason, each.detail) for each in blocked}
    if situation.limit is not None:
        now |= before.keys()
    if now == before.keys():
        return memory
    found = (before.get(key) or Stuck(*key, since=situation.now) for key in sorted(now))
    return replace(memory, stuck=tuple(found))


def events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event for what became blocked, or for another reason; one when nothing of it is blocked any more."""
    old = {each.key for each in before.stuck}
    begun = [
        Event(now, each.reason, each.target, each.detail, warning=True) for each in after.stuck if each.key not in old
    ]
    left = {each.target for each in after.stuck}
    ended = {each.target: each for each in before.stuck if each.target not in left}
    return (
        *begun,
        *(Event(now, ENDED, target, f"no longer blocked ({each.reason})") for target, each in sorted(ended.items())),
    )
