"""What the lab tests run is forked: it does what the program does when it starts by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.forking import kept, program


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["status", "-o", "json"],
        ["history", "nothing"],
        ["plan"],
        ["secret", "set", "key"],
        ["plan", "--check", "missing.yml"],
    ],
    ids=" ".join,
)
def test_a_forked_run_says_and_ends_as_one_that_was_started(words: list[str], tmp_path: Path) -> None:
    said = []
    for place in (tmp_path / "forked", tmp_path / "started"):
        place.mkdir(mode=0o700)
        (place / "hosts.yml").write_text("all: {hosts: {}}\n")
        environment = {**kept(), "HOME": str(place), "LANG": "C.UTF-8"}
        argv = ["-i", "hosts.yml", *words]
        if place.name == "forked":
            done = program().run(argv, cwd=place, env=environment, input="a value\n", timeout=60)
        else:
            command = [sys.executable, "-m", "shipyard", *argv]
            pipes = {"input": "a value\n", "capture_output": True, "text": True, "timeout": 60}
            done = subprocess.run(command, cwd=place, env=environment, check=False, **pipes)
        said.append((done.returncode, done.stdout, done.stderr.replace(str(place), "PLACE")))
    assert said[0] == said[1]


def test_one_that_takes_too_long_is_ended_and_the_next_one_is_run(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        program().run(["status"], cwd=tmp_path, env=kept(), input="", timeout=0.001)
    assert program().run(["--version"], cwd=tmp_path, env=kept(), input="", timeout=60).returncode == 0
