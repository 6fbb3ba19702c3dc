"""What passes leave behind: enough to carry on from, and not more every minute."""

from __future__ import annotations

import pytest

from shipyard.base.errors import LeaseHeld
from shipyard.model.event import Event
from shipyard.model.memory import Memory, Placement
from shipyard.model.plan import Outcome, Status
from shipyard.model.retention import Retention
from shipyard.store.store import Store

PLACED = Memory(placements=(Placement("guestbook", "web", 1, "node1", 1, 1),))
DAY = 86_400.0


def run(store: Store, at: float, result: str = "converged", kind: str = "reconcile", changes: int = 0) -> int:
    number = store.begin_pass(kind=kind, holder="alice@laptop", now=at)
    store.end_pass(number, result=result, now=at + 5, changes=changes)
    return number


def test_a_new_store_had_no_pass(store: Store) -> None:
    assert store.last_pass() is None
    assert store.passes() == ()


def test_an_action_is_recorded_before_and_its_outcome_after(store: Store, url: str, pull) -> None:
    number = store.begin_pass(kind="apply", holder="alice@laptop", now=10.0)
    store.begin_wave(number, (pull(1), pull(2, "node2")), PLACED, 11.0)
    with Store.open(url) as other:
        assert [(row.number, row.node, row.status) for row in other.actions(number)] == [
            (1, "node1", "started"),
            (2, "node2", "started"),
        ]
        assert other.memory() == PLACED
    done = Outcome(pull(1), Status.DONE, started=11.5, seconds=2.0)
    failed = Outcome(pull(2, "node2"), Status.FAILED, "manifest unknown\n\ud800")
    event = Event(12.0, "ImagePullFailed", "guestbook/web.1", "manifest unknown", "node2", True)
    store.end_wave(number, (failed, done), Memory(), (event,), 14.0)
    first, second = store.actions(number)
    assert (first.status, first.started, first.seconds, first.verb) == ("done", 11.5, 2.0, "pull-image")
    assert (second.status, second.message, second.started) == ("failed", "manifest unknown\n?", 14.0)
    assert store.memory() == Memory()
    assert [row.event for row in store.events()] == [event]


def test_a_pass_may_have_several_waves_with_the_same_ids(store: Store, pull) -> None:
    number = store.begin_pass(kind="apply", holder="alice@laptop", now=10.0)
    for at in (11.0, 13.0):
        store.begin_wave(number, (pull(1),), Memory(), at)
        store.end_wave(number, (Outcome(pull(1), Status.DONE),), Memory(), (), at + 1)
    assert [(row.wave, row.number, row.status, row.started) for row in store.actions(number)] == [
        (1, 1, "done", 12.0),
        (2, 1, "done", 14.0),
    ]


def test_quiet_passes_are_one_row(store: Store) -> None:
    run(store, 10.0, changes=3)
    for minute in range(1, 6):
        newest = run(store, 60.0 * minute)
    quiet, busy = store.passes()
    assert (quiet.id, quiet.since, quiet.started, quiet.finished, quiet.count) == (newest, 60.0, 300.0, 305.0, 5)
    assert (busy.changes, busy.count) == (3, 1)
    assert store.last_pass() == quiet


@pytest.mark.parametrize("other", [{"result": "blocked"}, {"kind": "apply"}, {"changes": 1}])
def test_a_pass_unlike_the_one_before_has_its_own_row(store: Store, other: dict[str, object]) -> None:
    run(store, 10.0)
    run(store, 20.0, **other)
    run(store, 30.0)
    assert [row.count for row in store.passes()] == [1, 1, 1]


def test_a_pass_whose_actions_failed_keeps_its_row(store: Store, pull) -> None:
    run(store, 10.0, "failed")
    number = store.begin_pass(kind="reconcile", holder="alice@laptop", now=20.0)
    store.begin_wave(number, (pull(1),), Memory(), 21.0)
    store.end_wave(number, (Outcome(pull(1), Status.FAILED, "no"),), Memory(), (), 22.0)
    store.end_pass(number, result="failed", now=23.0, changes=0)
    run(store, 30.0, "failed")
    assert [row.count for row in store.passes()] == [1, 1, 1]
    assert len(store.actions(number)) == 1


def test_a_killed_pass_is_settled_by_the_next(store: Store, pull) -> None:
    killed = store.begin_pass(kind="apply", holder="alice@laptop", now=10.0)
    store.begin_wave(killed, (pull(1), pull(2)), Memory(), 11.0)
    assert store.last_pass().result is None
    run(store, 20.0)
    assert [row.result for row in store.passes()] == ["converged", "killed"]
    assert {row.status for row in store.actions(killed)} == {"unknown"}


def test_a_pass_that_was_settled_as_killed_records_nothing_more(store: Store, pull) -> None:
    killed = store.begin_pass(kind="apply", holder="alice@laptop", now=10.0)
    store.begin_pass(kind="reconcile", holder="bob@there", now=20.0)
    with pytest.raises(LeaseHeld):
        store.begin_wave(killed, (pull(1),), PLACED, 21.0)
    assert (store.actions(killed), store.memory()) == ((), Memory())


