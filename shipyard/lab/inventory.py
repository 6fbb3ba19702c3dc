"""What a lab writes for shipyard and its user: inventory, known_hosts and key, as they would be for real servers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml

from shipyard.lab.command import run
from shipyard.lab.layout import Layout, remove_if_empty
from shipyard.lab.node import Node


def make_key(layout: Layout) -> str:
    """The key that opens every node, made once; returns its public half."""
    public = layout.key.with_suffix(".pub")
    if not (layout.key.exists() and public.exists()):
        layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.key.unlink(missing_ok=True)
        public.unlink(missing_ok=True)
        comment = f"shipyard lab {layout.name}"
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(layout.key)],
            doing="making the lab's key",
        )
    return public.read_text()


def write(layout: Layout, nodes: tuple[Node, ...], host_keys: Mapping[str, str]) -> None:
    """known_hosts first: an inventory that is there can be used."""
    lines = [f"{node.address} {host_keys[node.name]}\n" for node in nodes]
    _replace(layout.known_hosts, "".join(lines))
    head = f"# The nodes of the lab {layout.name!r}, written by `shipyard lab up`.\n"
    _replace(layout.inventory, head + yaml.safe_dump(describe(layout, nodes), sort_keys=False))


def describe(layout: Layout, nodes: tuple[Node, ...]) -> dict[str, object]:
    """The inventory. `web`: all nodes. `db`: the first. A group for each runtime, so that patterns can choose."""
    names = [node.name for node in nodes]
    hosts = {node.name: {"ansible_host": node.address, "shipyard_runtime": node.runtime} for node in nodes}
    by_runtime: dict[str, object] = {
        runtime: {"hosts": dict.fromkeys(node.name for node in nodes if node.runtime == runtime)}
        for runtime in sorted({node.runtime for node in nodes})
    }
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(layout.key),
        "ansible_ssh_common_args": f"-o {shlex.quote(known_hosts_option(layout))}",
    }
    return {
        "lab": {"hosts": hosts, "vars": variables},
        "web": {"hosts": dict.fromkeys(names)},
        "db": {"hosts": dict.fromkeys(names[:1])},
        **by_runtime,
    }


def known_hosts_option(layout: Layout) -> str:
    """In ssh_config's spelling, where a path with a blank stands in quotes."""
    path = str(layout.known_hosts)
    return f'UserKnownHostsFile="{path}"' if " " in path else f"UserKnownHostsFile={path}"


def remove(layout: Layout) -> None:
    """What was written, and the folders where nothing else is left in them."""
    for path in (layout.inventory, layout.known_hosts, layout.key, layout.key.with_suffix(".pub")):
        path.unlink(missing_ok=True)
    for folder in (layout.home, layout.directory / ".shipyard" / "lab", layout.directory / ".shipyard"):
        remove_if_empty(folder)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.replace(path)
