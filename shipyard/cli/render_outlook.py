"""What would become of the fleet, as JSON for scripts and as two tables for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from shipyard.cli.layout import heading, known, list_of
from shipyard.cli.output import Line, Output
from shipyard.cli.render_status import add, new_table, styled
from shipyard.model.outlook import Fullness, NodeOutlook, Outlook, ReplicaOutlook

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"moves": "yellow", "new": "green", "removed": "yellow", "unschedulable": "bold red", "held": "bold red"}
WORDS = {
    "moves": "would move",
    "new": "would be new",
    "removed": "would go",
    "unschedulable": "would find no node",
    "held": "could not leave their node",
    "stays": "would stay",
}


def outlook_json(outlook: Outlook) -> dict[str, Any]:
    """The shape that scripts rely on."""
    return {
        "replicas": [
            {"target": each.target, "outcome": each.kind, "before": each.before, "after": each.after, "why": each.why}
            for each in outlook.replicas
        ],
        "nodes": [
            {
                "name": node.name,
                "state": node.state,
                "change": node.change or None,
                "capacity": {"cpus": node.cpus, "memory": node.memory},
                "before": _fullness_json(node.before),
                "after": _fullness_json(node.after),
            }
            for node in outlook.nodes
        ],
        "notices": [
            {"target": notice.target, "reason": notice.reason, "detail": notice.detail} for notice in outlook.notices
        ],
    }


def _fullness_json(fullness: Fullness) -> dict[str, Any]:
    return {"replicas": fullness.replicas, "cpus": fullness.cpus, "memory": fullness.memory}


def draw_outlook(outlook: Outlook, out: Output) -> None:
    """Replicas that would not stay as they are, how full each node would be, and why some would have no place."""
    changed = [each for each in outlook.replicas if each.kind != "stays"]
    if changed:
        out.draw(_replica_table(changed))
        out.line()
    if outlook.nodes:
        out.draw(_node_table(outlook))
        out.line()
    out.lines(_words(outlook, out.fold()))


def _replica_table(replicas: list[ReplicaOutlook]) -> Table:
    table = new_table("REPLICA", "OUTCOME", "NOW", "THEN")
    for each in replicas:
        add(table, [each.target, styled(each.kind, STYLES[each.kind]), each.before or "-", each.after or "-"])
    return table


def _node_table(outlook: Outlook) -> Table:
    table = new_table("NODE", "STATE", ">REPLICAS", ">CPUS", ">MEMORY")
    for node in outlook.nodes:
        state = node.change or node.state
        style = "" if state == "ready" else "yellow"
        add(table, [node.name, styled(state, style), _replicas(node), _cpus(node), _memory(node)])
    return table


def _replicas(node: NodeOutlook) -> str:
    return _change(str(node.before.replicas), str(node.after.replicas))


def _cpus(node: NodeOutlook) -> str:
    words = _change(f"{node.before.cpus:g}", f"{node.after.cpus:g}")
    return f"{words} of {node.cpus:g}" if node.cpus else words


def _memory(node: NodeOutlook) -> str:
    words = _change(_gib(node.before.memory), _gib(node.after.memory))
    return f"{words} of {_gib(node.memory)} GiB" if node.memory else f"{words} GiB"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}".removesuffix(".0")


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _words(outlook: Outlook, fold: int | None) -> list[Line]:
    lines: list[Line] = []
    nowhere = [(each.target, each.kind.capitalize(), each.why) for each in outlook.without_place]
    if nowhere:
        lines += [heading("Without a place"), *list_of(nowhere, "bold", fold), ()]
    if outlook.notices:
        lines += [heading("To be known"), *list_of([known(each) for each in outlook.notices], "yellow", fold), ()]
    counts: Counter[str] = Counter(each.kind for each in outlook.replicas)
    said = [f"{counts[kind]} {words}" for kind, words in WORDS.items() if counts[kind]]
    lines.append(((f"{', '.join(said)}." if said else "There are no replicas.", "bold"), " Nothing was touched."))
    return lines
