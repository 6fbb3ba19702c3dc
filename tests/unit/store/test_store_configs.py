"""Configs outside of stacks in the store: any bytes, one content a name, and part of every backup."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.model.memory import Memory
from shipyard.store import schema
from shipyard.store.records import ConfigRow
from shipyard.store.store import Store

MOTD = ConfigRow("motd", b"hello\n", "ab", 5.0, "alice@laptop")
BYTES = ConfigRow("shop/blob", bytes(range(256)) * 4000, "cd", 6.0, "bob@desk")


def test_what_was_kept_is_read_again_byte_for_byte(store: Store) -> None:
    for row in (BYTES, MOTD):
        store.keep_config(row)
    assert store.configs() == (MOTD, BYTES)
    assert store.configs(["shop/blob", "nowhere"]) == (BYTES,)
    assert store.configs([]) == ()


def test_a_new_content_takes_the_place_of_the_old_one(store: Store) -> None:
    store.keep_config(MOTD)
    store.keep_config(replace(MOTD, content=b"bye", digest="ef"))
    assert [row.content for row in store.configs()] == [b"bye"]


def test_those_named_are_removed_and_no_others(store: Store) -> None:
    for name in ("a", "b", "ab"):
        store.keep_config(replace(MOTD, name=name))
    store.remove_configs(["a", "b", "nowhere"])
    assert [row.name for row in store.configs()] == ["ab"]


def test_a_backup_has_them(store: Store, url: str, tmp_path: Path) -> None:
    store.keep_config(BYTES)
    store.backup(tmp_path / "copy.db")
    store.remove_configs(["shop/blob"])
    store.close()
    Store.restore(url, tmp_path / "copy.db")
    with Store.open(url) as again:
        assert again.configs() == (BYTES,)


def test_those_that_nodes_gave_back_come_with_the_rest_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr("shipyard.store.memory.save", fail)
        with pytest.raises(StoreError, match="no"):
            store.import_state([], Memory(), outside=[MOTD])
    assert store.configs() == ()
    store.import_state([], Memory(), outside=[MOTD])
    assert store.configs() == (MOTD,)


def test_on_postgresql_a_content_is_bytes_too() -> None:
    made = str(CreateTable(schema.configs).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    assert "content BYTEA NOT NULL" in made
