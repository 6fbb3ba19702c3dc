"""What nodes are asked, and what is known of them stays known where it was not asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from shipyard.base.errors import ConfigError, ShipyardError
from shipyard.base.record import replace
from shipyard.files.inventory import load
from shipyard.model.memory import Memory
from shipyard.model.node import Node
from shipyard.model.observed import Facts, Observation, ObservedImage, ObservedNode, Silent
from shipyard.model.situation import Situation
from shipyard.observe.probe import NodeRequest
from shipyard.reconcile import looking
from shipyard.reconcile.looking import with_version
from shipyard.reconcile.session import limited

BEFORE = Facts(runtime="docker", user="ann", runtime_version="20.10", rootless=True)
NOW = ObservedNode("n1", Facts(runtime="docker", user="ann", uptime=7.0))


def test_a_version_that_was_not_asked_for_is_the_one_that_is_known() -> None:
    answer = with_version(NOW, BEFORE)
    assert answer == replace(NOW, facts=replace(BEFORE, uptime=7.0))


def test_what_the_node_says_itself_counts() -> None:
    fresh = replace(NOW, facts=replace(NOW.facts, runtime_version="27.1"))
    assert with_version(fresh, BEFORE) == fresh


def test_another_runtime_or_user_has_another_version() -> None:
    assert with_version(NOW, replace(BEFORE, runtime="podman")) == NOW
    assert with_version(NOW, replace(BEFORE, user="root")) == NOW
    assert with_version(NOW, None) == NOW
    silent = Silent("n1", connected=False, kind="Unreachable", message="no route")
    assert with_version(silent, BEFORE) == silent


def asked(
    monkeypatch: pytest.MonkeyPatch,
    closely: frozenset[str] | None,
    *,
    first: bool = True,
    networks: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> list[NodeRequest]:
    """What two nodes with a known container each are asked (by a fake fleet, whose nodes are silent)."""
    found: list[NodeRequest] = []

    def observe(fleet: Any, requests: Iterable[NodeRequest], *, timeout: float) -> tuple[Observation, ...]:
        found.extend(requests)
        return tuple(Silent(each.name, connected=False, kind="Unreachable", message="") for each in found)

    monkeypatch.setattr(looking, "observe", observe)
    nodes = (Node("n1", runtime="docker"), Node("n2", runtime="docker"))
    known = Facts(runtime="docker", runtime_version="20.10")
    session: Any = SimpleNamespace(
        store=SimpleNamespace(nodes=lambda: [SimpleNamespace(node=node, facts=known) for node in nodes]),
        settings=SimpleNamespace(timeouts=SimpleNamespace(observe=5.0)),
        found={"n1": ("a" * 64,), "n2": ("b" * 64,)},
        networks=networks,
        images={},
        fleet=lambda membership: None,
        beforehand=lambda fleet, requests: (),
    )
    situation = Situation(cluster="c1", now=0.0, nodes=nodes, stacks=(), memory=Memory())
    looking._ask(session, None, situation, nodes, {}, closely=closely, first=first)  # type: ignore[arg-type]  # unused
    return found


def test_only_some_nodes_are_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    known, near = asked(monkeypatch, frozenset({"n2"}))
    assert (known.containers, known.stray_networks) == (("a" * 64,), False)
    assert (near.containers, near.stray_networks) == ((), True)


def test_a_network_that_nobody_is_on_any_more_is_looked_for_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    left, clear = asked(monkeypatch, frozenset(), networks={"n1": frozenset({"old_default"}), "n2": frozenset()})
    assert (left.stray_networks, clear.stray_networks) == (True, False)


def test_an_image_that_a_node_has_is_known_for_the_rest_of_a_run() -> None:
    session: Any = SimpleNamespace(images={})
    image = ObservedImage("app:1", "sha256:" + "1" * 64)
    assert looking.stocked(session, replace(NOW, images=(image,))) == replace(NOW, images=(image,))
    assert looking.stocked(session, NOW) == replace(NOW, images=(image,))
    moved = replace(image, id="sha256:" + "2" * 64)
    assert looking.stocked(session, replace(NOW, images=(moved,))) == replace(NOW, images=(moved,))
    assert looking.stocked(session, replace(NOW, name="n9")) == replace(NOW, name="n9")


def test_all_nodes_are_looked_at_closely_unless_some_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(each.containers, each.stray_networks) for each in asked(monkeypatch, None)] == [((), True)] * 2


def test_a_second_question_of_one_look_is_not_about_known_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.containers for each in asked(monkeypatch, frozenset(), first=False)] == [(), ()]


def test_a_node_that_answers_as_another_is_told_before_anything_is_done() -> None:
    """Two addresses exchanged in the inventory: what runs on each would be taken for rubbish of the other."""
    session: Any = SimpleNamespace(store=SimpleNamespace(heads=lambda: (), uuid="u"), cluster_chosen=True)
    nodes = (Node("n1", node_id="id-1"), Node("n2", node_id="id-2"), Node("n3"))

    def check(**ids: str) -> None:
        there = tuple(ObservedNode(name, Facts(identity, "docker", "")) for name, identity in ids.items())
        situation = Situation(cluster="c1", now=0.0, nodes=nodes, observed=there)
        looking._check_identity(session, situation)

    check(n1="id-1", n2="id-2", n3="id-3")
    check(n1="id-9")  # installed anew
    with pytest.raises(ShipyardError, match=r"n1 answers as n2, by its node id \(id-2\)") as caught:
        check(n1="id-2", n2="id-1")
    assert "repin n2` and `shipyard nodes repin n1`" in (caught.value.hint or "")
    with pytest.raises(ShipyardError, match="n3 answers as n1"):
        check(n3="id-1")


def test_a_limit_is_a_pattern_or_a_file_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("[web]\nweb[1:3]\n[db]\ndb1\n")
    (tmp_path / "keep").write_text("web1\ndb\n")
    monkeypatch.chdir(tmp_path)
    session: Any = SimpleNamespace(inventory=load((str(tmp_path / "hosts"),), cwd=tmp_path))
    assert limited(session, None) is None
    assert limited(session, "web:!web2") == {"web1", "web3"}
    assert limited(session, "@keep") == {"web1", "db1"}
    assert limited(session, "web2,@keep") == {"web1", "web2", "db1"}
    with pytest.raises(ConfigError, match="--limit lost matches no host"):
        limited(session, "lost")
