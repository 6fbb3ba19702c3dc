"""`rollback`, `restart`, `scale`, `pause` and `resume`: what people do about updates without touching a file."""

from __future__ import annotations

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.options import timeout_option


@click.command(epilog="\b\nExamples:\n  shipyard rollback guestbook\n  shipyard rollback guestbook 4")
@click.argument("stack", shell_complete=completing.stacks)
@click.argument("revision", metavar="[REV]", type=click.IntRange(min=1), required=False)
@timeout_option
@pass_app
def rollback(app: App, stack: str, revision: int | None, timeout: float | None) -> int:
    """Make a stack what an earlier revision says.

    That is a new revision, with the images of the old one. Without a number it is the last that did not fail.
    """
    from shipyard.cli.progress import watching

    with opened(app) as fleet, watching(app.out) as progress:
        return fleet.rollback(stack, revision, _limit(app, timeout), progress).exit_code()


@click.command(epilog="\b\nExamples:\n  shipyard restart guestbook/web")
@click.argument("service", metavar="STACK/SERVICE", shell_complete=completing.services)
@timeout_option
@pass_app
def restart(app: App, service: str, timeout: float | None) -> int:
    """Give every replica of a service a new container.

    As in any update: so many at a time, and watched, as deploy.update_config has it.
    """
    from shipyard.cli.progress import watching

    stack, name = _named(service)
    with opened(app) as fleet, watching(app.out) as progress:
        return fleet.restart(stack, name, _limit(app, timeout), progress).exit_code()


@click.command(
    epilog="\b\nExamples:\n  shipyard scale guestbook/web=5\n  shipyard scale guestbook/web=5 guestbook/worker=0"
)
@click.argument("services", metavar="STACK/SERVICE=N...", nargs=-1, required=True, shell_complete=completing.services)
@timeout_option
@pass_app
def scale(app: App, services: tuple[str, ...], timeout: float | None) -> int:
    """Change how many replicas services have.

    The number holds until a file that says another one is applied; one that says
    none means 1. What is scaled by its use, or runs on every node, is not scaled by hand.
    """
    from shipyard.cli.progress import watching

    wanted: dict[tuple[str, str], int] = {}
    for said in services:
        name, _, count = said.partition("=")
        if not (count.isascii() and count.isdigit() and len(count) <= 6):
            raise UsageError(f"{said!r}: expected STACK/SERVICE=N, such as guestbook/web=5")
        wanted[_named(name)] = int(count)
    with opened(app) as fleet, watching(app.out) as progress:
        return fleet.scale(wanted, _limit(app, timeout), progress).exit_code()


@click.command(epilog="\b\nExamples:\n  shipyard pause guestbook")
@click.argument("stack", shell_complete=completing.stacks)
@pass_app
def pause(app: App, stack: str) -> None:
    """Hold the updates of a stack until resume.

    No update replaces what serves; what fails is mended as it was, drained nodes are
    emptied all the same, and jobs run.
    """
    with opened(app) as fleet:
        under_way = fleet.pause(stack)
    if app.out.json:
        app.out.data({"stack": stack, "paused": True, "under_way": under_way})
    now = "its update is held" if under_way else "no update of it is under way; the next one waits"
    app.out.line(f"{stack} is paused: {now}. `shipyard resume {stack}` goes on.")


@click.command(epilog="\b\nExamples:\n  shipyard resume guestbook")
@click.argument("stack", shell_complete=completing.stacks)
@timeout_option
@pass_app
def resume(app: App, stack: str, timeout: float | None) -> int:
    """Let the updates of a stack go on; try failed ones again."""
    from shipyard.cli.progress import watching

    with opened(app) as fleet, watching(app.out) as progress:
        return fleet.resume(stack, _limit(app, timeout), progress).exit_code()


def _named(service: str) -> tuple[str, str]:
    stack, slash, name = service.partition("/")
    if not (stack and slash and name):
        raise UsageError(f"{service!r}: expected STACK/SERVICE, such as guestbook/web")
    return stack, name


def _limit(app: App, timeout: float | None) -> float:
    return app.settings.timeouts.converge if timeout is None else timeout
