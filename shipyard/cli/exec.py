"""`exec`: a command in a replica's container, with this terminal attached."""

from __future__ import annotations

import sys

import click

from shipyard.base.errors import UsageError
from shipyard.cli import completing
from shipyard.cli.app import App, pass_app
from shipyard.cli.fleet import opened
from shipyard.cli.replicas import one_running
from shipyard.cli.status import observed


@click.command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  shipyard exec guestbook/web -- sh
  shipyard exec guestbook/db.1 -- redis-cli info
  shipyard exec guestbook/web.1 --container proxy -- sh
  tar c dump | shipyard exec guestbook/db.1 -- tar x -C /data""",
)
@click.option("-u", "--user", metavar="USER", help="Run as this user of the container.")
@click.option("-c", "--container", metavar="NAME", help="A sidecar of the replica, in place of its main container.")
@click.option("-T", "--no-tty", is_flag=True, help="No terminal, also where there is one.")
@click.argument("target", metavar="STACK/SERVICE[.SLOT]", shell_complete=completing.replicas)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD...")
@pass_app
def exec_(
    app: App, user: str | None, container: str | None, no_tty: bool, target: str, command: tuple[str, ...]
) -> int:
    """Run a command in a replica's container.

    Without a slot it is the first replica that runs. Exits with what the command exits with.
    """
    command = command[1:] if command[:1] == ("--",) else command
    if not command:
        raise UsageError("exec takes a command", hint=f"shipyard exec {target} -- sh")
    tty = sys.stdin.isatty() and sys.stdout.isatty() and not no_tty
    with opened(app) as fleet:
        status, _ = observed(fleet)
        replica = one_running(status, target, container)
        dialect = fleet.dialect(replica.node)
        argv = dialect.execute(replica.id, command, tty=tty, stdin=True, user=user, env=()).argv
        return fleet.connection(replica.node).interact(argv, tty=tty)
