"""`nodes`: the machines of the fleet, and what people decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell, hanging, list_of
from shipyard.cli.output import Line
from shipyard.cli.render_status import add, new_table, node_json, node_table
from shipyard.cli.status import look
from shipyard.model.request import HostKey, NodeCheck

PATTERN = click.argument("pattern", default="all", required=False, shell_complete=completing.nodes)
NODE = click.argument("node", shell_complete=completing.nodes)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  shipyard nodes
  shipyard nodes trust 'rack1'       show host keys, and record them once you have compared them
  shipyard nodes check               connect to each; say what is missing and how to mend it
  shipyard nodes remove node3        once the inventory no longer names it""",
)
@click.pass_context
def nodes(context: click.Context) -> Any:
    """List, check, trust and remove nodes."""
    return context.invoke(list_) if context.invoked_subcommand is None else None


@nodes.command("list", epilog="\b\nExample:\n  shipyard nodes list -o json")
@pass_app
def list_(app: App) -> int:
    """The nodes, and how each of them answers."""
    found, code = look(app)
    if app.out.json:
        app.out.data([node_json(node) for node in found.nodes])
        return code
    app.out.draw(node_table(found.nodes, found.now, wide=app.out.wide))
    silent = [(node.name, node.reason, node.detail) for node in found.nodes if node.reason]
    app.out.lines([(), *list_of(silent, "bold", app.out.fold())] if silent else [])
    return code


@nodes.command(epilog="\b\nExamples:\n  shipyard nodes check\n  shipyard nodes check 'web:!web3'")
@PATTERN
@pass_app
def check(app: App, pattern: str) -> int:
    """Connect to each node; say what is missing and how to mend it.

    Exits with 2 when something is missing on a node, and with 4 when one can't be reached (6: both).
    """
    with opened(app) as fleet:
        checks = fleet.check_nodes(pattern)
    if app.out.json:
        app.out.data([check_json(each) for each in checks])
    else:
        app.out.lines(check_lines(checks, app.out.fold()))
    failed = any(not each.ok and each.reached for each in checks)
    return (2 if failed else 0) | (0 if all(each.reached for each in checks) else 4)


def check_json(each: NodeCheck) -> dict[str, Any]:
    """One node's check."""
    return {
        "name": each.node,
        "ok": each.ok,
        "runtime": each.runtime or None,
        "version": each.version or None,
        "facts": dict(each.facts),
        "problems": [{"problem": problem, "remedy": remedy or None} for problem, remedy in each.problems],
    }


def check_lines(checks: Sequence[NodeCheck], fold: int | None) -> list[Line]:
    """A line a node, and beneath it what is wrong and how to mend it."""
    lines: list[Line] = []
    for each in checks:
        word = ("ok    ", "green") if each.ok else ("failed", "bold red")
        facts = ", ".join(f"{cell(name)} {cell(value)}" for name, value in each.facts)
        known = " ".join(cell(part) for part in (each.runtime, each.version) if part)
        lines += hanging((word, f"  {cell(each.node)}"), "; ".join(part for part in (known, facts) if part), fold)
        for problem, remedy in each.problems:
            lines += hanging(("     ",), cell(problem), fold, 7)
            lines += hanging((("       to mend it:", "dim"),), cell(remedy), fold, 9) if remedy else []
    good = sum(each.ok for each in checks)
    return [*lines, ((f"{good} of {len(checks)} nodes are ready for shipyard.", "bold"),)]


@nodes.command(epilog="\b\nExamples:\n  shipyard nodes trust\n  shipyard nodes trust node3 --yes")
@PATTERN
@pass_app
def trust(app: App, pattern: str) -> int:
    """Show the host keys, and record them in known_hosts.

    Nodes that can't be reached are named; the others' keys are recorded all the same. Exits with 4 then.

    Compare the fingerprints with what the machines' consoles say (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).
    """
    with opened(app) as fleet:
        keys, errors = fleet.host_keys(pattern)
        code = 0
        for error in errors:
            app.out.error(str(error))
            code |= error.exit_code
        fresh = [key for key in keys if key.known != "same"]
        if app.out.json:
            app.out.data([_key_json(key) for key in keys])
        elif keys:
            _show_keys(app, keys)
        if not fresh:
            app.out.line("All these keys are known already." if keys else "There are no keys to record.")
            return code
        changed = [key.node for key in fresh if key.known == "changed"]
        warning = f" {', '.join(changed)} showed another key before: was it reinstalled?" if changed else ""
        if not app.confirm(f"Record {len(fresh)} keys?{warning}"):
            raise UsageError("nothing was recorded", hint="answer yes, or say --yes where there is no terminal")
        place = fleet.record_host_keys(fresh)
    app.out.line(f"Recorded in {place}.")
    return code


def _key_json(key: HostKey) -> dict[str, str]:
    return {"node": key.node, "host": key.host, "type": key.kind, "fingerprint": key.fingerprint, "known": key.known}


def _show_keys(app: App, keys: Sequence[HostKey]) -> None:
    table = new_table("NODE", "HOST", "TYPE", "FINGERPRINT", "KNOWN")
    for key in keys:
        add(table, [key.node, key.host, key.kind, key.fingerprint, key.known])
    app.out.draw(table)


@nodes.command(epilog="\b\nExample:\n  shipyard nodes remove node3")
@NODE
@click.option(
    "--force", is_flag=True, help="Forget it also with what can't leave it: begun elsewhere without its data."
)
@pass_app
def remove(app: App, node: str, force: bool) -> None:
    """Drain a node that no inventory names any more, and forget it.

    Its replicas move to other nodes first. What can't leave it, as its data is
    there or the node does not answer, is an error, and the node is kept.
    """
    with opened(app) as fleet:
        fleet.known_node(node)
        if not app.confirm(f"Forget the node {node}?"):
            raise UsageError("nothing was removed", hint="answer yes, or say --yes where there is no terminal")
        left = fleet.remove_node(node, force)
    app.out.line(f"{node} is no longer a node of the fleet.")
    if left:
        app.out.line(f"What was left on it runs on there, unmanaged, if it runs: {', '.join(left)}.")


@nodes.command("confirm-dead", epilog="\b\nExample:\n  shipyard nodes confirm-dead node3")
@NODE
@pass_app
def confirm_dead(app: App, node: str) -> None:
    """Say that a lost node is switched off for good.

    What must run only once is then started elsewhere. If the node is alive after all, that can cost data.
    """
    with opened(app) as fleet:
        fleet.known_node(node)
        if not app.confirm(f"Is {node} switched off, and will it stay off?"):
            raise UsageError("nothing was changed", hint="answer yes, or say --yes where there is no terminal")
        fleet.confirm_dead(node)
    app.out.line(f"{node} counts as dead; the next pass acts on it.")


@nodes.command(epilog="\b\nExample:\n  shipyard nodes repin node3")
@NODE
@pass_app
def repin(app: App, node: str) -> None:
    """Take a node's container runtime, user and identity as they are now.

    They are pinned at first contact, since another runtime, user or machine would see other containers.
    """
    with opened(app) as fleet:
        fleet.repin(node)
    app.out.line(f"{node}: runtime, user and identity are taken anew at the next pass.")
