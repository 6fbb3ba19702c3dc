"""The nodes' own parts of this machine's cgroup hierarchies, whatever mixture of versions 1 and 2 it has."""

from __future__ import annotations

from pathlib import Path

from shipyard.base.clock import monotonic, sleep
from shipyard.base.errors import LabError
from shipyard.base.record import Struct

BASE = "shipyard-lab"
_WAIT = 10.0
_TRIES = 5


class Hierarchy(Struct, frozen=True):
    """One mounted hierarchy. `version`: 1 or 2. `whole`: it is version 2 and has all controllers to itself."""

    mount: Path
    version: int
    whole: bool

    def part(self, lab: str, node: str) -> Path:
        return self.mount / BASE / lab / node


def hierarchies(mountinfo: str | None = None) -> tuple[Hierarchy, ...]:
    """Those of this machine, by mount point. `mountinfo`: the text of /proc/self/mountinfo."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    found: dict[Path, int] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.setdefault(Path(before.split()[4]), 1 if kind == "cgroup" else 2)
    alone = set(found.values()) == {2}
    return tuple(Hierarchy(mount, version, alone) for mount, version in sorted(found.items()))


def mixed(found: tuple[Hierarchy, ...]) -> bool:
    """Versions 1 and 2 side by side: crun refuses to work there, runc does not."""
    return len({hierarchy.version for hierarchy in found}) > 1


def make(lab: str, node: str) -> tuple[Path, ...]:
    """Make a node's part of every hierarchy; the folders that its first process must enter, in order."""
    parts = []
    for hierarchy in hierarchies():
        part = hierarchy.part(lab, node)
        try:
            _persistently(hierarchy, part)
        except OSError as error:
            raise LabError(f"{node}: the cgroup {part} can't be made: {error.strerror}") from error
        parts.append(part)
    return tuple(parts)


def _persistently(hierarchy: Hierarchy, part: Path) -> None:
    """Another lab that ends removes the level which all have in common, if it sees it empty."""
    for _ in range(_TRIES):
        try:
            return _make(hierarchy, part)
        except FileNotFoundError:
            continue
    return _make(hierarchy, part)


def _make(hierarchy: Hierarchy, part: Path) -> None:
    """Each level as it has to be, whoever was interrupted while making it."""
    for folder in (part.parent.parent, part.parent, part):
        folder.mkdir(exist_ok=True)
        if hierarchy.whole:
            for controller in (folder.parent / "cgroup.controllers").read_text().split():
                _try_write(folder.parent / "cgroup.subtree_control", f"+{controller}")
        for name in ("cpuset.cpus", "cpuset.mems"):
            # Version 1 begins with no processor at all, and then nothing may enter.
            if hierarchy.version == 1 and (folder / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())


def _try_write(path: Path, text: str) -> None:
    """A controller that can't be handed on (real-time, or in use) only means that limits of its kind are missing."""
    try:
        path.write_text(text)
    except OSError:
        return


def table(lab: str, node: str) -> str:
    """For node.sh: a line per hierarchy with the machine's folder, where the node sees it, and its kind."""
    kinds = {True: "cgroup2-whole", False: "part"}
    return "".join(f"{h.part(lab, node)} {h.mount} {kinds[h.whole]}\n" for h in hierarchies())


def entrances(lab: str, node: str) -> tuple[Path, ...]:
    """The folders that a process joining a running node enters."""
    return tuple(
        h.part(lab, node) / "init" if h.whole else h.part(lab, node)
        for h in hierarchies()
        if h.part(lab, node).is_dir()
    )


def remove(lab: str, node: str | None = None) -> None:
    """Remove a node's parts, or the whole lab's. Its processes have ended."""
    for hierarchy in hierarchies():
        top = hierarchy.mount / BASE / lab
        _remove_tree(top / node if node else top)
        try:
            top.parent.rmdir()
        except OSError:  # another lab's are still in it, or it is gone
            continue


def _remove_tree(top: Path) -> None:
    if not top.is_dir():
        return
    folders = [top, *(path for path in top.rglob("*") if path.is_dir())]
    deadline = monotonic() + _WAIT
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        while True:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError as error:
                # Processes that were just killed leave their group a moment later.
                if monotonic() > deadline:
                    raise LabError(f"the cgroup {folder} can't be removed: {error.strerror}") from error
                sleep(0.02)
                continue
            break
