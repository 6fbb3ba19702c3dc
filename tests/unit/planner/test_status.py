"""The status of fleets: what is shown of a slot, and that nothing is guessed about nodes that did not answer."""

from shipyard.base.record import replace
from shipyard.model.canonical import spec_hash
from shipyard.model.container import ContainerSpec
from shipyard.model.labels import container_name
from shipyard.model.memory import Failures, Memory, NodeMemory, Placement
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import (
    Container,
    ContainerState,
    Facts,
    Health,
    ObservedAttachment,
    ObservedNode,
    Silent,
)
from shipyard.model.plan import Action, Blocked, Plan, StartContainer, Waiting
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.model.status import FleetStatus, PassSummary, ReplicaStatus
from shipyard.planner.status import fleet_status

CLUSTER = "c1"
SPEC = ContainerSpec("nginx")
WEB = ServiceSpec("web", SPEC, replicas=2)
NODES = (Node("node1", address="10.0.0.11"), Node("node2", address="10.0.0.12"))


def box(slot: int, incarnation: int = 1, **changes: object) -> Container:
    name = container_name(CLUSTER, "shop", "web", slot, incarnation)
    labels = {
        "shipyard.cluster": CLUSTER,
        "shipyard.stack": "shop",
        "shipyard.service": "web",
        "shipyard.slot": str(slot),
        "shipyard.revision": "3",
        "shipyard.spec": spec_hash(SPEC),
    }
    container = Container(f"id-{slot}-{incarnation}", name, ContainerState.RUNNING, tuple(sorted(labels.items())))
    return replace(container, **changes)  # type: ignore[arg-type]  # the fields are named by the tests


def node(name: str, *containers: Container) -> ObservedNode:
    return ObservedNode(name, Facts(runtime="podman"), containers=containers)


def placed(*slots: tuple[int, str, int]) -> tuple[Placement, ...]:
    return tuple(Placement("shop", "web", slot, where, incarnation, 3) for slot, where, incarnation in slots)


def situation(*observed: ObservedNode | Silent, service: ServiceSpec = WEB, memory: Memory = Memory()) -> Situation:
    revision = Revision("shop", 3, StackSpec("shop", (service,)), "d", 1.0, "ann@bastion")
    return Situation(
        cluster=CLUSTER,
        now=1000.0,
        nodes=NODES,
        stacks=(DesiredStack(revision),),
        observed=observed,
        memory=memory,
    )


def status(found: Situation, plan: Plan | None = None) -> FleetStatus:
    """With a plan that remembers something else, or with one that leaves the memory as it is."""
    plan = plan or Plan()
    return fleet_status(found, plan if plan.memory != Memory() else replace(plan, memory=found.memory), None)


def replicas(found: FleetStatus) -> tuple[ReplicaStatus, ...]:
    return found.stacks[0].services[0].replicas


BOTH = Memory(placements=placed((1, "node1", 1), (2, "node2", 1)))


def test_a_converged_fleet() -> None:
    address = (ObservedAttachment("shop_default", ipv4_address="10.1.0.2"), ObservedAttachment("x", ipv4_address="1.1"))
    found = situation(node("node1", box(1, networks=address, restarts=2)), node("node2", box(2)), memory=BOTH)
    last = PassSummary(7, 990.0, 995.0, "converged")
    told = fleet_status(found, Plan(memory=BOTH), last)
    assert told.converged
    assert told.last_pass == last
    (stack,) = told.stacks
    (service,) = stack.services
    assert (stack.name, stack.revision) == ("shop", 3)
    assert (service.desired, service.running, service.healthy, service.update) == (2, 2, 2, "completed")
    assert service.replicas[0] == ReplicaStatus(
        slot=1,
        node="node1",
        state="running",
        health="none",
        container="id-1-1",
        container_name=container_name(CLUSTER, "shop", "web", 1, 1),
        revision=3,
        addresses=(("default", "10.1.0.2"), ("x", "1.1")),
        restarts=2,
    )
    assert [(each.name, each.state, each.containers, each.runtime) for each in told.nodes] == [
        ("node1", "ready", 1, "podman"),
        ("node2", "ready", 1, "podman"),
    ]


def test_work_left_is_not_converged() -> None:
    found = situation(node("node1", box(1)), node("node2", box(2)), memory=BOTH)
    action = Action(1, "node1", "shop/web.1", "Stopped", "it was stopped by hand", StartContainer("i", "n"))
    assert not status(found, Plan(waves=((action,),))).converged
    assert not status(found, Plan(blocked=(Blocked("x", "y", "z"),))).converged
    assert not status(found, Plan(waiting=(Waiting("x", "y", "z"),))).converged


def test_a_node_that_did_not_answer_is_unknown_not_empty() -> None:
    silent = Silent("node2", connected=False, kind="Unreachable", message="no route to host")
    told = status(situation(node("node1", box(1)), silent, memory=BOTH))
    assert told.nodes[1].containers is None
    assert (told.nodes[1].state, told.nodes[1].reason) == ("suspect", "Unreachable")
    lost = replicas(told)[1]
    assert (lost.state, lost.node, lost.reason) == ("unknown", "node2", "Unreachable")
    assert lost.detail == "node2: no route to host"


