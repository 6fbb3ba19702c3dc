"""Cron expressions with a time zone. Pure: every time is an argument, as unix seconds, and so is every answer.

Days on which clocks change are treated as Debian's cron does: a time of day that is skipped comes when the clock has
jumped, one that happens twice comes once; expressions with a `*` in their hours or minutes go by elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
FIELDS = "minute hour day-of-month month day-of-week"
_SPANS = tuple(3600.0 * hours for hours in (1, 24, 24 * 8, 24 * 62, 24 * 367, 24 * 366 * 9))
"""How far back the latest due time is looked for, step by step: one of a busy expression is near."""


@lru_cache(maxsize=4096)
def problem(expression: str, timezone: str = "UTC") -> str:
    """What is wrong with the expression or the zone, or ""."""
    fields = _fields(expression)
    if len(fields.split()) != 5:
        return f"expected five fields ({FIELDS}), or one of {', '.join(sorted(NAMES))}"
    wrong = zone_problem(timezone)
    if wrong:
        return wrong
    try:
        next(CronSim(fields, datetime(2024, 1, 1)))
    except CronSimError as error:
        return f"{str(error).lower()} in {expression!r} (the fields are {FIELDS})"
    except StopIteration:
        return "never comes"
    return ""


def zone_problem(timezone: str) -> str:
    """What is wrong with the name of a time zone, or ""."""
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        return f"{timezone!r} is not a time zone; expected a name such as UTC or Europe/Berlin"
    return ""


def latest(expression: str, timezone: str, after: float, until: float) -> float | None:
    """The last due time later than `after` and not later than `until`.

    It is always found by going forward, since backwards the days on which clocks change come out differently.
    """
    for span in _SPANS:
        begin = max(after, until - span)
        found = None
        for due in _from(expression, timezone, begin):
            if due > until:
                break
            found = due if due > begin else found
        if found is not None or begin <= after:
            return found
    return None


def following(expression: str, timezone: str, after: float) -> float | None:
    """The first due time later than `after`."""
    return next((due for due in _from(expression, timezone, after) if due > after), None)


def text(at: float, timezone: str = "UTC") -> str:
    """A time as people of that zone write it."""
    return datetime.fromtimestamp(at, ZoneInfo(timezone)).isoformat(" ", "minutes")


def _from(expression: str, timezone: str, begin: float) -> Iterator[float]:
    start = datetime.fromtimestamp(begin, ZoneInfo(timezone))
    return (due.timestamp() for due in CronSim(_fields(expression), start))


def _fields(expression: str) -> str:
    return NAMES.get(expression.strip().lower(), expression)
