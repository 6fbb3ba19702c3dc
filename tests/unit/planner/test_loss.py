"""A node is lost, and comes back: what moves, when, how much of it, and which of two containers stays."""

from __future__ import annotations

from collections import Counter

import pytest

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck, Mount
from shipyard.model.node import Availability
from shipyard.model.observed import ContainerState, Health
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Reschedule, Revision, ServiceSpec, StackSpec, UpdatePolicy, VolumeSpec
from shipyard.planner import condition
from tests.simulated import SimulatedFleet

NAMES = ("n1", "n2", "n3", "n4", "n5")
CONTAINER = ContainerSpec("app:1", network_mode="none")
NFS = VolumeSpec("s_shared", "shared", driver_opts=(("type", "nfs"), ("o", "addr=10.0.0.1"), ("device", ":/data")))
WRITING = replace(CONTAINER, mounts=(Mount("volume", "/data", "s_shared"),))


def desired(*services: ServiceSpec, volumes: tuple[VolumeSpec, ...] = ()) -> tuple[DesiredStack, ...]:
    spec = StackSpec("s", services, (), volumes)
    eligible = tuple((service.name, NAMES) for service in services)
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), eligible),)


def web(rule: Reschedule | None = None, replicas: int = 5, **more: object) -> ServiceSpec:
    container = more.pop("container", CONTAINER)
    assert isinstance(container, ContainerSpec)
    return replace(
        ServiceSpec("web", container, replicas=replicas, reschedule=rule or Reschedule()),
        **more,  # type: ignore[arg-type]  # fields by keyword
    )


def placed(fleet: SimulatedFleet) -> dict[str, list[str]]:
    """Nodes by `service.slot`, from the containers that run on nodes that are up or down."""
    found: dict[str, list[str]] = {}
    for node, box in fleet.running():
        found.setdefault(f"{box.label(labels.SERVICE)}.{box.label(labels.SLOT)}", []).append(node)
    return {name: sorted(nodes) for name, nodes in sorted(found.items())}


def wait(fleet: SimulatedFleet, stacks: tuple[DesiredStack, ...], seconds: float) -> Plan:
    """A pass every half a minute, for so long."""
    until = fleet.now + seconds
    while fleet.now < until:
        decided = fleet.one_pass(stacks)
        if not decided.waves:
            fleet.now += 29
    return fleet.one_pass(stacks)


def on(fleet: SimulatedFleet, node: str) -> list[str]:
    return [name for name, nodes in placed(fleet).items() if node in nodes]


def test_a_lost_nodes_work_is_placed_elsewhere_and_given_up_there_when_it_returns() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web())
    fleet.converge(stacks)
    (lost,) = on(fleet, "n2")
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 300)
    assert placed(fleet)[lost] == ["n2"]
    wait(fleet, stacks, 120)
    assert len(placed(fleet)[lost]) == 2, "what runs on the lost node is out of reach"
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert on(fleet, "n2") == []
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}
    assert fleet.memory.departed == ()


@pytest.mark.parametrize(
    ("rule", "after", "moved"),
    [
        (Reschedule(), 200, False),
        (Reschedule(), 420, True),
        (Reschedule(after=60.0), 90, False),
        (Reschedule(after=60.0), 160, True),
        (Reschedule(after=600.0), 500, False),
        (Reschedule(after=600.0), 700, True),
        (Reschedule(never=True), 1000, False),
    ],
)
def test_each_service_says_how_long_to_wait(rule: Reschedule, after: float, moved: bool) -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(rule))
    fleet.converge(stacks)
    (lost,) = on(fleet, "n2")
    fleet.nodes["n2"].up = False
    last = wait(fleet, stacks, after)
    assert (len(placed(fleet)[lost]) == 2) is moved
    if not moved:
        assert any(each.target == f"s/{lost}" and "n2 is " in each.detail for each in last.waiting)


def test_keep_old_takes_up_again_what_ran_on_all_the_time() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(Reschedule(when_back="keep_old")))
    fleet.converge(stacks)
    before = {box.id for _, box in fleet.running()}
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 420)
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert {box.id for _, box in fleet.running()} == before
    assert fleet.one_pass(stacks).waves == ()


