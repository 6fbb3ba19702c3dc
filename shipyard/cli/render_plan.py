"""A plan for people: what goes first, then wave by wave, what can't be done, what waits, and one line of sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, assert_never

from shipyard.cli.layout import cell, hanging, heading, known, list_of, padded, sentence, soon, widest
from shipyard.cli.output import Line
from shipyard.model import labels
from shipyard.model.plan import (
    WIRING,
    Action,
    ArmRevert,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropFiles,
    DropItem,
    DropMarker,
    DropRevision,
    EnsureItem,
    KeepAvailability,
    KeepRevision,
    LeaveBoot,
    LoadHolder,
    LoadRules,
    MakeKey,
    Plan,
    PullImage,
    PutConfig,
    PutSecret,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    Waiting,
    WriteHosts,
    verb,
)

NOTHING = "Nothing to do: the fleet is as declared."


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan in the shape that scripts rely on."""
    return {
        "changes": len(plan.actions),
        "actions": [
            {
                "node": action.node,
                "action": verb(action.step),
                "target": action.target,
                "reason": action.reason,
                "detail": action.detail,
            }
            for action in plan.actions
        ],
        "blocked": _said(plan.blocked),
        "waiting": _said(plan.waiting),
        "notices": _said(plan.notices),
    }


def _said(entries: Iterable[Any]) -> list[dict[str, Any]]:
    return [{"target": entry.target, "reason": entry.reason, "detail": entry.detail} for entry in entries]


def render_plan(plan: Plan, now: float, fold: int | None) -> list[Line]:
    """Lines for people. `now`: unix seconds; `fold`: the terminal's width, None in a pipe."""
    lines: list[Line] = []
    kept = {action.target for action in plan.actions if isinstance(action.step, CreateContainer | CreateNetwork)}
    gone = [action for action in plan.actions if _removes(action.step) and action.target not in kept]
    if gone:
        lines += [heading("To be removed"), *_actions(gone, fold), ()]
    lines += _waves(plan, {action.id for action in gone}, fold)
    for title, entries, style in (
        ("Blocked", [(each.target, each.reason, each.detail) for each in plan.blocked], "bold red"),
        ("Waiting", [(each.target, each.reason, _until(each, now)) for each in plan.waiting], "yellow"),
        ("To be known", [known(each) for each in plan.notices], "yellow"),
    ):
        if entries:
            lines += [heading(title), *list_of(entries, style, fold), ()]
    return [*lines, ((summary(plan), "bold"),)]


def _waves(plan: Plan, shown: set[int], fold: int | None) -> list[Line]:
    stacks = {action.target.partition("/")[0] for action in plan.actions if _is_replica(action)}
    waves = [[action for action in wave if action.id not in shown] for wave in plan.waves]
    waves = [wave for wave in waves if wave]
    lines: list[Line] = []
    for number, wave in enumerate(waves, 1):
        for stack in sorted({stack_of(action, stacks) for action in wave}):
            title = stack or "shared"
            lines.append(heading(f"{title} (wave {number} of {len(waves)})" if len(waves) > 1 else title))
            lines += [*_actions([action for action in wave if stack_of(action, stacks) == stack], fold), ()]
    return lines


def _actions(actions: list[Action], fold: int | None) -> list[Line]:
    targets = widest([cell(action.target) for action in actions])
    nodes = widest([cell(action.node) for action in actions])
    verbs = widest([verb(action.step) for action in actions])
    lines: list[Line] = []
    for action in actions:
        sign, style = _sign(action.step)
        columns = (padded(cell(action.target), targets), padded(cell(action.node), nodes))
        head: Line = ("  ", (sign, style), f" {'  '.join(columns)}  ", (padded(verb(action.step), verbs), style))
        lines += hanging(head, sentence(action.reason, action.detail), fold)
    return lines


def _removes(step: Step) -> bool:
    return isinstance(step, RemoveContainer | RemoveNetwork | RemoveVolume | DropRevision)


def _sign(step: Step) -> tuple[str, str]:
    match step:
        case RemoveContainer() | RemoveNetwork() | RemoveVolume() | StopContainer() | DropRevision():
            return "-", "red"
        case CreateContainer() | CreateNetwork() | CreateVolume():
            return "+", "green"
        case StartContainer() | UnpauseContainer() | ConnectNetwork() | DisconnectNetwork():
            return "~", "yellow"
        case EnsureItem() | DropItem() | LoadRules():
            return "~", "yellow"
        case PullImage() | LoadHolder() | PutConfig() | PutSecret() | DropFiles() | KeepRevision() | DropMarker():
            return ".", "dim"
        case KeepAvailability() | ArmRevert() | MakeKey() | WriteHosts() | LeaveBoot():
            return ".", "dim"
        case _:
            assert_never(step)


def _is_replica(action: Action) -> bool:
    return "/" in action.target and not isinstance(action.step, PullImage | LoadHolder)


