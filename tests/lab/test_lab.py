"""The lab itself, with real nodes: what the other tests stand on."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import LabError
from shipyard.lab import cgroups, images
from shipyard.lab.lab import Lab
from shipyard.lab.layout import Layout, Record, read_record, state_root
from tests.lab.fleet import Fleet

DEADLINE = 60.0


def until(what: Callable[[], object]) -> None:
    """Wait for something that is bound to come."""
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def reachable(lab: Lab, name: str) -> bool:
    try:
        socket.create_connection((lab.node(name).address, 22), timeout=1).close()
    except OSError:
        return False
    return True


def ssh(lab: Lab, node: str, command: str) -> str:
    done = subprocess.run(lab.ssh(node, [command]), capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


class TestSharedLab:
    """What a node is; on the lab that all tests share."""

    def test_a_node_is_a_host_of_its_own_behind_a_real_sshd(self, fleet: Fleet) -> None:
        for name in fleet.names:
            assert ssh(fleet.lab, name, "hostname; cat /proc/1/comm; id -un").split() == [name, "sh", "root"]

    def test_nodes_reach_each_other_by_name(self, fleet: Fleet) -> None:
        fleet.run("node1", "bash", "-c", "exec 3<>/dev/tcp/node3/22; read -r line <&3; [[ $line == SSH-2.0-* ]]")

    def test_the_operator_needs_the_password_for_sudo(self, fleet: Fleet) -> None:
        def sudo(password: str) -> int:
            return fleet.lab.run("node2", ["su", "ops", "-c", "sudo -k -S true"], input=password.encode()).returncode

        assert sudo("ops\n") == 0
        assert sudo("wrong\n") != 0

    def test_nothing_of_this_machines_secrets_and_users_shows(self, fleet: Fleet) -> None:
        shadow = fleet.run("node1", "cat", "/etc/shadow")
        assert {line.split(":")[1] for line in shadow.splitlines() if not line.startswith("ops:")} == {"*"}
        assert fleet.run("node1", "ls", "-A", "/root").split() == [".ssh"]
        keys = fleet.run("node1", "ls", "/etc/ssh").split()
        assert keys == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "sshd_config"]

    def test_writing_to_a_nodes_usr_leaves_this_machine_alone(self, fleet: Fleet) -> None:
        fleet.run("node1", "sh", "-c", "echo broken >/usr/bin/lab-test-file")
        assert not Path("/usr/bin/lab-test-file").exists()
        fleet.run("node1", "rm", "/usr/bin/lab-test-file")

    def test_images_are_the_same_on_every_runtime(self, fleet: Fleet) -> None:
        for image in images.NAMES:
            ids = {
                fleet.runtime_cli(name, "image", "inspect", "-f", "{{.Id}}", image).strip().removeprefix("sha256:")
                for name in fleet.names
            }
            assert len(ids) == 1, image

    def test_containers_run_with_limits_and_published_ports(self, fleet: Fleet) -> None:
        for name in fleet.names:
            web = ["httpd", "-f", "-p", "80", "-h", "/etc"]
            limits = ["--memory", "64m", "--cpus", "0.5"]
            fleet.runtime_cli(name, "run", "-d", "--name", "web", "-p", "8080:80", *limits, images.BUSYBOX, *web)
        fetch = "exec 3<>/dev/tcp/$0/8080; printf 'GET /group HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"

        def serves(name: str, other: str) -> bool:
            return "app:x:999" in fleet.run(other, "bash", "-c", fetch, fleet.lab.node(name).address, check=False)

        for name in fleet.names:
            for other in fleet.names:
                until(functools.partial(serves, name, other))

    def test_a_power_cut_ends_everything_and_keeps_the_disk(self, fleet: Fleet) -> None:
        for name in fleet.names:
            sleeper = [images.BUSYBOX, "sleep", "1000"]
            fleet.runtime_cli(name, "run", "-d", "--name", "always", "--restart", "always", *sleeper)
            fleet.run(name, "sh", "-c", "echo kept >/root/disk; echo lost >/run/memory")
            fleet.lab.kill(name)
            assert fleet.lab.state(name) == "off"
            assert not reachable(fleet.lab, name)
            fleet.lab.start(name)
            assert ssh(fleet.lab, name, "cat /root/disk; ls /run/memory 2>/dev/null || echo gone") == "kept\ngone"
            fleet.run(name, "rm", "/root/disk")
        # docker's daemon brings its containers back; podman, without systemd, brings none.
        until(lambda: fleet.inspect("node3", "always")["State"]["Running"])
        assert not fleet.inspect("node1", "always")["State"]["Running"]

    def test_a_cut_cable_is_silence_and_survives_a_boot(self, fleet: Fleet) -> None:
        fleet.lab.cut("node1")
        assert fleet.lab.state("node1") == "cut"
        assert not reachable(fleet.lab, "node1")
        assert fleet.run("node1", "cat", "/etc/hostname") == "node1\n"
        fleet.lab.kill("node1")
        fleet.lab.start("node1")
        assert not reachable(fleet.lab, "node1")
        fleet.lab.join("node1")
        until(lambda: reachable(fleet.lab, "node1"))

    def test_a_node_without_power_says_so(self, fleet: Fleet) -> None:
        fleet.lab.kill("node2")
        with pytest.raises(LabError, match="node2 is powered off"):
            fleet.lab.run("node2", ["true"])
        with pytest.raises(LabError, match="node2 is powered off"):
            fleet.lab.cut("node2")

    def test_an_unknown_node_is_an_error_that_names_the_nodes(self, fleet: Fleet) -> None:
        with pytest.raises(LabError, match="has no node 'node9'") as raised:
            fleet.lab.kill("node9")
        assert raised.value.hint == "it has node1, node2, node3"

    def test_its_name_is_taken_for_other_projects(self, fleet: Fleet, tmp_path: Path) -> None:
        with pytest.raises(LabError, match="already, of"):
            Lab.up(tmp_path, fleet.lab.record.name, images=False)


def namespaces(pid: int) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("net", "mnt", "pid")}


def processes_in(found: set[str]) -> list[str]:
    """What runs in any of these namespaces."""
    left = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if namespaces(int(process.name)) & found:
                left.append(process.name)
        except OSError:
            continue
    return left


def traces(record: Record, project: Path) -> list[str]:
    """Everything on this machine that bears a lab's mark."""
    found = [str(path) for path in (state_root() / record.name, project / ".shipyard") if path.exists()]
    found += [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(record.bridge)]
    rules = subprocess.run(["iptables", "-S"], capture_output=True, text=True, check=True).stdout
    found += [line for line in rules.splitlines() if record.bridge in line or f"lab {record.name}" in line]
    for hierarchy in cgroups.hierarchies():
        part = hierarchy.mount / cgroups.BASE / record.name
        found += [str(part)] if part.exists() else []
    mounts = Path("/proc/self/mountinfo").read_text()
    return found + [line for line in mounts.splitlines() if f"{state_root()}/{record.name}/" in line]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a lab of the test's own."""
    name = f"test-{os.getpid()}-own"
    yield name
    Lab.remove(name)


