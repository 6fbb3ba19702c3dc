"""Which nodes are ready, suspect, unreachable or lost, from how they have answered.

Only a failure to connect counts as a miss. Silence adds up only between misses close enough to each other, so
that a control machine that slept declares nobody lost; and when most nodes stop answering at once, it is the
control machine's own network that is believed to be down.
"""

from __future__ import annotations

from shipyard.base.record import Struct, replace
from shipyard.model.memory import NodeMemory
from shipyard.model.node import NodeState
from shipyard.model.observed import Observation, ObservedNode, Silent
from shipyard.model.situation import Situation, Timing

_FLOAT_ERROR = 1e-9
"""0.55 * 100 is more than 55."""


class Judgement(Struct, frozen=True):
    """`nodes`: sorted by name. `brake`: why nothing may be moved; "" when it may."""

    nodes: tuple[NodeMemory, ...]
    brake: str = ""

    def state(self, name: str) -> NodeState:
        """The state of this node; UNKNOWN when it was never asked."""
        return next((node.state for node in self.nodes if node.name == name), NodeState.UNKNOWN)


def judge(situation: Situation) -> Judgement:
    """What the answers of this pass make of the nodes."""
    before = {memory.name: memory for memory in situation.memory.nodes}
    answers = {answer.name: answer for answer in situation.observed}
    brake = _brake(before, answers, situation)
    after = []
    for node in situation.nodes:
        memory = before.get(node.name, NodeMemory(node.name, since=situation.now))
        answer = answers.get(node.name)
        if answer is not None:
            memory = _after(memory, answer, situation.now, situation.timing, counting=not brake)
        if node.dead and memory.misses:
            memory = replace(memory, state=NodeState.LOST)
        after.append(memory)
    return Judgement(tuple(sorted(after, key=lambda memory: memory.name)), brake)


def _brake(before: dict[str, NodeMemory], answers: dict[str, Observation], situation: Situation) -> str:
    """Nodes behind one failed jump host are one failure, which is why `via` stands in for their names."""
    living = [
        node.name
        for node in situation.nodes
        if node.name in answers and (node.name not in before or before[node.name].state != NodeState.LOST)
    ]
    silent = [name for name in living if _missed(answers[name])]
    failures = {_failure(answers[name]) for name in silent}
    units = len(living) - len(silent) + len(failures)
    if len(failures) < 2 or len(failures) < situation.timing.brake * units - _FLOAT_ERROR:
        return ""
    return (
        f"{len(silent)} of {len(living)} nodes stopped answering at once: probably this machine's own network. "
        "Nothing is moved."
    )


def _missed(answer: Observation) -> bool:
    return isinstance(answer, Silent) and not answer.connected


def _failure(answer: Observation) -> str:
    return f"via {answer.via}" if isinstance(answer, Silent) and answer.via else answer.name


def _after(memory: NodeMemory, answer: Observation, now: float, timing: Timing, *, counting: bool) -> NodeMemory:
    if isinstance(answer, ObservedNode) or answer.connected:
        state = NodeState.READY if isinstance(answer, ObservedNode) else NodeState.UNOBSERVED
        return NodeMemory(
            name=memory.name,
            state=state,
            since=memory.since if memory.state == state else now,
            last_seen=now,
            kind="" if isinstance(answer, ObservedNode) else answer.kind,
            message="" if isinstance(answer, ObservedNode) else answer.message,
        )
    gap = now - memory.last_miss
    silent_for = memory.silent_for
    if counting and memory.misses and gap <= timing.miss_gap:
        silent_for += gap
    misses = memory.misses + 1
    state = _silent_state(memory.state, silent_for, misses, timing)
    return replace(
        memory,
        state=state,
        since=memory.since if memory.state == state else now,
        misses=misses,
        silent_for=silent_for,
        last_miss=now,
        kind=answer.kind,
        message=answer.message,
    )


def _silent_state(before: NodeState, silent_for: float, misses: int, timing: Timing) -> NodeState:
    if before == NodeState.LOST or silent_for >= timing.unreachable_after + timing.lost_after:
        return NodeState.LOST
    if misses >= 2 and silent_for >= timing.unreachable_after:
        return NodeState.UNREACHABLE
    return NodeState.SUSPECT
