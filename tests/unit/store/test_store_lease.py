"""One pass at a time, and a dead holder is no obstacle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from shipyard.base.errors import LeaseHeld
from shipyard.base.record import replace
from shipyard.store import process
from shipyard.store.process import Process
from shipyard.store.store import Store

ACQUIRE = """
import sys, time
from shipyard.base.errors import LeaseHeld
from shipyard.store.store import Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(store.acquire("bob@there", 1000.0, 60.0).epoch, flush=True)
except LeaseHeld as error:
    print(error.message, flush=True)
time.sleep(60)
"""


class Holder:
    """Another process, that acquires the lease when told to."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-c", ACQUIRE, url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout

    def acquire(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def says(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holders(request: pytest.FixtureRequest, url: str, store: Store):
    made = [Holder(url) for _ in range(request.param)]
    for holder in made:
        assert holder.says() == "ready"
    yield made
    for holder in made:
        holder.end()


def test_a_second_pass_is_told_who_holds_the_lease(store: Store) -> None:
    store.acquire("alice@laptop", 1000.0, 60.0)
    with pytest.raises(LeaseHeld, match=r"alice@laptop \(pid \d+\), since 1970-01-01T00:16:40Z") as caught:
        store.acquire("bob@there", 1059.9, 60.0)
    assert caught.value.exit_code == 75


def test_only_somebody_alive_has_the_lease(store: Store) -> None:
    assert not store.is_leased(1000.0)
    held = store.acquire("alice@laptop", 1000.0, 60.0)
    assert store.is_leased(1059.9)
    assert not store.is_leased(1060.0)
    store.release(held)
    assert not store.is_leased(1001.0)


def test_an_expired_lease_is_taken_over_under_a_larger_epoch(store: Store) -> None:
    first = store.acquire("alice@laptop", 1000.0, 60.0)
    assert store.acquire("bob@there", 1060.0, 60.0).epoch > first.epoch


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    held = store.acquire("alice@laptop", 1000.0, 60.0)
    store.renew(held, 1050.0)
    with pytest.raises(LeaseHeld):
        store.acquire("bob@there", 1100.0, 60.0)


def test_a_holder_that_slept_too_long_learns_who_took_over(store: Store) -> None:
    slept = store.acquire("alice@laptop", 1000.0, 60.0)
    store.acquire("bob@there", 1100.0, 60.0)
    with pytest.raises(LeaseHeld, match="bob@there"):
        store.renew(slept, 1101.0)
    store.release(slept)
    with pytest.raises(LeaseHeld):
        store.acquire("carol@there", 1102.0, 60.0)


def test_a_late_renewal_is_fine_when_nobody_came(store: Store) -> None:
    held = store.acquire("alice@laptop", 1000.0, 60.0)
    store.renew(held, 2000.0)
    with pytest.raises(LeaseHeld):
        store.acquire("bob@there", 2001.0, 60.0)


def test_a_released_lease_is_free_and_the_epoch_grows(store: Store) -> None:
    held = store.acquire("alice@laptop", 1000.0, 60.0)
    store.release(held)
    store.release(held)
    assert store.acquire("bob@there", 1001.0, 60.0).epoch == held.epoch + 1
    with pytest.raises(LeaseHeld):
        store.renew(held, 1002.0)


def test_after_a_rebuild_the_epoch_is_above_what_nodes_have_seen(store: Store) -> None:
    store.raise_epoch(57)
    store.raise_epoch(3)
    assert store.acquire("alice@laptop", 1000.0, 60.0).epoch == 58


@pytest.mark.parametrize("holders", [2], indirect=True)
def test_of_two_processes_at_once_one_gets_it(holders: list[Holder]) -> None:
    for holder in holders:
        holder.acquire()
    answers = sorted(holder.says() for holder in holders)
    assert answers[0] == "1"
    assert answers[1].startswith("another pass is at work: bob@there")


@pytest.mark.parametrize("holders", [1], indirect=True)
@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_holder_is_replaced_at_once(store: Store, holders: list[Holder], reaped: bool) -> None:
    holder = holders[0]
    holder.acquire()
    assert holder.says() == "1"
    with pytest.raises(LeaseHeld):
        store.acquire("alice@laptop", 1001.0, 60.0)
    assert store.is_leased(1001.0)
    os.kill(holder.process.pid, signal.SIGKILL)
    if reaped:
        holder.process.wait()
    else:
        os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
    assert not store.is_leased(1002.0)
    assert store.acquire("alice@laptop", 1002.0, 60.0).epoch == 2


def test_who_is_surely_dead() -> None:
    me = process.this_process()
    assert not process.surely_dead(me)
    assert process.surely_dead(replace(me, started="1")), "the id is in use again"
    assert not process.surely_dead(replace(me, started="")), "nothing is known of its start"
    nobody = Process(me.host, 2**22 + 1, "1")
    assert process.surely_dead(nobody)
    assert not process.surely_dead(replace(nobody, host="another machine")), "its processes can't be seen from here"
    assert not process.surely_dead(Process(me.host, 1, "")), "somebody else's process"
