"""Revisions are immutable, numbered for ever, and kept for as long as somebody may need them."""

from __future__ import annotations

import pytest

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.model import canonical
from shipyard.model.memory import Failures, KnownVolume, Memory, Placement, Rollout
from shipyard.model.retention import Retention
from shipyard.model.spec import Revision, StackSpec
from shipyard.store.records import Head
from shipyard.store.store import Store


def add(store: Store, spec: StackSpec, now: float = 1.0) -> Revision:
    return store.add_revision(spec, author="alice@laptop", files=("playbooks/guestbook.yml",), now=now)


def numbers(store: Store, name: str = "guestbook") -> list[int]:
    return [row.number for row in store.revisions(name)]


def test_applying_the_same_again_makes_no_revision(store: Store, stack) -> None:
    first = add(store, stack("guestbook", "a"))
    again = store.add_revision(stack("guestbook", "a"), author="bob@there", files=("other.yml",), now=9.0)
    assert again == first
    assert (first.number, first.author, first.files) == (1, "alice@laptop", ("playbooks/guestbook.yml",))
    assert first.digest == canonical.stack_digest(first.spec)


def test_going_back_is_a_new_revision(store: Store, stack) -> None:
    for image in ("a", "b", "a"):
        add(store, stack("guestbook", image))
    assert numbers(store) == [3, 2, 1]
    assert store.heads()[0].revision.spec == stack("guestbook", "a")


def test_heads_are_sorted_and_whole_also_for_another_process(store: Store, url: str, stack) -> None:
    stored = [add(store, stack(name, "a")) for name in ("web", "db")]
    expected = (Head(stored[1]), Head(stored[0]))
    assert store.heads() == expected
    with Store.open(url) as other:
        assert other.heads() == expected
        changed = add(store, stack("db", "b"))
        assert other.heads()[0] == Head(changed)


def test_the_newest_ten_and_those_in_use_are_kept(store: Store, stack) -> None:
    add(store, stack("guestbook", "v1"))
    placed = Placement("guestbook", "web", 1, "node1", 1, 1)
    store.save_memory(Memory(placements=(placed,)))
    for version in range(2, 15):
        add(store, stack("guestbook", f"v{version}"))
    assert numbers(store) == [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 1]
    store.save_memory(Memory(placements=(replace(placed, revision=14),)))
    add(store, stack("guestbook", "v15"))
    assert numbers(store)[-1] == 6
    store.retention = Retention(revisions=2)
    add(store, stack("guestbook", "v16"))
    assert numbers(store) == [16, 15, 14]


def test_one_revision(store: Store, url: str, stack) -> None:
    first, second = add(store, stack("guestbook", "a")), add(store, stack("guestbook", "b"))
    assert store.revision("guestbook", 1) == first
    with Store.open(url) as other:
        assert other.revision("guestbook", 2) == second
    assert store.revision("guestbook", 3) is None
    assert store.revision("other", 1) is None
    assert store.revisions("other") == ()


def test_a_note_says_why(store: Store, stack) -> None:
    store.add_revision(stack("guestbook", "a"), author="a@b", files=("x.yml", "y.yml"), now=5.0, note="rollback to 2")
    (row,) = store.revisions("guestbook")
    assert (row.note, row.files, row.created) == ("rollback to 2", ("x.yml", "y.yml"), 5.0)


def test_a_stack_that_is_removed_and_wanted_again(store: Store, stack) -> None:
    revision = add(store, stack("guestbook", "a"))
    store.mark_removing("guestbook", 2.0)
    assert store.heads() == (Head(revision, removing=True),)
    assert add(store, stack("guestbook", "a")) == revision
    assert store.heads() == (Head(revision),)
    store.mark_removing("guestbook", 3.0)
    assert store.heads()[0].removing
    assert add(store, stack("guestbook", "b")).number == 2
    assert not store.heads()[0].removing


def test_a_forgotten_stack_leaves_its_numbers_and_its_volumes(store: Store, stack) -> None:
    add(store, stack("guestbook", "a"))
    add(store, stack("other", "a"))
    kept = Placement("other", "web", 1, "node1", 1, 1)
    volume = KnownVolume("node1", "guestbook_data", "guestbook")
    store.save_memory(
        Memory(
            placements=(Placement("guestbook", "web", 1, "node1", 1, 1), kept),
            failures=(Failures("guestbook", "web", 1, "v1:0", 3),),
            volumes=(volume,),
        )
    )
    store.forget_stack("guestbook")
    assert [head.revision.stack for head in store.heads()] == ["other"]
    assert store.revisions("guestbook") == ()
    assert store.memory() == Memory(placements=(kept,), volumes=(volume,))
    assert add(store, stack("guestbook", "a")).number == 2


def test_an_unknown_stack_can_not_be_removed(store: Store, stack) -> None:
    add(store, stack("guestbook", "a"))
    with pytest.raises(StoreError, match="no stack guestbok") as caught:
        store.mark_removing("guestbok", 1.0)
    assert "guestbook" in str(caught.value.hint)


def test_revisions_that_nodes_kept_keep_their_numbers(store: Store, stack) -> None:
    old, new = stack("guestbook", "a"), stack("guestbook", "b")
    for number, spec in ((7, new), (5, old)):
        digest = canonical.stack_digest(spec)
        revision = Revision("guestbook", number, spec, digest, 5.0, "alice@laptop", ("x.yml",))
        store.import_state([revision], Memory())
    assert store.heads()[0].revision.number == 7
    assert add(store, new).number == 7
    assert add(store, old).number == 8
    assert numbers(store) == [8, 7, 5]


def test_two_revisions_of_one_number_can_not_both_be(store: Store, stack) -> None:
    first = add(store, stack("guestbook", "a"))
    store.import_state([first], Memory())
    other = stack("guestbook", "b")
    with pytest.raises(StoreError, match="revision 1 of guestbook"):
        store.import_state([replace(first, spec=other, digest=canonical.stack_digest(other))], Memory())


def test_a_body_of_a_newer_shipyard_is_no_traceback(store: Store, url: str, path, stack) -> None:
    add(store, stack("guestbook", "a"))
    with store._database.writing() as connection:
        connection.exec_driver_sql("""UPDATE revisions SET body = '{"name":"guestbook","colour":"red"}'""")
    with Store.open(url) as other, pytest.raises(StoreError, match="StackSpec has no field colour"):
        other.heads()


def test_half_a_character_is_no_traceback(store: Store, stack) -> None:
    with pytest.raises(StoreError, match="guestbook"):
        add(store, stack("guestbook", "a\ud800"))
    assert store.heads() == ()


def test_revisions_that_an_update_may_go_back_to_are_kept(store: Store, stack) -> None:
    for number in range(3):
        add(store, stack("guestbook", f"image{number}"))
    store.save_memory(Memory(rollouts=(Rollout("guestbook", "web", 3, "paused", before=2),)))
    for number in range(3, 15):
        add(store, stack("guestbook", f"image{number}"))
    assert numbers(store) == [*range(15, 5, -1), 3, 2]
