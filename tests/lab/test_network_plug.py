"""A container whose device is off its bridge, in network namespaces; the runtime that tells its process is a fake."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipyard.model.wire import Item
from shipyard.runtime import netitems, netplug

WEB = Item("ports", "s_default", "10.209.0.1 fd00::1 web 10.209.0.2 fd00::2/122", device="sybr0")

_NODE = """
ip link add sybr0 type bridge
ip address add 10.209.0.1/26 dev sybr0
ip -6 address add fd00::1/122 dev sybr0 nodad
ip link set sybr0 up
ip link add other type bridge
ip link set other up
ip link add veth7 type veth peer name eth0 netns @BOX@
ip link set veth7 master sybr0 up
ip -n @BOX@ link set eth0 up
ip -n @BOX@ address add 10.209.0.2/26 dev eth0
ip -n @BOX@ -6 address add fd00::2/122 dev eth0 nodad
ip -n @BOX@ route add default via 10.209.0.1
ip -n @BOX@ -6 route add default via fd00::1
"""

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Run]:
    """Runs a script on the node, where `$BOX` is the container's namespace."""
    names = [f"sy-{os.getpid()}-{kind}" for kind in ("node", "box")]
    process = None

    def run(script: str) -> subprocess.CompletedProcess[str]:
        argv = ["ip", "netns", "exec", names[0], "sh", "-c", script]
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "BOX": names[1]}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        made = run(f"set -e\n{_NODE.replace('@BOX@', names[1])}")
        assert made.returncode == 0, made.stderr
        process = subprocess.Popen(["ip", "netns", "exec", names[1], "sleep", "100"])
        fake = tmp_path / "docker"
        fake.write_text(f"#!/bin/sh\necho /web {process.pid}\n")
        fake.chmod(0o755)
        yield run
    finally:
        if process is not None:
            process.kill()
            process.wait()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def plug(node: Run) -> subprocess.CompletedProcess[str]:
    return node(f"{netitems.FUNCTIONS}\n{netplug.plug(WEB, 'docker')}")


@pytest.mark.parametrize(
    "damage",
    [
        "ip link set veth7 nomaster",
        "ip link set veth7 master other",
        "ip link set veth7 down",
        "ip -n $BOX link set eth0 down",
    ],
    ids=["on none", "on another one", "down", "down inside"],
)
def test_it_is_reached_again_by_both_families(node: Run, damage: str) -> None:
    reached = "ping -c1 -W2 10.209.0.2 && ping -c1 -W2 fd00::2 && ip netns exec $BOX ping -c1 -W2 10.209.0.1"
    assert node(reached).returncode == 0
    assert node(damage).returncode == 0
    assert node("ping -c1 -W1 10.209.0.2").returncode != 0
    done = plug(node)
    assert done.returncode == 0, done.stderr
    assert node(f"sleep 0.3; {reached}").returncode == 0
    routes = node("ip -n $BOX route; ip -n $BOX -6 route").stdout
    assert "default via 10.209.0.1 " in routes and "default via fd00::1 " in routes


@pytest.mark.parametrize("damage", ["address del 10.209.0.2/26 dev eth0", "link del eth0"])
def test_what_can_not_be_put_back_is_told(node: Run, damage: str) -> None:
    assert node(f"ip -n $BOX {damage}").returncode == 0
    done = plug(node)
    assert done.returncode != 0
    assert "web no longer has its address 10.209.0.2 inside: restart its service" in done.stderr


def test_where_all_is_well_nothing_is_done(node: Run) -> None:
    before = node("ip -o link; ip address; ip -n $BOX address").stdout
    assert plug(node).returncode == 0
    assert node("ip -o link; ip address; ip -n $BOX address").stdout == before
