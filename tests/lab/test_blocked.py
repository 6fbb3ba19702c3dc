"""What can't be done is told once, and not by each of cron's passes again."""

from __future__ import annotations

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB

NOWHERE = WEB.replace("replicas: 3", 'replicas: 1\n        placement: {constraints: ["node.labels.zone == moon"]}')


def told(fleet: Fleet) -> list[tuple[str, int]]:
    events = fleet.shipyard("events", "shop", "-o", "json").expect(0).json
    return [(event["reason"], event["count"]) for event in events if event["target"] == "shop/web.1"]


def test_cron_tells_of_a_shortage_when_it_begins_and_when_it_ends(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB.replace("replicas: 3", "replicas: 0"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.write("shop.yml", NOWHERE)
    fleet.shipyard("apply", "shop.yml").expect(2)
    assert told(fleet) == [("Unschedulable", 1)]
    for _ in range(3):
        assert fleet.shipyard("reconcile", "--cron").expect(2).stdout == ""
    assert told(fleet) == [("Unschedulable", 1)]
    fleet.write("shop.yml", WEB.replace("replicas: 3", "replicas: 1"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert ("Unblocked", 1) in told(fleet)
