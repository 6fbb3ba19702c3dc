"""`convert`: what Compose files come to, as one playbook or one Compose file."""

from __future__ import annotations

from pathlib import Path

import click

from shipyard.cli.app import App, pass_app


@click.command(
    epilog="""\b
Examples:
  shipyard convert compose.yaml --hosts web > playbooks/shop.yml
  shipyard convert compose.yaml compose.prod.yaml --to compose -o json"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--to", type=click.Choice(["playbook", "compose"]), default="playbook", help="What is written.")
@click.option("--hosts", default="all", metavar="PATTERN", help="The play's hosts; else all.")
@click.option("--stack", "--name", "stack", default="", metavar="NAME", help="The stack, instead of its own name.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Instead of the .env beside it.")
@click.option("--profile", "profiles", multiple=True, metavar="P", help="Services with this profile, too.")
@pass_app
def convert(
    app: App,
    files: tuple[str, ...],
    to: str,
    hosts: str,
    stack: str,
    env_files: tuple[str, ...],
    profiles: tuple[str, ...],
) -> None:
    """Write Compose files as one playbook or Compose file.

    Interpolated and merged, in the folder of the first file it declares the same. What was lost is in comments.
    """
    from shipyard.files import composefile, kinds
    from shipyard.files.composefile import writing

    wish = kinds.Wish(hosts, stack, False, env_files, profiles)
    paths = kinds.only("compose", [Path(name) for name in files])
    whole = composefile.together(paths, wish, project=app.settings.root, environ=app.environ)
    if app.out.json and to == "compose":
        app.out.data(writing.composed(whole.name, whole.data))
        return
    if to == "compose":
        text = writing.compose(whole.name, whole.data, whole.notices)
    else:
        text = writing.playbook(whole.name, hosts, whole.data, whole.notices)
    if app.out.json:
        app.out.data({"playbook": text})
        return
    for line in text.splitlines():
        app.out.line(line)
