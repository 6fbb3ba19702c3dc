"""The guestbook's manifests on a simulated fleet: the containers that come of them, and that they stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from shipyard.files import kinds
from shipyard.model.canonical import stack_digest
from shipyard.model.labels import SERVICE
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision
from tests.playbook_project import INVENTORY
from tests.simulated import SimulatedFleet

GUESTBOOK = Path(__file__).parents[2] / "cases" / "kubernetes" / "guestbook"


def test_the_guestbook_runs() -> None:
    (spec,) = kinds.load([GUESTBOOK], inventory=INVENTORY, project=GUESTBOOK).stacks
    nodes = tuple(host.name for host in INVENTORY.hosts)
    eligible = tuple((service.name, nodes) for service in spec.services)
    images = {service.name: service.container.image for service in spec.services}
    fleet = SimulatedFleet(nodes, images.values())
    stacks = (DesiredStack(Revision(spec.name, 1, spec, stack_digest(spec), 0.0, "me"), eligible),)
    fleet.converge(stacks)
    found = Counter(box.label(SERVICE) for _, box in fleet.running())
    assert found == {"frontend": 3, "redis-follower": 2, "redis-leader": 1}
    for node, box in fleet.running():
        assert fleet.nodes[node].specs[box.id].image == images[box.label(SERVICE)]
    assert {name for node in fleet.nodes.values() for name in node.networks} == {"default_default"}
    assert fleet.one_pass(stacks).actions == ()
