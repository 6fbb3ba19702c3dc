"""Options that several commands share."""

from __future__ import annotations

import click

limit_option = click.option("-l", "--limit", metavar="PATTERN", help="Act only on nodes of this host pattern.")
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="Seconds to converge in (timeouts.converge, 600)."
)
empty_option = click.option(
    "--accept-empty", multiple=True, metavar="VOLUME", help="A lost volume that may begin anew; may be repeated."
)
