"""When something is due: expressions, time zones, and the days on which clocks change."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base import cron

EXPRESSIONS = ("* * * * *", "*/7 * * * *", "30 2 * * *", "0 3 * * 1-5", "15 14 1 * *", "@weekly", "59 23 31 12 *")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("expression", "zone", "after", "until", "due"),
    [
        ("* * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z", None),
        ("* * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z"),
        ("* * * * *", "UTC", "2025-01-01T00:00:00Z", "2026-01-01T00:01:59Z", "2026-01-01T00:01:00Z"),
        ("30 3 * * *", "Europe/Berlin", "2026-06-01T00:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T01:30:00Z"),
        ("@yearly", "UTC", "2020-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("0 0 29 2 *", "UTC", "2020-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2024-02-29T00:00:00Z"),
        # 02:30 does not exist on the day on which clocks go forward, and is twice on the other
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T00:59:00Z", None),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:45:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T23:00:00Z", None),
    ],
)
def test_the_latest_due_time(expression: str, zone: str, after: str, until: str, due: str | None) -> None:
    assert cron.latest(expression, zone, at(after), at(until)) == (at(due) if due else None)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(ZONES),
    st.integers(1_772_000_000, 1_796_000_000),
    st.lists(st.integers(1, 90_000), min_size=1, max_size=6),
)
def test_looks_at_any_moments_find_each_due_time_once(expression: str, zone: str, begin: int, steps: list[int]) -> None:
    """Whoever looks often, and whoever looks once, find the same newest one; none is found again."""
    last, now, found = float(begin), float(begin), []
    for step in steps:
        now += step
        due = cron.latest(expression, zone, last, now)
        if due is not None:
            assert last < due <= now
            found.append(due)
            last = due
    assert cron.latest(expression, zone, begin, now) == (found[-1] if found else None)
    following = cron.following(expression, zone, now)
    assert following is not None
    assert following > now
    assert cron.latest(expression, zone, now, following) == following
    assert cron.latest(expression, zone, now, following - 1) is None


def test_a_time_is_written_as_people_of_the_zone_do() -> None:
    assert cron.text(at("2026-06-01T01:30:00Z"), "Europe/Berlin") == "2026-06-01 03:30+02:00"
