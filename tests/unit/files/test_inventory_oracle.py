"""Ansible itself, asked now: the answers in the corpus are its own, and random inventories are read alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import FileError
from shipyard.files.inventory import load, show
from shipyard.files.patterns import match
from tests.cases.inventory.corpus import Case, all_cases, ask, comes_to, expected, keys
from tests.cases.inventory.generated import case as generated

SEEDS = range(60)
CASES = [*all_cases(), *(generated(seed) for seed in SEEDS)]


def ours(case: Case, folder: Path) -> dict[str, Any]:
    playbook = () if case.playbook_dir is None else (Path(case.playbook_dir),)
    try:
        inventory = load(case.sources, cwd=folder, playbook_dirs=playbook, keys=keys(case))
    except FileError:
        return {"error": True}
    return {
        "list": json.loads(show.dump(show.listing(inventory))),
        "graph": list(show.graph(inventory)),
        "patterns": {pattern: sorted(match(pattern, inventory).hosts) for pattern in case.patterns},
        "values": comes_to(case.values, inventory),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inventories")


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[tuple[str, str], Any]:
    return ask(CASES, folder)


def test_answers_are_ansibles(answers: dict[tuple[str, str], Any]) -> None:
    for case in all_cases():
        assert answers[case.theme, case.name] == expected(case.theme)[case.name], f"{case.theme}: {case.name}"


def test_random_inventories_are_read_alike(answers: dict[tuple[str, str], Any], folder: Path) -> None:
    """Hosts of a pattern are compared without order: below the second level Ansible's is that of a set."""
    read = 0
    for number, case in enumerate(CASES):
        if case.theme != "generated":
            continue
        answer = answers[case.theme, case.name]
        answer.update({"patterns": {name: sorted(hosts) for name, hosts in answer.get("patterns", {}).items()}})
        assert {"patterns": {}, **ours(case, folder / str(number))} == answer, case
        read += "error" not in answer
    assert read > len(SEEDS) / 2
