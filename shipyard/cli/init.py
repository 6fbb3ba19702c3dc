"""`init`: a new project that runs as it is, on this machine alone, and says where to go from there."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path

import click

from shipyard.base.errors import ConfigError, UsageError
from shipyard.cli.app import App, pass_app

CONFIG = """\
# Settings of this project; `shipyard config` shows all of them. Everything here may be left out.

# Which containers on the nodes are this project's. Never change it: shipyard would no longer know its own.
cluster = "{cluster}"

inventory = ["inventory/hosts.yml"]

# The store: what was applied, where each replica is, and what happened.
# database = ".shipyard/state.db"

# How many nodes are talked to at the same time.
# forks = 50

# [timeouts]       # seconds
# converge = 600
"""

HOSTS = """\
# The machines, in Ansible's own format: INI, YAML and group_vars work too.
all:
  hosts:
    # This machine, without SSH. It needs docker or podman, and nothing else.
    localhost:
      ansible_connection: local

    # Machines of your own need sshd and docker or podman. Take localhost out when you put them in;
    # then `shipyard nodes trust` records their host keys, and `shipyard nodes check` says what is missing.
    # node1:
    #   ansible_host: 192.0.2.11
    #   ansible_user: deploy
    #   ansible_become: true
  # children:
  #   web:
  #     hosts:
  #       node1:
"""

HELLO = """\
# A stack of one web server. The keys under `services` are those of Docker Compose.
- name: Hello
  hosts: all
  stack: hello
  vars:
    port: 8080
    greeting: Hello from shipyard.

  services:
    web:
      image: docker.io/library/busybox:1.37
      command: [httpd, -f, -v, -p, "80", -h, /www]
      init: true
      ports:
        - "{{ port }}:80"
      configs:
        - source: page
          target: /www/index.html
      deploy:
        replicas: 1

  configs:
    page:
      content: |
        {{ greeting }}
"""

FIRST = (
    "shipyard plan playbooks/hello.yml       # what would be done; needs docker or podman on this machine",
    "shipyard apply playbooks/hello.yml      # then http://localhost:8080/ answers",
)
IGNORED = (".shipyard/", "shipyard-*.db", "secrets.key*")


@click.command(
    epilog="\b\nExamples:\n  shipyard init fleet && cd fleet && shipyard apply playbooks/hello.yml\n  shipyard init"
)
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "source", metavar="FILE|DIR", help="A Compose file or manifests to make a play of.")
@pass_app
def init(app: App, directory: Path | None, source: str | None) -> None:
    """Make a new project that runs as it is.

    Writes shipyard.toml, inventory/hosts.yml and playbooks/hello.yml, and overwrites nothing. With --from, the play
    stands beside the Compose file, in the project's folder, so that relative paths mean what they did.
    Kubernetes manifests may be anywhere inside it.
    """
    root = app.cwd / (directory or ".")
    play = None if source is None else _converted(app, root, app.cwd / source)
    made = make(root, play)
    if app.out.json:
        app.out.data({"project": str(root), "files": [str(path.relative_to(root)) for path in made]})
    for path in made:
        app.out.line(f"  {path.relative_to(root)}")
    app.out.line()
    app.out.line(("What to do next:", "bold"))
    if directory is not None and root.resolve() != app.cwd.resolve():
        app.out.line(f"  cd {shlex.quote(str(directory))}")
    for command in (
        *(FIRST if play is None else (f"shipyard plan {play[0]}", f"shipyard apply {play[0]}")),
        "shipyard status",
        f"shipyard rm {'hello' if play is None else play[2]}",
    ):
        app.out.line(f"  {command}")


def _converted(app: App, root: Path, source: Path) -> tuple[str, str, str]:
    """The play's file, its text and its stack."""
    from shipyard.files import composefile, kinds, kubernetes
    from shipyard.files.composefile import writing

    kind, paths = kinds.foreign([source])
    if kind == "kubernetes":  # they name no files, and so may be anywhere in the project
        made = kubernetes.together(paths, kinds.Wish(), project=root)
        stacks = kubernetes.bodies(made)
        return f"{next(iter(stacks))}.yml", writing.plays(stacks, "all", made.notices), next(iter(stacks))
    if paths[0].parent.resolve() != root.resolve():
        raise UsageError(
            f"{paths[0]} is not in {root}, where its relative paths would mean the same",
            hint=f"shipyard init {shlex.quote(str(paths[0].parent))} --from {shlex.quote(str(paths[0]))}",
        )
    whole = composefile.together(paths, kinds.Wish(), project=root, environ=app.environ)
    return f"{whole.name}.yml", writing.playbook(whole.name, "all", whole.data, whole.notices), whole.name


def make(root: Path, play: tuple[str, str, str] | None = None) -> list[Path]:
    """Write the project's files; returns them. Raises UsageError when one is there already, and then writes none."""
    files = {
        root / "shipyard.toml": CONFIG.format(cluster=secrets.token_hex(6)),
        root / "inventory" / "hosts.yml": HOSTS,
        **({root / "playbooks" / "hello.yml": HELLO} if play is None else {root / play[0]: play[1]}),
    }
    there = [str(path.relative_to(root)) for path in files if path.exists()]
    if there:
        raise UsageError(
            f"{root} has {', '.join(there)} already, and nothing is overwritten",
            hint="name another folder: shipyard init DIR",
        )
    path = root
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return [*files, _ignore(root / ".gitignore")]
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: can't be written: {error.strerror}") from error


def _ignore(path: Path) -> Path:
    """Keep the store, keys and backups out of git, whatever else the file says already."""
    before = path.read_text() if path.exists() else ""
    missing = [line for line in IGNORED if line not in before.splitlines()]
    glue = "" if before.endswith("\n") or not before else "\n"
    path.write_text(before + glue + "".join(f"{line}\n" for line in missing))
    return path
