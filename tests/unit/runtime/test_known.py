"""Containers that are known are inspected without being looked for. The runtime is a fake: a function of the shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shipyard.runtime.dialect import ProbeRequest
from shipyard.runtime.dialects import by_name

ONE, TWO = "a" * 64, "b" * 64
FAKE = """
PROGRAM() {
  echo "$1" >>"$CALLS"
  case $1 in
    inspect) for id in THERE; do printf '["c","%s"]\\n\\nhealth %s 1000000000 /nowhere\\n' $id $id; done ;;
    ps) printf 'THERE\\n' ;;
  esac
}
section() { name=$1; shift; echo "begin $name"; "$@" </dev/null; }
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


def probed(calls: Path, program: str, there: str, **more: bool) -> tuple[str, list[str]]:
    """What the probe prints on a node with these containers, and the commands of the runtime that it takes."""
    request = ProbeRequest(
        "c0", version=False, stray_networks=False, stray_volumes=False, containers=(ONE, TWO), **more
    )
    fake = FAKE.replace("PROGRAM", program).replace("THERE", there)
    script, env = fake + by_name(program).probe(request), {"PATH": os.environ["PATH"], "CALLS": str(calls)}
    done = subprocess.run(["sh", "-s"], input=script, env=env, text=True, capture_output=True, check=True)
    return done.stdout, calls.read_text().split()


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_nothing_is_looked_for_where_all_are_there(calls: Path, program: str) -> None:
    said, commands = probed(calls, program, f"{ONE} {TWO}")
    assert "ps" not in commands and commands.count("inspect") == 1
    assert said.count('["c",') == 2


@pytest.mark.parametrize("program", ["docker", "podman"])
@pytest.mark.parametrize("there", [ONE, f"{ONE} {TWO} {'c' * 64}"], ids=["one is gone", "an odd answer"])
def test_all_is_looked_for_where_the_answer_is_another(calls: Path, program: str, there: str) -> None:
    said, commands = probed(calls, program, there)
    assert commands.count("ps") == 1
    assert said.partition("begin inspect")[2].count('["c",') == len(there.split())


def test_what_a_health_check_came_to_is_asked_for_once_more(calls: Path) -> None:
    said, commands = probed(calls, "podman", f"{ONE} {TWO}", health=True)
    assert commands.count("inspect") == 2
    assert said.partition("begin health")[2].count('["c",') == 2
