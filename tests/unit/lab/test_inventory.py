"""What a lab writes for shipyard, as shipyard and Ansible read it."""

from __future__ import annotations

from pathlib import Path

import yaml

from shipyard.lab.inventory import known_hosts_option, remove, write
from shipyard.lab.layout import Layout
from shipyard.lab.node import Node


def nodes() -> tuple[Node, ...]:
    disk = Path("/nowhere")
    return (
        Node("lab", "node1", 1, "198.18.0.11", "podman", disk),
        Node("lab", "node2", 2, "198.18.0.12", "docker", disk),
    )


def test_every_node_is_in_the_inventory_and_known(tmp_path: Path) -> None:
    layout = Layout("lab", tmp_path)
    write(layout, nodes(), {"node1": "ssh-ed25519 AAA", "node2": "ssh-ed25519 BBB"})
    data = yaml.safe_load(layout.inventory.read_text())
    assert data["lab"]["hosts"]["node2"] == {"ansible_host": "198.18.0.12", "shipyard_runtime": "docker"}
    assert data["lab"]["vars"] == {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(layout.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={layout.known_hosts}",
    }
    groups = {group: list(data[group]["hosts"]) for group in ("web", "db", "podman", "docker")}
    assert groups == {"web": ["node1", "node2"], "db": ["node1"], "podman": ["node1"], "docker": ["node2"]}
    known = "198.18.0.11 ssh-ed25519 AAA\n198.18.0.12 ssh-ed25519 BBB\n"
    assert layout.known_hosts.read_text() == known


def test_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    layout = Layout("lab", tmp_path)
    write(layout, nodes(), {"node1": "k 1", "node2": "k 2"})
    assert {path.stat().st_mode & 0o777 for path in (layout.inventory, layout.known_hosts)} == {0o600}


def test_a_path_with_a_blank_is_quoted_for_ssh() -> None:
    option = known_hosts_option(Layout("lab", Path("/my project")))
    assert option == 'UserKnownHostsFile="/my project/.shipyard/lab/known_hosts"'


def test_removing_leaves_what_is_not_the_labs(tmp_path: Path) -> None:
    layout = Layout("lab", tmp_path)
    write(layout, nodes(), {"node1": "k 1", "node2": "k 2"})
    store = tmp_path / ".shipyard" / "state.db"
    store.touch()
    remove(layout)
    assert list((tmp_path / ".shipyard").iterdir()) == [store]
    store.unlink()
    remove(layout)
    assert not (tmp_path / ".shipyard").exists()
