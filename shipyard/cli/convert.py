"""`convert`: what Compose files or Kubernetes manifests come to, as one playbook or one Compose file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipyard.base.errors import UsageError
from shipyard.cli.app import App, pass_app

if TYPE_CHECKING:
    from shipyard.files.kinds import Wish


@click.command(
    epilog="""\b
Examples:
  shipyard convert compose.yaml --hosts web > playbooks/shop.yml
  shipyard convert compose.yaml compose.prod.yaml --to compose -o json
  kubectl kustomize overlays/prod | shipyard convert - > playbooks/shop.yml"""
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
    """Write Compose files or manifests as one playbook or Compose file.

    Interpolated and merged, in the folder of the first file it declares the same. What was lost is in comments.
    """
    from shipyard.files import kinds
    from shipyard.files.composefile import writing

    wish = kinds.Wish(hosts, stack, False, env_files, profiles)
    kind, paths = kinds.foreign([Path(name) for name in files])
    if kind == "compose" and app.out.json and to == "compose":
        from shipyard.files import composefile

        app.out.data(composefile.normal_form(paths, wish, project=app.settings.root, environ=app.environ))
        return
    stacks, lost = _manifests(app, paths, wish, to) if kind == "kubernetes" else _compose(app, paths, wish)
    name, data = next(iter(stacks.items()))
    if app.out.json and to == "compose":
        app.out.data(writing.composed(name, data))
        return
    text = writing.compose(name, data, lost) if to == "compose" else writing.plays(stacks, hosts, lost)
    if app.out.json:
        app.out.data({"playbook": text})
        return
    for line in text.splitlines():
        app.out.line(line)


Stacks = dict[str, dict[str, Any]]


def _compose(app: App, paths: list[Path], wish: Wish) -> tuple[Stacks, tuple[str, ...]]:
    from shipyard.files import composefile

    whole = composefile.together(paths, wish, project=app.settings.root, environ=app.environ)
    return {whole.name: whole.data}, whole.notices


def _manifests(app: App, paths: list[Path], wish: Wish, to: str) -> tuple[Stacks, tuple[str, ...]]:
    from shipyard.files import kubernetes

    if wish.env_files or wish.profiles:
        raise UsageError("--env-file and --profile are for Compose files")
    whole = kubernetes.together(paths, wish, project=app.settings.root)
    stacks = kubernetes.bodies(whole)
    if to == "compose" and len(stacks) > 1:
        raise UsageError(
            f"a Compose file is one stack, and there are {len(stacks)} namespaces: {', '.join(stacks)}",
            hint="--to playbook writes a play for each",
        )
    if to == "compose" and kubernetes.per_node(stacks):
        raise UsageError("spec.nodeName is a variable's value, which no Compose file can say", hint="--to playbook can")
    return stacks, whole.notices
