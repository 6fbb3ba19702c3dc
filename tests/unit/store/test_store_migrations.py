"""An older store becomes today's with everything that was in it; a newer one is left alone."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect

from shipyard.base.errors import StoreError
from shipyard.model.memory import (
    Failures,
    KnownVolume,
    Memory,
    NodeMemory,
    Placement,
    ProbeCount,
    Probed,
    Rollout,
)
from shipyard.model.node import NodeState
from shipyard.store import filelock, location, versions
from shipyard.store.engine import Database
from shipyard.store.schema import VERSION, metadata
from shipyard.store.store import Store

CASES = Path(__file__).parents[2] / "cases" / "store"


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(versions.SCRIPTS))
    return ScriptDirectory.from_config(config)


ALL = sorted(script.revision for script in scripts().walk_revisions())


def at_version(path: Path, version: str) -> None:
    """A store of an earlier version, with something in every table."""
    location.make_empty(location.parse(str(path)), path)
    with closing(Database(location.parse(str(path)))) as database, database.restructuring() as connection:
        versions.run(connection, versions.SCRIPTS, version)
        for statement in (CASES / f"{version}.sql").read_text().split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def shape(path: Path) -> dict[str, Any]:
    with closing(Database(location.parse(str(path)))) as database, database.reading() as connection:
        look = inspect(connection)
        tables = {table: _columns_and_keys(look, table) for table in look.get_table_names()}
        numbered = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name"
        return tables | {"ids never given twice": connection.exec_driver_sql(numbered).all()}


def _columns_and_keys(look: Any, table: str) -> tuple[Any, ...]:
    return (
        [{**column, "type": str(column["type"])} for column in look.get_columns(table)],
        look.get_pk_constraint(table),
        sorted(look.get_foreign_keys(table), key=lambda key: str(key["name"])),
        sorted(look.get_indexes(table), key=lambda index: str(index["name"])),
        look.get_unique_constraints(table),
    )


def test_versions_follow_each_other_up_to_todays() -> None:
    assert scripts().get_heads() == [VERSION]
    assert [f"{number:04}" for number in range(1, len(ALL) + 1)] == ALL


def test_fresh_equals_migrated(tmp_path: Path) -> None:
    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    Store.open(str(fresh)).close()
    at_version(migrated, VERSION)
    assert shape(fresh) == shape(migrated)
    with closing(Database(location.parse(str(migrated)))) as database, database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
        tables = MetaData()
        for table in metadata.tables.values():
            if table.name != "alembic_version":
                table.to_metadata(tables)
        assert compare_metadata(context, tables) == []


@pytest.mark.parametrize("version", ALL)
def test_an_earlier_store_keeps_its_data(tmp_path: Path, version: str) -> None:
    path = tmp_path / "state.db"
    at_version(path, version)
    with Store.open(str(path), create=False) as store:
        assert (store.cluster, store.uuid) == ("c0ffee", "11111111-2222-3333-4444-555555555555")
        (head,) = store.heads()
        assert (head.revision.number, head.revision.spec.services[0].container.image) == (2, "b")
        assert [(row.number, row.note) for row in store.revisions("guestbook")] == [(2, "why"), (1, "")]
        counts = (ProbeCount("readiness", "ab", 990.0, passed=True, row=1, holds=True),)
        probed = Probed("guestbook", "web", 1, "id", "node1", 0, 970.0 if version >= "0006" else 0.0, counts)
        assert store.memory() == Memory(
            (Placement("guestbook", "web", 1, "node1", 3, 2),),
            (Failures("guestbook", "web", 1, "v1:ab", 2, 990.0, "Crashed", "exit 1", "id", 1, 980.0),),
            (NodeMemory("node1", NodeState.READY, 700.0, last_seen=950.0),),
            (KnownVolume("node1", "guestbook_data", "guestbook"),),
            (Rollout("guestbook", "web", 2, "paused", 980.0, "unhealthy"),) if version >= "0002" else (),
            probed=(probed,) if version >= "0005" else (),
        )
        assert [(row.name, row.content) for row in store.configs()] == (
            [("motd", b"\0\xff\n")] if version >= "0005" else []
        )
        (node,) = store.nodes()
        assert (node.node.address, node.first_seen, node.facts.cpus) == ("10.0.0.1", 700.0, 4)
        (row,) = store.passes()
        assert (row.id, row.result, store.actions(5)[0].status) == (5, "converged", "done")
        (event,) = store.events()
        assert (event.id, event.count, event.event.message) == (9, 2, "made")
        assert store.now(1.0) == 1000.0
        assert store.acquire("alice@laptop", 1000.0, 60.0).epoch == 8


NEXT = '''
"""A version that there is not yet."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", "{version}"


