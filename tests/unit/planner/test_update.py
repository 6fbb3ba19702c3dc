"""An update replaces what serves only as far as its policy allows, whatever else is broken."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec
from shipyard.model.observed import ContainerState
from shipyard.model.plan import CreateContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, UpdatePolicy
from tests.simulated import SimulatedFleet


def declared(number: int, image: str) -> tuple[DesiredStack, ...]:
    container = ContainerSpec(image, network_mode="none")
    service = ServiceSpec("web", container, replicas=3, update=UpdatePolicy(monitor=0))
    stack = StackSpec("s", (service,))
    return (DesiredStack(Revision("s", number, stack, stack_digest(stack), 0.0, "me"), (("web", ("n1", "n2")),)),)


def end(fleet: SimulatedFleet, many: int) -> list[str]:
    """So many containers end badly. Returns the replicas that they were."""
    ended = []
    for node, box in sorted(fleet.running(), key=lambda found: found[1].name)[:many]:
        fleet.nodes[node].boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=1)
        ended.append(f"s/web.{box.label('shipyard.slot')}")
    return ended


def replaced(fleet: SimulatedFleet) -> list[str]:
    decided = fleet.one_pass(declared(2, "app:2"))
    return sorted(action.target for action in decided.actions if isinstance(action.step, CreateContainer))


def test_what_serves_waits_until_what_is_broken_serves_again() -> None:
    fleet = SimulatedFleet(["n1", "n2"])
    fleet.converge(declared(1, "app:1"))
    broken = end(fleet, 1)
    assert replaced(fleet) == broken
    assert len(replaced(fleet)) == 1


def test_what_is_all_broken_is_mended_all_at_once() -> None:
    fleet = SimulatedFleet(["n1", "n2"])
    fleet.converge(declared(1, "app:1"))
    broken = end(fleet, 3)
    assert replaced(fleet) == broken


def test_a_service_that_becomes_a_global_one_keeps_one_replica_a_node() -> None:
    """The others go; where one of them has a container and the other none, the one with it stays."""
    fleet = SimulatedFleet(("n1", "n2"))
    spec = ContainerSpec("app:1", network_mode="none")

    def stacks(service: ServiceSpec, number: int) -> tuple[DesiredStack, ...]:
        declared = StackSpec("s", (service,))
        revision = Revision("s", number, declared, stack_digest(declared), 0.0, "me")
        return (DesiredStack(revision, (("web", ("n1", "n2")),)),)

    fleet.converge(stacks(ServiceSpec("web", spec, replicas=5), 1))
    assert len(fleet.running()) == 5
    fleet.converge(stacks(ServiceSpec("web", spec, mode="global"), 2))
    assert sorted(node for node, _ in fleet.running()) == ["n1", "n2"]
    assert len(fleet.memory.placements) == 2
