"""The lab as tests see it: real nodes, a project folder, and the program itself as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipyard.lab.lab import Lab
from shipyard.lab.node import Node
from tests.lab.forking import kept, program

TIMEOUT = 120.0

# Everything on a node that a test may have made. Images stay: they are the same for all tests. Podman removes all at
# once, and so may come to a holder before those that share its network: it stays then, until it is told again. What
# the runtimes keep in files is looked for there: each of their commands takes a tenth of a second, before every test.
# So does the one that each conmon starts when its container ends, and so they end first.
_CLEAN: dict[str, str] = {
    "podman": """
        if ls -d /var/lib/containers/storage/overlay-containers/*/ >/dev/null 2>&1; then
            if watching=$(pgrep -d, -x conmon); then
                pkill -STOP -x conmon; pkill -KILL -P "$watching"; pkill -KILL -x conmon
            fi
            podman rm --all --force --time 0 >/dev/null 2>&1 || podman rm --all --force --time 0 >/dev/null || exit
        fi
        if ls /etc/containers/networks/*.json >/dev/null 2>&1; then
            nets=$(podman network ls --format '{{.Name}}' | grep -vx podman) && podman network rm -f $nets >/dev/null
        fi
        ! ls -d /var/lib/containers/storage/volumes/*/ >/dev/null 2>&1 || podman volume rm --all --force >/dev/null
        rm -rf /var/lib/shipyard /etc/shipyard
        { @UNWIRE@ } >/dev/null
        ls /etc/containers/networks/*.json 2>/dev/null
        ls -d /var/lib/containers/storage/volumes/*/ 2>/dev/null
        :
    """,
    "docker": """
        all=
        [ -z "$(ls /var/lib/docker/containers)" ] || all=$(docker ps -aq)
        [ -z "$all" ] || docker rm -f -v $all >/dev/null || exit
        nets=$(docker network ls -q --filter type=custom) && [ -n "$nets" ] && docker network rm $nets >/dev/null
        ! ls -d /var/lib/docker/volumes/*/ >/dev/null 2>&1 || docker volume rm -f $(docker volume ls -q) >/dev/null
        rm -rf /var/lib/shipyard /etc/shipyard
        { @UNWIRE@ } >/dev/null
        ls -d /var/lib/docker/volumes/*/ 2>/dev/null
        [ -z "$all" ] || docker ps -aq
        [ -z "$nets" ] || docker network ls -q --filter type=custom
    """,
}
"""Says what it could not remove."""
_UNWIRE = """
        for table in $(nft list tables 2>/dev/null | grep -o 'ip shipyard_.*' | cut -c4-); do
            nft delete table ip "$table"; nft delete table bridge "$table" 2>/dev/null
            nft delete table ip6 "$table" 2>/dev/null
        done
        for device in /sys/class/net/sy??????[vwb]* /sys/class/net/podman[1-9]*; do
            [ ! -e "$device" ] || ip link del dev "${device##*/}"
        done
        ip route flush proto 190; ip -6 route flush proto 190
        for tables in iptables ip6tables ebtables; do
            ! "$tables-save" 2>/dev/null | grep -q SY- || "$tables-save" | grep -v SY- | "$tables-restore"
        done
        for chain in DOCKER-USER FORWARD; do
            while iptables -D "$chain" -m mark --mark 0x200000/0x200000 -j ACCEPT 2>/dev/null; do :; done
            while ip6tables -D "$chain" -m mark --mark 0x200000/0x200000 -j ACCEPT 2>/dev/null; do :; done
        done
"""
"""What a fleet that was taken apart properly would have taken with it."""


_INSIDE = r"""
    kept=/var/lib/containers/storage/overlay-containers/containers.json
    id=$(sed 's/},{/}\n{/g' $kept | sed -n 's/.*"id":"\([0-9a-f]*\)","names":\["'"$0"'"\].*/\1/p')
    read -r pid <"/run/containers/storage/overlay-containers/$id/userdata/pidfile"
    exec nsenter --target "$pid" --mount --uts --ipc --net --pid env -i PATH=/bin:/usr/bin:/usr/local/bin "$@"
