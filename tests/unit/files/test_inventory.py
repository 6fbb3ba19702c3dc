"""Inventories come to what Ansible makes of them: the corpus, with Ansible's own answers as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import FileError, UsageError
from shipyard.files.inventory import load, show
from shipyard.files.patterns import match
from shipyard.model.inventory import Inventory
from tests.cases.inventory.corpus import Case, all_cases, expected

CASES = all_cases()
ANSWERS = {theme: expected(theme) for theme in {case.theme for case in CASES}}


def read(case: Case, folder: Path) -> Inventory:
    case.write(folder)
    playbook = () if case.playbook_dir is None else (Path(case.playbook_dir),)
    return load(case.sources, cwd=folder, playbook_dirs=playbook, trusted=True)


def hosts(pattern: str, inventory: Inventory, folder: Path) -> list[str]:
    asked, _, limit = pattern.partition(" | ")
    try:
        return list(match(asked, inventory, limit=limit or None, cwd=folder).hosts)
    except UsageError:
        return []


def names(cases: list[Case]) -> list[str]:
    return [f"{case.theme}: {case.name}" for case in cases]


GOOD = [case for case in CASES if case.error is None]
BAD = [case for case in CASES if case.error is not None]


@pytest.mark.parametrize("case", GOOD, ids=names(GOOD))
def test_is_what_ansible_reads(case: Case, tmp_path: Path) -> None:
    answer: dict[str, Any] = ANSWERS[case.theme][case.name]
    inventory = read(case, tmp_path)
    assert json.loads(show.dump(show.listing(inventory))) == answer["list"]
    assert list(show.graph(inventory)) == answer["graph"]
    assert {pattern: hosts(pattern, inventory, tmp_path) for pattern in case.patterns} == answer["patterns"]
    for part in case.warnings:
        assert any(part in warning for warning in inventory.warnings), inventory.warnings


@pytest.mark.parametrize("case", BAD, ids=names(BAD))
def test_says_what_is_wrong(case: Case, tmp_path: Path) -> None:
    assert ("error" in ANSWERS[case.theme][case.name]) is (case.stricter is None)
    with pytest.raises(FileError) as caught:
        read(case, tmp_path)
    assert case.error is not None
    assert case.error in str(caught.value)
