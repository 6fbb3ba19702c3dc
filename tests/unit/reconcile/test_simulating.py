"""`simulate` over a real store and inventory, and no node: what was last seen of the fleet is all it goes by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipyard.cli.app import App
from shipyard.cli.main import run
from shipyard.model.container import ContainerSpec
from shipyard.model.inventory import Connection
from shipyard.model.memory import Memory, NodeMemory, Placement
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Facts
from shipyard.model.spec import Reservations, ServiceSpec, StackSpec
from shipyard.store.records import StoredNode
from shipyard.store.store import Store

GIB = 2**30
Simulate = Callable[..., tuple[int, dict[str, Any], str]]

PLAYBOOK = """
- hosts: rack1
  stack: shop
  services:
    web:
      image: nginx
      deploy: {replicas: 3, resources: {reservations: {memory: 2g}}}
      network_mode: none
"""


@pytest.fixture
def simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Simulate:
    """Runs it in a project with three nodes of 8 GiB, of which the last is lost, and a service of two replicas."""
    (tmp_path / "hosts.yml").write_text("rack1: {hosts: {n1: , n2: , n3: , n4: }}")
    (tmp_path / "shop.yml").write_text(PLAYBOOK)
    database = f"sqlite:///{tmp_path}/store.db"
    with Store.create(database) as store:
        nodes = ("n1", "n2", "n3")
        facts = Facts(cpus=4, memory=8 * GIB, runtime="docker")
        store.save_nodes([StoredNode(Node(name), Connection(address=name), 1.0, facts) for name in nodes])
        web = ServiceSpec(
            "web",
            ContainerSpec("nginx", network_mode="none"),
            pattern="n1,n2,n3",
            replicas=2,
            reservations=Reservations(memory=4 * GIB),
        )
        store.add_revision(StackSpec("shop", (web,)), author="me", files=(), now=2.0)
        states = {"n1": NodeState.READY, "n2": NodeState.READY, "n3": NodeState.LOST}
        store.save_memory(
            Memory(
                placements=(Placement("shop", "web", 1, "n1", 1, 1), Placement("shop", "web", 2, "n2", 1, 1)),
                nodes=tuple(NodeMemory(name, states[name], misses=int(name == "n3")) for name in nodes),
            )
        )

    def call(*args: str) -> tuple[int, dict[str, Any], str]:
        words = ("-i", str(tmp_path / "hosts.yml"), "--database", database, "-o", "json", "simulate", *args)
        code = run(words, App({}, tmp_path))
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err

    return call


def outcomes(data: dict[str, Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in data["replicas"]}


def test_as_it_is(simulate: Simulate) -> None:
    code, data, _ = simulate()
    assert code == 0
    assert outcomes(data) == {"shop/web.1": "stays", "shop/web.2": "stays"}
    assert [(node["name"], node["state"]) for node in data["nodes"]] == [
        ("n1", "ready"),
        ("n2", "ready"),
        ("n3", "lost"),
    ]
    assert data["nodes"][0]["after"]["memory"] == 4 * GIB


def test_without_a_node_and_with_one_like_another(simulate: Simulate) -> None:
    code, data, _ = simulate("--without", "n2")
    assert (code, outcomes(data)) == (2, {"shop/web.1": "stays", "shop/web.2": "unschedulable"})
    assert data["replicas"][1]["why"] == (
        "can't stay on n2, and 0 of 2 nodes fit: 1 is lost, 1 lacks memory (needs 4 GiB)"
    )
    code, data, _ = simulate("--without", "n2", "--add", "2:like=n1")
    assert (code, outcomes(data)) == (0, {"shop/web.1": "stays", "shop/web.2": "moves"})
    assert [node["name"] for node in data["nodes"] if node["change"] == "added"] == ["n1+1", "n1+2"]


def test_scaled(simulate: Simulate) -> None:
    code, data, _ = simulate("--scale", "shop/web=3")
    assert (code, outcomes(data)["shop/web.3"]) == (2, "unschedulable")
    assert simulate("--scale", "shop/web=1")[1]["replicas"][1]["outcome"] == "removed"


def test_what_is_not_there(simulate: Simulate) -> None:
    assert "there is no service shop/api; known are: shop/web" in simulate("--scale", "shop/api=3")[2]
    assert "--without n9 names no node; known are: n1, n2, n3" in simulate("--without", "n9")[2]
    assert "names no node that answered" in simulate("--add", "1:like=n3")[2]


def test_files_and_nothing_is_changed(simulate: Simulate, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.glob("store.db")}
    _, data, _ = simulate(str(tmp_path / "shop.yml"), "--without", "n4")
    assert outcomes(data) == {"shop/web.1": "stays", "shop/web.2": "stays", "shop/web.3": "new"}
    assert {path.name: path.read_bytes() for path in tmp_path.glob("store.db")} == before


def test_what_files_have_to_say_is_said(simulate: Simulate, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {web: {image: app:1, container_name: the-web}}\n")
    _, data, _ = simulate(str(tmp_path / "compose.yml"))
    assert ["the-web is an alias" in notice["detail"] for notice in data["notices"]] == [True]