def upgrade():
    with op.batch_alter_table("stacks") as batch:
        batch.add_column(sa.Column("colour", sa.Text, nullable=False, server_default="blue"))
        batch.drop_column("removing")
    with op.batch_alter_table("passes") as batch:
        batch.alter_column("kind", new_column_name="sort")
    {last}
'''


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """Scripts of a later shipyard."""
    copy = tmp_path / "100% later"
    shutil.copytree(versions.SCRIPTS, copy)
    (copy / "versions" / "v9999.py").write_text(NEXT.format(version=VERSION, last="pass"))
    return copy


def upgrade(path: Path, later: Path) -> None:
    with closing(Database(location.parse(str(path)))) as database:
        versions.upgrade(database, later)


def test_a_table_that_others_refer_to_can_be_changed(tmp_path: Path, later: Path) -> None:
    """SQLite does so by dropping the old one, which must not take the rows that refer to it along."""
    path = tmp_path / "state.db"
    at_version(path, VERSION)
    upgrade(path, later)
    with closing(Database(location.parse(str(path)))) as database, database.reading() as connection:
        assert versions.current(database) == "9999"
        assert connection.exec_driver_sql("SELECT name, head, colour FROM stacks ORDER BY name").all() == [
            ("gone", None, "blue"),
            ("guestbook", 2, "blue"),
        ]
        for table, rows in (("revisions", 2), ("actions", 1), ("passes", 1), ("placements", 1)):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == rows
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path, later: Path) -> None:
    path = tmp_path / "state.db"
    at_version(path, VERSION)
    upgrade(path, later)
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=f"has schema 9999, made by shipyard .* knows schemas up to {VERSION}"
    ) as caught:
        Store.open(str(path))
    assert "newer" in str(caught.value.hint)
    assert path.read_bytes() == before


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, later: Path) -> None:
    broken = NEXT.format(version=VERSION, last='op.execute("INSERT INTO actions SELECT 77, wave, number FROM actions")')
    (later / "versions" / "v9999.py").write_text(broken)
    path = tmp_path / "state.db"
    at_version(path, VERSION)
    before = shape(path)
    with pytest.raises(StoreError, match="nothing was half-written"):
        upgrade(path, later)
    assert shape(path) == before
    Store.open(str(path)).close()


def test_a_migration_that_leaves_orphans_changes_nothing(tmp_path: Path, later: Path) -> None:
    broken = NEXT.format(version=VERSION, last='op.execute("DELETE FROM passes")')
    (later / "versions" / "v9999.py").write_text(broken)
    path = tmp_path / "state.db"
    at_version(path, VERSION)
    with pytest.raises(StoreError, match="rows that belong to none: actions"):
        upgrade(path, later)
    with Store.open(str(path)) as store:
        assert len(store.passes()) == 1


def test_no_store_is_migrated_under_a_running_shipyard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    Store.open(str(path)).close()
    with Store.open(str(path)) as running:
        with running._database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
        monkeypatch.setattr(filelock, "WAIT", 0.05)
        with pytest.raises(StoreError, match="in use by another shipyard process"):
            Store.open(str(path))
