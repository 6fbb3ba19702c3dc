"""FAKES, for tests of what is sent to nodes: a node that is a directory of this machine, a runtime that only notes
how it was called, and a fleet of such nodes. The shells that run the scripts are real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipyard.base.errors import NodeError, Truncated
from shipyard.model.plan import Action, StartContainer
from shipyard.runtime.dialect import Command
from shipyard.transport.connection import MAX_OUTPUT, Completed

SHELLS = tuple(
    argv for argv in (("dash",), ("bash", "--posix"), ("busybox", "sh")) if shutil.which(argv[0]) is not None
)
EVAL = 'script=$(cat); exec </dev/null; (eval "$script")'

# What the tests ask of it: note the call, then do as the first word says.
RUNTIME = r"""#!/bin/sh
printf '%s\0' $# "$@" >>"$FAKE/calls"
{ cat /proc/$$/environ; printf '\0'; } >>"$FAKE/environs"
case $1 in
  fail) echo "$3" >&2; exit "$2" ;;
  say) printf '%b' "$2" ;;
  script) shift; . "$FAKE/$1" ;;
esac
"""


@dataclass
class ShellNode:
    """FAKE connection: runs scripts here, with its own directories and its own commands first on PATH."""

    node: str
    root: Path
    shell: tuple[str, ...] = ("sh",)
    extra: Mapping[str, str] = field(default_factory=dict)
    execs: int = 0

    def __post_init__(self) -> None:
        (self.root / "bin").mkdir(parents=True, exist_ok=True)
        self.command("fakectl", RUNTIME)

    @property
    def environment(self) -> dict[str, str]:
        own = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "HOME": str(self.root), "FAKE": str(self.root)}
        return own | dict(self.extra)

    def command(self, name: str, text: str) -> None:
        """Put a command on this node."""
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, script: bytes) -> subprocess.Popen[bytes]:
        """Begin a script, and hand over the process."""
        process = subprocess.Popen(
            [*self.shell, "-c", EVAL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(script)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, script: bytes, *, timeout: float, max_bytes: int = MAX_OUTPUT) -> Completed:
        self.execs += 1
        with self.start(script) as process:
            out, err = process.communicate(timeout=30)
        if len(out) > max_bytes:
            raise Truncated("n", f"more than {max_bytes} bytes")
        return Completed(process.returncode, out, err)

    def calls(self) -> list[tuple[str, ...]]:
        """The argument lists that the runtime was called with, in order."""
        path = self.root / "calls"
        if not path.exists():
            return []
        words = iter(path.read_bytes().decode().split("\0")[:-1])
        return [tuple(next(words) for _ in range(int(count))) for count in words]

    def environs(self) -> list[dict[bytes, bytes]]:
        """The environments that the runtime was called with, in order."""
        calls = (self.root / "environs").read_bytes().split(b"\0\0")[:-1]
        return [dict(_pair(word) for word in call.split(b"\0")) for call in calls]


def _pair(word: bytes) -> tuple[bytes, bytes]:
    name, _, value = word.partition(b"=")
    return name, value


class FakeFleet:
    """FAKE fleet: each node in its turn; one that is an error fails with it."""

    def __init__(self, nodes: Mapping[str, ShellNode | NodeError]) -> None:
        self.nodes = nodes

    def each(self, nodes: object, work: Callable[[ShellNode], object]) -> dict[str, object]:
        return {name: self._one(self.nodes[name], work) for name in sorted(nodes)}

    @staticmethod
    def _one(node: ShellNode | NodeError, work: Callable[[ShellNode], object]) -> object:
        if isinstance(node, NodeError):
            return node
        try:
            return work(node)
        except NodeError as error:
            return error


class FakeDialect:
    """FAKE dialect: starting a container runs what the test chose for it; the probe is the test's own text."""

    name = "fakectl"

    def __init__(
        self, *chosen: tuple[Command, ...], probe: str = "", parse: Callable[..., object] | None = None
    ) -> None:
        self._chosen = chosen
        self._probe, self._parse = probe, parse

    def start(self, container: str) -> tuple[Command, ...]:
        return self._chosen[int(container)]

    def create_container(self, name: str, *rest: object) -> tuple[Command, ...]:
        return self._chosen[0]

    def probe(self, request: object) -> str:
        return self._probe

    def parse(self, sections: object, clock: float) -> object:
        assert self._parse is not None
        return self._parse(sections, clock)


def call(*words: str, **more: object) -> Command:
    """A call of the fake runtime."""
    return Command(("fakectl", *words), **more)  # type: ignore[arg-type]  # the fields of Command


def action(number: int, *needs: int, step: object = None, node: str = "n1") -> Action:
    """An action; without a step it is the dialect's command of that number, from 1."""
    chosen = StartContainer(str(number - 1), "web") if step is None else step
    return Action(number, node, "web/app.1", "Test", "as the test says", chosen, needs)


def is_root() -> bool:
    return os.getuid() == 0
