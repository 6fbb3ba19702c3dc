"""What a node said about its actions, as outcomes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipyard.base.errors import NodeError, NotObserved, Refused, Truncated
from shipyard.base.record import Struct, replace
from shipyard.base.text import one_line, tail
from shipyard.execute.script import Script
from shipyard.model.plan import Action, Outcome, Status, verb
from shipyard.runtime import reasons
from shipyard.runtime.nodescript import Frame, ended, frames
from shipyard.transport.connection import Completed

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_STOPPED = 124, 137, 143
"""Exit statuses of a command that timeout(1) ended: its own, or the signal's (killed; busybox: either)."""
_BUSY = "another script of shipyard is still at work on this node"


class Answer(Struct, frozen=True):
    """One outcome for each action, in their order. `refused`: why the node let nothing (more) be done."""

    outcomes: tuple[Outcome, ...]
    refused: Refused | None = None


def read(node: str, actions: Sequence[Action], script: Script, output: Completed, began: float) -> Answer:
    """Outcomes of a script that ended. `began`: unix seconds here when it was sent."""
    found = frames(output.stdout, script.nonce)
    reading = _Reading(script, began, actions)
    for frame in found:
        reading.take(frame)
    stop = reading.stop
    refused = _refused(node, stop) if stop[:1] == ("refused",) else None
    if refused is not None:
        rest = Status.FAILED, refused.message
    elif stop[:1] == ("broken",):
        rest = Status.FAILED, _broken(stop[1:], output.stderr)
    elif stop[:1] == ("busy",):
        rest = Status.SKIPPED, _BUSY
    elif ended(found):
        rest = Status.FAILED, "the node said nothing about it"
    else:
        rest = Status.SKIPPED, f"the script ended before it (exit status {output.status}){_said(output.stderr)}"
    return Answer(tuple(reading.outcome(action, *rest) for action in actions), refused)


def claimed(node: str, script: Script, output: Completed) -> None:
    """Returns where a script without actions made the node ours; raises Refused or NotObserved where it did not."""
    found = frames(output.stdout, script.nonce)
    reading = _Reading(script, 0.0)
    for frame in found:
        reading.take(frame)
    match reading.stop:
        case ("refused", *_):
            raise _refused(node, reading.stop)
        case ("busy", *_):
            raise NotObserved(node, _BUSY)
        case ("broken", *why):
            raise NotObserved(node, _broken(why, output.stderr))
    if not ended(found):
        raise Truncated(node, f"the answer ended early (exit status {output.status}){_said(output.stderr)}")


def unsent(actions: Sequence[Action], error: NodeError | str, status: Status) -> tuple[Outcome, ...]:
    """Outcomes of actions of which the node could not say anything."""
    message = error if isinstance(error, str) else str(error)
    return tuple(Outcome(action, status, message) for action in actions)


class _Reading:
    """Collects, frame by frame, what is known of each action."""

    def __init__(self, script: Script, began: float, actions: Sequence[Action] = ()) -> None:
        self._script = script
        self._names = {action.id: f"{verb(action.step)} {action.target}" for action in actions}
        self._began = began
        self._offset = 0.0
        self._started: dict[int, float] = {}
        self._ended: dict[int, tuple[int, float, str]] = {}
        self._said: dict[int, str] = {}
        self._skipped: dict[int, int] = {}
        self.stop: tuple[str, ...] = ()

    def take(self, frame: Frame) -> None:
        """Note what one frame says. What no script of ours says is passed over."""
        match frame.words:
            case ("entered", uptime):
                self._offset = self._began - _number(uptime)
            case ("started", number, uptime):
                self._started[int(_number(number))] = _number(uptime)
            case ("ended", number, status, uptime):
                self._ended[int(_number(number))] = (int(_number(status)), _number(uptime), _text(frame.body))
            case ("said", number):
                self._said[int(_number(number))] = _text(frame.body)
            case ("skipped", number, need):
                self._skipped[int(_number(number))] = int(_number(need))
            case ("refused" | "busy" | "broken", *_):
                self.stop = frame.words
            case _:
                pass

    def outcome(self, action: Action, rest: Status, why: str) -> Outcome:
        """What became of it. `rest`, `why`: of an action that the node never came to."""
        outcome = self._outcome(action, rest, why)
        return outcome if outcome.status is not Status.FAILED else replace(outcome, reason=_reason(outcome.message))

    def _outcome(self, action: Action, rest: Status, why: str) -> Outcome:
        number = action.id
        if number in self._script.rejected:
            return Outcome(action, Status.FAILED, self._script.rejected[number])
        if number in self._skipped:
            need = self._names.get(self._skipped[number], "something")
            return Outcome(action, Status.SKIPPED, f"{need}, which it needs, failed")
        if number not in self._started:
            return Outcome(action, rest, why)
        started = self._started[number]
        if number not in self._ended:
            message = "the node did not say how it ended"
            return Outcome(action, Status.UNKNOWN, message, started=self._offset + started)
        status, stopped, printed = self._ended[number]
        done, seconds = status == 0, round(max(0.0, stopped - started), 2)
        late = status in _STOPPED and seconds >= self._script.deadlines[number]
        return Outcome(
            action,
            Status.DONE if done else Status.FAILED,
            message="" if done else _failure(status, late, self._said.get(number, ""), printed),
            output=_output(printed),
            started=self._offset + started,
            seconds=seconds,
        )


def _failure(status: int, late: bool, said: str, printed: str) -> str:
    words = tail(said).strip() or tail(printed).strip()
    if late:
        return f"it did not end in time and was stopped{': ' if words else ''}{words}"
    return words or f"exit status {status}, and not a word about why"


def _reason(message: str) -> str:
    """As one word, if there is one for it."""
    word = reasons.reason_of(message)
    return "" if word == reasons.FALLBACK else word


def _output(printed: str) -> str:
    """The last container id, where one was printed; else all of it."""
    lines = [line.strip() for line in printed.splitlines()]
    return next((line for line in reversed(lines) if _CONTAINER_ID.fullmatch(line)), printed.strip())


def _refused(node: str, stop: tuple[str, ...]) -> Refused:
    if stop[1:2] == ("owner",):
        owner = one_line(stop[2], 60) if len(stop) > 2 else "none any more"
        return Refused(
            node,
            f"refused: it belongs to another store ({owner})",
            hint="nothing was changed there; if this store is to own the fleet from now on: `shipyard state rebuild`",
        )
    return Refused(
        node,
        f"refused: a newer pass was here (number {one_line(' '.join(stop[2:]), 60)})",
        hint="another pass has taken over, which is fine; if this store is an older copy of the one that the nodes "
        "know (a restored backup): `shipyard state rebuild`",
    )


def _broken(why: Sequence[str], stderr: bytes) -> str:
    return f"the node can't be worked on: {one_line(' '.join(why))}{_said(stderr)}"


def _said(stderr: bytes) -> str:
    words = tail(_text(stderr), 3).strip()
    return f": {words}" if words else ""


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _number(word: str) -> float:
    """A plain decimal number; -1 for anything else, which no action and no status has."""
    return float(word) if _NUMBER.fullmatch(word) else -1.0
