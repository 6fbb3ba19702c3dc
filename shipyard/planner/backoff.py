"""When a replica that failed is tried again: Kubernetes' crash back-off, kept per slot and spec."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.memory import Failures, SlotKey
from shipyard.model.situation import Timing


def delay(count: int, timing: Timing) -> float:
    """Seconds to wait after `count` failures in a row: 10, 20, 40 … 300."""
    return float(min(timing.backoff * 2 ** min(max(count - 1, 0), 16), timing.backoff_max))


def failed(
    before: Failures | None, key: SlotKey, spec: str, now: float, timing: Timing, *, reason: str, message: str
) -> Failures:
    """One failure more. Another spec starts counting anew."""
    stack, service, slot = key
    if before is None or before.spec != spec:
        before = Failures(stack, service, slot, spec)
    count = before.count + 1
    return replace(before, count=count, retry_at=now + delay(count, timing), reason=reason, message=message, last=now)
