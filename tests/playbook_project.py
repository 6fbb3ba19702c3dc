"""A small project on disk with an inventory of three hosts: what playbooks are tried out in."""

from __future__ import annotations

import textwrap
from pathlib import Path

from shipyard.base.errors import FileErrors
from shipyard.files.playbook import LoadedFiles, load
from shipyard.model.inventory import Group, Host, Inventory

HOSTS = (
    Host("node1", ("all", "web"), {"rack": "a", "count": 1, "port": 8080}),
    Host("node2", ("all", "web"), {"count": 2, "port": 8080}),
    Host("node3", ("all", "db"), {"rack": "c", "count": 3, "port": 8080}),
)
INVENTORY = Inventory(
    HOSTS,
    (
        Group("all", (), ("web", "db")),
        Group("web", ("node1", "node2")),
        Group("db", ("node3",)),
    ),
)
FILES = {
    "playbooks/vars.yml": "port: 9090\ntoggle: off\n",
    "playbooks/list.yml": "- a\n",
    "playbooks/app.env": "A=1\nB='two words'\nC=${A}-${MISSING:-none}\n",
    "playbooks/raw.env": "A=$B\n",
    "playbooks/broken.env": 'A=1\nB="two\n',
    "playbooks/index.html": "<h1>hello</h1>\n",
    "playbooks/large.txt": "x" * 1_100_000,
}
SERVICE = "- hosts: all\n  stack: shop\n  services:\n    web:\n"


def wrap(kind: str, text: str) -> str:
    """A whole playbook: out of a service's keys (`s`), keys beside `services` (`t`), or as it is (`p`)."""
    if kind == "p":
        return text
    image = "" if kind == "s" and text.startswith("image:") else "      image: nginx\n"
    if kind == "s":
        return SERVICE + image + textwrap.indent(text, "      ") + "\n"
    return SERVICE + image + textwrap.indent(text, "  ") + "\n"


class Project:
    """A folder with the files above, and a playbook at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "playbooks").mkdir(exist_ok=True)
        for name, content in FILES.items():
            (folder / name).write_text(content)
        escape = folder / "playbooks" / "escape.env"
        if not escape.is_symlink():
            escape.symlink_to("/etc/hostname")

    def load(self, *playbooks: str, **options: object) -> LoadedFiles:
        paths = []
        for number, text in enumerate(playbooks):
            path = self.folder / "playbooks" / ("play.yml" if not number else f"play{number + 1}.yml")
            path.write_text(text)
            paths.append(path)
        environ = {"HOME": "/home/me", "GREETING": "hello"}
        return load(paths, inventory=INVENTORY, project=self.folder, environ=environ, **options)  # type: ignore[arg-type]  # options are passed on

    def errors(self, *playbooks: str, **options: object) -> str:
        """The message, with the project's own folder left out."""
        try:
            self.load(*playbooks, **options)
        except FileErrors as error:
            return str(error).replace(f"{self.folder}/playbooks/", "").replace(str(self.folder), "PROJECT")
        return "no error"