def program(name: str, project: Path, *args: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "shipyard", "lab", *args, "--name", name]
    return subprocess.Popen(argv, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_at(process: subprocess.Popen[bytes], moment: Callable[[], object]) -> None:
    """kill -9 as soon as something can be seen."""
    until(lambda: moment() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()


MADE = {
    "record": "lab.json",
    "key": "home:id_ed25519",
    "one disk": "nodes/node1/prepared",
    "power": "nodes/node2/alive",
    "a first process": "nodes/node3/pid",
    "inventory": "home:inventory.yml",
}
"""What `up` makes, in order, and where that shows: in the lab's own folder, or in that of the project (`home:`)."""


def each_way(moments: Iterable[str], usual: Collection[tuple[str, str]]) -> list[Any]:
    """What is killed at each of these moments is brought up, and taken down."""
    return [
        pytest.param(moment, then, marks=() if (moment, then) in usual else pytest.mark.matrix)
        for moment in moments
        for then in ("up", "down")
    ]


class TestOwnLab:
    """What a lab does when it comes and goes."""

    def test_down_leaves_nothing(self, name: str, tmp_path: Path) -> None:
        lab = Lab.up(tmp_path, name, nodes=3, runtime="mixed")
        for node in lab.nodes:
            lab.run(node.name, [node.runtime, "run", "-d", "-p", "80:80", images.BUSYBOX, "sleep", "1000"])
        lab.cut("node1")
        lab.kill("node2")
        spaces = set().union(*(namespaces(pid) for node in lab.nodes if (pid := node.pid()) is not None))
        assert traces(lab.record, tmp_path)
        lab.down()
        assert traces(lab.record, tmp_path) == []
        until(lambda: not processes_in(spaces))

    def test_two_labs_stand_side_by_side(self, fleet: Fleet, name: str, tmp_path: Path) -> None:
        other = Lab.up(tmp_path, name, nodes=1, runtime="podman", images=False)
        other.run("node1", ["sh", "-c", "echo other >/root/mark"])
        assert ssh(other, "node1", "cat /root/mark") == "other"
        assert fleet.run("node1", "ls", "/root") == ""
        other.down()
        assert reachable(fleet.lab, "node1")

    def test_up_again_mends_what_is_off_or_cut_and_keeps_the_disks(self, name: str, tmp_path: Path) -> None:
        lab = Lab.up(tmp_path, name, nodes=2, runtime="podman", images=False)
        lab.run("node1", ["sh", "-c", "echo kept >/root/mark"])
        known, pid = lab.layout.known_hosts.read_text(), lab.node("node2").pid()
        lab.kill("node1")
        lab.cut("node2")
        again = Lab.up(tmp_path, name, nodes=2, runtime="podman", images=False)
        assert [again.state(node.name) for node in again.nodes] == ["up", "up"]
        assert ssh(again, "node1", "cat /root/mark") == "kept"
        assert (again.layout.known_hosts.read_text(), again.node("node2").pid()) == (known, pid)

    def test_it_grows_but_does_not_shrink(self, name: str, tmp_path: Path) -> None:
        Lab.up(tmp_path, name, nodes=1, runtime="podman", images=False)
        grown = Lab.up(tmp_path, name, nodes=2, runtime="podman", images=False)
        assert ssh(grown, "node2", "hostname") == "node2"
        with pytest.raises(LabError, match="can only grow"):
            Lab.up(tmp_path, name, nodes=1, runtime="podman", images=False)

    def test_a_project_that_lost_its_key_gets_another(self, name: str, tmp_path: Path) -> None:
        Lab.up(tmp_path, name, nodes=1, runtime="podman", images=False)
        shutil.rmtree(tmp_path / ".shipyard")
        lab = Lab.up(tmp_path, name, nodes=1, runtime="podman", images=False)
        assert ssh(lab, "node1", "hostname") == "node1"

    @pytest.mark.parametrize(("seen", "then"), each_way(MADE, usual={("inventory", "up")}))
    def test_up_killed_half_way(self, name: str, tmp_path: Path, seen: str, then: str) -> None:
        layout = Layout(name, tmp_path)
        place, _, rest = MADE[seen].rpartition(":")
        path = (layout.home if place else layout.state) / rest
        kill_at(program(name, tmp_path, "up", "--no-images"), path.exists)
        record = read_record(name)
        assert record is not None
        if then == "up":
            lab = Lab.up(tmp_path, name, images=False)
            for node in lab.nodes:
                assert ssh(lab, node.name, f"hostname; {node.runtime} ps -q") == node.name
        Lab.remove(name)
        assert traces(record, tmp_path) == []

    @pytest.mark.parametrize(
        ("gone", "then"),
        each_way(("power", "bridge", "inventory", "disk"), usual={("disk", "down")}),
    )
    def test_down_killed_half_way(self, name: str, tmp_path: Path, gone: str, then: str) -> None:
        lab = Lab.up(tmp_path, name, images=False)
        moments: dict[str, Callable[[], bool]] = {
            "power": lambda: lab.node("node1").pid() is None,
            "bridge": lambda: not Path("/sys/class/net", lab.record.bridge).exists(),
            "inventory": lambda: not lab.inventory.exists(),
            "disk": lambda: not (lab.node("node1").disk / "prepared").exists(),
        }
        kill_at(program(name, tmp_path, "down"), moments[gone])
        if then == "up" and read_record(name) is not None:
            again = Lab.up(tmp_path, name, images=False)
            for node in again.nodes:
                assert ssh(again, node.name, f"hostname; {node.runtime} ps -q") == node.name
        Lab.remove(name)
        assert traces(lab.record, tmp_path) == []
