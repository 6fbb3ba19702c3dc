"""The fleet's status as JSON for scripts and as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shipyard.base.clock import iso
from shipyard.cli.layout import ago, cell, heading, known, list_of, soon, width
from shipyard.cli.output import Line, Output
from shipyard.model.job import JOB_MODES
from shipyard.model.status import (
    FleetStatus,
    MemberStatus,
    NodeStatus,
    PassSummary,
    ReplicaStatus,
    ServiceStatus,
    StackStatus,
)

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {
    "ready": "green",
    "running": "green",
    "healthy": "green",
    "completed": "green",
    "unobserved": "yellow",
    "suspect": "yellow",
    "starting": "yellow",
    "not ready": "yellow",
    "pending": "yellow",
    "paused": "yellow",
    "restarting": "yellow",
    "updating": "yellow",
    "rollback_started": "yellow",
    "rollback_completed": "yellow",
    "unknown": "yellow",
    "drain": "yellow",
    "pause": "yellow",
}
"""What is not listed is bad news."""

SILENT = ("NodeSuspect", "NodeUnreachable", "NodeLost")
"""Notices about silent nodes: the table has the state, and the node's own entry why it does not answer."""


def status_json(status: FleetStatus) -> dict[str, Any]:
    """The shape that scripts rely on."""
    return {
        "converged": status.converged,
        "pass": pass_json(status.last_pass) if status.last_pass else None,
        "nodes": [node_json(node) for node in status.nodes],
        "stacks": [
            {
                "name": stack.name,
                "revision": stack.revision,
                "removing": stack.removing,
                "services": [service_json(service) for service in stack.services],
            }
            for stack in status.stacks
        ],
    }


def pass_json(summary: PassSummary) -> dict[str, Any]:
    """One pass."""
    finished = None if summary.finished is None else iso(summary.finished)
    return {"id": summary.id, "started": iso(summary.started), "finished": finished, "result": summary.result}


def node_json(node: NodeStatus) -> dict[str, Any]:
    """One node."""
    return {
        "name": node.name,
        "state": node.state,
        "availability": node.availability,
        "runtime": node.runtime,
        "address": node.address,
        "labels": dict(node.labels),
        "containers": node.containers,
        "last_seen": iso(node.last_seen) if node.last_seen else None,
        "reason": node.reason or None,
        "detail": node.detail,
    }


def service_json(service: ServiceStatus) -> dict[str, Any]:
    """One service with its replicas."""
    return {
        "name": service.name,
        "mode": service.mode,
        "image": service.image,
        "written": service.written,
        "desired": service.desired,
        "running": service.running,
        "healthy": service.healthy,
        **({"completed": service.completed, "failed": service.failed} if service.mode in JOB_MODES else {}),
        "update": service.update,
        "update_message": service.message,
        "runs": list(service.runs),
        "replicas": [replica_json(replica) for replica in service.replicas],
    }


def replica_json(replica: ReplicaStatus) -> dict[str, Any]:
    """One slot."""
    return {
        "slot": replica.slot,
        "node": replica.node,
        "state": replica.state,
        "health": replica.health,
        "container": replica.container,
        "container_name": replica.container_name,
        "revision": replica.revision,
        "addresses": dict(replica.addresses),
        "restarts": replica.restarts,
        "reason": replica.reason,
        "detail": replica.detail,
        "members": [member_json(member) for member in replica.members],
    }


def member_json(member: MemberStatus) -> dict[str, Any]:
    """One container beside a replica's main one."""
    return {
        "name": member.name,
        "kind": member.kind,
        "state": member.state,
        "health": member.health,
        "container": member.container,
        "exit_code": member.exit_code,
        "restarts": member.restarts,
    }


NO_STACK = "There is no stack: shipyard apply FILE makes one."


def draw_status(status: FleetStatus, out: Output) -> None:
    """The whole page: nodes, services with their replicas, what is not as declared, and the verdict."""
    if status.nodes:
        out.draw(node_table(status.nodes, status.now, wide=out.wide))
        out.line()
    if status.stacks:
        out.draw(service_table(status.stacks, wide=out.wide))
    else:
        out.line(NO_STACK)
    out.line()
    out.lines(not_as_declared(status, out.fold()))
    out.lines(verdict(status))


