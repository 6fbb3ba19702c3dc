"""Inventories come to what Ansible makes of them: the corpus, with Ansible's own answers as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import FileError, UsageError
from shipyard.base.trust import Trust
from shipyard.files.inventory import load, show
from shipyard.files.patterns import match
from shipyard.model.inventory import Inventory
from tests.cases.inventory.corpus import Case, all_cases, comes_to, expected, keys, reached

CASES = all_cases()
ANSWERS = {theme: expected(theme) for theme in {case.theme for case in CASES}}


def read(case: Case, folder: Path) -> Inventory:
    case.write(folder)
    playbook = () if case.playbook_dir is None else (Path(case.playbook_dir),)
    return load(case.sources, cwd=folder, playbook_dirs=playbook, trusted=Trust.all(), keys=keys(case))


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
    assert comes_to(case.values, inventory) == answer.get("values", comes_to((), inventory))
    assert (reached(inventory) if case.connections else {}) == answer.get("connections", {})
    for part in case.warnings:
        assert any(part in warning for warning in inventory.warnings), inventory.warnings


@pytest.mark.parametrize("case", BAD, ids=names(BAD))
def test_says_what_is_wrong(case: Case, tmp_path: Path) -> None:
    assert ("error" in ANSWERS[case.theme][case.name]) is (case.stricter is None)
    with pytest.raises(FileError) as caught:
        read(case, tmp_path)
    assert case.error is not None
    assert case.error in str(caught.value)


def write(folder: Path, files: dict[str, str]) -> Path:
    return Case("", "", files).write(folder)


def test_names_lead_to_no_files_elsewhere(tmp_path: Path) -> None:
    """Ansible would read the secret here, as variables of the group and of the host."""
    files = {"hosts": "[../secret]\n../secret\n", "secret": "leaked: 1\n", "group_vars/a": "", "host_vars/a": ""}
    inventory = load(["hosts"], cwd=write(tmp_path, files))
    assert show.variables(inventory.hosts[0]) == {}


def test_programs_run_only_when_trusted(tmp_path: Path) -> None:
    write(tmp_path, {"inv/hosts.sh*": "#!/bin/sh\ntouch ran\necho '{}'\n"})
    with pytest.raises(FileError, match="not run until the project is trusted"):
        load(["inv"], cwd=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_flood_of_hosts_is_refused_before_it_is_made(tmp_path: Path) -> None:
    for line in ("x[1:99999999999]", "x[0:999][0:999]", "x[1:999999999999][9:1][1:2]", "x" + "[0:9]" * 40):
        write(tmp_path, {"hosts": line})
        if "[9:1]" in line:
            assert load(["hosts"], cwd=tmp_path).hosts == ()
            continue
        with pytest.raises(FileError, match="stands for more than 100,000 hosts"):
            load(["hosts"], cwd=tmp_path)


def test_aliases_that_unfold_without_end(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(f'*{old}' for _ in range(9))}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    write(tmp_path, {"hosts": "[g]\nh\n", "group_vars/g.yml": bomb})
    with pytest.raises(FileError, match=r"group_vars/g.yml.*unfolds to more than"):
        load(["hosts"], cwd=tmp_path)


def test_large_files_and_devices_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"hosts": "#" * (17 * 2**20)})
    for source in ("hosts", "/dev/zero"):
        with pytest.raises(FileError, match="is larger than 16 MiB"):
            load([source], cwd=tmp_path)


def test_encrypted_files_say_so(tmp_path: Path) -> None:
    write(tmp_path, {"hosts": "[g]\nh\n", "group_vars/g.yml": "$ANSIBLE_VAULT;1.1;AES256\n3061\n"})
    with pytest.raises(FileError, match=r"group_vars/g.yml:1: is encrypted with ansible-vault"):
        load(["hosts"], cwd=tmp_path)


def test_unreadable_and_odd_sources(tmp_path: Path) -> None:
    write(tmp_path, {"a/hosts": "h\n"})
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    for source, said in (
        ("a" * 5000, "File name too long"),
        ("a\0b", "no such inventory"),
        ("loop", "nested deeper than 16"),
        ("", None),
    ):
        if said is None:
            assert load([source], cwd=tmp_path).hosts == ()
            continue
        with pytest.raises(FileError, match=said):
            load([source], cwd=tmp_path)


def test_the_example_in_the_repository() -> None:
    root = Path(__file__).parents[3]
    inventory = load(["inventory/hosts.yml"], cwd=root)
    assert inventory.members["production"] == ("web1.example.com", "web2.example.com", "db1.example.com")
    assert inventory.warnings == ()
    local = load(["inventory/local.yml"], cwd=root)
    assert [host.name for host in local.hosts] == ["localhost"]
