"""The planner's memory comes back as it was saved, whoever saved it."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, insert

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.model.inventory import Become, Connection
from shipyard.model.job import Job, JobRun, JobTask
from shipyard.model.memory import (
    Attempts,
    Departed,
    Evacuation,
    FailedFencing,
    Failures,
    Home,
    KnownVolume,
    Memory,
    Nameless,
    NodeMemory,
    Placement,
    Rollout,
    Stumbles,
)
from shipyard.model.netbook import NetworkDriver
from shipyard.model.node import Availability, Node, NodeState
from shipyard.model.observed import Facts
from shipyard.store.records import StoredNode
from shipyard.store.schema import remembered
from shipyard.store.store import Store

TASK = JobTask(7, 0, "running", "node1", machine="m", attempt=2, failures=1, started=3.5)
MEMORY = Memory(
    placements=(Placement("db", "redis", 1, "node2", 4, 2), Placement("web", "web", 2, "node1", 1, 3)),
    failures=(
        Failures("web", "web", 2, "v1:ab", 3, 90.0, "ImagePullFailed", "no such image\n\x1b[31m", "id", 2, 80.0),
    ),
    nodes=(NodeMemory("node1", NodeState.READY, 1.0), NodeMemory("node2", NodeState.LOST, 5.0, 9, 400.0, 8.0, 2.0)),
    volumes=(KnownVolume("node2", "db_data", "db"),),
    rollouts=(Rollout("web", "web", 3, "paused", 5.0, "web.2 is\nunhealthy"),),
    stumbles=(Stumbles("web", "web", "node1", (70.0, 80.5)),),
    nameless=(Nameless("web", "web", 2, "", "node1", (("/data", "ab12"),)),),
    attempts=(Attempts("web", "web", 2, "v1:ab", 3, "id", 2),),
    departed=(Departed("web", "web", 2, "node2", 1), Departed("web", "web", 2, "node3", 2, decided=True)),
    homes=(Home("web", "web", 2, "web_data", "node2"),),
    evacuations=(Evacuation("node2", 410.0),),
    fencings=(FailedFencing("node3", 420.0, "no such plug"),),
    jobs=(Job("web", "job", "@daily UTC", 1.0, 2.0, 7, (JobRun(7, "due-2", "schedule", "ab", 3, tasks=(TASK,)),)),),
    network_drivers=(NetworkDriver("web_default", "vxlan"),),
)


def test_an_empty_store_remembers_nothing(store: Store) -> None:
    assert store.memory() == Memory()


def test_it_comes_back_as_it_was_saved(store: Store, url: str) -> None:
    store.save_memory(MEMORY)
    assert store.memory() == MEMORY
    with Store.open(url) as other:
        assert other.memory() == MEMORY
        assert isinstance(other.memory().nodes[0].state, NodeState)


def test_what_a_newer_shipyard_remembers_is_an_error_that_says_so(store: Store, url: str) -> None:
    store.save_memory(MEMORY)
    engine = create_engine(url)
    with engine.begin() as connection:
        body = '{"node":"n1","of_another_version":1}'
        connection.execute(insert(remembered).values(kind="wired", key='["n1"]', body=body))
    engine.dispose()
    with (
        Store.open(url) as other,
        pytest.raises(StoreError, match=r"wired can't be read.*of_another_version") as caught,
    ):
        other.memory()
    assert "newer shipyard" in (caught.value.hint or "")


def test_what_is_gone_is_gone_and_what_changed_is_changed(store: Store, url: str) -> None:
    store.save_memory(MEMORY)
    later = replace(MEMORY, placements=(replace(MEMORY.placements[1], node="node2", incarnation=2),), failures=())
    store.save_memory(later)
    with Store.open(url) as other:
        assert other.memory() == later


def test_two_processes_do_not_mix_their_memories(store: Store, url: str) -> None:
    """Each writes differences, but from what is there, not from what it believes to be there."""
    store.save_memory(MEMORY)
    with Store.open(url) as other:
        other.save_memory(Memory(volumes=MEMORY.volumes))
        assert store.memory() == Memory(volumes=MEMORY.volumes)
        other.save_memory(Memory(placements=MEMORY.placements[:1]))
        store.save_memory(MEMORY)
        assert other.memory() == MEMORY


def test_both_failures_of_a_slot_are_kept(store: Store, url: str) -> None:
    """They are counted for each spec by itself."""
    old, new = Failures("web", "web", 1, "v1:a", 5), Failures("web", "web", 1, "v1:b", 1)
    store.save_memory(Memory(failures=(old, new)))
    with Store.open(url) as other:
        assert other.memory().failures == (old, new)


def test_words_that_no_database_takes(store: Store, url: str) -> None:
    store.save_memory(Memory(nodes=(NodeMemory("node1", message="a\0b\ud800c"),)))
    with Store.open(url) as other:
        assert other.memory().nodes[0].message == "ab?c"


NODE = StoredNode(
    Node("node1", "10.0.0.1", ("web",), (("disk", "ssd"),), Availability.DRAIN, runtime="podman", node_id="n-1"),
    Connection(address="10.0.0.1", user="ops", password="s3cret", become=Become("root", "s3cret2")),
    first_seen=5.0,
    facts=Facts(node_id="n-1", cpus=4, clock=100.0, uptime=50.0),
)


def test_nodes_come_back_without_their_passwords(store: Store, url: str, path) -> None:
    store.save_nodes([NODE])
    with Store.open(url) as other:
        (stored,) = other.nodes()
    assert stored == replace(NODE, connection=Connection(address="10.0.0.1", user="ops", become=Become("root")))
    store.close()
    assert b"s3cret" not in path.read_bytes()


def test_other_nodes_stay_and_the_first_sight_is_remembered(store: Store) -> None:
    store.save_nodes([NODE])
    second = StoredNode(Node("node0"), Connection(kind="local"), 9.0)
    store.save_nodes([second])
    moved = replace(NODE, node=replace(NODE.node, address="10.0.0.2"), first_seen=99.0, facts=None)
    store.save_nodes([moved])
    assert [stored.node.name for stored in store.nodes()] == ["node0", "node1"]
    assert (store.nodes()[1].node.address, store.nodes()[1].first_seen) == ("10.0.0.2", 5.0)


def test_a_clock_that_ticks_is_no_change(store: Store) -> None:
    store.save_nodes([NODE])
    assert NODE.facts is not None
    store.save_nodes([replace(NODE, facts=replace(NODE.facts, clock=160.0, uptime=110.0))])
    assert store.nodes()[0].facts == NODE.facts
    store.save_nodes([replace(NODE, facts=replace(NODE.facts, cpus=8))])
    assert store.nodes()[0].facts == replace(NODE.facts, cpus=8)


def test_a_removed_node_is_forgotten_with_what_was_on_it(store: Store) -> None:
    store.save_nodes([NODE])
    store.save_memory(MEMORY)
    store.remove_node("node2")
    store.remove_node("node1")
    assert store.nodes() == ()
    assert store.memory() == replace(MEMORY, nodes=(), volumes=())


def test_what_people_decided_about_a_node_outlives_a_pass_that_began_before(store: Store) -> None:
    before = StoredNode(Node("n1"), Connection(address="n1"))
    store.save_nodes([before])
    store.decide(Node("n1", availability=Availability.DRAIN, drain_until=7.0, dead=True))
    store.save_nodes([replace(before, node=Node("n1", runtime="podman"))])
    (kept,) = store.nodes()
    assert kept.node == Node("n1", runtime="podman", availability=Availability.DRAIN, drain_until=7.0, dead=True)
    store.decide(Node("unknown", dead=True))
    assert store.nodes() == (kept,)