def node_table(nodes: Iterable[NodeStatus], now: float, *, wide: bool) -> Table:
    """One row a node."""
    table = new_table("NODE", "STATE", "RUNTIME", "ADDRESS", ">CONTAINERS", "SEEN", *(("LABELS",) if wide else ()))
    for node in nodes:
        words = [node.state] + ([node.availability] if node.availability != "active" else [])
        row = [
            node.name,
            coloured(*words),
            node.runtime or "-",
            node.address or "-",
            "?" if node.containers is None else str(node.containers),
            ago(node.last_seen, now),
        ]
        labels = ",".join(f"{key}={value}" for key, value in node.labels)
        add(table, row + ([labels] if wide else []))
    return table


def service_table(stacks: Iterable[StackStatus], *, wide: bool) -> Table:
    """One row a replica; the service stands at its first."""
    more = ("REV", "CONTAINER") if wide else ()
    table = new_table("SERVICE", "UP", ">SLOT", "NODE", "STATE", ">RESTARTS", *more, "ADDRESS")
    for stack in stacks:
        for service in stack.services:
            name: list[Any] = [f"{stack.name}/{service.name}", up(stack, service, wide=wide)]
            for replica in service.replicas:
                add(table, [*name, str(replica.slot), *_replica_cells(replica, wide=wide)])
                name = ["", ""]
            if not service.replicas:
                add(table, [*name, "-", "-", "", *[""] * (len(table.columns) - 5)])
    return table


def replica_table(stacks: Iterable[StackStatus], *, wide: bool) -> Table:
    """`ps`: one row a replica, each complete in itself, so that grep finds all of it."""
    more = ("REV", "CONTAINER") if wide else ()
    table = new_table("REPLICA", "NODE", "STATE", ">RESTARTS", *more, "ADDRESS")
    for stack in stacks:
        for service in stack.services:
            for replica in service.replicas:
                name = f"{stack.name}/{service.name}.{replica.slot}"
                add(table, [name, *_replica_cells(replica, wide=wide)])
    return table


def services_table(stacks: Iterable[StackStatus], fold: int | None) -> Table:
    """`services`: one row a service. Where a terminal (`fold` columns) is too narrow, what tells least is left out."""
    headers = ["SERVICE", "MODE", "UP", ">HEALTHY", "UPDATE", ">REV", "IMAGE"]
    rows = [
        [
            f"{stack.name}/{service.name}",
            service.mode,
            up(stack, service, wide=False),
            str(service.healthy),
            coloured("removing" if stack.removing else service.update),
            _revisions(stack, service),
            service.written or service.image,
        ]
        for stack in stacks
        for service in stack.services
    ]
    for header in ("MODE", ">HEALTHY", ">REV"):
        if fold is None or sum(_widths(headers, rows)) <= fold:
            break
        at = headers.index(header)
        headers, rows = _without(headers, at), [_without(row, at) for row in rows]
    table = new_table(*headers)
    for row in rows:
        add(table, row)
    return table


def _widths(headers: list[str], rows: list[list[Any]]) -> list[int]:
    """What each column takes of a line, the space before the next one included."""
    columns = zip(*([header.removeprefix(">") for header in headers], *rows), strict=True)
    widths = [max(width(cell(str(each))) for each in column) + 2 for column in columns]
    return [*widths[:-1], widths[-1] - 2]


def _without(cells: list[Any], at: int) -> list[Any]:
    return cells[:at] + cells[at + 1 :]


def _revisions(stack: StackStatus, service: ServiceStatus) -> str:
    """`8`; `7 of 8` while what runs is not what revision 8 says."""
    runs = ", ".join(str(number) for number in service.runs)
    return str(stack.revision) if service.runs in ((), (stack.revision,)) else f"{runs} of {stack.revision}"


def up(stack: StackStatus, service: ServiceStatus, *, wide: bool) -> Any:
    """`3/3`, or `2/3 updating`; of a job `1/1 done`."""
    if service.mode in JOB_MODES and not stack.removing:
        return _done(service)
    words = f"{service.running}/{service.desired}"
    if wide and stack.removing:
        words += " removing"
    elif wide and service.update != "completed":
        words += f" {service.update}"
    return styled(words, "green" if service.healthy == service.desired else "yellow")


def _done(service: ServiceStatus) -> Any:
    """`1/1 done`, of a job's newest run; a job that was never run has none."""
    words = f"{service.completed}/{service.desired} done" if service.desired else "-"
    words += f", {service.failed} failed" if service.failed else ""
    return styled(words, "red" if service.failed else "green" if service.completed == service.desired else "yellow")


