"""How closely a pass looks: less where the one before found all as declared, a short while ago."""

from __future__ import annotations

CLOSELY = 3600.0
"""Seconds after which a converged fleet is looked at closely again."""
CLOSELY_AGAIN = 10
"""One of so many passes that find nothing to do looks closely, too."""


def is_settled(result: str | None, finished: float | None, times: int, now: float) -> bool:
    """Whether nothing can have been left behind, by what the last pass came to, when, and how often in a row.

    A pass that was killed, failed, changed something or missed a node settles nothing, and now and then one looks at
    everything all the same.
    """
    if result != "converged" or finished is None:
        return False
    return 0 <= now - finished <= CLOSELY and times % CLOSELY_AGAIN != 0
