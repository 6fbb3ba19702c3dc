"""What a node without nft gives iptables-restore: our chains as they should be, and nothing of what is not ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shipyard.runtime.netiptables import FUNCTIONS

NEW = """# iptables SY-ab12cd-
*nat
:SY-ab12cd-to - [0:0]
:SY-ab12cd-T-2 - [0:0]
# hook PREROUTING SY-ab12cd-to
-A SY-ab12cd-to -d 10.224.0.2 -g SY-ab12cd-T-2
COMMIT
*filter
:SY-ab12cd-refused - [0:0]
# hook FORWARD SY-ab12cd-refused
COMMIT
"""
THERE = """*nat
:PREROUTING ACCEPT [7:420]
:SY-ab12cd-to - [0:0]
:SY-ab12cd-T-1 - [0:0]
:SY-other1-to - [0:0]
-A PREROUTING -j SY-other1-to
-A PREROUTING -j SY-ab12cd-to
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A SY-ab12cd-to -d 10.224.0.1/32 -g SY-ab12cd-T-1
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
COMMIT
"""


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder with programs that stand in for iptables': one tells what there is, one keeps what it is given."""
    (tmp_path / "net").mkdir()
    for name, text in (
        ("iptables-save", f"cat {tmp_path}/there"),
        ("iptables-restore", f'echo "$*" >{tmp_path}/words; cat >{tmp_path}/given; exit "$(cat {tmp_path}/exit)"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "exit").write_text("0")
    (tmp_path / "there").write_text(THERE)
    (tmp_path / "new").write_text(NEW)
    return tmp_path


def run(node: Path, call: str) -> subprocess.CompletedProcess[str]:
    script = f"PATH={node}:$PATH\nsy_dir={node}\n{FUNCTIONS}\n{call}\n"
    return subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)


def test_each_table_is_replaced_at_once_with_what_was_there_before_taken_away(node: Path) -> None:
    assert run(node, f"sy_ipt_load {node}/new").returncode == 0
    assert (node / "words").read_text() == "--noflush -w 10\n"
    given = [line for line in (node / "given").read_text().splitlines() if not line.startswith("#")]
    assert given == [
        "*nat",
        ":SY-ab12cd-T-1 - [0:0]",
        ":SY-ab12cd-to - [0:0]",
        ":SY-ab12cd-T-2 - [0:0]",
        "-A SY-ab12cd-to -d 10.224.0.2 -g SY-ab12cd-T-2",
        "-D PREROUTING -j SY-ab12cd-to",
        "-I PREROUTING 1 -j SY-ab12cd-to",
        "-X SY-ab12cd-T-1",
        "COMMIT",
        "*filter",
        ":SY-ab12cd-refused - [0:0]",
        "-I DOCKER-USER 1 -j SY-ab12cd-refused",
        "COMMIT",
    ]
    assert sorted(each.name for each in node.iterdir() if each.name.startswith("new")) == ["new"]


def test_a_node_that_has_nothing_yet(node: Path) -> None:
    (node / "there").write_text("")
    assert run(node, f"sy_ipt_load {node}/new").returncode == 0
    given = (node / "given").read_text()
    assert "-D " not in given and "-X " not in given
    assert "-I PREROUTING 1 -j SY-ab12cd-to" in given and "-I FORWARD 1 -j SY-ab12cd-refused" in given


def test_what_the_kernel_would_not_take_is_said(node: Path) -> None:
    (node / "exit").write_text("2")
    assert run(node, f"sy_ipt_load {node}/new").returncode == 2


def test_all_of_it_is_taken_away_and_another_clusters_stays(node: Path) -> None:
    assert run(node, "sy_ipt_unload shipyard_ab12cd").returncode == 0
    given = (node / "given").read_text()
    assert "-D PREROUTING -j SY-ab12cd-to" in given and "-X SY-ab12cd-to" in given and "-X SY-ab12cd-T-1" in given
    assert "other" not in given and "DOCKER" not in given
    (node / "given").unlink()
    (node / "there").write_text("")
    assert run(node, "sy_ipt_unload shipyard_ab12cd").returncode == 0
    assert not (node / "given").exists(), "where nothing is, nothing is done"


def test_the_listing_tells_whether_ours_come_first_and_nothing_that_changes_by_itself(node: Path) -> None:
    listed = run(node, "sy_ipt_list shipyard_ab12cd").stdout.splitlines()
    assert "*nat -A PREROUTING -j SY-ab12cd-to later" in listed
    (node / "there").write_text(THERE.replace("-A PREROUTING -j SY-other1-to\n", "").replace("7:420", "9:540"))
    assert "*nat -A PREROUTING -j SY-ab12cd-to first" in run(node, "sy_ipt_list shipyard_ab12cd").stdout.splitlines()
    assert not any("DOCKER" in line or "other" in line for line in listed)
