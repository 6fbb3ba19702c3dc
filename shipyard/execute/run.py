"""Carries out one wave on all of its nodes at once, and says what became of every action.

Each node gets one script. A node that fails, refuses or falls silent holds up no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from shipyard.base import clock
from shipyard.base.errors import ConfigError, NodeError, Refused, ShipyardError, TimedOut, Truncated
from shipyard.base.record import replace
from shipyard.base.secret import SecretBytes
from shipyard.execute import answer
from shipyard.execute.script import Auths, Fence, Script, build, claim, confirm
from shipyard.execute.steps import PULL, Contents
from shipyard.model.image import RegistryAuth
from shipyard.model.plan import Action, ArmRevert, Outcome, PullImage, PutSecret, Status
from shipyard.model.spec import SecretSpec
from shipyard.runtime.dialect import Dialect
from shipyard.transport.connection import NodeConnection

if TYPE_CHECKING:
    from shipyard.transport.fleet import Fleet


class WaveRefused(Refused):
    """At least one node let nothing be done. `outcomes`: of the whole wave; record them, then stop the pass."""

    def __init__(self, refused: Sequence[Refused], outcomes: tuple[Outcome, ...]) -> None:
        first = refused[0]
        others = f" (and so do {len(refused) - 1} more nodes)" if len(refused) > 1 else ""
        super().__init__(first.node, first.message + others, hint=first.hint)
        self.outcomes = outcomes


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a wave. `outcomes`: of the whole wave; what was sent and not answered is unknown."""

    def __init__(self, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__()
        self.outcomes = outcomes


def execute(
    fleet: Fleet,
    wave: Sequence[Action],
    dialects: Mapping[str, Dialect],
    fence: Fence,
    *,
    credentials: Callable[[str], RegistryAuth | None] | None = None,
    secrets: Callable[[SecretSpec], SecretBytes] | None = None,
    pull: float = PULL,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> tuple[Outcome, ...]:
    """Do a wave; one outcome for each action, in the wave's order.

    `dialects`: by node. `credentials`: what an image is pulled with; where that raises ConfigError, only that image's
    pull fails. `secrets`: gives a secret's content; where that raises ShipyardError, only that file fails.
    `pull`: seconds for an image to come.
    `on_outcome` is called as nodes answer, from threads of the fleet but never from two at once.
    Raises WaveRefused once all nodes have ended, and Interrupted.
    """
    book = _Book(wave, on_outcome)

    def work(connection: NodeConnection) -> None:
        node = connection.node
        actions = book.begin(node)
        said = _on_node(connection, actions, build(actions, dialects[node], fence, auths, contents, pull=pull))
        if any(isinstance(each.action.step, ArmRevert) and each.status == Status.DONE for each in said.outcomes):
            said = replace(said, outcomes=_confirmed(fleet, node, fence, said.outcomes))
        book.note(node, said)

    try:
        auths = _auths(wave, credentials) if credentials is not None else {}
        contents = _contents(wave, secrets) if secrets is not None else {}
        results = fleet.each(book.nodes, work)
    except KeyboardInterrupt:
        raise Interrupted(book.outcomes()) from None
    for node, result in sorted(results.items()):
        if isinstance(result, NodeError):
            book.note(node, answer.Answer(answer.unsent(book.begin(node), result, Status.SKIPPED)))
    outcomes = book.outcomes()
    if book.refused:
        raise WaveRefused(sorted(book.refused, key=lambda error: error.node), outcomes)
    return outcomes


def take(fleet: Fleet, nodes: Iterable[str], fence: Fence) -> dict[str, NodeError | None]:
    """Claim nodes without doing anything else there: None, or why it can't be. What `state rebuild` ends with."""
    script = claim(fence)

    def work(connection: NodeConnection) -> None:
        output = connection.run(script.text, timeout=script.timeout)
        answer.claimed(connection.node, script, output)

    return fleet.each(sorted(nodes), work)


def _auths(wave: Sequence[Action], credentials: Callable[[str], RegistryAuth | None]) -> Auths:
    """Found out before any node is asked, one after the other: a helper may have to ask a person."""
    found: dict[str, RegistryAuth | ConfigError] = {}
    for image in sorted({action.step.image for action in wave if isinstance(action.step, PullImage)}):
        try:
            auth = credentials(image)
        except ConfigError as error:
            found[image] = error
        else:
            if auth is not None:
                found[image] = auth
    return found


def _contents(wave: Sequence[Action], secrets: Callable[[SecretSpec], SecretBytes]) -> Contents:
    """Each decrypted once, however many nodes get it, and forgotten with the wave."""
    found: dict[tuple[str, str], SecretBytes | ShipyardError] = {}
    for secret in {action.step.secret for action in wave if isinstance(action.step, PutSecret)}:
        try:
            found[secret.name, secret.digest] = secrets(secret)
        except ShipyardError as error:
            found[secret.name, secret.digest] = error
    return found


def _on_node(connection: NodeConnection, actions: Sequence[Action], script: Script) -> answer.Answer:
    began = clock.now()
    try:
        output = connection.run(script.text, timeout=script.timeout)
    except (TimedOut, Truncated) as error:
        return answer.Answer(answer.unsent(actions, error, Status.UNKNOWN))
    except NodeError as error:
        return answer.Answer(answer.unsent(actions, error, Status.SKIPPED))
    return answer.read(connection.node, actions, script, output, began)


def _confirmed(fleet: Fleet, node: str, fence: Fence, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Tell the node, over a fresh connection, that its changed network still lets us in; or say that it does not."""
    script = confirm(fence)
    try:
        connection = fleet.fresh(node)
        try:
            connection.run(script.text, timeout=script.timeout)
        finally:
            connection.close()
    except NodeError as error:
        words = f"no fresh connection over the changed network ({error.message}): the node undoes the change by itself"
        return tuple(
            replace(each, status=Status.FAILED, message=words, reason="NotConfirmed")
            if isinstance(each.action.step, ArmRevert)
            else each
            for each in outcomes
        )
    return tuple(outcomes)


class _Book:
    """What is known of the wave so far. Written by the fleet's threads."""

    def __init__(self, wave: Sequence[Action], on_outcome: Callable[[Outcome], None] | None) -> None:
        self._wave = wave
        self._by_node: dict[str, list[Action]] = {}
        for action in wave:
            self._by_node.setdefault(action.node, []).append(action)
        self._on_outcome = on_outcome
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._known: dict[int, Outcome] = {}
        self.refused: list[Refused] = []

    @property
    def nodes(self) -> list[str]:
        return sorted(self._by_node)

    def begin(self, node: str) -> list[Action]:
        """The node's actions, which from now on may have happened."""
        with self._lock:
            self._begun.add(node)
        return self._by_node[node]

    def note(self, node: str, said: answer.Answer) -> None:
        """What a node said about its actions."""
        with self._lock:
            if said.refused is not None:
                self.refused.append(said.refused)
            for outcome in said.outcomes:
                self._known[outcome.action.id] = outcome
                if self._on_outcome is not None:
                    self._on_outcome(outcome)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Of the whole wave, as far as known now."""
        with self._lock:
            return tuple(self._known.get(action.id) or self._unknown(action) for action in self._wave)

    def _unknown(self, action: Action) -> Outcome:
        if action.node in self._begun:
            return Outcome(action, Status.UNKNOWN, "interrupted before the node said how it ended")
        return Outcome(action, Status.SKIPPED, "interrupted before it was begun")
