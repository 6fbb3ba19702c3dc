"""Names, numbers and the record of a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import LabError
from shipyard.lab.layout import Layout, Record, all_records, check_name, locked, read_record, runtimes, write_record


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHIPYARD_LAB_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_mixed_lab_has_both_runtimes_as_soon_as_it_can() -> None:
    assert runtimes(1, "mixed") == ("podman",)
    assert runtimes(2, "mixed") == ("podman", "docker")
    assert runtimes(3, "mixed") == ("podman", "podman", "docker")
    assert runtimes(2, "docker") == ("docker", "docker")


def test_a_mixed_lab_can_grow_without_changing_its_nodes() -> None:
    for nodes in range(3, 20):
        assert runtimes(nodes + 1, "mixed")[:nodes] == runtimes(nodes, "mixed")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Lab", "-x", "_indexes", "a" * 40, "a b", "ä"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="can't be named"):
        check_name(name)


def test_link_names_fit_into_what_the_kernel_allows() -> None:
    record = Record("lab", "/p", 255, ())
    assert all(len(name) < 16 for name in (record.bridge, record.cable(200)))


def test_two_labs_share_no_address_and_no_link() -> None:
    one, two = Record("one", "/p", 0, ()), Record("two", "/p", 1, ())
    assert one.bridge != two.bridge
    assert one.cable(1) != two.cable(1)
    assert {one.gateway, one.address(1)}.isdisjoint({two.gateway, two.address(1)})


def test_the_default_lab_is_found_where_people_look_and_others_beside_it() -> None:
    assert Layout("lab", Path("/p")).inventory == Path("/p/.shipyard/lab/inventory.yml")
    assert Layout("other", Path("/p")).inventory == Path("/p/.shipyard/lab/other/inventory.yml")


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record("lab", "/p", 3, ("podman", "docker"))
    write_record(record)
    assert read_record("lab") == record
    assert all_records() == [record]
    assert read_record("other") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "lab"}'])
def test_a_damaged_record_is_an_error_that_names_the_file(state: Path, text: str) -> None:
    path = state / "lab" / "lab.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(LabError, match=r"lab/lab\.json can't be read"):
        read_record("lab")


def test_a_lock_goes_with_its_file(state: Path) -> None:
    with locked("lab"):
        assert list(state.iterdir()) == [state / ".lab.lock"]
    assert list(state.iterdir()) == []
