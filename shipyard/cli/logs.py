"""`logs`: of a stack, a service or a replica, from all nodes at once."""

from __future__ import annotations

import queue
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

import click

from shipyard.base.clock import iso
from shipyard.base.errors import NodeError
from shipyard.base.text import printable
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import padded, widest
from shipyard.cli.logstream import Follower, LogLine, follow_script, merge, read_script, split_read
from shipyard.cli.output import Output
from shipyard.cli.replicas import Named, select
from shipyard.cli.status import observed

if TYPE_CHECKING:
    from shipyard.reconcile.operations import Operations
    from shipyard.runtime.dialect import Command
    from shipyard.transport.connection import NodeConnection

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")
TIMEOUT = 120.0
"""Seconds for a node to print the logs asked for."""


def tail_of(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if not (value.isascii() and value.isdigit()):
        raise click.BadParameter("expected a number of lines, or `all`")
    return int(value)


def since_of(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """In the one form that every runtime reads alike: seconds back from the node's now, or a time in UTC."""
    from shipyard.files.compose import units

    if value is None:
        return None
    try:
        return f"{units.duration(value):.3f}s"
    except ValueError:
        pass
    try:
        at = float(value) if value.isascii() and value.isdigit() else datetime.fromisoformat(value).timestamp()
        return iso(at)
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter("expected how long ago (10m, 2d), or a time (2026-11-22T10:00:00Z)") from None


@click.command(
    epilog="""\b
Examples:
  shipyard logs guestbook
  shipyard logs guestbook/web -f --tail 20
  shipyard logs guestbook/web.2 --since 10m
  shipyard logs guestbook/web.1 --container migrate
  shipyard logs guestbook -o json | jq -r .text"""
)
@click.argument("target", metavar="STACK[/SERVICE[.SLOT]]", shell_complete=completing.targets)
@click.option("-f", "--follow", is_flag=True, help="Go on, and show what is written next.")
@click.option(
    "-n", "--tail", default="100", show_default=True, callback=tail_of, metavar="N|all", help="Lines of each."
)
@click.option("--since", metavar="T", callback=since_of, help="Only what is newer: 10m, or 2026-11-22T10:00:00Z.")
@click.option("-c", "--container", metavar="NAME", help="Of a sidecar or init container, in place of the main one.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@pass_app
def logs(
    app: App,
    target: str,
    follow: bool,
    tail: int | None,
    since: str | None,
    container: str | None,
    timestamps: bool,
) -> int:
    """Logs of a stack or service, merged from all nodes."""
    with opened(app) as fleet:
        status, code = observed(fleet)
        found = select(status, target, container)
        if code:
            silent = ", ".join(node.name for node in status.nodes if node.containers is None and node.reason)
            app.out.error(f"not reached, and left out: {silent}")
        return show(app, fleet, found, follow=follow, tail=tail, since=since, timestamps=timestamps) or code


def show(
    app: App,
    fleet: Operations,
    found: list[Named],
    *,
    follow: bool,
    tail: int | None,
    since: str | None,
    timestamps: bool,
) -> int:
    """The logs of these containers; the exit code tells of nodes that failed."""
    printer = Printer(app.out, found, timestamps=timestamps)
    wanted = _by_node(fleet, found, tail, since, follow=follow)
    return _follow(app, fleet, wanted, printer) if follow else _read(app, fleet, wanted, printer)


class Printer:
    """Shows lines with their replica before them, each in a colour of its own; with -o json a value a line."""

    def __init__(self, out: Output, found: list[Named], *, timestamps: bool = False) -> None:
        names = [each.name for each in found]
        self._out, self._timestamps, self._width = out, timestamps, widest(names)
        self._colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(sorted(set(names)))}

    def show(self, line: LogLine) -> None:
        at = iso(line.at / 1e9) if line.at else ""
        if self._out.json:
            self._out.record({"at": at or None, "replica": line.replica, "text": line.text})
            return
        prefix = f"{padded(line.replica, self._width)} │ "
        text = printable(line.text.replace("\n", " "))
        self._out.line((prefix, self._colours[line.replica]), (f"{at} " if self._timestamps else "", "dim"), text)


Wanted = dict[str, list[tuple[Named, "Command"]]]
"""What is to be run on each node."""


def _by_node(fleet: Operations, found: list[Named], tail: int | None, since: str | None, *, follow: bool) -> Wanted:
    wanted: Wanted = defaultdict(list)
    for each in found:
        dialect = fleet.dialect(each.node)
        command = dialect.logs(each.id, tail=tail, since=since, follow=follow, timestamps=True)
        wanted[each.node].append((each, command))
    return wanted


def _read(app: App, fleet: Operations, wanted: Wanted, printer: Printer) -> int:
    """All logs as they are now. A node that fails is told about; the others' logs are shown."""
    connections = {node: fleet.connection(node) for node in wanted}
    with ThreadPoolExecutor(min(app.settings.forks, len(wanted))) as pool:
        answers = {node: pool.submit(_read_node, connections[node], wanted[node]) for node in wanted}
    streams: list[list[LogLine]] = []
    code = 0
    for answer in answers.values():
        try:
            streams += answer.result()
        except NodeError as error:
            app.out.error(str(error))
            code = code | error.exit_code
    for line in merge(streams):
        printer.show(line)
    return code


def _read_node(connection: NodeConnection, wanted: list[tuple[Named, Command]]) -> list[list[LogLine]]:
    mark = secrets.token_hex(16)
    answer = connection.run(read_script([command for _, command in wanted], mark), timeout=TIMEOUT)
    return split_read(answer.stdout.decode(errors="replace"), mark, [named.name for named, _ in wanted])


def _follow(app: App, fleet: Operations, wanted: Wanted, printer: Printer) -> int:
    """Until interrupted, or until all containers have ended."""
    arrived: queue.Queue[LogLine | NodeError | None] = queue.Queue(maxsize=10_000)
    for node, commands in wanted.items():
        connection = fleet.connection(node)
        threading.Thread(target=_follow_node, args=(connection, commands, arrived.put), daemon=True).start()
    left, code = len(wanted), 0
    while left:
        item = arrived.get()
        if item is None:
            left -= 1
        elif isinstance(item, NodeError):
            app.out.error(str(item))
            code = code | item.exit_code
        else:
            printer.show(item)
    return code


def _follow_node(
    connection: NodeConnection,
    wanted: list[tuple[Named, Command]],
    put: Callable[[LogLine | NodeError | None], None],
) -> None:
    follower = Follower([named.name for named, _ in wanted])

    def arrived(data: bytes) -> None:
        for line in follower.feed(data):
            put(line)

    try:
        connection.stream(follow_script([command for _, command in wanted]), arrived, lambda _: None)
    except NodeError as error:
        put(error)
    finally:
        put(None)
