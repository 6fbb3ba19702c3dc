"""Files of configs and secrets: there before a container is made, put back when they vanish, gone when unused."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ConfigMount, ContainerSpec
from shipyard.model.observed import ContainerState
from shipyard.model.plan import Action, CreateContainer, DropFiles, Plan, PutConfig, PutSecret, StartContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ConfigSpec, Revision, SecretSpec, ServiceSpec, StackSpec, UpdatePolicy
from shipyard.planner.plan import plan
from tests.simulated import SimulatedFleet

PAGE = ConfigSpec("s_page", "page", b"page", "a" * 64)


def declared(number: int = 1, secret: str = "b", **changed: object) -> tuple[DesiredStack, ...]:
    """Three replicas on two nodes; `secret`: a letter that its digest is made of, "" for none."""
    password = SecretSpec("s/password", "password", secret * 64)
    container = ContainerSpec(
        "app:1",
        network_mode="none",
        configs=(ConfigMount(PAGE.name, PAGE.digest, "/page"),),
        secrets=(ConfigMount("password", password.digest, "/run/secrets/password"),) if secret else (),
    )
    service = ServiceSpec("web", container, replicas=3, update=UpdatePolicy(monitor=0))
    stack = StackSpec("s", (service,), configs=(PAGE,), secrets=(password,) if secret else ())
    revision = Revision("s", number, stack, stack_digest(stack), 0.0, "me")
    return (replace(DesiredStack(revision, (("web", ("n1", "n2")),)), **changed),)  # type: ignore[arg-type]  # by keyword


def settled() -> SimulatedFleet:
    fleet = SimulatedFleet(["n1", "n2"])
    fleet.converge(declared())
    return fleet


def secrets_on(fleet: SimulatedFleet) -> list[set[str]]:
    return [{name[0] for name in node.secrets} for node in fleet.nodes.values()]


def steps(decided: Plan, *kinds: type) -> list[Action]:
    return [action for action in decided.actions if isinstance(action.step, kinds)]


def test_each_node_gets_a_file_once_and_before_the_containers_that_have_it() -> None:
    decided = plan(SimulatedFleet(["n1", "n2"]).situation(declared()), waves=1)
    puts = steps(decided, PutConfig, PutSecret)
    assert [(action.node, action.target) for action in puts] == [
        ("n1", "s_page"),
        ("n1", "s_password"),
        ("n2", "s_page"),
        ("n2", "s_password"),
    ]
    for action in steps(decided, CreateContainer):
        assert {put.id for put in puts if put.node == action.node} <= {*action.needs}


def test_a_changed_content_rolls_out_and_the_old_one_stays_until_nobody_has_it() -> None:
    fleet = settled()
    seen = []
    while (decided := fleet.one_pass(declared(2, "c"))).waves:
        seen.append(secrets_on(fleet))
        assert len(steps(decided, CreateContainer)) <= 1
    assert [{"b", "c"}, {"b"}] in seen or [{"b"}, {"b", "c"}] in seen, "both are there while some replicas wait"
    assert secrets_on(fleet) == [{"c"}, {"c"}]


def test_what_is_declared_no_more_goes_from_the_nodes() -> None:
    fleet = settled()
    fleet.converge(declared(2, ""))
    assert secrets_on(fleet) == [set(), set()]
    assert all(node.configs for node in fleet.nodes.values())
    fleet.converge(declared(2, "", removing=True))
    assert not any(node.configs for node in fleet.nodes.values())


def test_a_file_that_vanished_is_put_back_without_touching_the_container() -> None:
    fleet = settled()
    fleet.nodes["n1"].secrets.clear()
    decided = fleet.one_pass(declared())
    assert [type(action.step) for action in decided.actions] == [PutSecret]
    assert not fleet.one_pass(declared()).waves


def test_a_container_is_started_again_only_with_its_files() -> None:
    fleet = settled()
    node = fleet.nodes["n1"]
    node.secrets.clear()
    for key, box in node.boxes.items():
        node.boxes[key] = replace(box, state=ContainerState.EXITED, exit_code=1)
    decided = fleet.one_pass(declared())
    (put,) = steps(decided, PutSecret)
    assert all(put.id in action.needs for action in steps(decided, StartContainer))


def test_what_belongs_there_stays_while_its_container_is_missing() -> None:
    fleet = settled()
    for node in fleet.nodes.values():
        node.boxes.clear()
    assert not steps(plan(fleet.situation(declared())), DropFiles)


def test_a_paused_update_keeps_what_the_older_replicas_would_be_made_from() -> None:
    fleet = settled()
    fleet.one_pass(declared(2, "c"))
    (rollout,) = fleet.memory.rollouts
    fleet.memory = replace(fleet.memory, rollouts=(replace(rollout, state="paused"),))
    for node in fleet.nodes.values():
        for key, box in list(node.boxes.items()):
            if f"secrets/{'b' * 64}-0-0-444" in box.files:
                del node.boxes[key]
    decided = plan(fleet.situation(declared(2, "c")), waves=1)
    assert {action.step.spec.secrets[0].digest[0] for action in steps(decided, CreateContainer)} == {"b"}
    assert not steps(decided, DropFiles)


def test_what_a_container_that_nobody_knows_has_is_left_to_it() -> None:
    fleet = settled()
    unknown = plan(fleet.situation(()), waves=1)
    assert not unknown.actions, "its stack is not known, so neither it nor its files are judged"


def test_what_is_on_a_node_outside_the_limit_stays() -> None:
    fleet = settled()
    fleet.nodes["n1"].secrets.add(f"{'e' * 64}-0-0-444")
    fleet.nodes["n2"].secrets.add(f"{'e' * 64}-0-0-444")
    decided = plan(replace(fleet.situation(declared()), limit=frozenset({"n2"})))
    assert [(action.node, action.step) for action in decided.actions] == [
        ("n2", DropFiles(secrets=(f"{'e' * 64}-0-0-444",)))
    ]


def test_no_step_holds_a_content() -> None:
    decided = plan(SimulatedFleet(["n1", "n2"]).situation(declared()))
    assert steps(decided, PutSecret)
    assert "SecretBytes" not in repr(decided)
