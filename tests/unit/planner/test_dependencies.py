"""`depends_on`: who waits for whom, at the first start and in an update, and what a migration is."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.model.container import RestartPolicy
from shipyard.model.node import Availability
from shipyard.model.observed import ContainerState, Health
from shipyard.model.plan import CreateContainer
from shipyard.model.spec import Dependency
from tests.rolling import CHECKED, Control, service

DONE = "service_completed_successfully"
ONCE = RestartPolicy("none")


@pytest.fixture
def control() -> Control:
    return Control()


def needs(name: str, condition: Any = "service_started", **more: Any) -> tuple[Dependency, ...]:
    return (Dependency(name, condition, **more),)


def made(control: Control) -> list[str]:
    """The services that containers were made of in this pass."""
    decided = control.step()
    targets = [action.target for action in decided.actions if isinstance(action.step, CreateContainer)]
    return sorted({target.split("/")[1].split(".")[0] for target in targets})


def waits(control: Control) -> set[tuple[str, str]]:
    found = {(each.target, each.detail) for each in control.last.waiting if each.reason == "DependsOn"}
    return found | {(each.target, each.detail) for each in control.last.blocked if each.reason == "DependencyFailed"}


def test_what_has_to_be_healthy_is_waited_for(control: Control) -> None:
    control.fleet.healthy_at_once = False
    control.slow.add("app:1")
    db = service("app:1", "db", replicas=1, healthcheck=CHECKED)
    control.apply(db, service("app:2", replicas=2, depends_on=needs("db", "service_healthy")))
    assert made(control) == ["db"]
    assert made(control) == []
    assert waits(control) == {(f"s/web.{slot}", "waits until db is healthy") for slot in (1, 2)}
    control.slow.clear()
    control.step()
    assert made(control) == ["web"]


@pytest.mark.parametrize(
    ("condition", "more", "so", "words"),
    [
        ("service_healthy", {"healthcheck": CHECKED}, {"health": Health.HEALTHY}, "is healthy"),
        (DONE, {"restart": ONCE}, {"state": ContainerState.EXITED, "exit_code": 0}, "has completed"),
    ],
)
def test_all_of_its_replicas_have_to_be_so(
    control: Control, condition: str, more: dict[str, Any], so: dict[str, Any], words: str
) -> None:
    control.fleet.healthy_at_once = False
    control.slow.add("app:1")
    control.apply(service("app:1", "db", **more), service("app:2", replicas=1, depends_on=needs("db", condition)))
    assert made(control) == ["db"]
    for node, box in control.boxes("db"):
        assert made(control) == []
        assert waits(control) == {("s/web.1", f"waits until db {words}")}
        control.change(node, box, **so)
    assert made(control) == ["web"]


def test_an_update_waits_until_all_replicas_of_what_it_needs_were_updated(control: Control) -> None:
    def apply(image: str) -> None:
        db = service(image, "db", healthcheck=CHECKED, delay=5)
        control.apply(db, service(image, replicas=1, depends_on=needs("db", "service_healthy")))

    apply("app:1")
    control.run()
    apply("app:2")
    for _ in range(60):
        if "web" in made(control):
            break
    assert control.images("db") == {"app:2": 3}
    assert control.images() == {"app:2": 1}


@pytest.mark.parametrize("condition", ["service_started", "service_healthy", DONE])
def test_what_is_to_have_no_replicas_is_not_waited_for(control: Control, condition: str) -> None:
    """Neither at the first start nor in an update."""
    for image in ("app:1", "app:2"):
        db = service(image, "db", replicas=0, restart=ONCE if condition == DONE else None)
        control.apply(db, service(image, replicas=1, depends_on=needs("db", condition)))
        assert made(control) == ["web"]
        assert waits(control) == set()
        control.run()


def test_a_migration_runs_to_its_end_first_and_again_for_each_new_spec(control: Control) -> None:
    def apply(version: str) -> None:
        job = service("job:1", "migrate", replicas=1, restart=ONCE, environment=(("V", version),))
        control.apply(job, service(f"app:{version}", depends_on=needs("migrate", DONE)))

    apply("1")
    assert made(control) == ["migrate"]
    assert made(control) == []
    control.done.add("job:1")
    control.step()
    assert made(control) == ["web"]
    control.run()
    control.done.clear()
    apply("2")
    assert made(control) == ["migrate"]
    assert made(control) == []
    assert ("s/web.1", "waits until migrate has completed") in waits(control)
    assert control.images() == {"app:1": 3}
    control.done.add("job:1")
    control.step()
    assert made(control) == ["web"]
    control.run()
    assert control.images() == {"app:2": 3}
    assert made(control) == []


@pytest.mark.parametrize("name", ["migrate", "zmigrate"])
def test_the_pass_that_sees_a_job_end_lets_go_on_who_waited_for_it(control: Control, name: str) -> None:
    """Whatever they are called: nothing says that there will be another pass."""
    job = service("job:1", name, replicas=1, restart=ONCE, mode="replicated-job")
    control.apply(job, service("app:1", depends_on=needs(name, DONE)))
    assert made(control) == [name]
    assert made(control) == []
    control.done.add("job:1")
    control.step()
    assert made(control) == ["web"]


def test_a_migration_that_fails_leaves_everything_as_it_was(control: Control) -> None:
    def apply(version: str) -> None:
        job = service(f"job:{version}", "migrate", replicas=1, restart=ONCE)
        control.apply(job, service(f"app:{version}", depends_on=needs("migrate", DONE)))

    control.fleet.registry.add("job:2")
    control.done.add("job:1")
    apply("1")
    control.run()
    control.bad.add("job:2")
    apply("2")
    control.run()
    assert control.images() == {"app:1": 3}
    assert {words for target, words in waits(control) if target == "s/web.1"} == {
        "waits until migrate has completed; s/migrate.1: Failed: exit code 1; last of its log: no database"
    }
    assert control.rollout("migrate").state == "paused"


def test_what_is_not_required_is_not_waited_for_once_it_has_failed(control: Control) -> None:
    control.bad.add("job:1")
    job = service("job:1", "migrate", replicas=1, restart=ONCE)
    control.apply(job, service("app:1", depends_on=needs("migrate", DONE, required=False)))
    assert made(control) == ["migrate"]
    assert made(control) == ["web"]
    assert [each.reason for each in control.last.notices] == ["NotRequired"]


def test_an_update_goes_in_the_order_of_dependencies(control: Control) -> None:
    def apply(version: str) -> None:
        db = service(f"app:{version}", "zdb", replicas=1, monitor=0)
        control.apply(db, service(f"app:{version}", replicas=1, depends_on=needs("zdb"), monitor=0))

    apply("1")
    control.run()
    apply("2")
    assert made(control) == ["zdb"]
    assert made(control) == ["web"]


def test_an_update_restarts_who_asked_for_it_once_it_is_done(control: Control) -> None:
    def apply(version: str, *, restart: bool) -> None:
        db = service(f"app:{version}", "db", replicas=1)
        api = service("app:1", "api", replicas=1, depends_on=needs("db", "service_healthy", restart=restart))
        control.apply(db, api, service("app:1", replicas=1, depends_on=needs("api", restart=restart)))

    apply("1", restart=True)
    control.run()
    apply("2", restart=True)
    assert made(control) == ["db"]
    assert made(control) == ["api"]
    assert made(control) == ["web"]
    control.run()
    apply("3", restart=False)
    control.run()
    apply("2", restart=False)
    assert made(control) == ["db"]
    assert made(control) == []


def test_a_replica_that_is_mended_waits_for_nobody(control: Control) -> None:
    control.apply(service("app:1", "db", replicas=1), service("app:1", depends_on=needs("db", "service_healthy")))
    control.run()
    for node, box in [*control.boxes("db"), *control.boxes()]:
        control.change(node, box, state=ContainerState.DEAD)
    assert made(control) == ["db", "web"]


def test_one_that_moves_before_it_ever_came_up_waits_on(control: Control) -> None:
    job = service("job:1", "migrate", replicas=1, restart=ONCE)
    control.apply(job, service("app:1", replicas=1, depends_on=needs("migrate", DONE)))
    assert made(control) == ["migrate"]
    (placed,) = (each for each in control.fleet.memory.placements if each.service == "web")
    control.fleet.nodes[placed.node].availability = Availability.DRAIN
    for _ in range(3):
        assert made(control) == []
    (moved,) = (each for each in control.fleet.memory.placements if each.service == "web")
    assert moved.node != placed.node and moved.incarnation > placed.incarnation
    assert ("s/web.1", "waits until migrate has completed") in waits(control)
    control.done.add("job:1")
    control.step()
    assert made(control) == ["web"]
