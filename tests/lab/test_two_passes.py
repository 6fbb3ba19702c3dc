"""Two masters at one store: one at a time, whoever died or was told to stop lets the next one in at once."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from shipyard.reconcile.keeper import whoami
from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, ids, states
from tests.lab.underway import REMOVING, SLOW, at_work, held, until


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What is started here heeds Ctrl-C, also where the tests themselves were started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def holder(fleet: Fleet) -> str:
    """Who holds the lease, "" for nobody."""
    with closing(sqlite3.connect(f"file:{fleet.project}/.shipyard/state.db?mode=ro", uri=True)) as store:
        row = store.execute("SELECT holder FROM lease").fetchone()
    return str(row[0]) if row else ""


@pytest.mark.matrix
def test_a_second_pass_names_the_holder_and_a_dead_holder_is_nobody(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.write("shop.yml", WEB.replace("GREETING", "WELCOME"))
    with held(fleet, REMOVING, ("node1",)) as reached, fleet.start("apply", "shop.yml") as applying:
        try:
            until(reached, applying, every=0.2)
            fleet.write("shop.yml", WEB.replace("GREETING", "FAREWELL"))
            for command in (
                ("reconcile",),
                ("reconcile", "--once"),
                ("apply", "shop.yml"),
                ("rm", "shop", "--yes"),
            ):
                refused = fleet.shipyard(*command).expect(75)
                assert whoami() in refused.stderr
                assert f"pid {applying.pid}" in refused.stderr
            silent = fleet.shipyard("reconcile", "--cron").expect(75)
            assert (silent.stdout, silent.stderr) == ("", "")
            assert len(fleet.shipyard("history", "shop", "-o", "json").expect(0).json) == 2
        finally:
            applying.kill()
    fleet.shipyard("reconcile").expect(0)
    assert len(ids(fleet)) == 3


@pytest.mark.matrix
def test_who_gives_a_command_waits_for_the_round_of_a_watch(fleet: Fleet) -> None:
    fleet.write("shop.yml", SLOW)
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.write("shop.yml", SLOW.replace("GREETING", "WELCOME"))
    with fleet.start("apply", "shop.yml") as applying:
        until(lambda: at_work(fleet), applying)
        applying.kill()
        applying.communicate()
    with fleet.start("reconcile", "--watch", "--interval", "300") as watching:
        try:
            until(lambda: holder(fleet).endswith("watching"), watching)
            scaled = fleet.shipyard("scale", "shop/web=2").expect(0)
            assert f"watching (pid {watching.pid})" in scaled.stdout
            assert "waiting for it to end" in scaled.stdout
        finally:
            watching.kill()
            watching.communicate()
    assert len(ids(fleet)) == 2


BESIDE = (
    WEB
    + """
    greet:
      image: shipyard.test/busybox:1
      command: [echo, hello]
      deploy: {mode: replicated-job}
"""
)


def test_a_watch_lets_others_in_between_its_rounds_and_sees_what_they_did(fleet: Fleet) -> None:
    fleet.write("shop.yml", BESIDE)
    fleet.shipyard("apply", "shop.yml").expect(0)
    with fleet.start("reconcile", "--watch", "--interval", "1") as watching:
        try:
            until(lambda: holder(fleet) != "", watching)
            ran = fleet.shipyard("job", "run", "shop/greet").expect(0)
            assert "Run 2 of shop/greet: succeeded" in ran.stdout
            fleet.shipyard("scale", "shop/web=4").expect(0)
            fleet.shipyard("restart", "shop/web").expect(0)
            fleet.write("shop.yml", BESIDE.replace("GREETING", "WELCOME"))
            fleet.shipyard("apply", "shop.yml").expect(0)
            served = {name: each for name, each in ids(fleet).items() if name.startswith("shop-web-")}
            assert len(served) == 3
            gone, identity = next(iter(served.items()))
            node = next(name for name in fleet.names if gone in fleet.containers(name))
            fleet.runtime_cli(node, "rm", "-f", identity)
            until(lambda: len([name for name in ids(fleet) if name.startswith("shop-web-")]) == 3, watching)
            after = {name: each for name, each in ids(fleet).items() if name.startswith("shop-web-")}
            assert len(set(served.values()) & set(after.values())) == 2, "what the others made is not made once more"
        finally:
            watching.kill()
            watching.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.matrix)])
def test_told_to_stop_it_stops_and_lets_the_next_one_in(fleet: Fleet, sent: signal.Signals) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    _in_the_middle_of_an_apply(fleet, sent)
    _between_passes(fleet, sent)


def _in_the_middle_of_an_apply(fleet: Fleet, sent: signal.Signals) -> None:
    before = ids(fleet)
    fleet.write("shop.yml", WEB.replace("GREETING", "WELCOME"))
    with fleet.start("apply", "shop.yml") as applying:
        with held(fleet, REMOVING, ("node1",)) as reached:
            until(reached, applying, every=0.2)
            applying.send_signal(sent)
            time.sleep(0.3)
        out, err = applying.communicate(timeout=60)
    assert applying.returncode == 130, (out, err)
    assert "Traceback" not in out + err
    assert "interrupted" in err
    assert "the same command again goes on" in err
    assert holder(fleet) == ""
    fleet.shipyard("reconcile").expect(0)
    assert len(ids(fleet)) == 3
    assert not set(before.values()) & set(ids(fleet).values())
    assert set(states(fleet).values()) == {"running"}
    fleet.shipyard("reconcile", "--check").expect(0)


def _between_passes(fleet: Fleet, sent: signal.Signals) -> None:
    with fleet.start("reconcile", "--watch", "--interval", "300") as watching:
        until(lambda: holder(fleet) != "", watching)
        time.sleep(1)
        watching.send_signal(sent)
        out, err = watching.communicate(timeout=30)
    assert watching.returncode == 130, (out, err)
    assert holder(fleet) == ""
    fleet.shipyard("reconcile").expect(0)
