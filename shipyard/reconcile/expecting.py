"""What a node has after a wave, by its own answers: whoever knows all containers' ids need not ask what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipyard.model.plan import CreateContainer, Outcome, RemoveContainer, Status

_ID = re.compile(r"[0-9a-f]{64}")


def after(found: dict[str, tuple[str, ...]], outcomes: Sequence[Outcome]) -> frozenset[str]:
    """The nodes of which these outcomes don't tell what is there now.

    `found`: ids of the containers on each node, from before; as they are afterwards where that is known.
    """
    by_node: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_node.setdefault(outcome.action.node, []).append(outcome)
    unsure = set()
    for node, own in by_node.items():
        ids = _ids(set(found.get(node, ())), own) if node in found else None
        if ids is None:
            unsure.add(node)
        else:
            found[node] = tuple(sorted(ids))
    return frozenset(unsure)


def _ids(ids: set[str], outcomes: Sequence[Outcome]) -> set[str] | None:
    for outcome in outcomes:
        step = outcome.action.step
        if outcome.status != Status.DONE:
            return None
        if isinstance(step, RemoveContainer):
            ids.discard(step.id)
        elif isinstance(step, CreateContainer):
            if not _ID.fullmatch(outcome.output):
                return None
            ids.add(outcome.output)
    return ids
