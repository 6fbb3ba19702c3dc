"""What the outcomes of a wave teach: failures to back off from, and events for people to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from shipyard.base.record import replace
from shipyard.base.text import one_line
from shipyard.model import labels
from shipyard.model.event import Event
from shipyard.model.memory import Failures, KnownVolume, Memory, Rollout, SlotKey
from shipyard.model.netbook import Wired
from shipyard.model.node import NodeState
from shipyard.model.plan import (
    WIRING,
    CreateContainer,
    CreateVolume,
    EnsureItem,
    LoadHolder,
    LoadRules,
    Outcome,
    PullImage,
    StartContainer,
    Status,
    WriteHosts,
    verb,
)
from shipyard.model.situation import Timing
from shipyard.planner import stumbling
from shipyard.planner.backoff import delay, failed
from shipyard.planner.network import draining


def learn(
    memory: Memory, outcomes: Sequence[Outcome], now: float, timing: Timing, *, planned: float | None = None
) -> Memory:
    """The memory after these outcomes: a replica that could not be made waits before it is tried again.

    A volume that was made is known from then on, also if nobody ever sees it.
    `planned`: when that was decided which these came of, if not now; what failed since then was counted at that time.
    """
    planned = now if planned is None else planned
    failures = {entry.key: entry for entry in memory.failures}
    stumbles = {entry.key: entry for entry in memory.stumbles}
    volumes = {(entry.node, entry.name): entry for entry in memory.volumes}
    wired: dict[str, str] = {}
    unplugged: dict[str, str] = {}
    nameless: set[str] = set()
    broken = {outcome.action.id: outcome for outcome in outcomes if outcome.status == Status.FAILED}
    for outcome in outcomes:
        step = outcome.action.step
        if isinstance(step, CreateVolume) and outcome.status == Status.DONE:
            made = KnownVolume(outcome.action.node, step.volume.name, dict(step.labels)[labels.STACK])
            volumes[made.node, made.name] = made
        cause = _cause(outcome, broken)
        if cause is None:
            continue
        if isinstance(step, EnsureItem) and step.item.kind == "ports":
            unplugged.setdefault(outcome.action.node, _short(cause))
        elif isinstance(step, WIRING) and cause is outcome:
            wired.setdefault(outcome.action.node, _short(outcome))
            nameless |= {outcome.action.node} if isinstance(step, WriteHosts) else set()
        if isinstance(step, CreateContainer):
            said = dict(step.labels)
            key = (said[labels.STACK], said[labels.SERVICE], int(said[labels.SLOT]))
            if not _counted(failures.get(key), said[labels.SPEC], planned):
                stumbling.note(stumbles, key[0], key[1], outcome.action.node, now)
            failures[key] = _count(failures, key, said[labels.SPEC], cause, now, timing, planned)
        elif isinstance(step, StartContainer) and cause is outcome:
            entry = next((each for each in failures.values() if _target(each.key) == outcome.action.target), None)
            if entry is not None:
                failures[entry.key] = replace(entry, reason=reason(cause), message=_short(cause))
    return replace(
        memory,
        failures=tuple(sorted(failures.values(), key=lambda entry: entry.key)),
        volumes=tuple(volume for _, volume in sorted(volumes.items())),
        stumbles=tuple(sorted(stumbles.values(), key=lambda entry: entry.key)),
        wired=_unplugged(
            _held_back(_unsure(memory.wired, outcomes), wired, nameless, now, timing), unplugged, now, timing
        ),
        draining=draining.told(memory.draining, now),
    )


def _unsure(known: tuple[Wired, ...], outcomes: Sequence[Outcome]) -> tuple[Wired, ...]:
    """Where rules may not have been loaded after all, the next change of them is none of replicas alone."""
    nodes = {
        each.action.node for each in outcomes if isinstance(each.action.step, LoadRules) and each.status != Status.DONE
    }
    return tuple(replace(each, shape="") if each.node in nodes else each for each in known)


def _held_back(
    known: Sequence[Wired], failed: Mapping[str, str], nameless: Collection[str], now: float, timing: Timing
) -> tuple[Wired, ...]:
    """Nodes whose network could not be changed wait before that is tried again. `nameless`: their hosts files, too."""
    nodes = {each.node: each for each in known}
    for node, words in failed.items():
        before = nodes.get(node, Wired(node))
        count = before.failures + 1
        nodes[node] = replace(
            before,
            failures=count,
            retry_at=now + delay(count, timing),
            message=words,
            names_failed=node in nameless,
        )
    return tuple(each for _, each in sorted(nodes.items()))


def _unplugged(known: Sequence[Wired], failed: Mapping[str, str], now: float, timing: Timing) -> tuple[Wired, ...]:
    """Likewise with containers that could not be put back on a bridge, and with that alone."""
    nodes = {each.node: each for each in known}
    for node, words in failed.items():
        before = nodes.get(node, Wired(node))
        count = before.plug_failures + 1
        retry = now + delay(count, timing)
        nodes[node] = replace(before, plug_failures=count, plug_at=retry, plug_message=words)
    return tuple(each for _, each in sorted(nodes.items()))


def _cause(outcome: Outcome, broken: dict[int, Outcome]) -> Outcome | None:
    """What made this action fail: itself, or the failed one it needed."""
    if outcome.status == Status.FAILED:
        return outcome
    if outcome.status != Status.SKIPPED:
        return None
    for need in outcome.action.needs:
        if need in broken:
            return broken[need]
    return None


def _count(
    failures: dict[SlotKey, Failures],
    key: SlotKey,
    spec: str,
    cause: Outcome,
    now: float,
    timing: Timing,
    planned: float,
) -> Failures:
    """A repair that was counted when it was planned is not counted twice when it fails."""
    before = failures.get(key)
    if before is not None and _counted(before, spec, planned):
        return replace(before, reason=reason(cause), message=_short(cause))
    return failed(before, key, spec, now, timing, reason=reason(cause), message=_short(cause))


def _counted(before: Failures | None, spec: str, planned: float) -> bool:
    return before is not None and before.spec == spec and before.last >= planned


def reason(outcome: Outcome) -> str:
    """A CamelCase word for a failure: why, where the runtime's words told; else what failed."""
    if isinstance(outcome.action.step, PullImage | LoadHolder):
        return "ImagePullFailed"
    if outcome.reason:
        return outcome.reason
    words = verb(outcome.action.step).split("-")
    return "".join(word.capitalize() for word in words) + "Failed"


