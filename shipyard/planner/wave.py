"""One wave under construction: steps are put in phases per node, and numbered when it is done.

The order on a node is what makes a wave safe: what is needed is fetched first, then what must go goes (so that
its ports are free), then networks and volumes are there, then the node can find other nodes on them, then containers
are made, and last what nobody uses any more is removed.
"""

from __future__ import annotations

from enum import IntEnum

from shipyard.base.record import Struct, field
from shipyard.model.container import Port
from shipyard.model.memory import SlotKey
from shipyard.model.observed import Container
from shipyard.model.plan import Action, Blocked, Notice, Step, Waiting
from shipyard.planner import groups


class Phase(IntEnum):
    """Of a step on its node, in the order of execution."""

    FETCH = 0
    REMOVE = 1
    PREPARE = 2
    WIRE = 3
    RUN = 4
    TIDY = 5


class Draft(Struct, eq=False):
    """A step without its number yet. `order`: tells drafts of one phase apart."""

    node: str
    phase: Phase
    order: int
    target: str
    reason: str
    detail: str
    step: Step
    needs: tuple[Draft, ...]
    routine: bool = False


class Wave(Struct):
    """Collects drafts and the reasons for what is not done. `limit`: nodes that may be acted on; None for all.

    `once`: what several replicas of a node need and is done once a wave, by node and what tells it from others.
    `replicas`: those of several containers, by the id under which they are one: a step on it is one on each of them.
    `publishing`: by node, who is given which of its ports in this wave.
    `broken`: names of containers that are taken down because they do no work: no client is waited for there.
    """

    limit: frozenset[str] | None = None
    drafts: list[Draft] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    once: dict[tuple[str, object, object], Draft] = field(default_factory=dict)
    replicas: dict[str, tuple[Container, ...]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    publishing: dict[str, list[tuple[SlotKey, tuple[Port, ...]]]] = field(default_factory=dict)

    def may_act(self, node: str) -> bool:
        """Whether `--limit` lets this node be acted on."""
        return self.limit is None or node in self.limit

    def add(
        self,
        node: str,
        phase: Phase,
        target: str,
        reason: str,
        detail: str,
        step: Step,
        needs: tuple[Draft, ...] = (),
    ) -> Draft:
        """One more step; the last of them, where it takes several. Ask `may_act` first: the limit holds for all."""
        parts = self.replicas.get(getattr(step, "id", ""), ())
        for each in groups.each_step(step, parts):
            draft = Draft(node, phase, len(self.drafts), target, reason, detail, each, needs)
            self.drafts.append(draft)
            needs = (*needs, draft)
        return draft

    def tell(self, held: Waiting | Blocked) -> None:
        """Why something is not done now."""
        if isinstance(held, Blocked):
            self.blocked.append(held)
        else:
            self.waiting.append(held)

    def drop(self, target: str) -> None:
        """Nothing is done for this replica after all."""
        self.drafts = [draft for draft in self.drafts if draft.target != target]

    def fetch(self, node: str, key: str, target: str, detail: str, step: Step) -> Draft:
        """What a node lacks is fetched once a wave, however many replicas need it. `key`: tells what it is."""
        if (node, type(step), key) not in self.once:
            self.once[node, type(step), key] = self.add(node, Phase.FETCH, target, "Missing", detail, step)
        return self.once[node, type(step), key]

    def actions(self, first_id: int) -> tuple[Action, ...]:
        """The drafts as actions, in the order of execution, numbered from `first_id`."""
        ordered = sorted(self.drafts, key=lambda draft: (draft.node, draft.phase, draft.order))
        ids = {draft: first_id + index for index, draft in enumerate(ordered)}
        return tuple(
            Action(
                id=ids[draft],
                node=draft.node,
                target=draft.target,
                reason=draft.reason,
                detail=draft.detail,
                step=draft.step,
                needs=tuple(sorted(ids[need] for need in draft.needs)),
                routine=draft.routine,
            )
            for draft in ordered
        )
