"""RFC 3339 as runtimes write it (nanoseconds, any zone) to unix seconds, by arithmetic: no clock is read here."""

from __future__ import annotations

import re

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)

_DAYS_BEFORE_1970 = 719_468


def unix(text: str) -> float | None:
    """None for the year 1 (`0001-01-01T00:00:00Z`: never) and for "". Raises ValueError on anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        if text == "":
            return None
        raise ValueError(f"not a time: {text[:60]!r}")
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ValueError(f"not a time: {text[:60]!r}")
    if year <= 1:
        return None
    offset = 0 if match[8] is None else (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "-" else 1)
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return seconds + (float(f"0.{match[7]}") if match[7] else 0.0)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01: years begin in March, so that the leap day is their last."""
    if month <= 2:
        year -= 1
    months = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * months + 2) // 5 + day - 1 - _DAYS_BEFORE_1970
