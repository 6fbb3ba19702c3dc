"""`network`: what the networks are, and whether they do what they should."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.netview import NetworkView, Reach
from shipyard.model.observed import Silent
from shipyard.model.situation import Situation
from shipyard.observe import reaching
from shipyard.planner import plan
from shipyard.planner.network import view
from shipyard.reconcile.looking import look
from shipyard.reconcile.session import Session


def networks(session: Session) -> tuple[NetworkView, ...]:
    """All networks, as the nodes have them now."""
    return _looked(session)[1]


def _looked(session: Session) -> tuple[Situation, tuple[NetworkView, ...]]:
    stacks = session.stacks()
    patterns = {service.pattern for stack in stacks for service in stack.revision.spec.services}
    membership = session.membership(patterns)
    situation = look(session, membership, session.situation(membership, stacks))
    return situation, view.networks(situation, plan.plan(situation, waves=1).memory)


def check(session: Session, network: str | None = None) -> tuple[Reach, ...]:
    """Try every pair of services that should connect, and what should not, from inside the containers."""
    situation, found = _looked(session)
    wanted = [pair for pair in view.pairs(found) if network in (None, pair.network)]
    patterns = {service.pattern for stack in situation.stacks for service in stack.revision.spec.services}
    fleet = session.fleet(session.membership(patterns))
    runtimes = {name: node.facts.runtime for name, node in situation.seen().items()}
    targets: dict[str, set[str]] = {}
    for pair in wanted:
        for replica in pair.target.replicas[:1]:
            if replica.node in runtimes:
                targets.setdefault(replica.node, set()).add(replica.container)
    ports = reaching.listening(fleet, {node: sorted(names) for node, names in targets.items()}, runtimes)
    tries: dict[str, list[tuple[int, str, str, int]]] = {}
    reaches: list[Reach] = []
    for number, pair in enumerate(wanted):
        six = ":" in pair.address
        listening = [port for port, by_six in ports.get(pair.target.replicas[0].container, ()) if by_six or not six]
        port = listening[0] if listening else 0
        words = "" if port else f"it listens on no TCP port{' of IPv6' if six else ''}"
        client, target = pair.client.name, pair.target.name
        reaches.append(
            Reach(pair.network, client, target, pair.replica.node, pair.address, port, pair.expected, None, words)
        )
        if port and pair.replica.node in runtimes:
            tries.setdefault(pair.replica.node, []).append((number, pair.replica.container, pair.address, port))
    results = reaching.attempts(fleet, tries, runtimes)
    silent = [
        Reach(network or "", "-", "-", each.name, "-", 0, True, None, each.message, silent=True)
        for each in situation.observed
        if wanted and isinstance(each, Silent) and not each.connected
    ]
    return (*(_with(reach, results.get(number)) for number, reach in enumerate(reaches)), *silent)


def _with(reach: Reach, result: tuple[bool | None, str] | None) -> Reach:
    if result is None:
        return reach
    succeeded, words = result
    return replace(reach, succeeded=succeeded, words=words)
