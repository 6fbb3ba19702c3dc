"""What keeps two masters from fighting over real nodes, one of them killed, woken up, or restored from a backup."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base.record import replace
from shipyard.execute.run import WaveRefused, take
from shipyard.lab.lab import Lab
from shipyard.model.plan import Status
from tests.lab.acting import CLUSTER, FENCE, Acting, create, steps
from tests.lab.fleet import Fleet

RUNTIMES = ["podman", "docker"]

# A master of its own: stops a container that takes seconds to end, then would make another.
MASTER = """
import sys
from shipyard.lab.lab import Lab
from shipyard.model.plan import StopContainer
from tests.lab.acting import Acting, FENCE, create, steps
from shipyard.base.record import replace
acting = Acting.on(Lab.find(sys.argv[1]))
node = sys.argv[2]
acting.look(node)
print("begin", flush=True)
actions = steps(node, StopContainer("t-slow-1-abc", "t-slow-1-abc", 4), create("t-late-1-abc"))
acting.act(actions, replace(FENCE, epoch=int(sys.argv[3])))
"""


@pytest.fixture
def acting(fleet: Fleet, shared_lab: Lab) -> Iterator[Acting]:
    acting = Acting.on(shared_lab)
    with acting.fleet:
        yield acting


def names(acting: Acting, node: str) -> list[str]:
    return sorted(box.name for box in acting.seen(node).containers)


def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]  # a function of no arguments
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_master(acting: Acting, node: str, epoch: int) -> subprocess.Popen[bytes]:
    """A process that acts, until it is about to stop the slow container."""
    argv = [sys.executable, "-c", MASTER, acting.lab.record.name, node, str(epoch)]
    master = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert master.stdout is not None
    assert master.stdout.readline() == b"begin\n"
    until(lambda: b" stop -t " in acting.lab.run(node, ["ps", "axww"]).stdout)
    return master


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_second_store_is_refused_and_changes_nothing(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    acting.must(steps(node, create("t-a-1-abc")))
    with pytest.raises(WaveRefused, match="another store") as caught:
        acting.act(steps(node, create("t-b-1-abc")), replace(FENCE, store_uuid="store-two", epoch=50))
    assert "shipyard state rebuild" in (caught.value.hint or "")
    assert [outcome.status for outcome in caught.value.outcomes] == [Status.FAILED]
    seen = acting.seen(node)
    assert [box.name for box in seen.containers] == ["t-a-1-abc"]
    assert (seen.owner, seen.epoch) == (FENCE.store_uuid, FENCE.epoch)


def test_a_restored_backup_is_refused(acting: Acting) -> None:
    node = acting.names[0]
    acting.must(steps(node, create("t-a-1-abc")), replace(FENCE, epoch=9))
    with pytest.raises(WaveRefused, match="newer pass was here"):
        acting.act(steps(node, create("t-b-1-abc")), replace(FENCE, epoch=8))
    assert names(acting, node) == ["t-a-1-abc"]


def test_a_node_taken_over_belongs_to_the_new_store(acting: Acting) -> None:
    acting.must(
        [action for n, node in enumerate(acting.names) for action in steps(node, create("t-a-1-abc"), first=n + 1)]
    )
    new = replace(FENCE, store_uuid="store-two", epoch=2)
    assert take(acting.fleet, acting.names, replace(new, take_over=True)) == dict.fromkeys(acting.names)
    with pytest.raises(WaveRefused):
        acting.act(steps(acting.names[0], create("t-b-1-abc")))
    acting.must(steps(acting.names[0], create("t-c-1-abc")), new)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_killed_masters_script_ends_its_action_and_the_successor_waits_for_it(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    stubborn = ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    acting.must(steps(node, create("t-slow-1-abc", command=stubborn, stop_grace_period=4.0)))
    master = start_master(acting, node, epoch=1)
    with master:
        master.kill()
    acting.must(steps(node, create("t-next-1-abc")), replace(FENCE, epoch=2))
    found = {box.name: box.state.value for box in acting.seen(node).containers}
    assert found == {"t-slow-1-abc": "exited", "t-next-1-abc": "running"}
    assert acting.lab.run(node, ["sh", "-c", "ls -d /run/shipyard.* 2>/dev/null"]).stdout == b""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_power_cut_leaves_owner_and_epoch_and_no_lock(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    stubborn = ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    acting.must(steps(node, create("t-slow-1-abc", command=stubborn)), replace(FENCE, epoch=3))
    master = start_master(acting, node, epoch=4)
    with master:
        acting.fleet.close()
        acting.lab.kill(node)
        master.kill()
    acting.lab.start(node)
    seen = acting.seen(node)
    assert (seen.owner, seen.epoch) == (FENCE.store_uuid, 4)
    acting.must(steps(node, create("t-next-1-abc")), replace(FENCE, epoch=5, wait=0))
    assert "t-late-1-abc" not in names(acting, node)


def test_the_directory_is_roots_alone(acting: Acting) -> None:
    node = acting.names[0]
    acting.must(steps(node, create("t-a-1-abc")))
    said = acting.lab.run(node, ["stat", "-c", "%U %a", "/var/lib/shipyard", f"/var/lib/shipyard/{CLUSTER}"]).stdout
    assert said == b"root 700\nroot 700\n"
