"""Patterns: what is left unmatched, and what is no pattern. What they match is in the inventory corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import FileError, UsageError
from shipyard.files.inventory import load
from shipyard.files.patterns import Matched, match
from shipyard.model.inventory import Inventory


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    (tmp_path / "hosts").write_text("[web]\nweb[1:3]\n[db]\ndb1\n[empty]\n")
    return load(["hosts"], cwd=tmp_path)


def test_what_matches_nothing_is_told(inventory: Inventory) -> None:
    assert match("wep", inventory) == Matched((), ("wep",))
    assert match("wep:db:!nobody", inventory) == Matched(("db1",), ("wep", "nobody"))
    assert match("web:&dbb", inventory) == Matched((), ("dbb",))
    assert match("all", inventory, limit="dbb").unmatched == ("dbb",)


def test_an_empty_group_is_no_mistake(inventory: Inventory) -> None:
    assert match("empty", inventory) == Matched((), ())


def test_all_of_nothing_is_no_mistake(tmp_path: Path) -> None:
    assert match("all", Inventory((), ())) == Matched((), ())


def test_out_of_range_is_nothing(inventory: Inventory) -> None:
    assert match("web[7]", inventory) == Matched((), ())


def test_a_broken_expression(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="is no regular expression"):
        match("~web(", inventory)


def test_a_limit_file(inventory: Inventory, tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("web1\n\nweb3\n")
    assert match("web", inventory, limit="@keep", cwd=tmp_path).hosts == ("web1", "web3")
    for name, said in (("nope", "can't be read: No such file"), (".", "Is a directory")):
        with pytest.raises(FileError, match=said):
            match("web", inventory, limit=f"@{name}", cwd=tmp_path)


def test_a_flood_is_refused(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="longer than"):
        match("a:" * 100_000, inventory)
