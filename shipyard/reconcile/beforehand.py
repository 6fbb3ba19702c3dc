"""Nodes are asked while the store is still being opened and most of shipyard imported: what they do takes longest.

They are asked what the last pass asked. Their answers count only where this pass asks the very same, and where nobody
can have changed anything on them in between: the lease was free when they were asked, and its next holder is this pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from shipyard.base import clock
from shipyard.base.record import replace
from shipyard.model.canonical import loads
from shipyard.model.observed import Observation
from shipyard.model.situation import Situation
from shipyard.observe.fleet import observe
from shipyard.observe.probe import NodeRequest
from shipyard.reconcile.settled import is_settled
from shipyard.store.glance import Glance
from shipyard.transport.fleet import Fleet


class Beforehand:
    """Questions under way. `epoch`: of the newest lease when they were asked. `requests`: by node."""

    def __init__(self, fleet: Fleet, requests: Mapping[str, NodeRequest], epoch: int, timeout: float) -> None:
        self.fleet = fleet
        self.epoch = epoch
        self.requests = requests
        self._timeout = timeout
        self._answers: tuple[Observation, ...] = ()
        self._thread = threading.Thread(target=self._ask, name="shipyard-beforehand", daemon=True)
        self._thread.start()

    def take(self, wanted: Iterable[NodeRequest]) -> tuple[Observation, ...]:
        """The answers to those of these requests that were asked."""
        same = {request.name for request in wanted if self.requests.get(request.name) == request}
        if not same:
            return ()
        self._thread.join()
        return tuple(answer for answer in self._answers if answer.name in same)

    def _ask(self) -> None:
        try:
            self._answers = observe(self.fleet, self.requests.values(), timeout=self._timeout)
        except Exception:  # whoever asks again hears of it
            self._answers = ()


def ask(fleet: Fleet, known: Glance, reachable: Iterable[str], timeout: float) -> Beforehand | None:
    """Begin to ask those of the nodes that can be, where the next pass is one that most probably asks the same."""
    if not is_settled(known.result, known.finished, known.times, clock.now()):
        return None
    try:
        requests = {name: loads(NodeRequest, known.questions[name]) for name in reachable if name in known.questions}
    except ValueError:  # another version's
        return None
    return Beforehand(fleet, requests, known.epoch, timeout) if requests else None


def expected(asked: Iterable[NodeRequest], situation: Situation) -> dict[str, NodeRequest]:
    """What the next pass will most probably ask, by node, if this one, which asked these, found nothing to do."""
    seen = situation.seen()
    return {
        each.name: replace(
            each, stray_networks=False, containers=tuple(sorted(box.id for box in seen[each.name].containers))
        )
        for each in asked
        if each.runtime and not each.version and each.name in seen
    }
