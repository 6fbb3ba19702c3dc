"""Observes many nodes at once. A node of which nothing is known is Silent, never empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shipyard.base.errors import NodeError, RuntimeBroken, Unreachable
from shipyard.model.observed import Observation, ObservedNode, Silent
from shipyard.observe import detect, probe
from shipyard.observe.probe import NodeRequest
from shipyard.runtime import dialects
from shipyard.transport.connection import NodeConnection

if TYPE_CHECKING:
    from shipyard.transport.fleet import Fleet


def observe(fleet: Fleet, requests: Iterable[NodeRequest], *, timeout: float = 60.0) -> tuple[Observation, ...]:
    """One observation for each request, sorted by name. `timeout`: seconds for a node's whole answer.

    One exec a node; two where the runtime is not known yet.
    """
    wanted = {request.name: request for request in requests}

    def work(connection: NodeConnection) -> ObservedNode:
        request = wanted[connection.node]
        runtime = _known(request) or _detect(connection, timeout)
        asked = probe.build(request, runtime, seconds=max(1, int(timeout)))
        return probe.read(connection.node, connection.run(asked.script, timeout=timeout), asked)

    results = fleet.each(sorted(wanted), work)
    return tuple(_observation(name, results[name]) for name in sorted(wanted))


def _known(request: NodeRequest) -> str | None:
    if request.runtime is not None and request.runtime not in dialects.NAMES:
        names = ", ".join(dialects.NAMES)
        raise RuntimeBroken(request.name, f"there is no runtime {request.runtime!r}", hint=f"known are {names}")
    return request.runtime


def _detect(connection: NodeConnection, timeout: float) -> str:
    question = detect.build()
    return detect.read(connection.node, connection.run(question.script, timeout=timeout), question)


def _observation(name: str, result: ObservedNode | NodeError) -> Observation:
    if isinstance(result, ObservedNode):
        return result
    return Silent(
        name=name,
        connected=not isinstance(result, Unreachable),
        kind=type(result).__name__,
        message=result.message,
        hint=result.hint,
        via=result.via if isinstance(result, Unreachable) else None,
    )
