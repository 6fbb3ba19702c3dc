"""Two clusters, of two projects, with networks on the same nodes."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import clients, from_outside, names, shop

BESIDE = 'cluster = "c0ffee"\n'
SAME_SERVICES = f'{BESIDE}[network]\ncontainers = "10.96.0.0/12"\n'
ELSEWHERE = f'{SAME_SERVICES}services = "10.112.0.0/16"\n'
SECOND = shop().replace("stack: shop", "stack: second").replace("8000:", "8001:")


def accepted(fleet: Fleet) -> dict[str, int]:
    """How often each node has the rule that lets pass what the clusters' own let pass."""
    script = "iptables-save -t filter | grep -c -- '--mark 0x200000/0x200000 -j ACCEPT' || :"
    return {node: int(fleet.run(node, "sh", "-c", script)) for node in fleet.names}


@pytest.mark.matrix
def test_two_clusters_on_the_same_nodes_leave_each_other_what_each_needs(fleet: Fleet) -> None:
    fleet.write("shop.yml", shop())
    fleet.shipyard("apply", "shop.yml").expect(0)
    (fleet.project / "second").mkdir()
    second = Fleet(fleet.lab, fleet.project / "second")
    second.write("second.yml", SECOND)
    for settings, named in ((BESIDE, "network.containers"), (SAME_SERVICES, "network.services")):
        second.write("shipyard.toml", settings)
        ran = second.shipyard("apply", "second.yml", "--timeout", "5")
        said = " ".join((ran.stdout + ran.stderr).split())
        assert f"({named} in shipyard.toml) collides with another cluster's route" in said, said
    second.write("shipyard.toml", ELSEWHERE)
    second.shipyard("apply", "second.yml").expect(0)
    assert "Nothing to do" in fleet.shipyard("reconcile", "--once").expect(0).stdout
    assert set(accepted(fleet).values()) == {1}
    second.shipyard("rm", "second", "--yes").expect(0)
    assert "Nothing to do" in fleet.shipyard("reconcile", "--once").expect(0).stdout
    assert set(accepted(fleet).values()) == {1}
    assert clients(fleet)
    for node in fleet.names:
        assert from_outside(fleet, node) in names(fleet, "shop/web")
    fleet.shipyard("rm", "shop", "--yes").expect(0)
    assert set(accepted(fleet).values()) == {0}
