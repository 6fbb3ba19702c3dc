"""`state`: the store itself."""

from __future__ import annotations

import os
from pathlib import Path

import click

from shipyard.base.clock import iso, now
from shipyard.base.errors import UsageError
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.layout import cell
from shipyard.model.node import Availability

_DECIDED = {Availability.PAUSE: "is cordoned", Availability.DRAIN: "is drained"}


@click.group(
    epilog="""\b
Examples:
  shipyard state backup
  shipyard state restore shipyard-2026-11-22T10-00-00Z.db
  shipyard state rebuild            the store is lost: read it back from the nodes"""
)
def state() -> None:
    """Back up, restore or rebuild the store."""


@state.command(epilog="\b\nExample:\n  shipyard state backup /var/backups/shipyard.db")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@pass_app
def backup(app: App, file: Path | None) -> None:
    """Copy the store to a file; passes may go on meanwhile."""
    path = app.cwd / (file or f"shipyard-{iso(now()).replace(':', '-')}.db")
    if os.path.exists(path):  # noqa: PTH110  # Path.exists raises where the folder may not be looked into
        raise UsageError(f"{path} is there already; a backup never overwrites")
    with opened(app) as fleet:
        fleet.backup(path)
        secret = fleet.has_secrets()
    if app.out.json:
        app.out.data({"backup": str(path)})
    app.out.line(f"The store was copied to {path}.")
    if secret:
        app.out.line(f"The key of its secrets is not in it: keep a copy of {app.settings.secrets.file} elsewhere.")


@state.command(epilog="\b\nExample:\n  shipyard state restore /var/backups/shipyard.db")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@pass_app
def restore(app: App, file: Path) -> None:
    """Make a backup the store again.

    What the store was stays beside it, and the restored one goes on from there: the next
    pass makes the fleet what the backup says ('shipyard reconcile --check' shows it first).
    Where the store was lost, nodes that have seen newer passes refuse the backup:
    'shipyard state rebuild' reads the present state back from them.
    """
    from shipyard.store.store import Store

    if not app.confirm(f"Replace the store by {file}?"):
        raise UsageError("nothing was restored", hint="answer yes, or say --yes where there is no terminal")
    Store.restore(app.settings.database, app.cwd / file)
    app.out.line(f"The store is {file} again. `shipyard reconcile --check` shows what the next pass would do.")


@state.command(epilog="\b\nExample:\n  shipyard state rebuild -i inventory/hosts.yml")
@click.option("--lost", is_flag=True, help="The key is gone: do without the stacks that only it could open.")
@pass_app
def rebuild(app: App, lost: bool) -> int:
    """Read a lost store back from the nodes.

    Revisions, placements, and which nodes are cordoned or drained are kept on the nodes. Afterwards, applying the same
    files recreates nothing. Events, earlier revisions, pauses and external configs that no stack uses are in the store
    alone, and are gone.
    Every node of the inventory has to answer; --yes does without those that don't. Revisions that hold secrets in the
    environment of containers are encrypted, and need the key that the lost store had.
    """
    with opened(app) as fleet:
        rebuilt = fleet.rebuild(lost=lost)
    stacks = [{"name": each.stack, "revision": each.number} for each in rebuilt.revisions]
    if app.out.json:
        report = {"cluster": rebuilt.cluster, "stacks": stacks, "placements": rebuilt.placements}
        lacking = [secret.name for secret in rebuilt.secrets]
        report |= {"nodes": list(rebuilt.nodes), "problems": list(rebuilt.problems), "secrets": lacking}
        report |= {"availability": {node.name: node.availability.value for node in rebuilt.decided}}
        app.out.data({**report, "unread": list(rebuilt.unread), "configs": list(rebuilt.configs)})
    for problem in rebuilt.problems:
        app.out.warn(cell(problem))
    names = ", ".join(f"{each.stack} (revision {each.number})" for each in rebuilt.revisions) or "none"
    app.out.line(f"Rebuilt from {len(rebuilt.nodes)} nodes: cluster {cell(rebuilt.cluster)}; stacks: {cell(names)};")
    app.out.line(f"{rebuilt.placements} replicas found where they are.")
    for node in rebuilt.decided:
        app.out.line(f"{cell(node.name)} {_DECIDED[node.availability]}, as before (`shipyard activate` ends that).")
    if rebuilt.problems:
        app.out.line("Whether nodes that did not answer were cordoned or drained only they know: say it again.")
    app.out.line(
        "What only the store knew is gone: events, earlier revisions, external configs that no stack uses,"
        " and which stacks were paused."
    )
    if rebuilt.configs:
        app.out.line(f"External configs are what the stacks have of them: {', '.join(map(cell, rebuilt.configs))}.")
    for external, how in ((True, "`shipyard secret set` these again"), (False, "apply the files again, which declare")):
        secrets = [cell(secret.name) for secret in rebuilt.secrets if secret.external is external]
        if secrets:
            app.out.line(f"Nodes do not give secrets back: {how}: {', '.join(secrets)}.")
    if rebuilt.unread:
        app.out.line(
            f"Nobody can read these any more: apply their files again: {', '.join(map(cell, rebuilt.unread))}."
        )
    return 2 if rebuilt.problems else 0