@pytest.mark.parametrize("hurt", ["exited", "unhealthy", "gone", "outdated"])
def test_keep_old_keeps_nothing_that_is_not_well(hurt: str) -> None:
    check = replace(CONTAINER, healthcheck=Healthcheck(("CMD", "true")))
    rule = Reschedule(when_back="keep_old")
    fleet, stacks = SimulatedFleet(NAMES), desired(web(rule, container=check))
    fleet.converge(stacks)
    ((identity, box),) = fleet.nodes["n2"].boxes.items()
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 420)
    match hurt:
        case "exited":
            fleet.nodes["n2"].boxes[identity] = replace(box, state=ContainerState.EXITED, exit_code=1)
        case "unhealthy":
            fleet.nodes["n2"].boxes[identity] = replace(box, health=Health.UNHEALTHY)
        case "gone":
            del fleet.nodes["n2"].boxes[identity]
        case _:
            stacks = desired(web(rule, container=replace(check, image="app:2")))
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert identity not in fleet.nodes["n2"].boxes
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}
    assert len(placed(fleet)) == 5


def test_keep_old_waits_for_a_health_check_that_has_not_decided() -> None:
    rule = Reschedule(when_back="keep_old")
    check = replace(CONTAINER, healthcheck=Healthcheck(("CMD", "true")))
    fleet, stacks = SimulatedFleet(NAMES), desired(web(rule, container=check))
    fleet.converge(stacks)
    ((identity, box),) = fleet.nodes["n2"].boxes.items()
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 420)
    fleet.nodes["n2"].up = True
    fleet.nodes["n2"].boxes[identity] = replace(box, health=Health.STARTING)
    fleet.one_pass(stacks)
    assert identity in fleet.nodes["n2"].boxes
    fleet.tick()
    fleet.converge(stacks)
    assert identity in fleet.nodes["n2"].boxes
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}


def test_what_serves_is_not_stopped_for_a_new_one_that_does_not_come_up() -> None:
    """`keep_new`, but the new one can't be made: the node returns, and what runs there is taken up again."""
    fleet, stacks = SimulatedFleet(NAMES), desired(web())
    fleet.converge(stacks)
    ((identity, _),) = fleet.nodes["n2"].boxes.items()
    fleet.nodes["n2"].up = False
    fleet.registry.clear()
    for node in fleet.nodes.values():
        node.images.clear()
    wait(fleet, stacks, 420)
    assert sum(map(len, placed(fleet).values())) == 5
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert identity in fleet.nodes["n2"].boxes
    assert sum(map(len, placed(fleet).values())) == 5
    last = fleet.one_pass(stacks)
    assert (last.waves, last.waiting, last.blocked) == ((), (), ()), "it is settled"


def test_keep_old_does_not_go_back_to_what_an_update_has_replaced() -> None:
    rule = Reschedule(when_back="keep_old")
    fleet, stacks = SimulatedFleet(NAMES), desired(web(rule))
    fleet.converge(stacks)
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 420)
    changed = desired(web(rule, container=replace(CONTAINER, image="app:2")))
    wait(fleet, changed, 300)
    new = {box.id for node, box in fleet.running() if node != "n2"}
    fleet.nodes["n2"].up = True
    fleet.converge(changed)
    assert {box.id for _, box in fleet.running()} == new


def test_two_lost_nodes_do_not_move_at_once() -> None:
    """Five per cent of five nodes is none, and one at least: the second node's work waits for five minutes."""
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=10))
    fleet.converge(stacks)
    for name in ("n2", "n4"):
        fleet.nodes[name].up = False
    last = wait(fleet, stacks, 400)
    twice = Counter(nodes[0] if nodes[0] in ("n2", "n4") else nodes[1] for nodes in placed(fleet).values() if nodes[1:])
    assert len(twice) == 1
    assert sum(twice.values()) == 2, "all that was on the one"
    held = [each for each in last.waiting if each.reason == "MoveLimit"]
    assert len(held) == 2
    assert {each.until for each in held} == {fleet.memory.evacuations[0].since + 300}
    wait(fleet, stacks, 300)
    assert sum(len(nodes) == 2 for nodes in placed(fleet).values()) == 4


def test_what_is_lost_already_does_not_move_either_while_most_are_silent() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=10))
    fleet.converge(stacks)
    for name in ("n2", "n4"):
        fleet.nodes[name].up = False
    wait(fleet, stacks, 400)
    for name in ("n1", "n3"):
        fleet.nodes[name].up = False
    wait(fleet, stacks, 600)
    assert sum(len(nodes) == 2 for nodes in placed(fleet).values()) == 2, "those of the first node alone"


def test_when_most_fall_silent_nothing_moves_however_long() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(Reschedule(after=10.0)))
    fleet.converge(stacks)
    for name in ("n1", "n2", "n3"):
        fleet.nodes[name].up = False
    wait(fleet, stacks, 1000)
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}