def _short(outcome: Outcome) -> str:
    return one_line(outcome.message)


def _target(key: SlotKey) -> str:
    return f"{key[0]}/{key[1]}.{key[2]}"


def events(outcomes: Sequence[Outcome], now: float) -> tuple[Event, ...]:
    """One event per action that ended, with the runtime's own words where it failed.

    None for what is routine and went well: it follows from what is told.
    """
    out = []
    for outcome in outcomes:
        action = outcome.action
        if outcome.status == Status.DONE and action.routine:
            continue
        if outcome.status == Status.DONE:
            message = f"{verb(action.step)}: {action.reason}"
            message += f" ({action.detail})" if action.detail else ""
            out.append(Event(now, _past(outcome), action.target, message, action.node))
        elif outcome.status == Status.FAILED:
            message = f"{verb(action.step)} failed: {_short(outcome)}"
            out.append(Event(now, reason(outcome), action.target, message, action.node, warning=True))
        elif outcome.status == Status.UNKNOWN:
            message = f"{verb(action.step)}: the node did not say how it ended; the next pass looks"
            out.append(Event(now, "OutcomeUnknown", action.target, message, action.node, warning=True))
    return tuple(out)


def node_events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event per node whose state changed: an outage is told when it begins and when it ends."""
    old = {node.name: node.state for node in before.nodes}
    out = []
    for node in after.nodes:
        was = old.get(node.name, NodeState.UNKNOWN)
        if node.state == was or (NodeState.UNKNOWN in (node.state, was) and node.state in _FINE):
            continue
        well = node.state in _FINE
        message = f"{node.name} is {node.state}, and was {was}" + (
            f": {one_line(node.message)}" if node.message else ""
        )
        out.append(Event(now, f"Node{node.state.capitalize()}", node.name, message, node.name, warning=not well))
    return tuple(out)


def replica_events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event per replica found dead or ill, with its last words, whether it can be mended now or has to wait."""
    old = {failures.key: failures for failures in before.failures}
    places = after.placement_of() if after.failures else {}
    out = []
    for failures in after.failures:
        was = old.get(failures.key)
        if was is not None and (was.spec, was.count, was.message) == (failures.spec, failures.count, failures.message):
            continue
        if failures.count and failures.reason:  # that of a task is empty while it is tried again
            node = places[failures.key].node if failures.key in places else ""
            out.append(Event(now, failures.reason, _target(failures.key), failures.message, node, warning=True))
    return tuple(out)


def rollout_events(before: Memory, after: Memory, now: float) -> tuple[Event, ...]:
    """One event per update that began, ended, was stopped or is taken back."""
    old = {rollout.key: rollout for rollout in before.rollouts}
    out = []
    for rollout in after.rollouts:
        was = old.get(rollout.key)
        again = was is not None and (was.state, was.target) == (rollout.state, rollout.target)
        if again or (was is None and rollout.completed) or (was is not None and was.completed and rollout.completed):
            continue
        reason, message = _told(rollout)
        out.append(
            Event(now, reason, f"{rollout.stack}/{rollout.service}", message, warning=rollout.state in _UNWISHED)
        )
    return tuple(out)


_UNWISHED = ("paused", "rollback_started", "rollback_paused")


def _told(rollout: Rollout) -> tuple[str, str]:
    """A CamelCase word, and a sentence with the failed replica's log where one failed."""
    why = f": {rollout.message}" if rollout.message else ""
    match rollout.state:
        case "updating":
            return "UpdateStarted", f"to revision {rollout.revision}"
        case "completed":
            return "UpdateCompleted", f"revision {rollout.revision} runs"
        case "paused":
            return "UpdatePaused", f"the update to revision {rollout.revision} stopped{why}"
        case "rollback_started":
            return "RollbackStarted", f"from revision {rollout.undone} back to what revision {rollout.before} was{why}"
        case "rollback_paused":
            return "RollbackPaused", f"going back from revision {rollout.undone} stopped{why}"
        case "rollback_completed":
            return "RollbackCompleted", f"revision {rollout.revision} runs, as revision {rollout.before} did"


_FINE = (NodeState.READY, NodeState.UNKNOWN)

_PAST = {
    "arm": "Armed",
    "ensure": "Mended",
    "make": "Made",
    "write": "Written",
    "leave": "Written",
    "create": "Created",
    "remove": "Removed",
    "start": "Started",
    "stop": "Stopped",
    "pull": "Pulled",
    "load": "Loaded",
    "put": "Written",
    "connect": "Connected",
    "disconnect": "Disconnected",
    "unpause": "Unpaused",
    "keep": "Kept",
    "drop": "Dropped",
}


def _past(outcome: Outcome) -> str:
    return _PAST[verb(outcome.action.step).split("-")[0]]
