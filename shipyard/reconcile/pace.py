"""What cron can't keep up with: probes that are declared to be tried more often than passes come.

Said once for each revision, and kept as an event: a line with every run of cron would be read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from shipyard.model.event import Event
from shipyard.model.plan import Notice
from shipyard.model.progress import Progress
from shipyard.model.spec import Revision, ServiceSpec
from shipyard.store.store import Store

CRON = 60.0
"""Seconds: cron starts nothing more often."""
REASON = "PeriodTooShort"
_LOOKED_AT = 500
"""Events of a stack among which an earlier notice is looked for."""


def tell(store: Store, progress: Progress, now: float) -> None:
    """Notices about the newest revisions, where they were not told yet."""
    for head in store.heads():
        notices = () if head.removing else tuple(_too_short(head.revision))
        if not notices or _told(store, head.revision):
            continue
        for notice in notices:
            progress.on_notice(notice)
        store.add_events(Event(now, each.reason, each.target, each.detail) for each in notices)


def _told(store: Store, revision: Revision) -> bool:
    rows = store.events(stack=revision.stack, limit=_LOOKED_AT)
    return any(row.event.reason == REASON and row.event.at >= revision.created for row in rows)


def _too_short(revision: Revision) -> Iterator[Notice]:
    for service in revision.spec.services:
        shortest = min((period for _, period in _periods(service)), default=CRON)
        if shortest < CRON:
            names = " and ".join(f"{name} every {period:g} s" for name, period in _periods(service))
            detail = (
                f"its probes ask for tries of {names}, and cron comes once a minute at most: "
                f"`shipyard reconcile --watch --interval {max(shortest, 1.0):g}` keeps up with them"
            )
            yield Notice(f"{revision.stack}/{service.name}", REASON, detail)


def _periods(service: ServiceSpec) -> list[tuple[str, float]]:
    """Of what goes on for as long as a replica runs."""
    declared = (("liveness", service.probes.liveness), ("readiness", service.probes.readiness))
    return [(name, probe.period) for name, probe in declared if probe is not None]
