"""What this machine can do, found out by trying, since kernels and sandboxes differ more than versions tell."""

from __future__ import annotations

import functools
import os
import resource
import shutil
import tempfile
from pathlib import Path

from shipyard.base.errors import LabError
from shipyard.base.record import Struct
from shipyard.lab.cgroups import hierarchies, mixed
from shipyard.lab.command import attempt
from shipyard.lab.layout import Runtime, remove_if_empty, state_root

_TOOLS = ("unshare", "nsenter", "ip", "sshd", "ssh", "ssh-keygen", "iptables", "mount", "pivot_root")
_RUNTIME_TOOLS: dict[Runtime, tuple[str, ...]] = {
    "podman": ("podman", "conmon", "netavark"),
    "docker": ("docker", "dockerd", "containerd", "iptables"),
}
_COMMAND = "the command "
_HELPERS = Path("/usr/lib/podman")
_CAP_SYS_RESOURCE = 24
_LIMITS = (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
_PLENTY = 65536
_TRIES = 20


class Machine(Struct, frozen=True):
    """What the nodes' configuration depends on.

    `oci_runtime`: None leaves podman its own choice. `limits`: what a container may have at most where nobody may
    raise limits (podman would try to); empty where it can.
    """

    oci_runtime: str | None
    limits: tuple[tuple[str, int], ...]


def look() -> Machine:
    """What podman's configuration must say on this machine."""
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return Machine(
        oci_runtime="runc" if mixed(hierarchies()) else None,
        limits=() if effective >> _CAP_SYS_RESOURCE & 1 else tuple((name, _limit(kind)) for name, kind in _LIMITS),
    )


def _limit(kind: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return _PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)


def find(tool: str) -> str | None:
    """The path of one of the machine's own tools. Those of /usr/local are not on the nodes."""
    return shutil.which(tool, path=f"/usr/sbin:/usr/bin:/sbin:/bin:{_HELPERS}")


@functools.cache
def missing(runtimes: tuple[Runtime, ...] = ("podman", "docker")) -> tuple[str, ...]:
    """What this machine lacks for hosting a lab, each in a few words; empty when it can."""
    if os.geteuid() != 0:
        return ("root (namespaces, mounts and bridges are made)",)
    wanted = {*_TOOLS, *(tool for runtime in runtimes for tool in _RUNTIME_TOOLS[runtime])}
    lacking = [f"{_COMMAND}{tool}" for tool in sorted(wanted) if find(tool) is None]
    if lacking:
        return tuple(lacking)
    return tuple(words for words in (_namespaces(), _bridge(), _overlay(), _cgroups()) if words)


def can_be_mended(lacking: tuple[str, ...]) -> bool:
    """Whether a lab can be had here, if need be after installing packages."""
    return all(words.startswith(_COMMAND) for words in lacking)


def require(runtimes: tuple[Runtime, ...]) -> None:
    """Raises LabError with everything that is missing."""
    lacking = missing(tuple(sorted(set(runtimes))))
    if lacking:
        raise LabError(
            f"this machine can't host a lab; it lacks {'; '.join(lacking)}",
            hint="scripts/bootstrap installs packages; the rest takes root on a machine of your own, real or virtual",
        )


def _namespaces() -> str | None:
    kinds = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--mount-proc")
    done = attempt(["unshare", *kinds, "true"])
    return None if done.returncode == 0 else f"namespaces ({done.stderr.decode(errors='replace').strip()})"


def _bridge() -> str | None:
    """Tried in a network namespace of its own, so that nothing is left over."""
    links = "link add name try0 type bridge\nlink add name try1 type veth peer name try2\nlink set try1 master try0\n"
    done = attempt(["unshare", "--net", "ip", "-batch", "-"], input=links.encode())
    return None if done.returncode == 0 else f"bridges and veth pairs ({done.stderr.decode(errors='replace').strip()})"


def _overlay() -> str | None:
    """Overlay storage does not work on every file system: try it where the nodes' disks would be."""
    root = state_root()
    for _ in range(_TRIES):
        try:
            works = _mounts_overlay(root)
        except FileNotFoundError:  # another lab that ended took the empty folder along
            continue
        except OSError as error:
            return f"a place for the nodes' disks ({root}: {error.strerror})"
        return None if works else f"overlay mounts in {root} (set SHIPYARD_LAB_STATE to a folder on a disk)"
    return f"a place for the nodes' disks ({root} keeps vanishing)"


def _mounts_overlay(root: Path) -> bool:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".try-") as folder:
        for name in ("upper", "work", "on"):
            (Path(folder) / name).mkdir()
        options = f"lowerdir=/usr,upperdir={folder}/upper,workdir={folder}/work"
        done = attempt(["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", f"{folder}/on"])
    remove_if_empty(root)
    return done.returncode == 0


def _cgroups() -> str | None:
    for hierarchy in hierarchies():
        if not os.access(hierarchy.mount, os.W_OK):
            return f"a writable {hierarchy.mount}"
    return None if hierarchies() else "cgroups (nothing is mounted at /sys/fs/cgroup)"
