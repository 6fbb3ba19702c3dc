"""Many nodes at once. All of them are this machine, so no sshd is needed."""

from __future__ import annotations

import threading

import pytest

from shipyard.base.errors import NodeError, NotObserved, TimedOut, Truncated, Unreachable
from shipyard.model.inventory import Connection
from shipyard.transport.connection import NodeConnection
from shipyard.transport.fleet import Fleet
from shipyard.transport.local import LocalConnection

HERE = Connection(kind="local")
NAMES = tuple(f"node{number}" for number in range(10))


def fleet(**changes: int) -> Fleet:
    return Fleet(dict.fromkeys(NAMES, HERE), **changes)


def test_every_node_has_its_own_outcome_in_the_order_asked_for() -> None:
    def work(node: NodeConnection) -> str:
        if node.node == "node3":
            raise NotObserved(node.node, "not me")
        return node.node.upper()

    outcomes = fleet().each(reversed(NAMES), work)
    assert list(outcomes) == list(reversed(NAMES))
    assert isinstance(outcomes.pop("node3"), NotObserved)
    assert all(outcome == name.upper() for name, outcome in outcomes.items())


def test_no_more_at_once_than_allowed() -> None:
    at_work: list[str] = []
    most = 0
    lock = threading.Lock()
    together = threading.Barrier(2)

    def work(node: NodeConnection) -> None:
        nonlocal most
        with lock:
            at_work.append(node.node)
            most = max(most, len(at_work))
        together.wait(10)
        with lock:
            at_work.remove(node.node)

    fleet(forks=2).each(NAMES, work)
    assert most == 2


def test_the_connection_of_a_node_is_kept() -> None:
    nodes = fleet()
    assert nodes.open("node1") is nodes.open("node1")


def test_a_bug_is_raised_and_what_waits_is_not_begun() -> None:
    begun: list[str] = []

    def work(node: NodeConnection) -> None:
        begun.append(node.node)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fleet(forks=1).each(NAMES, work)
    assert len(begun) < len(NAMES)


def test_no_nodes_and_unknown_ones() -> None:
    assert fleet().each((), lambda node: node.node) == {}
    outcome = fleet().each(["missing"], lambda node: node.node)["missing"]
    assert isinstance(outcome, NodeError)
    winrm = Fleet({"node1": Connection(kind="winrm")}).each(["node1"], lambda node: node.node)["node1"]
    assert "winrm" in str(winrm)


def test_a_local_command_has_a_status_and_two_outputs_and_no_input() -> None:
    done = fleet().open("node1").run(b"echo out; echo err >&2; cat; exit 3", timeout=20)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert fleet().open("node1").run(b"kill -9 $$", timeout=20).status == 137


def test_a_local_command_ends_in_time_and_says_only_so_much() -> None:
    with pytest.raises(TimedOut):
        fleet().open("node1").run(b"sleep 60 & sleep 61", timeout=0.2)
    with pytest.raises(Truncated):
        fleet().open("node1").run(b"yes", timeout=20, max_bytes=100_000)


def test_a_large_script_and_large_outputs_do_not_block_each_other() -> None:
    script = b"head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2\n" + b"# padding\n" * 30_000
    done = fleet().open("node1").run(script, timeout=20)
    assert (done.status, len(done.stdout), len(done.stderr)) == (0, 300_000, 300_000)


def test_a_local_command_is_followed() -> None:
    heard: list[bytes] = []
    assert fleet().open("node1").stream(b"echo one; echo two >&2; exit 2", heard.append, heard.append) == 2
    assert sorted(b"".join(heard).split()) == [b"one", b"two"]


def test_who_was_called_is_waited_for_and_fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is connected to twice because two wanted to; an error reaches whoever asks first, and is then over."""
    opened: list[str] = []
    answering = threading.Event()

    def slowly(connection: LocalConnection) -> None:
        opened.append(connection.node)
        answering.wait(10)
        if connection.node == "node1" and opened.count("node1") == 1:
            raise Unreachable("node1", "nobody there")

    monkeypatch.setattr(LocalConnection, "open", slowly)
    nodes = fleet(forks=2)
    nodes.call(["node0", "node1", "node2"])
    threading.Timer(0.05, answering.set).start()
    assert nodes.open("node0").node == "node0"
    with pytest.raises(Unreachable, match="nobody there"):
        nodes.open("node1")
    assert nodes.open("node1").node == "node1"
    assert opened.count("node1") == 2  # the call, and the second time that it was asked for


def test_other_hosts_can_be_reached_later() -> None:
    nodes = Fleet({"node1": HERE})
    kept = nodes.open("node1")
    nodes.reach({"node1": HERE, "node2": HERE})
    assert (nodes.open("node1"), nodes.open("node2").node) == (kept, "node2")