def stack_of(action: Action, stacks: set[str]) -> str:
    """The stack that an action belongs to; "" where it can't be told. `stacks`: names known from other actions."""
    match action.step:
        case PullImage() | LoadHolder() | KeepAvailability():
            return ""
        case _ if _is_replica(action):
            return action.target.partition("/")[0]
        case CreateNetwork() | CreateVolume():
            return dict(action.step.labels).get(labels.STACK, "")
        case KeepRevision() | DropRevision():
            return action.step.stack
        case _:
            owners = [stack for stack in stacks if action.target == stack or action.target.startswith(f"{stack}_")]
            return max(owners, key=len, default="")


def _until(waiting: Waiting, now: float) -> str:
    if waiting.until is None:
        return waiting.detail
    return f"{waiting.detail} ({soon(waiting.until - now)})"


_CONTAINERS = ("create", "replace", "remove", "start", "stop", "rewire")
_ORDER = ("network", "volume", "image", "file", "wiring", "rules", "copy", "decision", "marker")
_NAMES = {
    "network": ("network", "networks"),
    "volume": ("volume", "volumes"),
    "image": ("image", "images"),
    "file": ("file", "files"),
    "wiring": ("piece of wiring", "pieces of wiring"),
    "rules": ("set of rules", "sets of rules"),
    "copy": ("copy of a revision", "copies of revisions"),
    "decision": ("decision about a node", "decisions about nodes"),
    "marker": ("marker", "markers"),
}


def summary(plan: Plan) -> str:
    """`3 containers to create, 1 to remove; 1 network to create; 2 blocked.`"""
    if not (plan.actions or plan.blocked or plan.waiting):
        return NOTHING
    others = _others(plan.actions)
    parts = (
        _containers(plan.actions),
        [f"{others[key]} {_NAMES[key[0]][others[key] != 1]} to {key[1]}" for key in sorted(others, key=_rank)],
        [f"{len(left)} {word}" for left, word in ((plan.blocked, "blocked"), (plan.waiting, "waiting")) if left],
    )
    return "; ".join(", ".join(part) for part in parts if part) + "."


def _containers(actions: tuple[Action, ...]) -> list[str]:
    """By replica: one that is removed and made again is replaced."""
    made = {action.target for action in actions if isinstance(action.step, CreateContainer)}
    unmade = {action.target for action in actions if isinstance(action.step, RemoveContainer)}
    rewired = {action.target for action in actions if isinstance(action.step, ConnectNetwork | DisconnectNetwork)}
    counts = Counter(create=len(made - unmade), replace=len(made & unmade), remove=len(unmade - made))
    counts["rewire"] = len(rewired - made)
    counts["start"] = sum(isinstance(action.step, StartContainer | UnpauseContainer) for action in actions)
    counts["stop"] = sum(isinstance(action.step, StopContainer) for action in actions)
    said = [(counts[kind], kind) for kind in _CONTAINERS if counts[kind]]
    nouns = [("container " if said[0][0] == 1 else "containers "), *[""] * len(said)] if said else []
    return [f"{count} {noun}to {kind}" for (count, kind), noun in zip(said, nouns, strict=False)]


def _others(actions: tuple[Action, ...]) -> Counter[tuple[str, str]]:
    """What is no container, by what it is and what happens to it; a network made anew counts once."""
    done = {
        (action.node, str(action.id) if isinstance(action.step, WIRING) else action.target, *kind)
        for action in actions
        if (kind := _kind(action.step)) is not None
    }
    remade = {key for key in done if key[3] == "remove" and (*key[:3], "create") in done}
    return Counter((key[2], key[3]) for key in done - remade)


def _rank(kind: tuple[str, str]) -> tuple[int, str]:
    return _ORDER.index(kind[0]), kind[1]


def _kind(step: Step) -> tuple[str, str] | None:
    match step:
        case CreateNetwork():
            return "network", "create"
        case RemoveNetwork():
            return "network", "remove"
        case CreateVolume():
            return "volume", "create"
        case RemoveVolume():
            return "volume", "remove"
        case PullImage():
            return "image", "pull"
        case LoadHolder():
            return "image", "load"
        case PutConfig() | PutSecret():
            return "file", "write"
        case DropFiles():
            return "file", "remove"
        case KeepRevision():
            return "copy", "keep"
        case DropRevision():
            return "copy", "drop"
        case KeepAvailability():
            return "decision", "keep"
        case DropMarker():
            return "marker", "drop"
        case EnsureItem() | MakeKey() | LeaveBoot():
            return "wiring", "mend"
        case DropItem():
            return "wiring", "remove"
        case LoadRules():
            return "rules", "load"
        case WriteHosts():
            return "file", "write"
        case (
            CreateContainer()
            | RemoveContainer()
            | StartContainer()
            | StopContainer()
            | UnpauseContainer()
            | ConnectNetwork()
            | DisconnectNetwork()
            | ArmRevert()
        ):
            return None
        case _:
            assert_never(step)