def test_one_replica_on_each_node_has_nowhere_to_go_and_goes_on_when_its_node_returns() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(mode="global"))
    fleet.converge(stacks)
    before = {box.id for _, box in fleet.running()}
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 420)
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert {box.id for _, box in fleet.running()} == before


@pytest.mark.parametrize(
    ("replicas", "read_only", "confirmed", "moves"),
    [(1, False, False, False), (1, False, True, True), (2, False, False, True), (1, True, False, True)],
)
def test_the_only_writer_of_a_shared_volume_waits_until_its_node_is_known_to_be_dead(
    replicas: int, read_only: bool, confirmed: bool, moves: bool
) -> None:
    container = replace(WRITING, mounts=(Mount("volume", "/data", "s_shared", read_only),))
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=replicas, container=container), volumes=(NFS,))
    fleet.converge(stacks)
    node = placed(fleet)["web.1"][0]
    fleet.nodes[node].up = False
    last = wait(fleet, stacks, 420)
    if confirmed:
        (blocked,) = last.blocked
        assert blocked.reason == "MayStillWrite"
        assert f"nodes confirm-dead {node}" in blocked.detail
        assert last.fence == (node,)
        fleet.nodes[node].dead = True
        wait(fleet, stacks, 30)
    assert (len(placed(fleet)["web.1"]) == 2) is moves
    fleet.nodes[node].up = True
    fleet.converge(stacks)
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}


def test_a_local_volume_keeps_its_replica_and_the_status_says_where() -> None:
    container = replace(CONTAINER, mounts=(Mount("volume", "/data", "s_data"),))
    fleet = SimulatedFleet(NAMES)
    stacks = desired(web(replicas=1, container=container), volumes=(VolumeSpec("s_data", "data"),))
    fleet.converge(stacks)
    (node,) = placed(fleet)["web.1"]
    fleet.nodes[node].up = False
    last = wait(fleet, stacks, 900)
    assert placed(fleet)["web.1"] == [node]
    assert [each.reason for each in last.blocked] == ["PinnedByVolume"]
    assert f"{node} is lost" in last.blocked[0].detail
    assert fleet.memory.evacuations == (), "what can't move does not count against others"


def test_a_cordoned_node_keeps_what_runs_and_gets_nothing_new() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web())
    fleet.converge(stacks)
    (kept,) = on(fleet, "n2")
    before = {box.id for _, box in fleet.running()}
    fleet.nodes["n2"].availability = Availability.PAUSE
    assert [each.reason for each in fleet.one_pass(stacks).actions] == ["Copy"], "of the decision, and nothing else"
    wait(fleet, stacks, 3600)
    assert {box.id for _, box in fleet.running()} == before
    more = desired(web(replicas=10))
    fleet.converge(more)
    assert on(fleet, "n2") == [kept]
    assert before <= {box.id for _, box in fleet.running()}
    assert len(placed(fleet)) == 10


def test_what_ends_on_a_cordoned_node_goes_on_there() -> None:
    """It stays placed there: a cordon keeps others away."""
    fleet, stacks = SimulatedFleet(NAMES), desired(web())
    fleet.converge(stacks)
    (kept,) = on(fleet, "n2")
    fleet.nodes["n2"].availability = Availability.PAUSE
    fleet.nodes["n2"].boxes.clear()
    fleet.converge(stacks)
    assert placed(fleet)[kept] == ["n2"]


def test_a_cordoned_nodes_one_on_each_node_stays() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web(mode="global"))
    fleet.converge(stacks)
    fleet.nodes["n2"].availability = Availability.PAUSE
    assert [each.reason for each in fleet.one_pass(stacks).actions] == ["Copy"], "of the decision, and nothing else"
    assert len(on(fleet, "n2")) == 1


@pytest.mark.parametrize(
    ("driver", "options", "moves"),
    [
        (None, {"type": "nfs"}, True),
        ("local", {"type": "nfs4"}, True),
        (None, {"type": "cifs"}, True),
        ("rexray/ebs", {}, True),
        (None, {"type": "tmpfs"}, False),
        ("local", {"type": "none", "o": "bind", "device": "/srv/nfs"}, False),
        ("local", {}, False),
    ],
)
def test_a_volume_that_every_node_has_does_not_hold_a_lost_nodes_work(
    driver: str | None, options: dict[str, str], moves: bool
) -> None:
    """Who only reads it: a single writer waits until its node is known to be dead."""
    container = replace(CONTAINER, mounts=(Mount("volume", "/data", "s_data", read_only=True),))
    volume = VolumeSpec("s_data", "data", driver, tuple(sorted(options.items())))
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=1, container=container), volumes=(volume,))
    fleet.converge(stacks)
    (node,) = placed(fleet)["web.1"]
    fleet.nodes[node].up = False
    last = wait(fleet, stacks, 600)
    assert (len(placed(fleet)["web.1"]) == 2) is moves
    assert [each.reason for each in last.blocked] == ([] if moves else ["PinnedByVolume"])


