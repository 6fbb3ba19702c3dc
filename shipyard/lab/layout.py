"""Where a lab keeps its things, and the record from which it can always be mended or taken down.

Two places. The project's `.shipyard/lab/` has what people and shipyard use: inventory, key, known_hosts. The state
folder has what must be on a real disk and must survive the project: the nodes' disks, and `lab.json`, which is
written before anything else is made and removed after everything else is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from msgspec import structs

from shipyard.base.errors import LabError
from shipyard.base.record import Struct

Runtime = Literal["podman", "docker"]
Choice = Literal["podman", "docker", "mixed"]

DEFAULT_NAME = "lab"
MAX_NODES = 200
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def state_root() -> Path:
    """The folder of all labs' state. It must be on a disk file system: overlay storage needs one beneath it."""
    return Path(os.environ.get("SHIPYARD_LAB_STATE", "/var/lib/shipyard-lab"))


def cache_root() -> Path:
    """The folder of downloaded packages and built images."""
    return Path(os.environ.get("SHIPYARD_LAB_CACHE", "/var/cache/shipyard-lab"))


def check_name(name: str) -> str:
    """A lab's name becomes a folder. Raises LabError."""
    if not _NAME.fullmatch(name):
        raise LabError(f"a lab can't be named {name!r}", hint="lower-case letters, digits and dashes, a letter first")
    return name


class Record(Struct, frozen=True):
    """What a lab is. `index`: its number on this machine, from which its network's names and addresses follow."""

    name: str
    directory: str
    index: int
    runtimes: tuple[Runtime, ...]

    @property
    def bridge(self) -> str:
        return f"sylab{self.index}"

    @property
    def gateway(self) -> str:
        """This machine's own address among the nodes."""
        return f"198.18.{self.index}.1"

    def address(self, number: int) -> str:
        """Of node `number` (from 1). 198.18.0.0/15 is set aside for test networks, so it meets no real one."""
        return f"198.18.{self.index}.{10 + number}"

    def cable(self, number: int) -> str:
        """This machine's end of a node's network cable."""
        return f"sylab{self.index}n{number}"


class Layout(Struct, frozen=True):
    """The paths of one lab."""

    name: str
    directory: Path

    @property
    def state(self) -> Path:
        return state_root() / self.name

    @property
    def record(self) -> Path:
        return self.state / "lab.json"

    def node(self, name: str) -> Path:
        return self.state / "nodes" / name

    @property
    def home(self) -> Path:
        """The lab's folder in the project."""
        base = self.directory / ".shipyard" / "lab"
        return base if self.name == DEFAULT_NAME else base / self.name

    @property
    def inventory(self) -> Path:
        return self.home / "inventory.yml"

    @property
    def key(self) -> Path:
        return self.home / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"


def runtimes(nodes: int, choice: Choice) -> tuple[Runtime, ...]:
    """Which runtime each node gets. Mixed: every third node has docker, and with two nodes the second."""
    if choice != "mixed":
        return (choice,) * nodes
    docker = {2} if nodes == 2 else set(range(3, nodes + 1, 3))
    return tuple("docker" if number in docker else "podman" for number in range(1, nodes + 1))


def read_record(name: str) -> Record | None:
    """The lab of this name on this machine, or None. Raises LabError where its record can't be read."""
    path = state_root() / name / "lab.json"
    try:
        data = json.loads(path.read_text())
        return Record(data["name"], data["directory"], data["index"], tuple(data["runtimes"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} can't be read: {error}") from error


def write_record(record: Record) -> None:
    """Whole or not at all, also when killed while writing."""
    path = state_root() / record.name / "lab.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(structs.asdict(record)) + "\n")
    beside.replace(path)


def all_records() -> list[Record]:
    """Every lab of this machine, by name."""
    folders = sorted(path.parent.name for path in state_root().glob("*/lab.json"))
    return [record for name in folders if (record := read_record(name)) is not None]


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it, or it is gone."""
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One change of a lab at a time. The lock goes with its file, so that `down` leaves no trace."""
    path = state_root() / f".{name}.lock"
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = path.open("a")
        except FileNotFoundError:  # another lab's end removed the folder in between
            continue
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _same_file(path, handle.fileno()):
                continue  # whoever held it removed it: what we hold is nobody's lock any more
            os.set_inheritable(handle.fileno(), True)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
