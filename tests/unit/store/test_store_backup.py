"""A backup is whole and private; a restored store goes on where the lost one ended."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, StoreError
from shipyard.model.event import Event
from shipyard.store import backup
from shipyard.store.store import Store


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "OTHERS_MAY_END", 0.05)


def fill(store: Store, stack, *images: str) -> None:
    for image in images:
        store.add_revision(stack("guestbook", image), author="a@b", files=(), now=100.0)


def image(store: Store) -> str:
    return store.heads()[0].revision.spec.services[0].container.image


def test_a_backup_is_one_private_whole_file(store: Store, copy: Path, stack) -> None:
    fill(store, stack, "a")
    before = os.umask(0)
    try:
        store.backup(copy)
    finally:
        os.umask(before)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(path.name for path in copy.parent.iterdir()) == [".shipyard", "backup.db"]
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        assert database.execute("SELECT stack, number FROM revisions").fetchall() == [("guestbook", 1)]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_replaces_a_backup_and_nothing_else(store: Store, copy: Path, path: Path, tmp_path: Path) -> None:
    store.backup(copy)
    store.backup(copy)
    playbook = tmp_path / "guestbook.yml"
    playbook.write_text("- hosts: all\n")
    with pytest.raises(StoreError, match="is no backup"):
        store.backup(playbook)
    assert playbook.read_text() == "- hosts: all\n"
    with pytest.raises(StoreError, match="the store itself"):
        store.backup(path)


def test_a_backup_that_can_not_be_written_says_so_of_its_own_place(store: Store, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "backup.db"
    with pytest.raises(StoreError) as caught:
        store.backup(missing)
    assert caught.value.message == f"the backup {missing} can't be written: No such file or directory"
    assert caught.value.hint == "make its directory first, or name another file"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        store.backup(tmp_path / "file" / "backup.db")
    assert "Not a directory" in caught.value.message
    assert caught.value.hint == "look at the rights and the free space of its directory, or name another file"


def test_a_damaged_store_is_not_backed_up_over_a_good_backup(store: Store, url: str, copy: Path, path: Path) -> None:
    store.backup(copy)
    good = copy.read_bytes()
    store.add_events([Event(1.0, "Created", f"guestbook/web.{slot}", "made " * 100) for slot in range(200)])
    store.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 12288)  # among the events, which opening does not read
        file.write(b"\xff" * 8192)
    with Store.open(url) as damaged, pytest.raises(StoreError, match="damaged"):
        damaged.backup(copy)
    assert copy.read_bytes() == good
    assert [each.name for each in copy.parent.iterdir() if each.name.endswith(".part")] == []


def test_a_store_comes_back_and_counts_on(store: Store, url: str, copy: Path, stack) -> None:
    fill(store, stack, "a", "b")
    store.acquire("alice@laptop", 100.0, 1e12)
    store.backup(copy)
    fill(store, stack, "c", "d")
    store.add_revision(stack("later", "x"), author="a@b", files=(), now=200.0)
    store.raise_epoch(41)
    cluster, uuid = store.cluster, store.uuid
    lease_free(store)
    store.close()
    Store.restore(url, copy)
    with Store.open(url) as restored:
        assert (restored.cluster, restored.uuid) == (cluster, uuid)
        assert image(restored) == "b"
        assert restored.now(1.0) >= 200.0
        assert restored.acquire("bob@there", 300.0, 60.0).epoch == 42, "the nodes have seen 41"
        assert restored.add_revision(stack("guestbook", "e"), author="a@b", files=(), now=1.0).number == 5
        assert restored.add_revision(stack("later", "y"), author="a@b", files=(), now=1.0).number == 2


def lease_free(store: Store) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE lease SET holder = ''")


def test_the_old_store_is_kept_every_time(store: Store, url: str, copy: Path, path: Path, stack) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    fill(store, stack, "b")
    store.close()
    Store.restore(url, copy)
    Store.restore(url, copy)
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "state.db",
        "state.db.before-restore",
        "state.db.before-restore-2",
        "state.db.lock",
    ]
    with Store.open(str(path) + ".before-restore") as old:
        assert image(old) == "b"
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_a_store_is_restored_where_there_is_none(store: Store, copy: Path, tmp_path: Path, stack) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    elsewhere = tmp_path / "elsewhere" / "state.db"
    Store.restore(str(elsewhere), copy)
    with Store.open(str(elsewhere), create=False) as restored:
        assert image(restored) == "a"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"x" * 5000, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_store_is_replaced(store: Store, url: str, copy: Path, path: Path, stack, damage: bytes) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    store.close()
    path.write_bytes(damage)
    Store.restore(url, copy)
    with Store.open(url) as restored:
        assert image(restored) == "a"


def test_a_log_left_behind_is_not_taken_for_the_new_stores(
    store: Store, url: str, copy: Path, path: Path, stack
) -> None:
    """After a crash the newest changes are in the log beside the store; they belong to the old one alone."""
    fill(store, stack, "a")
    store.backup(copy)
    fill(store, stack, "b")
    saved = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    store.close()
    for name, content in saved.items():
        (path.parent / name).write_bytes(content)
    assert saved["state.db-wal"]
    Store.restore(url, copy)
    with Store.open(url) as restored:
        assert image(restored) == "a"
    with Store.open(str(path) + ".before-restore") as old:
        assert image(old) == "b"


def test_a_damaged_stores_log_is_not_taken_for_the_new_ones(
    store: Store, url: str, copy: Path, path: Path, stack
) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    fill(store, stack, "b")
    log = path.with_name("state.db-wal").read_bytes()
    store.close()
    path.write_bytes(b"x" * 5000)
    path.with_name("state.db-wal").write_bytes(log)
    Store.restore(url, copy)
    with Store.open(url) as restored:
        assert image(restored) == "a"
    assert path.with_name("state.db.before-restore-wal").read_bytes() == log


def test_a_restore_that_dies_before_its_end_leaves_the_old_store(
    store: Store, url: str, copy: Path, path: Path, stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    fill(store, stack, "b")
    saved = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    store.close()
    for name, content in saved.items():
        (path.parent / name).write_bytes(content)

    def die(part: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_put", die)
    with pytest.raises(StoreError, match="No space left"):
        Store.restore(url, copy)
    with Store.open(url) as old:
        assert image(old) == "b"
    assert not [each.name for each in path.parent.iterdir() if each.name.endswith(".part")]


def test_nothing_is_restored_while_a_pass_is_at_work(store: Store, url: str, copy: Path, stack) -> None:
    fill(store, stack, "a")
    store.backup(copy)
    with pytest.raises(StoreError, match="in use by another shipyard"):
        Store.restore(url, copy)
    store.acquire("alice@laptop", clock.now(), 60.0)
    with pytest.raises(LeaseHeld, match="alice@laptop"):
        Store.restore(url, copy)
    fill(store, stack, "b")
    assert image(store) == "b"


def test_what_is_no_backup_is_not_restored(store: Store, url: str, copy: Path, tmp_path: Path, stack) -> None:
    fill(store, stack, "a")
    store.add_events([Event(1.0, "Created", "unmistakable", "made")])
    store.backup(copy)
    store.close()
    bad = tmp_path / "bad.db"
    whole = copy.read_bytes()
    cases = {
        "no SQLite database": b"- hosts: all\n",
        "is empty": b"",
        "damaged": whole[:20480] + b"\xff" * 8192 + whole[28672:],
        "is damaged: row 1 missing from index": whole.replace(b"unmistakable", b"inconsistent", 1),
    }
    for words, content in cases.items():
        assert content != whole
        bad.write_bytes(content)
        with pytest.raises(StoreError, match=words):
            Store.restore(url, bad)
    bad.unlink()
    with pytest.raises(StoreError, match="no store at"):
        Store.restore(url, bad)
    with closing(sqlite3.connect(bad)) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(StoreError, match="not a store"):
        Store.restore(url, bad)
    with closing(sqlite3.connect(copy)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    with pytest.raises(StoreError, match="schema 9999"):
        Store.restore(url, copy)
    with Store.open(url) as unharmed:
        assert image(unharmed) == "a"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".shipyard", "backup.db", "bad.db"]
