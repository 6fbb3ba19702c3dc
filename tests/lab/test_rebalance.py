"""Replicas on real nodes that are moved to be more even, when asked and as was shown before."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, ids, replicas


@pytest.mark.matrix
def test_replicas_move_to_an_empty_node_only_when_asked_and_as_simulated(fleet: Fleet) -> None:
    last = fleet.names[-1]
    wide = WEB.replace("replicas: 3", "replicas: 4")
    elsewhere = f'placement: {{constraints: ["node.hostname != {last}"]}}'
    fleet.write("shop.yml", wide.replace("replicas: 4", f"replicas: 4\n        {elsewhere}"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.write("shop.yml", wide)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    assert last not in {replica["node"] for replica in replicas(fleet).values()}
    outlook = fleet.shipyard("simulate", "--without", last, "-o", "json").expect(0).json
    assert {each["outcome"] for each in outlook["replicas"]} == {"stays"}
    shown = fleet.shipyard("rebalance", "--check", "-o", "json").expect(10).json
    assert [(move["to"], ids(fleet) == before) for move in shown["moves"]] == [(last, True)]
    assert not shown["blocked"], "its image is there"
    fleet.shipyard("rebalance", "--yes").expect(0)
    assert Counter(replica["node"] for replica in replicas(fleet).values())[last] == 1
    assert len(set(ids(fleet)) & set(before)) == 3
    fleet.shipyard("rebalance", "--check").expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)
