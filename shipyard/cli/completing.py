"""What the shell completes: names of stacks, services, replicas and nodes, from the store alone.

Nothing is connected to, no key is asked for, and what can't be read completes nothing: who presses Tab wants no errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipyard.cli.app import App

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    from shipyard.store.store import Store


def stacks(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`STACK`."""
    return _read(ctx, incomplete, lambda store: (each.stack for each in store.memory().placements))


def services(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`STACK/SERVICE`."""
    return _read(ctx, incomplete, lambda store: (f"{each.stack}/{each.service}" for each in store.memory().placements))


def replicas(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`STACK/SERVICE[.SLOT]`: slots once the service is written out."""

    def names(store: Store) -> Iterable[str]:
        for each in store.memory().placements:
            name = f"{each.stack}/{each.service}"
            yield f"{name}.{each.slot}" if incomplete.startswith(name) else name

    return _read(ctx, incomplete, names)


def targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`STACK[/SERVICE[.SLOT]]`: as much of it as goes with what is written."""
    return (replicas if "/" in incomplete else stacks)(ctx, parameter, incomplete)


def nodes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`NODE`."""
    return _read(ctx, incomplete, lambda store: (each.node.name for each in store.nodes()))


def _read(ctx: click.Context, incomplete: str, names: Callable[[Store], Iterable[str]]) -> list[str]:
    from shipyard.files.config import Options, load_settings
    from shipyard.store.store import Store

    app = ctx.find_object(App) or App()
    try:
        settings = load_settings(Options(**app.given), app.environ, app.cwd)
        with Store.open(settings.database, create=False) as store:
            return sorted({name for name in names(store) if name.startswith(incomplete)})
    except Exception:  # whatever it is, the command itself will say it
        return []
