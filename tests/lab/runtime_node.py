"""One node's runtime as the dialects' lab tests see it: their commands run to the end, and what a probe then says."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from shipyard.base import shell
from shipyard.lab.images import BUSYBOX
from shipyard.lab.lab import Lab
from shipyard.model.container import ContainerSpec, Pairs
from shipyard.model.observed import Container
from shipyard.runtime.dialect import Command, Dialect, ProbeRequest, RuntimeState
from shipyard.runtime.dialects import by_name

CLUSTER = "c0ffee"
LABELS: Pairs = (("shipyard.cluster", CLUSTER), ("shipyard.service", "web"), ("shipyard.stack", "t"))

SECTION = """
section() {
  sy_section=$1
  shift
  printf '\\n-mark- begin %s\\n' "$sy_section"
  "$@" </dev/null
  printf '\\n-mark- end %s %s\\n' "$sy_section" "$?"
}
"""
_FRAMED = re.compile(rb"\n-mark- begin (\S+)\n(.*?)\n-mark- end \S+ (\d+)\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RuntimeNode:
    """A node of a lab, with the dialect of its runtime."""

    lab: Lab
    name: str
    dialect: Dialect

    @staticmethod
    def first(lab: Lab, runtime: str) -> RuntimeNode:
        name = next(node.name for node in lab.nodes if node.runtime == runtime)
        return RuntimeNode(lab, name, by_name(runtime))

    def sh(self, script: str, *, sh: str = "sh") -> subprocess.CompletedProcess[bytes]:
        """Run a script, given over standard input."""
        return self.lab.run(self.name, [sh, "-s"], input=script.encode("utf-8", "surrogateescape"))

    def run(self, commands: tuple[Command, ...]) -> subprocess.CompletedProcess[bytes]:
        """Run one step; the first command that fails ends it. What the last one said."""
        for command in commands:
            exports = "".join(f"export {name}={shell.quote(value)}\n" for name, value in command.env)
            done = self.sh(f"{exports}exec {shell.join(command.argv)} </dev/null")
            said = done.stderr.decode("utf-8", "replace")
            if done.returncode not in command.ok and not any(text in said for text in command.already):
                return done
        return done

    def must(self, commands: tuple[Command, ...]) -> str:
        """Run one step that has to succeed; the last command's output."""
        done = self.run(commands)
        assert done.returncode == 0 or any(text.encode() in done.stderr for text in commands[-1].already), (
            f"{commands}: {done.returncode}\n{done.stderr.decode('utf-8', 'replace')}"
        )
        return done.stdout.decode("utf-8", "replace").strip()

    def create(self, name: str, spec: ContainerSpec, config_paths: Mapping[str, str] | None = None) -> str:
        return self.must(self.dialect.create_container(name, spec, LABELS, config_paths or {}))

    def inside(self, container: str, script: str) -> str:
        """What a script says in a container, by its own shell."""
        command = self.dialect.execute(container, ("sh", "-c", script), tty=False, stdin=False, user=None, env=())
        return self.must((command,))

    def sections(self, request: ProbeRequest, *, sh: str = "sh") -> dict[str, bytes]:
        """A probe's sections; none of them may fail."""
        done = self.sh(SECTION + self.dialect.probe(request), sh=sh)
        found = {match[1].decode(): (match[2], match[3]) for match in _FRAMED.finditer(done.stdout)}
        failed = {name: body for name, (body, status) in found.items() if status != b"0"}
        assert not failed, f"{failed}\n{done.stderr.decode()}"
        return {name: body for name, (body, _) in found.items()}

    def probe(self, request: ProbeRequest | None = None, *, sh: str = "sh") -> RuntimeState:
        return self.dialect.parse(self.sections(request or ProbeRequest(CLUSTER), sh=sh), time.time())

    def container(self, name: str, request: ProbeRequest | None = None) -> Container:
        found = {box.name: box for box in self.probe(request).containers}
        assert name in found, sorted(found)
        return found[name]

    def wait(self, name: str, states: set[str]) -> Container:
        """Until a container is in one of these states, five seconds at most."""
        for _ in range(50):
            box = self.container(name)
            if box.state in states:
                return box
            time.sleep(0.1)
        raise AssertionError(f"{name} is {box.state}, not {states}")

    def clean(self) -> None:
        """Nothing of these tests is left."""
        program = self.dialect.name
        # a look into its folders is cheaper than a command that finds nothing
        networks, volumes = {
            "podman": ("ls /etc/containers/networks/*.json", "ls -d /var/lib/containers/storage/volumes/*/"),
            "docker": (":", "ls -d /var/lib/docker/volumes/*/"),
        }[program]
        force = "podman rm --force --time 0 --volumes" if program == "podman" else "docker rm --force --volumes"
        self.sh(
            f"""
            all=$({program} ps -aq --filter label=shipyard.cluster={CLUSTER}); [ -z "$all" ] || {force} $all
            for kind in network volume; do
              case $kind in network) {networks} ;; *) {volumes} ;; esac >/dev/null 2>&1 || continue
              all=$({program} $kind ls -q --filter label=shipyard.cluster={CLUSTER})
              [ -z "$all" ] || {program} $kind rm $all
            done
            rm -rf /srv/shipyard-test
            """
        )


def sleeper(**fields: object) -> ContainerSpec:
    """A container that stays up."""
    chosen = {"image": BUSYBOX, "command": ("sleep", "1000"), "stop_grace_period": 0.0, **fields}
    return ContainerSpec(**chosen)  # type: ignore[arg-type]  # keyword arguments of the spec, as a test names them
