"""What a kernel is told to forget of its connections, in a real shell; its `conntrack` is a fake that keeps orders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shipyard.base import shell
from shipyard.runtime import netdir

TRACKED = """\
udp      17 29 src=10.0.0.1 dst=10.224.0.1 sport=34916 dport=53 [UNREPLIED] src=10.209.0.2 dst=10.0.0.1 sport=53 dport=34916 use=1
tcp      6 119 SYN_SENT src=10.0.0.1 dst=10.224.0.1 sport=1 dport=80 [UNREPLIED] src=10.209.0.2 dst=10.0.0.1 sport=80 dport=1 use=1
tcp      6 9 TIME_WAIT src=10.0.0.1 dst=10.224.0.1 sport=2 dport=80 src=10.209.0.2 dst=10.0.0.1 sport=80 dport=2 [ASSURED] use=1
tcp      6 9 TIME_WAIT src=10.0.0.1 dst=10.224.0.1 sport=3 dport=80 src=10.209.0.2 dst=10.0.0.1 sport=80 dport=3 [ASSURED] use=1
tcp      6 9 ESTABLISHED src=10.0.0.1 dst=10.224.0.1 sport=4 dport=80 src=10.209.0.2 dst=10.0.0.1 sport=80 dport=4 [ASSURED] use=1
tcp      6 9 CLOSE src=10.209.0.2 dst=10.224.0.1 sport=5 dport=80 src=10.209.0.9 dst=10.209.0.2 sport=80 dport=5 use=1
"""  # noqa: E501  # as conntrack 1.4.7 prints them
"""10.209.0.9 stays, and asked the other one by itself."""
LOOK = "-L"
ENDED = ["-D -p udp --reply-src 10.209.0.2", "-D -p tcp --state TIME_WAIT --reply-src 10.209.0.2"]
CALLS = "-D -p tcp --state SYN_SENT --reply-src 10.209.0.2"


def asked(tmp_path: Path, dead: str, *gone: str) -> list[str]:
    fake = tmp_path / "conntrack"
    (tmp_path / "tracked").write_text(TRACKED)
    fake.write_text('#!/bin/sh\necho "$@" >>"${0%/*}/asked"\n[ "$1" != -L ] || cat "${0%/*}/tracked"\n')
    fake.chmod(0o755)
    script = f"{netdir.FUNCTIONS}\nsy_net_forget {shell.join((dead, *gone))}"
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script], env=env, check=True)
    return (tmp_path / "asked").read_text().splitlines()


def test_what_has_ended_at_an_address_that_left_is_forgotten_and_nothing_that_is_open(tmp_path: Path) -> None:
    assert asked(tmp_path, "", "10.209.0.2", "10.209.0.7") == [LOOK, *ENDED]


def test_so_are_calls_to_one_that_nobody_sees(tmp_path: Path) -> None:
    assert sorted(asked(tmp_path, "10.209.0.2", "10.209.0.2")) == sorted([LOOK, *ENDED, CALLS])


@pytest.mark.parametrize("gone", ["10.209.0.7", "10.209.0.20"])
def test_where_nothing_is_tracked_one_look_is_all(tmp_path: Path, gone: str) -> None:
    assert asked(tmp_path, "", gone) == [LOOK]
