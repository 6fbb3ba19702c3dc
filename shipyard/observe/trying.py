"""Tries probes on the nodes of a fleet: those of one node side by side, through the connection that is open anyway."""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shipyard.base import shell
from shipyard.base.errors import NodeError, Truncated
from shipyard.base.record import replace
from shipyard.model.probing import Tried, Try
from shipyard.observe.asking import ask
from shipyard.runtime import dialects, nodescript
from shipyard.transport.connection import NodeConnection
from shipyard.transport.crew import Crew

if TYPE_CHECKING:
    from shipyard.transport.fleet import Fleet

SIDE_BY_SIDE = 32
"""Tries at once on one node."""
STARTING = 1.0
"""Seconds that the runtime may take to begin a command in a container, beside the probe's timeout."""
ROUND_TRIP = 10.0
"""Seconds that a node may take to answer beside what its probes take."""
_LOG_LINES = 10

_COMMAND = "command"
_TRY = r"""
sy_timeout=$(command -v timeout)
sy_try() {
  sy_number=$1
  sy_limit=$2
  shift 2
  sy_said=$(
    { ${sy_timeout:+"$sy_timeout" "$sy_limit"} "$@" </dev/null 2>&1; printf '\n%s' $?; } | tail -c 600 | tr '\n' ' '
  )
  sy_frame "tried $sy_number $sy_said"
}
"""
"""All that one try has to say is one line, which shells write at once: tries side by side don't mix."""
_LOG = r"""
sy_log() { sy_frame log; "$@" 2>&1 </dev/null | tail -c 4096; }
"""


def try_all(fleet: Fleet, tries: Sequence[Try], runtimes: Mapping[str, str]) -> tuple[Tried, ...]:
    """What each came to, in the order given. `runtimes`: by node."""
    by_node: defaultdict[str, list[Try]] = defaultdict(list)
    for attempt in tries:
        by_node[attempt.node].append(attempt)

    def work(connection: NodeConnection) -> dict[Try, Tried]:
        return _on_node(connection, by_node[connection.node], runtimes[connection.node])

    found: dict[Try, Tried] = {}
    for node, result in fleet.each(sorted(by_node), work).items():
        if isinstance(result, NodeError):
            found.update({attempt: Tried(attempt, None, result.message) for attempt in by_node[node]})
        else:
            found.update(result)
    return tuple(found[attempt] for attempt in tries)


def _on_node(connection: NodeConnection, tries: list[Try], runtime: str) -> dict[Try, Tried]:
    found = {attempt: Tried(attempt, None, attempt.obstacle) for attempt in tries if attempt.obstacle}
    ports = {str(number): each for number, each in enumerate(tries) if each not in found and each.probe.kind != "exec"}
    commands = [each for each in tries if each not in found and each.probe.kind == "exec"]
    names = (*ports, *((_COMMAND,) if commands else ()))

    def work(name: str) -> list[Tried]:
        return _commands(connection, commands, runtime) if name == _COMMAND else [_port(connection, ports[name])]

    for name, result in Crew(names, work).run(min(len(names), SIDE_BY_SIDE)).items():
        if isinstance(result, NodeError):
            failed = commands if name == _COMMAND else [ports[name]]
            found.update({attempt: Tried(attempt, None, _why(result)) for attempt in failed})
        else:
            found.update({each.attempt: each for each in result})
    return _with_logs(connection, found, runtime)


def _port(connection: NodeConnection, attempt: Try) -> Tried:
    answer = ask(attempt, lambda address, port, timeout: connection.reach(address, port, timeout=timeout))
    return Tried(attempt, answer.passed, answer.words)


def _commands(connection: NodeConnection, tries: list[Try], runtime: str) -> list[Tried]:
    """All of a node's exec probes in one script."""
    dialect = dialects.by_name(runtime)
    lines = [_TRY]
    for number, attempt in enumerate(tries):
        argv = dialect.execute(attempt.runs_in, attempt.probe.command, tty=False, stdin=False, user=None, env=()).argv
        lines.append(f"sy_try {number} {_limit(attempt)} {shell.join(argv)} &")
        if (number + 1) % SIDE_BY_SIDE == 0:
            lines.append("wait")
    lines.append("wait")
    rounds = math.ceil(len(tries) / SIDE_BY_SIDE)
    longest = max(_limit(attempt) for attempt in tries)
    frames = _run(connection, "\n".join(lines), timeout=rounds * longest + ROUND_TRIP)
    said = {frame.words[1]: frame.words[2:] for frame in frames if frame.words[0] == "tried"}
    return [_of_command(attempt, said.get(str(number), ())) for number, attempt in enumerate(tries)]


def _limit(attempt: Try) -> int:
    """Whole seconds: not every `timeout` knows others."""
    return math.ceil(attempt.probe.timeout + STARTING)


def _of_command(attempt: Try, said: tuple[str, ...]) -> Tried:
    status, words = said[-1] if said else "", " ".join(said[:-1])
    if not status.isdecimal():
        return Tried(attempt, None, "the node did not say how its command ended")
    if status == "0":
        return Tried(attempt, True)
    if status in ("124", "143"):
        return Tried(attempt, False, f"its command did not end in {attempt.probe.timeout:g} s")
    return Tried(attempt, False, f"its command ended with {status}" + (f": {words}" if words else ""))


def _with_logs(connection: NodeConnection, found: dict[Try, Tried], runtime: str) -> dict[Try, Tried]:
    """The last lines of containers that are given up now: afterwards there is nobody left to ask."""
    wanted = [attempt for attempt, result in found.items() if attempt.decides and result.passed is False]
    if not wanted:
        return found
    dialect = dialects.by_name(runtime)
    lines = [_LOG]
    for attempt in wanted:
        argv = dialect.logs(attempt.runs_in, tail=_LOG_LINES, since=None, follow=False, timestamps=False).argv
        lines.append(f"sy_log {shell.join(argv)}")
    try:
        frames = _run(connection, "\n".join(lines), timeout=ROUND_TRIP + len(wanted))
    except NodeError:
        return found  # the verdict stands without them
    logs = [frame.body.decode("utf-8", "replace") for frame in frames if frame.words[0] == "log"]
    return found | {each: replace(found[each], log=log) for each, log in zip(wanted, logs, strict=True)}


def _run(connection: NodeConnection, text: str, *, timeout: float) -> tuple[nodescript.Frame, ...]:
    """The frames of a script's answer."""
    nonce = secrets.token_hex(16)
    output = connection.run(nodescript.whole(text, nonce), timeout=timeout)
    frames = nodescript.frames(output.stdout, nonce)
    if not nodescript.ended(frames):
        raise Truncated(connection.node, "the answer to its probes ended early")
    return frames


def _why(error: NodeError) -> str:
    return error.message if error.hint is None else f"{error.message}; {error.hint}"
