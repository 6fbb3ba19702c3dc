"""A store that a team shares: a real PostgreSQL, its refusals, and two who use it at once."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipyard.base.errors import LeaseHeld, StoreError
from shipyard.model.event import Event
from shipyard.store import engine
from shipyard.store.store import Store
from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, ids

PASSWORD = "s3cret/x@y"
WRITTEN = PASSWORD.replace("/", "%2F").replace("@", "%40")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of the test's own, on a socket in `place`; `ship` owns its databases, `viewer` nothing."""

    place: Path
    programs: Path

    def run(self, program: str, *args: str) -> None:
        argv = [str(self.programs / program), *args]
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        environ = {"PGPASSWORD": PASSWORD, "PATH": os.environ["PATH"], "LC_ALL": "C"}
        subprocess.run(
            argv, check=True, capture_output=True, cwd=self.place, user=user.pw_uid, group=user.pw_gid, env=environ
        )

    def control(self, *what: str) -> None:
        options = f"-c listen_addresses= -c fsync=off -k {self.place}"
        self.run("pg_ctl", "-w", "-s", "-D", f"{self.place}/data", "-o", options, "-l", f"{self.place}/log", *what)

    def sql(self, *statements: str, database: str = "postgres") -> None:
        commands = [word for statement in statements for word in ("-c", statement)]
        self.run("psql", "-q", "-h", str(self.place), "-U", "ship", "-v", "ON_ERROR_STOP=1", database, *commands)

    def url(self, database: str, user: str = f"ship:{WRITTEN}") -> str:
        return f"postgresql://{user}@/{database}?host={self.place}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    place = Path("/tmp") / f"shipyard-postgresql-{os.getpid()}"  # a socket's path has to be short
    place.mkdir(mode=0o755)
    server = Server(place, found[-1])
    try:
        (place / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(place, "postgres")
        data = (f"--pgdata={place}/data", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8")
        server.run("initdb", *data, "--auth=scram-sha-256", "--username=ship", f"--pwfile={place}/password")
        server.control("start")
        server.sql("CREATE ROLE viewer LOGIN PASSWORD 'v'")
        yield server
    finally:
        if (place / "data" / "postmaster.pid").exists():
            server.control("-m", "immediate", "stop")
        shutil.rmtree(place)


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    """Of an empty database."""
    name = str(request.node.name)[:60]
    server.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    return server.url(name)


def refusal(url: str) -> tuple[str, str]:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    return str(caught.value), caught.value.hint or ""


def test_several_who_begin_at_once_make_one_store(url: str) -> None:
    def uuid(_: int) -> str:
        with Store.open(url) as store:
            return store.uuid

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(uuid, range(8)))) == 1


def test_one_holds_the_lease_and_the_other_is_told_who(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as other:
        held = one.acquire("ann@laptop", 100.0, 60.0)
        with pytest.raises(LeaseHeld, match="ann@laptop"):
            other.acquire("bob@bastion", 101.0, 60.0)
        one.release(held)
        assert other.acquire("bob@bastion", 102.0, 60.0).epoch == held.epoch + 1


def test_reading_sees_one_moment(url: str) -> None:
    with Store.open(url) as store, Store.open(url) as other:
        count = "SELECT count(*) FROM events"
        with store._database.reading() as connection:
            assert connection.exec_driver_sql(count).scalar() == 0
            other.add_events([Event(1.0, "Created", "web.1", "here it is", "node1")])
            assert connection.exec_driver_sql(count).scalar() == 0
        assert len(store.events()) == 1


def test_who_waits_too_long_for_another_writer_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.1)
    with Store.open(url) as store, Store.open(url) as other:
        busy = pytest.raises(StoreError, match="kept busy by another process")
        with store._database.writing(), busy:
            other.raise_epoch(3)


def test_a_server_that_was_restarted_is_connected_to_anew(server: Server, url: str) -> None:
    with Store.open(url) as store:
        store.raise_epoch(3)
        server.control("-m", "immediate", "stop")
        try:
            with pytest.raises(StoreError, match="can't be reached; nothing was half-written") as caught:
                store.raise_epoch(4)
            assert "is its server up" in (caught.value.hint or "")
        finally:
            server.control("start")
        assert store.acquire("ann@laptop", 1.0, 60.0).epoch == 4
        server.control("-m", "fast", "restart")
        assert store.memory().placements == ()


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        message, _ = refusal(f"postgresql://ship:x@{place}/x?connect_timeout=2")
    assert message.startswith(f"the store postgresql://ship:***@{place}/x?connect_timeout=2 can't be reached")


def test_refusals_say_what_to_do_and_show_no_password(server: Server, url: str) -> None:
    Store.open(url).close()
    name = url.partition("?")[0].rpartition("/")[2]
    for user in ("ship:wr0ng", "ship", "viewer:wr0ng"):
        message, hint = refusal(server.url(name, user))
        assert "does not let this user in" in message
        assert "~/.pgpass" in hint
        assert "wr0ng" not in message
    message, hint = refusal(server.url("nowhere"))
    assert "there is no such database" in message
    assert "createdb" in hint
    assert "s3cret" not in message
    message, hint = refusal(server.url(name, "viewer:v"))
    assert "permission denied" in message
    assert "SELECT" in hint


def test_who_may_only_read_can_look(server: Server, url: str) -> None:
    Store.open(url).close()
    name = url.partition("?")[0].rpartition("/")[2]
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO viewer", database=name)
    with Store.open(server.url(name, "viewer:v")) as store:
        assert store.heads() == ()
        with pytest.raises(StoreError, match="can't be used by this user; nothing was half-written"):
            store.raise_epoch(3)


def test_a_fleet_is_kept_by_it_and_read_back_into_another(fleet: Fleet, server: Server) -> None:
    server.sql("CREATE DATABASE fleet", "CREATE DATABASE anew")
    fleet.write("shop.yml", WEB)
    fleet.shipyard("--database", server.url("fleet"), "apply", "shop.yml").expect(0)
    before = ids(fleet)
    assert before
    settings = {"SHIPYARD_DATABASE": server.url("fleet", "ship"), "PGPASSWORD": PASSWORD}
    assert "nothing to do" in fleet.shipyard("reconcile", env=settings).expect(0).stdout.lower()
    refused = fleet.shipyard("state", "backup", env=settings).expect(1)
    assert "pg_dump --format=custom" in refused.stderr
    anew = ("--database", server.url("anew"), "--yes")
    fleet.shipyard(*anew, "state", "rebuild").expect(0)
    fleet.shipyard(*anew, "apply", "shop.yml").expect(0)
    assert ids(fleet) == before