"""
"""Where podman itself keeps the names, and conmon the process."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of the program that ended."""

    args: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.stdout)

    def expect(self, code: int = 0) -> Ran:
        """Itself, where it ended with this code; else everything it said, in the failure."""
        assert self.code == code, f"shipyard {' '.join(self.args)}: exit {self.code}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True, slots=True)
class Fleet:
    """A lab, and a project of one test that uses it. `hosts`: an inventory instead of the lab's own."""

    lab: Lab
    project: Path
    hosts: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.lab.nodes)

    def runtime(self, node: str) -> str:
        return self.lab.node(node).runtime

    def write(self, path: str, text: str) -> Path:
        """A file of the project."""
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def command(self, *args: str) -> list[str]:
        """The program's command line, with the lab's inventory."""
        return [sys.executable, "-m", "shipyard", "-i", str(self.hosts or self.lab.inventory), *args]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of whoever runs the tests; the project is the home."""
        return {**kept(), "HOME": str(self.project), "LANG": "C.UTF-8", **(more or {})}

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program in the project, for a test that interferes with it while it runs."""
        return subprocess.Popen(
            self.command(*args),
            cwd=self.project,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def shipyard(self, *args: str, env: Mapping[str, str] | None = None, input: str = "") -> Ran:
        """Run the program in the project, to the end."""
        _, _, _, *words = self.command(*args)
        environment = self.environment(env)
        done = program().run(words, cwd=self.project, env=environment, input=input, timeout=TIMEOUT)
        return Ran(args, done.returncode, done.stdout, done.stderr)

    def run(self, node: str, *argv: str, check: bool = True) -> str:
        """Run a command in a node, past ssh; its standard output."""
        done = self.lab.run(node, argv)
        if check:
            assert done.returncode == 0, f"{node}: {argv}: exit {done.returncode}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def runtime_cli(self, node: str, *argv: str, check: bool = True) -> str:
        """`docker …` or `podman …`, whichever the node has."""
        return self.run(node, self.runtime(node), *argv, check=check)

    def inside(self, node: str, container: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a container's namespaces: to podman, that is three processes of its own for each."""
        if self.runtime(node) == "docker":
            return self.lab.run(node, ("docker", "exec", container, *argv))
        return self.lab.run(node, ("sh", "-c", _INSIDE, container, *argv))

    def inspect(self, node: str, container: str) -> dict[str, Any]:
        """A container as the runtime describes it."""
        found: list[dict[str, Any]] = json.loads(self.runtime_cli(node, "container", "inspect", container))
        return found[0]

    def containers(self, node: str | None = None) -> dict[str, str]:
        """Ids by name, also of those that stopped; of one node, or of all."""
        found: dict[str, str] = {}
        for name in self.names if node is None else (node,):
            lines = self.runtime_cli(name, "ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines()
            found |= dict(line.split() for line in lines)
        return found

    def clean(self) -> None:
        """As if nothing had ever run: every node powered and connected, nothing on it but images."""
        with ThreadPoolExecutor(len(self.lab.nodes)) as pool:
            list(pool.map(self._clean, self.lab.nodes))

    def _clean(self, node: Node) -> None:
        if self.lab.state(node.name) == "off":
            self.lab.start(node.name)
        if self.lab.state(node.name) == "cut":
            self.lab.join(node.name)
        left = self.lab.run(node.name, ["sh", "-c", _CLEAN[node.runtime].replace("@UNWIRE@", _UNWIRE)])
        said = left.stdout.decode() + left.stderr.decode()
        assert left.returncode == 0 and not left.stdout.strip(), f"{node.name} could not be cleaned: {said}"
