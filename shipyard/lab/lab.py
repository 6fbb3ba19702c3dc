"""A lab as a whole: up, down, and what can happen to its nodes in between.

Everything here may be killed at any moment. The record comes first and goes last, every step looks at what is there
already, and so a second `up` mends what a first one left, and `down` finds all of it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from shipyard.base.errors import LabError
from shipyard.base.record import Struct
from shipyard.base.text import tail
from shipyard.lab import cgroups, disk, inventory, network
from shipyard.lab.claim import claim, name_option
from shipyard.lab.command import attempt
from shipyard.lab.images import Image, ensure
from shipyard.lab.layout import (
    DEFAULT_NAME,
    MAX_NODES,
    Choice,
    Layout,
    Record,
    check_name,
    locked,
    read_record,
    remove_if_empty,
    runtimes,
    state_root,
)
from shipyard.lab.machine import look, require
from shipyard.lab.node import Node

State = Literal["up", "cut", "off"]
Report = Callable[[str], None]


def quiet(_: str) -> None:
    """Tells nobody."""


class Lab(Struct, frozen=True):
    """A lab of this machine. Made by `up` or `find`."""

    layout: Layout
    record: Record

    @staticmethod
    def up(
        directory: Path,
        name: str = DEFAULT_NAME,
        nodes: int = 3,
        runtime: Choice = "mixed",
        *,
        images: bool = True,
        report: Report = quiet,
    ) -> Lab:
        """Make it, mend it, or let it grow, until every node is powered, connected and ready. Raises LabError."""
        layout = Layout(check_name(name), directory.absolute())
        if not 1 <= nodes <= MAX_NODES:
            raise LabError(f"a lab has 1 to {MAX_NODES} nodes, not {nodes}")
        wanted = runtimes(nodes, runtime)
        require(wanted)
        with locked(name):
            lab = Lab(layout, claim(layout, wanted))
            lab._make(report)
            if images:
                lab._load_missing(ensure(report), report)
        return lab

    @staticmethod
    def find(name: str = DEFAULT_NAME) -> Lab:
        """A lab that was made before. Raises LabError where there is none."""
        record = read_record(check_name(name))
        if record is None:
            raise LabError(f"there is no lab {name!r} on this machine", hint=f"shipyard lab up{name_option(name)}")
        return Lab(Layout(name, Path(record.directory)), record)

    @staticmethod
    def remove(name: str = DEFAULT_NAME, *, report: Report = quiet) -> bool:
        """Take a lab down where there is one, whatever state it is in; says whether there was."""
        if read_record(check_name(name)) is None:
            return False
        Lab.find(name).down(report=report)
        return True

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._node(number) for number in range(1, len(self.record.runtimes) + 1))

    @property
    def inventory(self) -> Path:
        return self.layout.inventory

    def node(self, name: str) -> Node:
        """Raises LabError where the lab has no node of this name."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise LabError(f"the lab {self.record.name!r} has no node {name!r}", hint=f"it has {names}")

    def state(self, name: str) -> State:
        """Whether a node has power, and its network cable."""
        node = self.node(name)
        if node.pid() is None:
            return "off"
        return "cut" if _cut_mark(node).exists() else "up"

    def kill(self, name: str) -> None:
        """Power cut. Its disk is kept."""
        node = self.node(name)
        with locked(self.record.name):
            self._kill(node)

    def start(self, name: str) -> None:
        """Boot, and wait until it is ready. Its network cable stays as it was."""
        node = self.node(name)
        with locked(self.record.name):
            network.make_bridge(self.record)
            self._start(node)

    def cut(self, name: str) -> None:
        """Cut the network cable: the node runs on, and nothing reaches it."""
        self._cable(self.node(name), cut=True)

    def join(self, name: str) -> None:
        """Plug the network cable in again."""
        self._cable(self.node(name), cut=False)

    def run(
        self, name: str, argv: Iterable[str], *, input: bytes | None = None, timeout: float | None = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a node as root, past ssh (so on a node that is cut off, too); output captured."""
        command = self.node(name).command(tuple(argv))
        given = b"" if input is None else input
        return subprocess.run(command, input=given, capture_output=True, check=False, timeout=timeout)

    def load_image(self, archive: Path, nodes: Iterable[str] | None = None) -> None:
        """Load an archive of `docker save` or `podman save` into these nodes, or all. Raises LabError."""
        chosen = self.nodes if nodes is None else tuple(self.node(name) for name in nodes)

        def load(node: Node) -> None:
            done = attempt(node.command((node.runtime, "load", "--quiet")), stdin=archive)
            if done.returncode != 0:
                raise LabError(f"{node.name}: {archive.name} can't be loaded: {tail(done.stderr.decode())}")

        _parallel(load, chosen)

    def ssh(self, name: str, argv: Iterable[str] = ()) -> list[str]:
        """The command line that logs into a node as its user would."""
        options = ["-i", str(self.layout.key), "-o", inventory.known_hosts_option(self.layout)]
        alone = ["-o", "IdentitiesOnly=yes", "-o", "GlobalKnownHostsFile=/dev/null", "-F", "/dev/null"]
        return ["ssh", *alone, *options, f"root@{self.node(name).address}", *argv]

    def down(self, *, report: Report = quiet) -> None:
        """Take everything down that belongs to this lab, and nothing else. Harmless when it is down."""
        with locked(self.record.name):
            if read_record(self.record.name) is None:
                return
            report("cutting the power")
            _parallel(self._kill, self.nodes)
            report("removing cgroups, network and disks")
            cgroups.remove(self.record.name)
            network.remove_bridge(self.record)
            inventory.remove(self.layout)
            _remove_tree(self.layout.state / "nodes")
            self.layout.record.unlink()
            _remove_tree(self.layout.state)
        remove_if_empty(state_root())

    def _node(self, number: int) -> Node:
        name = f"node{number}"
        return Node(
            lab=self.record.name,
            name=name,
            number=number,
            address=self.record.address(number),
            runtime=self.record.runtimes[number - 1],
            disk=self.layout.node(name),
        )

    def _make(self, report: Report) -> None:
        machine, public_key = look(), inventory.make_key(self.layout)
        network.make_bridge(self.record)
        addresses = {node.name: node.address for node in self.nodes}
        report(f"starting {len(self.nodes)} nodes")

        def ready(node: Node) -> None:
            disk.prepare(node.disk, node.name, machine)
            disk.authorize(node.disk, public_key)
            disk.write_hosts(node.disk, addresses)
            _cut_mark(node).unlink(missing_ok=True)
            self._start(node)

        _parallel(ready, self.nodes)
        inventory.write(self.layout, self.nodes, {node.name: disk.host_key(node.disk) for node in self.nodes})

    def _load_missing(self, images: tuple[Image, ...], report: Report) -> None:
        """What a node has already is asked of its runtime: somebody may have removed it there."""

        def missing(node: Node) -> list[Image]:
            """Loaded the largest last, so that what they have in common is read once."""
            names = [image.name for image in images]
            done = attempt(node.command((node.runtime, "image", "inspect", "--format", "{{.Id}}", *names)))
            have = {line.removeprefix("sha256:") for line in done.stdout.decode().split()}
            return [image for image in images if image.identity.removeprefix("sha256:") not in have]

        def load(node: Node) -> None:
            for image in missing(node):
                self.load_image(image.archive, [node.name])

        report("loading images into the nodes")
        _parallel(load, self.nodes)

    def _start(self, node: Node) -> None:
        """Boot, plug in, wait. A power cut that somebody began and did not live to finish is waited for, once."""
        pid = node.boot()
        try:
            self._bring_up(node, pid)
        except LabError:
            if not node.is_gone(pid):
                raise
            self._bring_up(node, node.boot())

    def _bring_up(self, node: Node, pid: int) -> None:
        cut = _cut_mark(node).exists()
        if not network.is_plugged(self.record, node.number, pid):
            network.plug(self.record, node.number, pid, up=not cut)
        network.set_cable(self.record, node.number, up=not cut)
        node.wait_ready()

    def _kill(self, node: Node) -> None:
        node.kill()
        network.unplug(self.record, node.number)
        cgroups.remove(self.record.name, node.name)

    def _cable(self, node: Node, *, cut: bool) -> None:
        with locked(self.record.name):
            if node.pid() is None:
                raise LabError(f"{node.name} is powered off", hint=f"shipyard lab start {node.name}")
            if cut:
                _cut_mark(node).touch()
            network.set_cable(self.record, node.number, up=not cut)
            if not cut:
                _cut_mark(node).unlink(missing_ok=True)


def _cut_mark(node: Node) -> Path:
    return node.disk / "cut"


def _parallel(work: Callable[[Node], None], nodes: tuple[Node, ...]) -> None:
    """For all nodes at once; every one is finished before the first error is raised."""
    with ThreadPoolExecutor(max_workers=min(len(nodes), 16)) as pool:
        futures = [pool.submit(work, node) for node in nodes]
    for future in futures:
        future.result()


def _remove_tree(folder: Path) -> None:
    for mark in folder.glob("*/prepared"):
        mark.unlink()  # half a disk must not be taken for a whole one
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LabError(f"{folder} can't be removed: {error}", hint="the next `shipyard lab down` goes on") from error