def test_a_holder_that_woke_up_does_not_overwrite_its_successors_memory(store: Store, url: str, pull) -> None:
    store.acquire("alice@laptop", 0.0, 60.0)
    slept = store.begin_pass(kind="apply", holder="alice@laptop", now=10.0)
    store.begin_wave(slept, (pull(1),), Memory(), 11.0)
    with Store.open(url) as other:
        other.acquire("bob@there", 100.0, 60.0)
        with pytest.raises(LeaseHeld, match="bob@there"):
            store.end_wave(slept, (Outcome(pull(1), Status.DONE),), PLACED, (), 101.0)
        other.begin_pass(kind="reconcile", holder="bob@there", now=102.0)
        for late in (
            lambda: store.begin_wave(slept, (pull(2),), PLACED, 103.0),
            lambda: store.end_wave(slept, (Outcome(pull(1), Status.DONE),), PLACED, (), 103.0),
            lambda: store.end_pass(slept, result="converged", now=103.0, changes=1),
        ):
            with pytest.raises(LeaseHeld):
                late()
        assert other.memory() == Memory()
    assert [row.status for row in store.actions(slept)] == ["unknown"]


def test_old_passes_go_and_their_actions_with_them(store: Store, pull) -> None:
    store.retention = Retention(passes=3)
    numbers = []
    for at in range(5):
        number = store.begin_pass(kind="apply", holder="alice@laptop", now=float(at))
        store.begin_wave(number, (pull(1),), Memory(), float(at))
        store.end_pass(number, result="changed", now=float(at), changes=1)
        numbers.append(number)
    assert [row.id for row in store.passes()] == numbers[:1:-1]
    assert [len(store.actions(number)) for number in numbers] == [0, 0, 1, 1, 1]


def event(at: float, target: str = "guestbook/web.1", message: str = "made", node: str = "node1") -> Event:
    return Event(at, "Created", target, message, node)


def test_a_repeated_event_is_counted_and_seen_again(store: Store) -> None:
    store.add_events([event(10.0), event(20.0), event(20.0, message="other")])
    seen = store.events()[-1].id
    store.add_events([event(30.0)])
    other, repeated = store.events()
    assert (repeated.count, repeated.first, repeated.event.at) == (3, 10.0, 30.0)
    assert other.event.message == "other"
    assert store.events(since_id=seen) == (repeated,)


@pytest.mark.parametrize(
    "later", [event(10.0 + 3601), event(11.0, node="node2"), event(11.0, target="guestbook/web.2")]
)
def test_other_events_are_not_repetitions(store: Store, later: Event) -> None:
    store.add_events([event(10.0)])
    store.add_events([later])
    assert [row.count for row in store.events()] == [1, 1]


def test_events_are_found_by_stack_and_node(store: Store) -> None:
    targets = ["a", "a/web.1", "a_default", "a_b/web.1", "ab/web.1", "a%/web.1", "node1"]
    store.add_events([event(float(at), target, node="node2") for at, target in enumerate(targets)])

    def found(**by: str) -> list[str]:
        return [row.event.target for row in store.events(**by)]

    assert found(stack="a") == ["a", "a/web.1", "a_default"]
    assert found(stack="a_b") == ["a_b/web.1"]
    assert found(stack="a%") == ["a%/web.1"]
    assert found(node="node1") == ["node1"]
    assert len(found(node="node2")) == len(targets)


def test_the_newest_events_or_those_after_one(store: Store) -> None:
    store.add_events([event(float(at), f"s/web.{at}") for at in range(10)])
    rows = store.events(limit=3)
    assert [row.event.at for row in rows] == [7.0, 8.0, 9.0]
    after = store.events(since_id=rows[0].id - 5, limit=3)
    assert [row.event.at for row in after] == [3.0, 4.0, 5.0]
    assert store.events(since_id=rows[-1].id) == ()


def test_old_and_too_many_events_go(store: Store) -> None:
    store.retention = Retention(events=4)
    store.add_events([event(float(at), f"s/web.{at}") for at in range(10)])
    assert [row.event.at for row in store.events()] == [6.0, 7.0, 8.0, 9.0]
    store.add_events([event(31 * DAY)])
    assert [row.event.at for row in store.events()] == [31 * DAY]


def test_a_year_of_a_pass_a_minute_does_not_fill_the_disk(store: Store) -> None:
    """Each pass sees the same two things; only counts grow."""
    for minute in range(50):
        number = store.begin_pass(kind="reconcile", holder="alice@laptop", now=60.0 * minute)
        store.add_events([event(60.0 * minute, message=f"can't: {reason}") for reason in "ab"])
        store.end_pass(number, result="blocked", now=60.0 * minute, changes=0)
    assert (len(store.passes()), len(store.events())) == (1, 2)