@pytest.mark.parametrize("driver", ["nfs4", "cifs", "plugin"])
def test_the_only_writer_waits_whatever_shares_the_volume(driver: str) -> None:
    plugin = VolumeSpec("s_shared", "shared", "rexray/ebs")
    mounted = VolumeSpec("s_shared", "shared", None, (("type", driver),))
    volume = plugin if driver == "plugin" else mounted
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=1, container=WRITING), volumes=(volume,))
    fleet.converge(stacks)
    (node,) = placed(fleet)["web.1"]
    fleet.nodes[node].up = False
    assert [each.reason for each in wait(fleet, stacks, 420).blocked] == ["MayStillWrite"]
    assert placed(fleet)["web.1"] == [node]


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_a_drained_node_is_left_as_the_update_order_says(order: str) -> None:
    check = replace(CONTAINER, healthcheck=Healthcheck(("CMD", "true")))
    policy = UpdatePolicy(parallelism=1, order="start-first" if order == "start-first" else "stop-first")
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=10, container=check, update=policy))
    fleet.converge(stacks)
    fleet.healthy_at_once = False
    fleet.nodes["n2"].availability = Availability.DRAIN
    least = 10
    for _ in range(30):
        fleet.one_pass(stacks)
        serving = {box.label(labels.SLOT) for _, box in fleet.running() if condition.serves(box)}
        least = min(least, len(serving))
        fleet.tick()
    assert on(fleet, "n2") == []
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}
    assert least == (10 if order == "start-first" else 9)
    assert fleet.one_pass(stacks).waves == ()


@pytest.mark.parametrize("up", [True, False])
def test_a_drain_moves_what_would_wait_for_a_lost_node_for_ever(up: bool) -> None:
    """`reschedule: never` is about nodes that fall silent: who drains one says that it is not to be waited for."""
    fleet, stacks = SimulatedFleet(NAMES), desired(web(Reschedule(never=True)))
    fleet.converge(stacks)
    (name,) = on(fleet, "n2")
    fleet.nodes["n2"].up = up
    wait(fleet, stacks, 600)
    assert placed(fleet)[name] == ["n2"]
    fleet.nodes["n2"].availability = Availability.DRAIN
    wait(fleet, stacks, 60)
    assert [node for node in placed(fleet)[name] if node != "n2"]
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert on(fleet, "n2") == []


def test_a_drain_whose_time_is_over_waits_for_nobody() -> None:
    """What does not come up elsewhere would hold it up for ever."""
    check = replace(CONTAINER, healthcheck=Healthcheck(("CMD", "true")))
    fleet, stacks = SimulatedFleet(NAMES), desired(web(replicas=10, container=check))
    fleet.converge(stacks)
    fleet.healthy_at_once = False
    fleet.nodes["n2"].availability = Availability.DRAIN
    fleet.nodes["n2"].drain_until = fleet.now + 60
    for _ in range(10):
        fleet.one_pass(stacks)
    assert len(on(fleet, "n2")) == 1
    fleet.now += 60
    for _ in range(3):
        fleet.one_pass(stacks)
    assert on(fleet, "n2") == []


def test_a_drained_node_that_does_not_answer_is_not_believed_to_be_empty() -> None:
    fleet, stacks = SimulatedFleet(NAMES), desired(web())
    fleet.converge(stacks)
    (name,) = on(fleet, "n2")
    fleet.nodes["n2"].availability = Availability.DRAIN
    fleet.nodes["n2"].up = False
    wait(fleet, stacks, 100)
    assert placed(fleet)[name] == ["n2"]
    wait(fleet, stacks, 300)
    assert len(placed(fleet)[name]) == 2