def _replica_cells(replica: ReplicaStatus, *, wide: bool) -> list[Any]:
    state = [replica.state] + ([replica.health] if replica.health not in (None, "none") else [])
    more = ["-" if replica.revision is None else str(replica.revision), replica.container_name or "-"] if wide else []
    named = wide and len(replica.addresses) > 1
    addresses = ", ".join(f"{name} {address}" if named else address for name, address in replica.addresses)
    return [replica.node or "-", coloured(*state), str(replica.restarts), *more, addresses or "-"]


def not_as_declared(status: FleetStatus, fold: int | None) -> list[Line]:
    """In words, why what does not run does not, and what people should know."""
    notices = {(each.target, each.reason) for each in status.notices}
    entries = [
        (node.name, node.reason, node.detail)
        for node in status.nodes
        if node.reason and (node.name, node.reason) not in notices  # which tells more
    ]
    told = {name for name, _, _ in entries}
    noted = [each for each in status.notices if not (each.target in told and each.reason in SILENT)]
    for stack in status.stacks:
        for service in stack.services:
            for replica in service.replicas:
                if replica.reason:
                    target = f"{stack.name}/{service.name}.{replica.slot}"
                    told.add(target)
                    entries.append((target, replica.reason, replica.detail + _until(status, target)))
    left = [(each.target, each.reason, each.detail) for each in status.blocked]
    left += [(each.target, each.reason, each.detail + _until(status, each.target)) for each in status.waiting]
    entries += [entry for entry in left if entry[0] not in told]
    lines: list[Line] = []
    if entries:
        lines += [heading("Not as declared"), *list_of(entries, "bold", fold), ()]
    if noted:
        lines += [heading("To be known"), *list_of([known(each) for each in noted], "yellow", fold), ()]
    return lines


def _until(status: FleetStatus, target: str) -> str:
    """When something that waits is tried again."""
    times = [each.until for each in status.waiting if each.target == target and each.until is not None]
    return f" (again {soon(min(times) - status.now)})" if times else ""


def verdict(status: FleetStatus) -> list[Line]:
    """One line: whether the fleet is as declared, and when a pass last saw to it."""
    last = status.last_pass
    when = ""
    if last is not None:
        if last.finished is None and last.result == "running":
            when = f" Pass {last.id} is still running."
        elif last.finished is None:
            when = f" Last pass ({last.id}, begun {ago(last.started, status.now)}): {cell(last.result)}."
        else:
            when = f" Last pass ({last.id}, {ago(last.finished, status.now)}): {cell(last.result)}."
    silent = [node.name for node in status.nodes if node.containers is None and node.reason]
    if status.converged and silent:
        names = f"{', '.join(silent[:3])}{' …' if len(silent) > 3 else ''}"
        return [((f"Where nodes answer, the fleet is as declared; not reached: {names}.", "bold yellow"), when)]
    if status.converged and not status.stacks and last is None:
        lost = "if the store was lost, `shipyard state rebuild` reads it back from the nodes"
        return [(("Nothing is declared, as far as this store knows", "bold"), f"; {lost}.")]
    if status.converged:
        return [(("The fleet is as declared.", "bold green"), when)]
    counts = ((status.changes, "to do"), (len(status.blocked), "blocked"), (len(status.waiting), "waiting"))
    parts = [f"{count} {words}" for count, words in counts if count]
    return [((f"The fleet is not as declared: {', '.join(parts)}.", "bold yellow"), when)]


def new_table(*headers: str) -> Table:
    """A table without frames. A header that begins with `>` is of numbers."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for header in headers:
        numeric = header.startswith(">")
        table.add_column(header.removeprefix(">"), justify="right" if numeric else "left", overflow="fold")
    return table


def add(table: Table, cells: list[Any]) -> None:
    """A row; what is text becomes clean text, never markup."""
    table.add_row(*(styled(each, "") if isinstance(each, str) else each for each in cells))


def styled(text: str, style: str) -> Any:
    """Clean text for a table."""
    from rich.text import Text

    return Text(cell(text), style)


def coloured(*words: str) -> Any:
    """State words, each in its colour, with commas between."""
    from rich.text import Text

    return Text(", ").join(Text(cell(word), COLOURS.get(word, "red")) for word in words)