def test_a_node_that_is_alive_but_unreadable_is_unobserved() -> None:
    silent = Silent("node2", connected=True, kind="SudoFailed", message="a password is required")
    told = status(situation(node("node1"), silent, memory=BOTH))
    assert (told.nodes[1].state, told.nodes[1].reason) == ("unobserved", "SudoFailed")


def test_what_the_passes_made_of_a_silence_is_told() -> None:
    silent = Silent("node2", connected=False, kind="Unreachable", message="")
    memory = replace(BOTH, nodes=(NodeMemory("node2", NodeState.LOST, last_seen=400.0),))
    told = status(situation(node("node1"), silent, memory=memory))
    assert (told.nodes[1].state, told.nodes[1].last_seen) == ("lost", 400.0)


def test_a_missing_replica_says_why() -> None:
    memory = replace(
        BOTH, failures=(Failures("shop", "web", 2, "v1:x", 3, reason="ImagePull", message="no such image"),)
    )
    missing = replicas(status(situation(node("node1", box(1)), node("node2"), memory=memory)))[1]
    assert (missing.state, missing.node, missing.reason, missing.detail) == (
        "pending",
        "node2",
        "ImagePull",
        "no such image",
    )


def test_blocked_is_told_before_waiting_before_what_is_planned() -> None:
    found = situation(node("node1"), node("node2"), memory=BOTH)
    action = Action(1, "node1", "shop/web.1", "Missing", "", StartContainer("i", "n"))
    waiting, blocked = Waiting("shop/web.1", "BackOff", ""), Blocked("shop/web.1", "PortTaken", "")
    assert replicas(status(found, Plan(waves=((action,),))))[0].reason == "Missing"
    assert replicas(status(found, Plan(waves=((action,),), waiting=(waiting,))))[0].reason == "BackOff"
    assert replicas(status(found, Plan(waiting=(waiting,), blocked=(blocked,))))[0].reason == "PortTaken"


def test_while_a_replacement_is_only_planned_the_present_container_is_shown() -> None:
    found = situation(node("node1", box(1)), node("node2", box(2)), memory=BOTH)
    after = Memory(placements=placed((1, "node2", 2), (2, "node2", 1)))
    shown = replicas(status(found, Plan(memory=after)))[0]
    assert (shown.node, shown.container) == ("node1", "id-1-1")


def test_of_two_incarnations_the_one_that_owns_the_slot_is_shown() -> None:
    after = Memory(placements=placed((1, "node1", 2), (2, "node2", 1)))
    found = situation(node("node1", box(1), box(1, 2, state=ContainerState.CREATED)), node("node2"), memory=after)
    assert replicas(status(found))[0].container == "id-1-2"


def test_running_but_unhealthy_is_not_healthy() -> None:
    found = situation(
        node("node1", box(1, health=Health.UNHEALTHY)), node("node2", box(2, health=Health.STARTING)), memory=BOTH
    )
    (service,) = status(found).stacks[0].services
    assert (service.running, service.healthy) == (2, 0)


def test_why_a_container_ended() -> None:
    exited = box(1, state=ContainerState.EXITED, exit_code=3)
    killed = box(2, state=ContainerState.EXITED, exit_code=137, oom_killed=True)
    first, second = replicas(status(situation(node("node1", exited), node("node2", killed), memory=BOTH)))
    assert (first.state, first.reason, first.detail) == ("exited", "Exited", "with exit code 3")
    assert second.reason == "OutOfMemory"


def test_a_container_made_from_another_spec_means_updating() -> None:
    labels = tuple(
        ("shipyard.spec", "v1:old") if key == "shipyard.spec" else (key, value) for key, value in box(1).labels
    )
    told = status(situation(node("node1", box(1, labels=labels)), node("node2", box(2)), memory=BOTH))
    assert told.stacks[0].services[0].update == "updating"


def test_a_global_service_wants_one_on_each_node_it_was_placed_on() -> None:
    service = replace(WEB, mode="global", replicas=1)
    told = status(situation(node("node1", box(1)), node("node2"), service=service, memory=BOTH))
    (found,) = told.stacks[0].services
    assert (found.desired, found.running, len(found.replicas)) == (2, 1, 2)


def test_a_container_with_forged_labels_is_no_replica() -> None:
    forged = replace(box(1), name="innocent")
    told = status(situation(node("node1", forged), node("node2"), memory=BOTH))
    assert replicas(told)[0].state == "pending"


def test_scaled_down_replicas_are_shown_until_they_are_gone() -> None:
    service = replace(WEB, replicas=1)
    told = status(situation(node("node1", box(1)), node("node2", box(2)), service=service, memory=BOTH))
    (found,) = told.stacks[0].services
    assert (found.desired, [each.slot for each in found.replicas]) == (1, [1, 2])