def test_a_move_that_has_begun_waits_for_the_old_container_on_a_node_that_falls_silent() -> None:
    """The new node has no image yet, so the old container was not stopped in the pass that decided the move."""
    fleet, stacks = SimulatedFleet(NAMES), desired(web(update=UpdatePolicy(order="stop-first")))
    fleet.converge(stacks)
    (moving,) = on(fleet, "n2")
    for node in fleet.nodes.values():
        node.images.clear()
    fleet.nodes["n2"].availability = Availability.DRAIN
    fleet.one_pass(stacks)
    assert placed(fleet)[moving] == ["n2"]
    assert {each.node for each in fleet.memory.placements if f"web.{each.slot}" == moving} != {"n2"}
    fleet.nodes["n2"].up = False
    last = wait(fleet, stacks, 200)
    assert placed(fleet)[moving] == ["n2"], "it may be at work there still"
    (waits,) = [each for each in last.waiting if each.target == f"s/{moving}"]
    assert waits.reason == "NodeNotObserved"
    assert "n2 is unreachable, and the container that it had there may still be at work" in waits.detail
    wait(fleet, stacks, 300)
    assert len(placed(fleet)[moving]) == 2, "once n2 is lost, it is made elsewhere"
    fleet.nodes["n2"].up = True
    fleet.converge(stacks)
    assert on(fleet, "n2") == []
    assert fleet.memory.departed == ()


def test_a_begun_move_of_the_only_writer_waits_until_its_silent_node_is_known_to_be_off() -> None:
    writer = web(replicas=1, container=WRITING)
    fleet, stacks = SimulatedFleet(NAMES), desired(writer, volumes=(NFS,))
    fleet.converge(stacks)
    ((name, (home,)),) = placed(fleet).items()
    for node in fleet.nodes.values():
        node.images.clear()
    fleet.nodes[home].availability = Availability.DRAIN
    fleet.one_pass(stacks)
    fleet.nodes[home].up = False
    last = wait(fleet, stacks, 500)
    assert placed(fleet)[name] == [home]
    assert [(each.target, each.reason) for each in last.blocked] == [(f"s/{name}", "MayStillWrite")]
    fleet.nodes[home].dead = True
    wait(fleet, stacks, 10)
    assert len(placed(fleet)[name]) == 2


def test_a_replica_dropped_on_a_silent_node_is_not_begun_elsewhere_while_it_may_run_there() -> None:
    fleet = SimulatedFleet(NAMES)
    fleet.converge(desired(web()))
    fleet.nodes["n2"].up = False
    (lost,) = on(fleet, "n2")
    fleet.one_pass(desired(web(replicas=0)))
    last = wait(fleet, desired(web()), 60)
    assert placed(fleet)[lost] == ["n2"]
    assert [each.reason for each in last.waiting if each.target == f"s/{lost}"] == ["NodeNotObserved"]
    fleet.nodes["n2"].up = True
    fleet.converge(desired(web()))
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}


def test_with_start_first_there_are_never_three_of_a_replica_while_one_of_them_is_out_of_sight() -> None:
    service = web(replicas=1, update=UpdatePolicy(order="start-first"))
    fleet, stacks = SimulatedFleet(NAMES), desired(service)
    fleet.converge(stacks)
    ((name, (first,)),) = placed(fleet).items()
    fleet.nodes[first].availability = Availability.DRAIN
    fleet.one_pass(stacks)
    second = next(node for node in placed(fleet)[name] if node != first)
    fleet.nodes[first].up = False
    fleet.nodes[second].availability = Availability.DRAIN
    last = wait(fleet, stacks, 60)
    assert placed(fleet)[name] == sorted([first, second])
    assert [each.reason for each in last.waiting if each.target == f"s/{name}"] == ["NodeNotObserved"]
    wait(fleet, stacks, 400)
    assert second not in placed(fleet)[name], "the third came once the first was lost"


def test_replicas_dropped_while_their_node_was_silent_are_taken_back_as_they_run() -> None:
    """Scaled in and out again meanwhile; were they moved instead, all of them would be down at once."""
    fleet = SimulatedFleet(NAMES)
    fleet.converge(desired(web(replicas=10)))
    fleet.nodes["n2"].up = False
    there = on(fleet, "n2")
    assert len(there) == 2
    fleet.one_pass(desired(web(replicas=0)))
    for name in ("n1", "n3", "n4", "n5"):
        fleet.nodes[name].images.clear()
    fleet.one_pass(desired(web(replicas=10)))
    ids = {box.id for node, box in fleet.running() if node == "n2"}
    fleet.nodes["n2"].up = True
    fleet.converge(desired(web(replicas=10)))
    assert on(fleet, "n2") == there
    assert {box.id for node, box in fleet.running() if node == "n2"} == ids
    assert {len(nodes) for nodes in placed(fleet).values()} == {1}
