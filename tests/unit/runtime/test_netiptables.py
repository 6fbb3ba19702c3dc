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


EBTABLES = """#!/bin/sh
# notes what it is told, and has chains that are files
[ "$1 $2 $3" = "--concurrent -t nat" ] || exit 9
shift 3
chains={folder}/chains
mkdir -p "$chains"
[ "$1" = -L ] || echo "$*" >>{folder}/told
case "$1 $2" in
"-L PREROUTING") cat "$chains/PREROUTING" 2>/dev/null; exit 0 ;;
"-L SY-"*) cat "$chains/$2" ;;
"-L ")
  for chain in "$chains"/*; do
    printf '\\nBridge chain: %s, entries: 1, policy: RETURN\\n' "${{chain##*/}}"
    cat "$chain"
  done ;;
-N*) [ ! -e "$chains/$2" ] && : >"$chains/$2" ;;
-F*) : >"$chains/$2" ;;
-X*) rm "$chains/$2" ;;
-A*) chain=$2; shift 2; echo "$* " >>"$chains/$chain" ;;
-I*) chain=$2; shift 3; echo "$*" | cat - "$chains/$chain" 2>/dev/null >"$chains/.new"
  mv "$chains/.new" "$chains/$chain" ;;
-D*) grep -qx -e "$3 $4" "$chains/$2" 2>/dev/null && grep -vx -e "$3 $4" "$chains/$2" >"$chains/.new"
  [ -e "$chains/.new" ] && mv "$chains/.new" "$chains/$2" ;;
esac
"""
BRIDGED = NEW.replace(
    "*nat",
    "# bridge 10.209.0.0/26 10.209.0.63\n# bridge 10.209.0.64/26 10.209.0.127\n# link 02:53:0a:d1:00:02\n*nat",
    1,
)


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
    (tmp_path / "ebtables").write_text(EBTABLES.format(folder=tmp_path))
    (tmp_path / "ebtables").chmod(0o755)
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


def bridged(node: Path) -> dict[str, list[str]]:
    """The chains of ebtables."""
    return {each.name: each.read_text().splitlines() for each in (node / "chains").iterdir()}


def test_what_a_bridge_would_keep_to_itself_goes_to_the_node(node: Path) -> None:
    (node / "net/rules.ipt").write_text(BRIDGED)
    assert run(node, f"sy_ipt_load {node}/net/rules.ipt").returncode == 0
    first = bridged(node)
    assert first == {
        "PREROUTING": ["-j SY-ab12cd-bridge0"],
        "SY-ab12cd-bridge0": [
            "-p 0x0800 --ip-dst 10.209.0.63 -j RETURN ",
            "-p 0x0800 --ip-dst 10.209.0.0/26 -j redirect ",
            "-p 0x0800 --ip-dst 10.209.0.127 -j RETURN ",
            "-p 0x0800 --ip-dst 10.209.0.64/26 -j redirect ",
            "-p 0x86dd -d 02:53:0a:d1:00:02 --ip6-dst fe80::/10 --ip6-proto tcp -j DROP ",
            "-p 0x86dd -d 02:53:0a:d1:00:02 --ip6-dst fe80::/10 --ip6-proto udp -j DROP ",
        ],
    }
    listed = run(node, "sy_ipt_list shipyard_ab12cd").stdout
    assert "*bridge -j SY-ab12cd-bridge first\n" in listed
    assert run(node, f"sy_ipt_load {node}/net/rules.ipt").returncode == 0
    assert bridged(node) == {
        "PREROUTING": ["-j SY-ab12cd-bridge1"],
        "SY-ab12cd-bridge1": first["SY-ab12cd-bridge0"],
    }, "a new chain in place of the old one"
    told = (node / "told").read_text().splitlines()
    entered = told.index("-I PREROUTING 1 -j SY-ab12cd-bridge1")
    before = told[told.index("-N SY-ab12cd-bridge1 -P RETURN") : entered]
    assert not any("-D PREROUTING -j SY-ab12cd-bridge0" in each for each in before), "at no moment is there none"
    assert run(node, "sy_ipt_list shipyard_ab12cd").stdout == listed, "which of the two it is makes no difference"


def test_the_bridges_part_goes_when_nothing_needs_it_or_the_rest_was_not_taken(node: Path) -> None:
    (node / "new").write_text(BRIDGED)
    (node / "exit").write_text("2")
    assert run(node, f"sy_ipt_load {node}/new").returncode == 2
    assert bridged(node) == {"PREROUTING": []}
    (node / "exit").write_text("0")
    (node / "net/rules.ipt").write_text(BRIDGED)
    for call in (f"sy_ipt_load {node}/plain", "sy_ipt_unload shipyard_ab12cd"):
        (node / "plain").write_text(NEW)
        assert run(node, f"sy_ipt_load {node}/net/rules.ipt").returncode == 0
        assert run(node, call).returncode == 0
        assert bridged(node) == {"PREROUTING": []}, call
