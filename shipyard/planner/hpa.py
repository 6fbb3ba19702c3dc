"""How many replicas a use asks for: the rule of Kubernetes' horizontal pod autoscaler, for one metric.

    ceil(replicas * use / wished use), and no change within the tolerance

Replicas that are not ready are set aside. Where the use of some is unknown, they count as using all that is reserved
if replicas would go, and as using nothing if more would come; a change that turns round by that is not made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from shipyard.base.record import Struct

TOLERANCE = 0.1
LEAST_STEP = 4
"""Replicas that may always be added at a time; more than these, at most as many as there are."""


class Sample(Struct, frozen=True):
    """One replica. `use`: None where it is unknown. `ready` False: it is there, or will be, and does not serve yet."""

    use: float | None
    reserved: float
    ready: bool = True


class Proposal(Struct, frozen=True):
    """`share`: of what is reserved, as it is used now."""

    replicas: int
    share: float


def propose(current: int, samples: Sequence[Sample], target: float) -> Proposal | None:
    """For one metric; `target`: the wished share. None: nothing is known of it."""
    known = [sample for sample in samples if sample.ready and sample.use is not None]
    missing = [sample for sample in samples if sample.ready and sample.use is None]
    unready = [sample for sample in samples if not sample.ready]
    reserved = sum(sample.reserved for sample in known)
    if not known or reserved <= 0:
        return None
    used = sum(sample.use or 0.0 for sample in known)
    share = used / reserved
    ratio = share / target
    if not missing and not (unready and ratio > 1):
        return Proposal(current if _steady(ratio) else _ceil(ratio * len(known)), share)
    if ratio == 1:  # what is unknown would tip it neither way
        return Proposal(current, share)
    counted = len(known) + len(missing)
    reserved += sum(sample.reserved for sample in missing)
    if ratio < 1:
        used += max(1.0, target) * sum(sample.reserved for sample in missing)
    elif unready:
        counted += len(unready)
        reserved += sum(sample.reserved for sample in unready)
    again = used / reserved / target
    if _steady(again) or (again > 1) != (ratio > 1):
        return Proposal(current, share)
    wanted = _ceil(again * counted)
    if (again < 1 and wanted > current) or (again > 1 and wanted < current):
        wanted = current
    return Proposal(wanted, share)


def combined(current: int, proposals: Sequence[Proposal | None]) -> int | None:
    """Of several metrics the largest; while one of them is unknown, none goes. None: nothing is known at all."""
    known = [proposal.replicas for proposal in proposals if proposal is not None]
    if not known:
        return None
    most = max(known)
    return current if len(known) < len(proposals) and most < current else most


def bounded(current: int, wanted: int, least: int, most: int) -> int:
    """Within the bounds, and not more at a time than doubles them, or adds a few."""
    step = max(2 * current, current + LEAST_STEP)
    return max(least, min(wanted, most, step))


def _steady(ratio: float) -> bool:
    return abs(1 - ratio) <= TOLERANCE + 1e-9


def _ceil(value: float) -> int:
    """Rounded up, but not for what is no more than the inexactness of floats."""
    return math.ceil(value - 1e-9)
