"""docs/inventory.md lists where shipyard differs from Ansible, and nothing else does."""

from __future__ import annotations

from pathlib import Path

from shipyard.files.config_keys import KEYS
from shipyard.files.inventory import connection
from tests.cases.inventory.corpus import all_cases

PAGE = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table beneath a heading."""
    beneath = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in beneath.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_difference_is_one_of_the_corpus() -> None:
    """That they do differ is held by test_inventory, by answers that test_inventory_oracle compares with today's."""
    reasons = {case.stricter for case in all_cases() if case.stricter is not None}
    listed = [row[2] for row in rows("What differs")]
    assert sorted(listed) == sorted(reasons)
    assert {row[1] for row in rows("What differs")} == {"an error"}


def test_every_variable_that_is_read_is_named() -> None:
    source = Path(connection.__file__).read_text()
    names = {word.strip('"') for word in source.replace("(", " ").replace(",", " ").replace(")", " ").split()}
    read = {name for name in names if name.startswith(("ansible_", "shipyard_")) and name.isidentifier()}
    assert len(read) > 20
    assert {name for name in read if f"`{name}`" not in PAGE} == set()


def test_every_way_to_name_a_password_is_named() -> None:
    for key in KEYS:
        if key.name.startswith("vault."):
            assert {f"`{key.variable}`", f"`{key.ansibles}`", f"`{key.name.partition('.')[2]}`"} <= {*PAGE.split()} | {
                word.strip(",;:") for word in PAGE.split()
            }
