"""A store is found, made or refused, with words that say which and why."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shipyard.base.errors import StoreError
from shipyard.model.event import Event
from shipyard.store import location
from shipyard.store.store import Store

NOBODY = 65534


@contextmanager
def without_root(directory: Path) -> Iterator[None]:
    """As a user to whom rights apply, but who may look into the test's directory as its owner does."""
    if os.geteuid() != 0:
        yield
        return
    private = [each for each in directory.parents if each.owner() == "root" and each.stat().st_mode & 0o011 != 0o011]
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in private}
    for each in private:
        each.chmod(modes[each] | 0o011)
    directory.chmod(stat.S_IMODE(directory.stat().st_mode) | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for each in private:
            each.chmod(modes[each])


def refusal(url: str, *, create: bool = True) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(url, create=create)
    assert caught.value.hint
    return str(caught.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_store_is_private_whatever_the_umask(url: str, path: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(url) as store:
            store.raise_epoch(1)
            assert mode(path.parent) == 0o700
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == ["state.db", "state.db-shm", "state.db-wal", "state.db.lock"]
            assert {mode(file) for file in files} == {0o600}
    finally:
        os.umask(before)


def test_a_store_that_others_could_read_is_made_private(url: str, path: Path) -> None:
    Store.open(url).close()
    path.chmod(0o644)
    Store.open(url).close()
    assert mode(path) == 0o600


def test_opened_again_it_is_the_same(url: str, path: Path) -> None:
    with Store.open(url) as first, Store.open(str(path)) as second:
        assert (first.cluster, first.uuid) == (second.cluster, second.uuid)
        assert len(first.cluster) == 12


def test_two_stores_are_not_the_same(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "a.db")) as first, Store.open(str(tmp_path / "b.db")) as second:
        assert first.cluster != second.cluster
        assert first.uuid != second.uuid


def test_the_cluster_can_be_given_and_adopted(url: str, stack) -> None:
    with Store.create(url, cluster="c0ffee") as store:
        assert store.cluster == "c0ffee"
        store.adopt_cluster("facade")
        store.add_revision(stack("guestbook", "a"), author="a@b", files=(), now=1.0)
        with pytest.raises(StoreError, match="facade"):
            store.adopt_cluster("c0ffee")
    with Store.open(url, cluster="decade") as store:
        assert store.cluster == "facade"


def test_create_makes_no_second_one(url: str) -> None:
    Store.create(url).close()
    with pytest.raises(StoreError, match="already"):
        Store.create(url)


def test_a_missing_store_is_not_made_unasked(url: str, path: Path) -> None:
    assert "there is no store at" in refusal(url, create=False)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    assert "no store in it" in refusal(url, create=False)


def test_an_empty_file_becomes_a_store(url: str, path: Path) -> None:
    """A process that was killed while it made one leaves this."""
    path.parent.mkdir()
    path.touch()
    Store.open(url).close()


def test_a_directory_is_in_the_way(url: str, path: Path) -> None:
    path.mkdir(parents=True)
    assert "that is a directory" in refusal(url)


def test_a_pipe_is_not_waited_for(url: str, path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    assert "not a regular file" in refusal(url)


def test_a_file_is_where_the_directory_should_be(url: str, path: Path) -> None:
    path.parent.write_text("")
    assert "can't be opened" in refusal(url)


@pytest.mark.parametrize("content", [b"x", b"all: {hosts: {node1: {}}}\n" * 200])
def test_some_other_file_is_left_alone(url: str, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert "no SQLite database" in refusal(url)
    assert path.read_bytes() == content


@pytest.mark.parametrize("table", ["bookmarks (url)", "alembic_version (version_num)"])
def test_another_programs_database_is_left_alone(url: str, path: Path, table: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE {table}")
    assert "not a store: it holds other tables" in refusal(url)


def test_a_beginning_that_is_damaged(url: str, path: Path) -> None:
    Store.open(url).close()
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 84)
    assert "damaged" in refusal(url)


def test_a_middle_that_is_damaged(url: str, path: Path) -> None:
    with Store.open(url) as store:
        store.add_events([Event(1.0, "Created", f"guestbook/web.{slot}", "made " * 50) for slot in range(200)])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(40 * 1024)
        file.write(b"\xff" * (size - 40 * 1024))
    with pytest.raises(StoreError, match="is damaged") as caught, Store.open(url) as store:
        store.events(limit=1000)
    assert "state restore" in str(caught.value)


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store.open(str(path)).close()
    path.chmod(0o400)
    with without_root(tmp_path):
        message = refusal(str(path))
    assert "can't be read and written by this user" in message
    assert "mode 0400" in message


def test_a_directory_of_somebody_else_is_blamed_itself(tmp_path: Path) -> None:
    path = tmp_path / "project" / "state.db"
    Store.open(str(path)).close()
    for each in path.parent.iterdir():
        each.chmod(0o666)
    path.parent.chmod(0o555)
    with without_root(path.parent):
        message = refusal(str(path))
    assert f"its directory {path.parent} has mode 0555 and owner {os.geteuid()}, and this is user" in message
    assert "0666" not in message


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with without_root(tmp_path):
        assert "can't be locked: Permission denied" in refusal(str(tmp_path / "state.db"))
        assert "can't be opened: Permission denied" in refusal(str(tmp_path / "new" / "state.db"))


def test_a_full_disk_leaves_nothing_half_written(store: Store, stack, pull) -> None:
    before = store.memory()
    pass_id = store.begin_pass(kind="apply", holder="a@b", now=1.0)
    with store._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    wave = tuple(pull(number) for number in range(1, 2000))
    with pytest.raises(StoreError, match="the disk is full; nothing was half-written"):
        store.begin_wave(pass_id, wave, before, 2.0)
    assert store.actions(pass_id) == ()
    assert store.memory() == before


def test_a_disk_that_fails(store: Store) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(StoreError, match="can't be read or written"):
            store.add_events([Event(1.0, "Created", f"guestbook/web.{slot}", "made " * 200) for slot in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.events() == ()
    store.add_events([Event(1.0, "Created", "guestbook/web.1", "made")])
    assert len(store.events()) == 1


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/alice/local\\040disk xfs rw 0 0
alice@host:/ /mnt/far fuse.sshfs rw 0 0
//nas/share /mnt/nas cifs rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/sdc1 /twice ext4 rw 0 0
server:/twice /twice nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/", None),
        ("/srv/project/.shipyard", None),
        ("/home", "nfs4"),
        ("/home/alice/project", "nfs4"),
        ("/home/alice/local disk/project", None),
        ("/homely", None),
        ("/mnt/far/away", "fuse.sshfs"),
        ("/mnt/nas", "cifs"),
        ("/run/x", None),
        ("/twice", "nfs"),
    ],
)
def test_network_file_systems_are_known(directory: str, kind: str | None) -> None:
    assert location.network_type(directory, MOUNTS) == kind


def test_a_store_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    far = tmp_path / "far"
    far.mkdir()
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {far.resolve()} nfs rw 0 0\n")
    monkeypatch.setattr(location, "MOUNTS", mounts)
    message = refusal(str(far / "project" / "state.db"))
    assert "network file system (nfs)" in message
    link = tmp_path / "link.db"
    link.symlink_to(far / "elsewhere.db")
    assert "network file system (nfs)" in refusal(str(link))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////srv/state.db", "/srv/state.db"),
        ("sqlite:///state.db", "{cwd}/state.db"),
        ("/srv/state.db", "/srv/state.db"),
        ("state.db", "{cwd}/state.db"),
        ("/srv/100%/a?b#c.db", "/srv/100%/a?b#c.db"),
    ],
)
def test_where_a_store_is(url: str, path: str) -> None:
    assert location.parse(url).path == Path(path.replace("{cwd}", str(Path.cwd())))


@pytest.mark.parametrize(
    "url",
    ["", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:////x.db?mode=ro", "mysql://host/name", "\0"],
)
def test_where_no_store_can_be(url: str) -> None:
    refusal(url)


def test_a_servers_password_is_not_shown() -> None:
    place = location.parse("postgresql://alice:s3cret@db/ship?sslmode=require")
    assert place.shown == "postgresql://alice:***@db/ship?sslmode=require"
    assert place.url == "postgresql+psycopg://alice:s3cret@db/ship?sslmode=require"


def test_a_strange_name_is_taken_literally(tmp_path: Path) -> None:
    path = tmp_path / "100% a?b#c&mode=ro.db"
    Store.open(str(path)).close()
    assert path.exists()


def test_nothing_heavy_is_imported_before_a_store_is_opened_or_migrated(url: str) -> None:
    code = """
import sys
import shipyard.store, shipyard.store.records
assert "sqlalchemy" not in sys.modules
from shipyard.store.store import Store
Store.open(sys.argv[1]).close()
Store.open(sys.argv[1]).close()
assert "alembic" not in sys.modules and "sqlalchemy.orm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, url], check=True)
