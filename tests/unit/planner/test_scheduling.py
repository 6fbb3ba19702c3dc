"""Every case of tests/cases/scheduling: which nodes are refused and what is said, and which other is taken."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.base.record import replace
from shipyard.model.node import Availability
from shipyard.model.situation import Lacking
from shipyard.planner.plan import plan
from tests.unit.planner.fleets import situation_of

CASES = Path(__file__).parents[2] / "cases" / "scheduling"


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["what"]) for case in yaml.safe_load((CASES / name).read_text())]


def decided(case: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Where the replicas of web are, by slot; and why others are nowhere."""
    plan_ = plan(situation_of(case), waves=1)
    where = [placement.node for placement in plan_.memory.placements if placement.service == "web"]
    return where, [blocked.detail for blocked in plan_.blocked if blocked.target.startswith("s/web")]


@pytest.mark.parametrize("case", cases("filters.yml"))
def test_filters(case: dict[str, Any]) -> None:
    where, why_not = decided(case)
    assert where == case.get("at", [])
    assert set(why_not) == ({case["says"]} if "says" in case else set())


@pytest.mark.parametrize("case", cases("scores.yml"))
def test_scores(case: dict[str, Any]) -> None:
    where, why_not = decided(case)
    assert (Counter(where), why_not) == (case["counts"], [])


def test_what_runs_stays() -> None:
    case = {"nodes": {"a": {}, "b": {}}, "others": {"web": {"at": ["a", "a"]}}, "web": {"replicas": 3}}
    assert Counter(decided(case)[0]) == {"a": 2, "b": 1}


def test_a_taint_that_executes_moves_what_is_there_and_another_does_not() -> None:
    nodes = {"a": {"taints": ["x:NoExecute"]}, "b": {"taints": ["x:NoSchedule"]}, "c": {}}
    where, why_not = decided({"nodes": nodes, "others": {"web": {"at": ["a", "b"]}}, "web": {"replicas": 2}})
    assert (where, why_not) == (["c", "b"], [])


def test_what_tolerates_a_taint_for_a_time_moves_when_it_is_over() -> None:
    """Counted from the pass that first saw the taint; the shortest of several counts, as in Kubernetes."""
    bounded = [{"key": "x", "effect": "NoExecute", "seconds": 300}, {"seconds": 900, "effect": "NoExecute"}]
    case = {
        "nodes": {"a": {"taints": ["x:NoExecute"]}, "b": {}},
        "others": {"web": {"at": ["a"]}},
        "web": {"tolerations": bounded},
    }
    situation = situation_of(case)

    def after(seconds: float) -> tuple[list[str], list[tuple[str, str]]]:
        nonlocal situation
        made = plan(replace(situation, now=situation.now + seconds), waves=1)
        situation = replace(situation, now=situation.now + seconds, memory=made.memory)
        where = [placed.node for placed in made.memory.placements if placed.service == "web"]
        return where, [(notice.target, notice.reason) for notice in made.notices if notice.reason == "Tainted"]

    assert after(0) == (["a"], [("s/web.1", "Tainted")])
    assert after(299) == (["a"], [("s/web.1", "Tainted")])
    untainted = replace(situation, nodes=tuple(replace(node, taints=()) for node in situation.nodes))
    assert plan(untainted, waves=1).memory.tainted == (), "a taint that is taken away counts anew"
    assert after(1) == (["b"], [])


def test_a_node_that_joined_later_has_no_values_and_what_to_apply_is_named() -> None:
    situation = situation_of({"nodes": {"a": {}, "b": {}}, "web": {"replicas": 2, "max_replicas_per_node": 1}})
    (stack,) = situation.stacks
    spec = stack.revision.spec
    services = tuple(replace(each, per_node=True, rendered=("a",), file="playbooks/web.yml") for each in spec.services)
    known = replace(stack, revision=replace(stack.revision, spec=replace(spec, services=services)))
    made = plan(replace(situation, stacks=(known,)), waves=1)
    assert [placed.node for placed in made.memory.placements] == ["a"]
    (blocked,) = made.blocked
    assert "1 is new, and without the values per node that playbooks/web.yml has: apply that again" in blocked.detail
    lacking = (Lacking("s", "web", "b", "that says something else by now"), Lacking("s", "other", "b", "no"))
    (blocked,) = plan(replace(situation, stacks=(known,), lacking=lacking), waves=1).blocked
    assert "that playbooks/web.yml has: that says something else by now" in blocked.detail


def test_a_replica_does_not_stay_where_its_revision_has_no_values_for_it() -> None:
    """As after going back to what was applied before the node joined: what is there would become another node's."""
    case = {"nodes": {"a": {}, "b": {}}, "web": {"mode": "global"}, "others": {"web": {"at": ["a", "b"]}}}
    situation = situation_of(case)
    (stack,) = situation.stacks
    spec = stack.revision.spec
    services = tuple(replace(each, per_node=True, rendered=("a",), mode="global") for each in spec.services)
    head = replace(stack.revision, spec=replace(spec, services=services))
    known = replace(situation, stacks=(replace(stack, revision=head),))
    assert [placed.node for placed in known.memory.placements] == ["a", "b"]
    made = plan(known, waves=1)
    assert [placed.node for placed in made.memory.placements] == ["a"]
    (blocked,) = made.blocked
    assert blocked.detail == "b is new, and without the values per node that its file has: apply that again"
    drained = replace(known, nodes=tuple(replace(node, availability=Availability.DRAIN) for node in known.nodes))
    assert plan(drained, waves=1).blocked == (), "what is not wanted there is not missing there"
    limited = plan(replace(known, limit=frozenset({"a"})), waves=1)
    assert [placed.node for placed in limited.memory.placements] == ["a", "b"], "which looks for no values, either"


def test_what_can_not_stay_and_finds_nothing_says_both() -> None:
    nodes = {"a": {"taints": ["x:NoExecute"]}, "b": {"memory": 1}}
    where, why_not = decided({"nodes": nodes, "others": {"web": {"at": ["a"]}}, "web": {"memory": 2}})
    assert where == ["a"]
    assert why_not == [
        "can't stay on a, and 0 of 2 nodes fit: 1 has the taint x:NoExecute, 1 lacks memory (needs 2 GiB)"
    ]


def test_one_on_each_node_says_where_it_can_not_be() -> None:
    nodes = {"a": {}, "b": {"memory": 1}, "c": {"taints": ["x:NoSchedule"]}}
    where, why_not = decided({"nodes": nodes, "web": {"mode": "global", "memory": 2}})
    assert (where, why_not) == (["a"], ["b lacks memory (needs 2 GiB)"])


def test_services_that_must_be_beside_others_are_placed_after_them() -> None:
    nodes = {name: {} for name in "abcdef"}
    others = {"zebra": {"replicas": 1, "neighbours": [{"service": "yak"}]}, "yak": {"replicas": 1}}
    web = {"replicas": 2, "priority": 5, "neighbours": [{"service": "zebra"}]}
    plan_ = plan(situation_of({"nodes": nodes, "others": others, "web": web}), waves=1)
    assert len({placement.node for placement in plan_.memory.placements}) == 1
    assert not plan_.blocked


def test_services_that_wait_for_each_other_are_no_endless_loop() -> None:
    others = {"yak": {"replicas": 1, "neighbours": [{"service": "web"}]}}
    where, why_not = decided({"nodes": {"a": {}}, "others": others, "web": {"neighbours": [{"service": "yak"}]}})
    assert (where, why_not) == ([], ["0 of 1 node fits: 1 lacks yak (affinity)"])
