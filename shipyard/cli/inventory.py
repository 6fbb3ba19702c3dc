"""`inventory`: hosts, groups and variables, as `ansible-inventory` prints them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipyard.base.errors import ConfigError, UsageError
from shipyard.cli.app import App, pass_app

if TYPE_CHECKING:
    from shipyard.model.inventory import Inventory

_BESIDE = click.option(
    "--playbook-dir",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Read group_vars and host_vars there as well; may be repeated.",
)


@click.group(
    epilog="""\b
Examples:
  shipyard inventory list                       all of it, as JSON
  shipyard inventory graph web                  the group web as a tree
  shipyard -i staging/ inventory host web1      the variables of one host"""
)
def inventory() -> None:
    """Show hosts, groups and variables."""


@inventory.command("list", epilog="\b\nExample:\n  shipyard inventory list --limit 'web:&rack1'")
@_BESIDE
@click.option("--limit", metavar="PATTERN", help="Only the hosts of this pattern.")
@pass_app
def list_(app: App, playbook_dir: tuple[Path, ...], limit: str | None) -> None:
    """All groups and variables, as JSON.

    What this prints can be used as an executable inventory's answer.
    """
    from shipyard.files.inventory import show

    found = _load(app, playbook_dir)
    only = None if limit is None else _matched(app, limit, found)
    click.echo(show.dump(show.listing(found, only)))


@inventory.command(epilog="\b\nExample:\n  shipyard inventory graph web")
@click.argument("group", default="all")
@_BESIDE
@pass_app
def graph(app: App, group: str, playbook_dir: tuple[Path, ...]) -> None:
    """The groups and their hosts, as a tree."""
    from shipyard.files.inventory import show

    found = _load(app, playbook_dir, beside=False)
    if app.out.json:
        app.out.data(show.tree(found, group))
        return
    for line in show.graph(found, group):
        click.echo(line)


@inventory.command(epilog="\b\nExample:\n  shipyard inventory host web1")
@click.argument("name")
@_BESIDE
@pass_app
def host(app: App, name: str, playbook_dir: tuple[Path, ...]) -> None:
    """The variables of one host, as JSON; templates as they are written."""
    from shipyard.files.inventory import show

    found = _load(app, playbook_dir)
    hosts = _matched(app, name, found)
    one = found.host(hosts[0]) if len(hosts) == 1 else None
    if one is None:
        raise UsageError(f"{name!r} names {f'{len(hosts)} hosts' if hosts else 'no host'}; one is expected")
    click.echo(show.dump(show.variables(one)))


def _load(app: App, playbook_dirs: tuple[Path, ...], *, beside: bool = True) -> Inventory:
    from shipyard.cli.fleet import asking
    from shipyard.files.inventory import load
    from shipyard.reconcile.early import vault_keys
    from shipyard.reconcile.trust import trust_of

    settings = app.settings
    if not settings.inventory:
        raise ConfigError(
            "there is no inventory", hint="say which with -i PATH, or make a project with `shipyard init`"
        )
    folders = [app.cwd / folder for folder in playbook_dirs]
    trusted = trust_of(settings.root)
    keys = vault_keys(settings, app.environ, trusted=trusted, ask=asking())
    found = load(
        settings.inventory,
        cwd=settings.root,
        playbook_dirs=folders,
        trusted=trusted,
        keys=keys,
        beside=beside,
    )
    for warning in found.warnings:
        app.out.warn(warning)
    return found


def _matched(app: App, pattern: str, found: Inventory) -> tuple[str, ...]:
    from shipyard.files.patterns import match

    matched = match("all", found, limit=pattern, cwd=app.cwd) if pattern.startswith("@") else match(pattern, found)
    for unmatched in matched.unmatched:
        app.out.warn(f"no host and no group matches {unmatched!r}")
    return matched.hosts
