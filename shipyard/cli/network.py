"""`network`: the networks, who is on them, and who reaches whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from shipyard.base.errors import UsageError
from shipyard.cli import network_graph
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell
from shipyard.cli.output import Line
from shipyard.cli.render_status import add, new_table
from shipyard.model.netview import NetworkView, Reach


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  shipyard network
  shipyard network inspect guestbook_default
  shipyard network check             try every connection that should succeed, and some that should not
  shipyard network graph -o svg >network.svg""",
)
@click.pass_context
def network(context: click.Context) -> Any:
    """Networks: who is on them, and who reaches whom."""
    return context.invoke(list_) if context.invoked_subcommand is None else None


@network.command("list", epilog="\b\nExample:\n  shipyard network list -o json")
@pass_app
def list_(app: App) -> None:
    """Every network, its driver, and on which nodes there is something of it."""
    with opened(app) as fleet:
        found = fleet.networks()
    if app.out.json:
        app.out.data([_json(each) for each in found])
        return
    if not found:
        app.out.line("There are no networks.")
        return
    table = new_table("NETWORK", "DRIVER", "NODES", "SERVICES")
    for each in found:
        services = ", ".join(service.service for service in each.services) or "-"
        driver = each.driver + (" (internal)" if each.internal else "")
        add(table, [each.name, driver, ", ".join(each.nodes) or "-", services])
    app.out.draw(table)


@network.command(epilog="\b\nExample:\n  shipyard network inspect guestbook_default")
@click.argument("name")
@pass_app
def inspect(app: App, name: str) -> None:
    """One network: its block on each node, and the addresses of services and replicas."""
    with opened(app) as fleet:
        found = _named(fleet.networks(), name)
    if app.out.json:
        app.out.data(_json(found))
        return
    app.out.line((cell(found.name), "bold"), f"  {cell(found.driver)}{'  internal' if found.internal else ''}")
    if found.blocks:
        table = new_table("NODE", "BLOCK")
        for node, block in found.blocks:
            add(table, [node, block])
        app.out.lines([()])
        app.out.draw(table)
    table = new_table("SERVICE", "ADDRESS", "SLOT", "NODE", "REPLICA", "READY")
    for service in found.services:
        names = [service.name, service.address or "-"]
        for replica in service.replicas or (None,):
            if replica is None:
                add(table, [*names, "-", "-", "-", "-"])
            else:
                ready = "yes" if replica.ready else "no"
                both = f"{replica.address} {replica.beside}".rstrip()
                add(table, [*names, str(replica.slot), replica.node, both, ready])
            names = ["", ""]
    app.out.lines([()])
    app.out.draw(table)


@network.command(epilog="\b\nExamples:\n  shipyard network check\n  shipyard network check guestbook_default")
@click.argument("name", required=False)
@pass_app
def check(app: App, name: str | None) -> int:
    """Try every connection that should succeed, and some that should not, from inside the containers.

    Exits with 2 when one is not as it should be, and with 4 where a node could not be reached.
    """
    with opened(app) as fleet:
        if name is not None:
            _named(fleet.networks(), name)
        reaches = fleet.check_networks(name)
    if app.out.json:
        app.out.data([_reach_json(each) for each in reaches])
    else:
        _show(app, reaches)
    wrong = any(each.wrong and each.succeeded is not None for each in reaches)
    return (2 if wrong else 0) + (4 if any(each.silent for each in reaches) else 0)


def _show(app: App, reaches: Sequence[Reach]) -> None:
    if not reaches:
        app.out.line("No two services share a network that spans nodes: there is nothing to try.")
        return
    table = new_table("FROM", "NODE", "TO", "ADDRESS", "RESULT")
    for each in reaches:
        host = f"[{each.address}]" if ":" in each.address else each.address
        address = f"{host}:{each.port}" if each.port else each.address
        add(table, [each.client, each.node, each.target, address, _result(each)])
    app.out.draw(table)
    wrong = [each for each in reaches if each.wrong and each.succeeded is not None]
    tried = sum(each.succeeded is not None for each in reaches)
    lines: list[Line] = [()]
    if wrong:
        lines.append(((f"{len(wrong)} of {tried} connections are not as they should be.", "bold red"),))
    else:
        those = "connections" if tried == len(reaches) else "connections that could be tried"
        lines.append(((f"All {tried} {those} are as they should be.", "bold"),))
    app.out.lines(lines)


def _result(each: Reach) -> str:
    if each.succeeded is None:
        return f"not tried: {each.words}" if each.words else "not tried"
    if each.succeeded:
        return "connects" if each.expected else "connects, and should not"
    return "refused, as it should be" if not each.expected else f"fails: {each.words or 'no answer'}"


@network.command(epilog="\b\nExamples:\n  shipyard network graph\n  shipyard network graph -o svg >network.svg")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "mermaid", "svg", "json"]),
    default="text",
    help="What it is drawn as.",
)
@pass_app
def graph(app: App, form: str) -> None:
    """Draw nodes, networks, services and who may connect to whom."""
    with opened(app) as fleet:
        found = fleet.networks()
    if form == "json" or app.out.json:
        app.out.data([_json(each) for each in found])
        return
    app.out.raw(network_graph.FORMS[form](found))


def _named(found: Sequence[NetworkView], name: str) -> NetworkView:
    for each in found:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in found) or "none"
    raise UsageError(f"there is no network {name}", hint=f"known are: {known}")


def _json(each: NetworkView) -> dict[str, Any]:
    return {
        "name": each.name,
        "stack": each.stack,
        "driver": each.driver,
        "internal": each.internal,
        "blocks": dict(each.blocks),
        "nodes": list(each.nodes),
        "services": [
            {
                "name": service.name,
                "address": service.address or None,
                "names": list(service.names),
                "ports": list(service.ports),
                "allowed": list(service.allowed) if service.allowed is not None else None,
                "replicas": [
                    {
                        "slot": replica.slot,
                        "node": replica.node,
                        "container": replica.container,
                        "address": replica.address,
                        "address6": replica.beside or None,
                        "ready": replica.ready,
                    }
                    for replica in service.replicas
                ],
            }
            for service in each.services
        ],
    }


def _reach_json(each: Reach) -> dict[str, Any]:
    return {
        "network": each.network,
        "from": each.client,
        "node": each.node,
        "to": each.target,
        "address": each.address,
        "port": each.port or None,
        "expected": each.expected,
        "succeeded": each.succeeded,
        "words": each.words or None,
    }
