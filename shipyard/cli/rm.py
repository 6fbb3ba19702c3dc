"""`rm`: a stack that is no longer wanted."""

from __future__ import annotations

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.options import timeout_option
from shipyard.model.request import RemoveRequest


@click.command(
    epilog="\b\nExamples:\n  shipyard rm guestbook\n  shipyard rm guestbook --volumes data --volumes uploads --yes"
)
@click.argument("stack", shell_complete=completing.stacks)
@click.option("--volumes", multiple=True, metavar="NAME", help="Delete this volume and its data too; may be repeated.")
@timeout_option
@pass_app
def rm(app: App, stack: str, volumes: tuple[str, ...], timeout: float | None) -> int:
    """Remove a stack from the fleet.

    Its containers and networks go. Volumes and what is in them stay, except for those named with --volumes.
    """
    from shipyard.cli.progress import watching

    request = RemoveRequest(stack, volumes, app.settings.timeouts.converge if timeout is None else timeout)
    with opened(app) as fleet:
        fleet.revision(stack)
        data = f", and the data in {', '.join(volumes)} is deleted" if volumes else ""
        if not app.confirm(f"Remove the stack {stack} from all nodes{data}?"):
            raise UsageError("nothing was removed", hint="answer yes, or say --yes where there is no terminal")
        with watching(app.out) as progress:
            return fleet.remove(request, progress).exit_code()
