"""The fence command: a person's own program that switches a lost node off, so that its work may begin elsewhere.

It runs on the control machine, without a shell, and only for a trusted project. Without one, people are asked to look.
"""

from __future__ import annotations

from shipyard.base.errors import ConfigError
from shipyard.base.record import replace
from shipyard.base.text import one_line
from shipyard.base.trust import HINT
from shipyard.files.program import ask
from shipyard.model.event import Event
from shipyard.model.memory import FailedFencing
from shipyard.model.node import Node
from shipyard.model.situation import Situation
from shipyard.reconcile.session import Session

AGAIN = 60.0
"""Seconds until a command that failed is tried again."""
MOST_OUTPUT = 64 * 1024


def fence(session: Session, situation: Situation, names: tuple[str, ...]) -> Situation:
    """The situation once the command was run for these nodes, where one is set: each is dead then, or why not."""
    if not session.settings.fence:
        return situation
    failed = {each.node: each for each in situation.memory.fencings}
    for node in situation.nodes:
        before = failed.get(node.name)
        if node.name not in names or (before is not None and situation.now - before.since < AGAIN):
            continue
        problem = _switch_off(session, node)
        if problem:
            failed[node.name] = FailedFencing(node.name, situation.now, problem)
            event = Event(situation.now, "FencingFailed", node.name, problem, node.name, warning=True)
        else:
            session.store.decide(replace(node, dead=True))
            failed.pop(node.name, None)
            event = Event(situation.now, "NodeFenced", node.name, "the fence command switched it off", node.name)
        session.store.add_events((event,))
    dead = {name for name in names if name not in failed}
    nodes = tuple(replace(node, dead=True) if node.name in dead else node for node in situation.nodes)
    memory = replace(situation.memory, fencings=tuple(each for _, each in sorted(failed.items())))
    return replace(situation, nodes=nodes, memory=memory)


def _switch_off(session: Session, node: Node) -> str:
    """Run the command; "" when it ended with 0, else why not."""
    trusted = session.opening.trusted
    if not trusted.allows(session.settings.fence):
        return f"it {trusted.refusal}: {HINT}"
    fields = {"{node}": node.name, "{address}": node.address}
    argv = tuple(_filled(word, fields) for word in session.settings.fence)
    environ = {**session.environ, "SHIPYARD_NODE": node.name, "SHIPYARD_ADDRESS": node.address}
    try:
        ask(argv, environ=environ, folder=session.settings.root, limit=MOST_OUTPUT)
    except ConfigError as error:
        return one_line(str(error))
    return ""


def _filled(word: str, fields: dict[str, str]) -> str:
    for name, value in fields.items():
        word = word.replace(name, value)
    return word
