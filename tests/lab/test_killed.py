"""Shipyard killed in the middle of an apply, at each kind of moment of it: one reconcile puts things right.

Nodes' moments: a step is under way, one of each kind on each runtime. The store's: what it has just been told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from tests.lab.fleet import Fleet
from tests.lab.underway import held, until

WEB = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
      stop_grace_period: 2s
"""
OLD = (
    WEB
    + """
      environment: {VERSION: old}
      networks: [front, back]
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 1s}}
    extra:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      networks: [front]
  networks: {front: {}, back: {}}
"""
)
NEW = (
    WEB
    + """
      environment: {VERSION: new}
      networks: [front]
      deploy: {mode: global, update_config: {parallelism: 0, monitor: 0s}}
  networks: {front: {}}
"""
)
VERSIONS = {"old": OLD, "new": NEW}
"""Each comes to the first node, and then to the others at once."""

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("new", ("podman rm --force", "docker stop")),
    ("old", ("podman run", "docker create")),
)
OTHER_STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("new", ("podman network rm", "docker network rm")),
    ("old", ("nft -f",)),
    ("new", ("podman network disconnect", "docker network disconnect")),
    ("old", ("podman network create", "docker network create")),
    ("new", ("podman run", "docker rm --force")),
    ("old", ("podman rm --force", "docker network connect")),
)
"""Which version was on its way when what was under way; two at a time are of two nodes that were at it together."""

Moment = Callable[[], bool]


def version(fleet: Fleet) -> str:
    """The version that runs; all of it has to be there, and nothing else, and nothing twice."""
    running, services, networks = set(), [], {}
    for node in fleet.names:
        for name in fleet.containers(node):
            found = fleet.inspect(node, name)
            assert found["State"]["Status"] == "running", name
            services.append((found["Config"]["Labels"]["shipyard.service"], node))
            running |= {word for word in found["Config"]["Env"] if word.startswith("VERSION=")}
        listed = fleet.runtime_cli(node, "network", "ls", "--format", "{{.Name}}").split()
        networks[node] = {name for name in listed if name.startswith("shop_")}
        left = fleet.run(node, "sh", "-c", "ls -d /run/shipyard.* /var/lib/shipyard/*/.[a-z]* 2>/dev/null", check=False)
        assert left == ""
    (found_version,) = {word.removeprefix("VERSION=") for word in running}
    webs = [("web", node) for node in fleet.names]
    extras = [service for service in services if service[0] == "extra"]
    assert sorted(services) == sorted([*extras, *webs])
    assert len(extras) == (1 if found_version == "old" else 0)
    there = {"shop_front", "shop_back"} if found_version == "old" else {"shop_front"}
    for node in fleet.names:
        assert networks[node] >= {"shop_front"}
        assert networks[node] <= there
    return found_version


@contextmanager
def step_under_way(fleet: Fleet, *steps: str) -> Iterator[Moment]:
    """Each of these steps waits, on the last node with its runtime; one that is no runtime's on the last node."""
    last = {fleet.runtime(name): name for name in fleet.names}
    nodes = [last.get(step.partition(" ")[0], fleet.names[-1]) for step in steps]
    with held(fleet, steps, nodes) as reached:
        yield reached


@contextmanager
def store_says(fleet: Fleet, question: str) -> Iterator[Moment]:
    """The store's answer is another one than before."""
    path = f"file:{fleet.project}/.shipyard/state.db?mode=ro"

    def answer() -> object:
        with closing(sqlite3.connect(path, uri=True)) as store:
            return store.execute(question).fetchone()

    before = answer()
    yield lambda: answer() != before


def killed(fleet: Fleet, wanted: str, moment: str, reached: Moment, *, every: float) -> None:
    """An apply of that version, which ends there."""
    fleet.write("shop.yml", VERSIONS[wanted])
    with fleet.start("apply", "shop.yml") as process:
        try:
            until(reached, process, every=every)
        except AssertionError as error:
            raise AssertionError(f"never came to this moment: {moment}") from error
        finally:
            process.kill()


def converges(fleet: Fleet, wanted: str, moment: str) -> None:
    done = fleet.shipyard("reconcile")
    assert done.code == 0, f"{moment}: exit {done.code}\n{done.stdout}\n{done.stderr}"
    assert version(fleet) == wanted, moment
    check = fleet.shipyard("reconcile", "--check")
    assert check.code == 0, f"{moment}: exit {check.code}\n{check.stdout}\n{check.stderr}"


def _killed_during(fleet: Fleet, moments: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    fleet.write("shop.yml", OLD)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert version(fleet) == "old"
    for wanted, steps in moments:
        moment = f"killed on the way to the {wanted} version, during {' and '.join(steps)}"
        with step_under_way(fleet, *steps) as reached:
            killed(fleet, wanted, moment, reached, every=0.2)
        converges(fleet, wanted, moment)


@pytest.mark.matrix
def test_killed_during_other_steps_of_an_apply_one_reconcile_converges(fleet: Fleet) -> None:
    _killed_during(fleet, OTHER_STEPS)


def test_killed_at_any_moment_of_an_apply_one_reconcile_converges(fleet: Fleet) -> None:
    _killed_during(fleet, STEPS)


@pytest.mark.matrix
def test_killed_when_the_store_was_told_something_one_reconcile_converges(fleet: Fleet) -> None:
    fleet.write("shop.yml", OLD)
    fleet.shipyard("apply", "shop.yml").expect(0)
    for wanted, after, question in (
        ("new", "old", "SELECT holder != '' FROM lease"),
        ("new", "new", "SELECT count(*) FROM placements WHERE revision = (SELECT head FROM stacks)"),
    ):
        moment = f"killed on the way to the {wanted} version, when the store had another answer to {question}"
        with store_says(fleet, question) as reached:
            killed(fleet, wanted, moment, reached, every=0.002)
        converges(fleet, after, moment)
    fleet.write("shop.yml", OLD)
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert version(fleet) == "old"
