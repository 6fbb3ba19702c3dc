"""Why no node fits, composed from what each of them was refused for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Refusal(NamedTuple):
    """Why a node is refused, to follow its name or a count: `one` ("lacks memory"), `many` ("lack memory")."""

    one: str
    many: str


def being(words: str) -> Refusal:
    """A refusal for what the node is."""
    return Refusal(f"is {words}", f"are {words}")


def having(words: str) -> Refusal:
    """A refusal for what the node has."""
    return Refusal(f"has {words}", f"have {words}")


def lacking(words: str) -> Refusal:
    """A refusal for what the node lacks."""
    return Refusal(f"lacks {words}", f"lack {words}")


def explain(refusals: Iterable[Refusal], pattern: str) -> str:
    """`0 of 5 nodes fit: 3 lack memory (needs 4 GiB), 2 are drained`: one refusal for each node that was asked."""
    counted = Counter(refusals)
    asked = sum(counted.values())
    if not asked:
        return f"no host of the inventory matches `hosts: {pattern}`"
    words = [
        f"{number} {why.one if number == 1 else why.many}"
        for why, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]
    return f"0 of {asked} {'node fits' if asked == 1 else 'nodes fit'}: {', '.join(words)}"


def size(amount: int) -> str:
    """Bytes as people write them."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount >= factor:
            return f"{amount / factor:.4g} {unit}"
    return f"{amount} B"
