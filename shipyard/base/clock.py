"""The only place that reads the time of day. Time is data everywhere else: unix seconds, as float."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Unix seconds of this machine."""
    return time.time()


def monotonic() -> float:
    """Seconds that never go backwards, for deadlines inside one process."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait; negative or zero returns at once."""
    if seconds > 0:
        time.sleep(seconds)


def iso(seconds: float) -> str:
    """`2026-11-22T10:00:00Z`, the form of all times in JSON output."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
