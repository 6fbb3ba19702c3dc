"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import click

limit_option = click.option(
    "-l", "--limit", metavar="PATTERN", help="Act only on nodes of this host pattern, or of those in @FILE."
)
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="Seconds to converge in (timeouts.converge, 600)."
)
empty_option = click.option(
    "--accept-empty", multiple=True, metavar="VOLUME", help="A lost volume that may begin anew; may be repeated."
)
FOREIGN = (
    click.option("--hosts", default="", metavar="PATTERN", help="Where what is no playbook may run; else all."),
    click.option("--stack", "--name", "stack", default="", metavar="NAME", help="Its stack, instead of its own name."),
    click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Instead of the .env beside it."),
    click.option("--profile", "profiles", multiple=True, metavar="P", help="Services with this profile, too."),
    click.option("--strict", is_flag=True, help="Take what is only worth knowing of it for an error."),
)
"""Of files that are no playbooks."""


def foreign(command: Any) -> Any:
    """These options, on a command."""
    for decorate in reversed(FOREIGN):
        command = decorate(command)
    return command
