"""Observing many nodes: what each failure comes to, and how often a node is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipyard.base.errors import AuthFailed, Truncated, Unreachable
from shipyard.execute.script import Fence, build
from shipyard.model.observed import ObservedNode, Silent
from shipyard.model.plan import KeepRevision
from shipyard.observe import probe
from shipyard.observe.fleet import observe
from shipyard.observe.kept import read_kept
from shipyard.observe.probe import NodeRequest
from shipyard.runtime import dialects, nodedir
from shipyard.runtime.dialect import RuntimeState
from tests.shellnode import FakeDialect, FakeFleet, ShellNode, action


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellNode:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    return ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})


@pytest.fixture
def dialect(monkeypatch: pytest.MonkeyPatch) -> FakeDialect:
    fake = FakeDialect(probe="section ps true", parse=lambda sections, clock: RuntimeState())
    monkeypatch.setattr(probe.dialects, "by_name", lambda _: fake)
    monkeypatch.setattr(dialects, "NAMES", ("fakectl", "docker"))
    return fake


def test_a_known_node_is_asked_once(node: ShellNode, dialect: FakeDialect) -> None:
    (found,) = observe(FakeFleet({"n1": node}), [NodeRequest("n1", "c1", "fakectl")])
    assert isinstance(found, ObservedNode)
    assert node.execs == 1


def test_an_unknown_one_is_asked_twice(node: ShellNode, dialect: FakeDialect) -> None:
    node.command("docker", "#!/bin/sh\necho Engine\n")
    (found,) = observe(FakeFleet({"n1": node}), [NodeRequest("n1", "c1")])
    assert isinstance(found, ObservedNode)
    assert node.execs == 2


def test_only_a_node_without_connection_counts_as_missed(node: ShellNode, dialect: FakeDialect) -> None:
    fleet = FakeFleet(
        {
            "n3": Unreachable("n3", "no route", hint="is it on?", via="bastion"),
            "n1": node,
            "n2": AuthFailed("n2", "no key was accepted"),
            "n4": Truncated("n4", "8 MiB are enough"),
        }
    )
    found = observe(fleet, [NodeRequest(name, "c1", "fakectl") for name in ("n4", "n3", "n2", "n1")])
    assert [each.name for each in found] == ["n1", "n2", "n3", "n4"]
    assert found[1:] == (
        Silent("n2", True, "AuthFailed", "no key was accepted"),
        Silent("n3", False, "Unreachable", "no route", "is it on?", "bastion"),
        Silent("n4", True, "Truncated", "8 MiB are enough"),
    )


def test_a_runtime_that_does_not_exist_is_that_nodes_trouble(node: ShellNode, dialect: FakeDialect) -> None:
    found = observe(FakeFleet({"n1": node}), [NodeRequest("n1", "c1", "dokcer")])
    assert found == (
        Silent("n1", True, "RuntimeBroken", "there is no runtime 'dokcer'", hint="known are fakectl, docker"),
    )


def test_what_was_kept_comes_back(node: ShellNode, tmp_path: Path) -> None:
    body = '{"name":"wéb"}'
    for cluster, number in (("c1", 3), ("c2", 9)):
        step = KeepRevision("web", number, "ab" * 32, body)
        node.run(build([action(1, step=step)], FakeDialect(), Fence(cluster, "store-1", 5)).text, timeout=30)
    (home,) = tmp_path.rglob("c1")
    (home / "revisions" / "cut").write_text('1 aa\n{"na')
    (home / "revisions" / "empty").write_text("")
    fleet = FakeFleet({"n1": node, "n2": Unreachable("n2", "gone")})
    one = read_kept(fleet, ["n1"], "c1")["n1"]
    ((cluster,)) = one
    assert (cluster.cluster, cluster.owner, cluster.epoch, len(cluster.node_id)) == ("c1", "store-1", 5, 36)
    assert [(kept.stack, kept.number, kept.digest, kept.body) for kept in cluster.revisions] == [
        ("web", 3, "ab" * 32, body)
    ]
    both = read_kept(fleet, ["n1", "n2"])
    assert [each.cluster for each in both["n1"]] == ["c1", "c2"]
    assert isinstance(both["n2"], Unreachable)


def test_copies_with_many_large_configs_come_back_too(node: ShellNode) -> None:
    body = json.dumps({"name": "web", "configs": ["x" * 1_300_000] * 8})
    step = KeepRevision("web", 1, "ab" * 32, body)
    node.run(build([action(1, step=step)], FakeDialect(), Fence("c1", "store-1", 5)).text, timeout=30)
    (cluster,) = read_kept(FakeFleet({"n1": node}), ["n1"])["n1"]
    assert [kept.body == body for kept in cluster.revisions] == [True]


def test_a_node_tells_of_the_other_clusters_it_belongs_to(node: ShellNode, dialect: FakeDialect) -> None:
    for cluster, store in (("c2", "store-2"), ("c1", "store-1"), ("c3", "store-3")):
        node.run(build([], FakeDialect(), Fence(cluster, store, 5)).text, timeout=30)
    observe(FakeFleet({"n1": node}), [NodeRequest("n1", "unowned", "fakectl")])
    (found,) = observe(FakeFleet({"n1": node}), [NodeRequest("n1", "c1", "fakectl")])
    assert isinstance(found, ObservedNode)
    assert found.others == (("c2", "store-2"), ("c3", "store-3"))


def test_a_node_that_keeps_nothing_says_so(node: ShellNode, tmp_path: Path) -> None:
    assert read_kept(FakeFleet({"n1": node}), ["n1"]) == {"n1": ()}
    assert not (tmp_path / "var").exists()
