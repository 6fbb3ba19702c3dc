"""The lab that is measured on, and the projects of shipyard's in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.process import Cost, measured
from shipyard.lab.lab import Lab
from shipyard.lab.layout import Runtime
from tests.lab.fleet import Fleet

IMAGE = "shipyard.test/busybox:1"
COMMAND = ("sleep", "1000000")
SERVICES = ("s1", "s2", "s3", "s4", "s5")
STACK = "bench"
PROGRAM = str(Path(sys.executable).with_name("shipyard"))


@dataclass(frozen=True, slots=True)
class Ground:
    """A lab, and the folder in which projects and everybody's home are made."""

    lab: Lab
    folder: Path
    runtime: Runtime

    @property
    def size(self) -> int:
        return len(self.lab.nodes)

    @property
    def env(self) -> dict[str, str]:
        """For every process that is measured: no agent, no settings, an empty home."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}

    @property
    def fleet(self) -> Fleet:
        return Fleet(self.lab, self.folder)

    def addresses(self) -> list[str]:
        return [node.address for node in self.lab.nodes]

    def clean(self) -> None:
        """Nothing on the nodes but images."""
        self.fleet.clean()

    def project(self) -> Project:
        """An empty one in place of the last."""
        place = self.folder / "project"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        project = Project(self, place)
        project.describe(self.size)
        return project

    def check(self, nodes: int) -> None:
        """Every container is where it should be: five on each of the first nodes. Raises RuntimeError."""
        for node in self.lab.nodes[:nodes]:
            found = self.fleet.containers(node.name)
            if len(found) != len(SERVICES):
                raise RuntimeError(f"{node.name} has {len(found)} containers, not {len(SERVICES)}: {sorted(found)}")


@dataclass(frozen=True, slots=True)
class Project:
    """Files and a store of shipyard's for the first nodes of the lab."""

    ground: Ground
    folder: Path

    def describe(self, nodes: int) -> None:
        """Write inventory and playbook: five services, a replica of each for each of that many nodes."""
        inventory: dict[str, Any] = yaml.safe_load(self.ground.lab.inventory.read_text())
        hosts = dict(list(inventory["lab"]["hosts"].items())[:nodes])
        lab = {"lab": {"hosts": hosts, "vars": inventory["lab"]["vars"]}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(lab, sort_keys=False))
        (self.folder / "site.yml").write_text(playbook(nodes))

    def shipyard(self, *args: str) -> Cost:
        """One run of the program, as a whole process."""
        return measured([PROGRAM, "-i", "hosts.yml", *args], cwd=self.folder, env=self.ground.env)

    def output(self, *args: str) -> str:
        """What a run of the program prints."""
        argv = [PROGRAM, "-i", "hosts.yml", *args]
        return subprocess.run(
            argv, cwd=self.folder, env=self.ground.env, check=True, capture_output=True, text=True
        ).stdout

    def apply(self) -> Cost:
        return self.shipyard("apply", "site.yml")

    def reconcile(self, *args: str) -> Cost:
        return self.shipyard("reconcile", *args)


def playbook(replicas: int) -> str:
    """Five services, each of that many replicas, on a network of each node's own."""
    service = {
        "image": IMAGE,
        "command": list(COMMAND),
        "stop_grace_period": "0s",
        "deploy": {"replicas": replicas},
    }
    # a network of each node's own, as Ansible and the floor make it
    networks = {"default": {"driver": "bridge"}}
    services = {name: dict(service) for name in SERVICES}
    play = {"hosts": "lab", "stack": STACK, "services": services, "networks": networks}
    return yaml.safe_dump([play], sort_keys=False)


@contextmanager
def ground(nodes: int, runtime: Runtime, folder: Path, *, name: str, keep: bool) -> Iterator[Ground]:
    """A lab of this name, taken down afterwards with its folder, unless it is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lab = Lab.up(folder, name, nodes, runtime, report=lambda text: print(f"  {text}", file=sys.stderr))
        yield Ground(lab, folder, runtime)
    finally:
        if not keep:
            Lab.remove(name)
            shutil.rmtree(folder, ignore_errors=True)
