"""A node's disk: what differs from this machine's own files. Prepared once, kept over boots.

`root` is the node's own disk. `etc` and `usr` lie over this machine's: what is written here hides what is there.
Nothing of this machine's secrets, users or own settings for ssh and containers shows through.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shipyard.base.errors import LabError
from shipyard.lab.command import run
from shipyard.lab.machine import Machine

OPERATOR = "ops"
"""An ordinary user on every node, with root's key, a password (its name) and sudo: for `ansible_become`, rootless."""
_OPERATOR_ID = 1000
_OPERATOR_HASH = "$6$shipyardlab$f1MRJbDmkClgEdrsUgQobliiyuY42yvADCBrgFxA/Vep7Ulpfmp3xEVegPCbS/4A16hZaxqyvDHuHSgzX43iI1"
_FOLDERS = (
    *("dev", "proc", "sys", "run", "tmp", "usr", "etc", "root", "mnt", "media", "srv", "opt", "home", "boot"),
    *("var/cache", "var/lib", "var/local", "var/log", "var/mail", "var/opt", "var/spool", "var/tmp"),
    *("var/lib/containers", "var/lib/docker"),
)
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UsePAM no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


def prepare(disk: Path, name: str, machine: Machine) -> None:
    """Make a node's disk, once. One whose making was interrupted is made anew."""
    done = disk / "prepared"
    if done.exists():
        return
    shutil.rmtree(disk, ignore_errors=True)
    try:
        _root(disk / "root")
        _etc(disk / "etc", name)
        _containers(_own_folder(disk / "etc/containers"), machine)
        for folder in ("docker", "cni"):
            _own_folder(disk / "etc" / folder)
        _usr(disk / "usr")
        for part in ("usr", "etc"):
            (disk / f"work.{part}").mkdir()
    except OSError as error:
        raise LabError(f"{name}: its disk {disk} can't be made: {error}") from error
    _ssh(_own_folder(disk / "etc/ssh"), name)
    done.touch()


def authorize(disk: Path, public_key: str) -> None:
    """This key, and no other, opens the node. Done at every `up`, since the project may have got a new key."""
    for home, user in ((disk / "root/root", 0), (disk / "root/home" / OPERATOR, _OPERATOR_ID)):
        folder = home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        keys = folder / "authorized_keys"
        keys.write_text(public_key)
        keys.chmod(0o600)
        for path in (folder, keys):
            os.chown(path, user, user)


def host_key(disk: Path) -> str:
    """`ssh-ed25519 AAAA…`: the node's public key."""
    return " ".join((disk / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])


def write_hosts(disk: Path, addresses: dict[str, str]) -> None:
    """Every node knows the others by name. In place, since the file may be in use."""
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in sorted(addresses.items()))]
    (disk / "etc/hosts").write_text("\n".join(lines) + "\n")


def _own_folder(folder: Path) -> Path:
    """A folder of the node alone: the machine's of the same name does not show through."""
    folder.mkdir(parents=True, exist_ok=True)
    os.setxattr(folder, "trusted.overlay.opaque", b"y")
    return folder


def _root(root: Path) -> None:
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    for entry in Path("/").iterdir():
        if entry.is_symlink() and str(entry.readlink()).startswith(("usr/", "/usr/")):
            (root / entry.name).symlink_to(entry.readlink())
    (root / "var/run").symlink_to("/run")
    (root / "var/lock").symlink_to("/run/lock")
    (root / "var/tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    home = root / "home" / OPERATOR
    home.mkdir(mode=0o700)
    os.chown(home, _OPERATOR_ID, _OPERATOR_ID)


def _etc(etc: Path, name: str) -> None:
    etc.mkdir(parents=True)
    etc.chmod(0o755)
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if _is_system(line)]
    groups = [line for line in Path("/etc/group").read_text().splitlines() if _is_system(line)]
    identity = f"{OPERATOR}:x:{_OPERATOR_ID}"
    files = {
        "hostname": name,
        "resolv.conf": "# a lab node has no name server",
        "passwd": "\n".join([*users, f"{identity}:{_OPERATOR_ID}::/home/{OPERATOR}:/bin/bash"]),
        "group": "\n".join([*groups, f"{identity}:"]),
        "shadow": "\n".join(_shadow(users)),
        "subuid": f"{OPERATOR}:100000:65536",
        "subgid": f"{OPERATOR}:100000:65536",
        "sudoers": f"Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n{OPERATOR} ALL=(ALL:ALL) ALL",
    }
    for file, text in files.items():
        (etc / file).write_text(text + "\n")
    (etc / "shadow").chmod(0o640)
    (etc / "sudoers").chmod(0o440)
    _own_folder(etc / "sudoers.d")


def _is_system(line: str) -> bool:
    """Of passwd and group: not of a person."""
    number = int(line.split(":")[2])
    return number < _OPERATOR_ID or number >= 60000


def _shadow(users: list[str]) -> list[str]:
    """Nobody has a password, but for the operator; nobody's account counts as locked."""
    nobody = [f"{line.split(':')[0]}:*:19000:0:99999:7:::" for line in users]
    return [*nobody, f"{OPERATOR}:{_OPERATOR_HASH}:19000:0:99999:7:::"]


def _ssh(folder: Path, name: str) -> None:
    (folder / "sshd_config").write_text(_SSHD)
    key = folder / "ssh_host_ed25519_key"
    run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{name}", "-f", str(key)],
        doing=f"{name}: making its host key",
    )


def _containers(folder: Path, machine: Machine) -> None:
    """podman's files. Nothing is looked for in a registry that was not named; images may be unsigned."""
    containers = []
    if machine.limits:
        limits = ", ".join(f'"{name}={limit}:{limit}"' for name, limit in machine.limits)
        containers.append(f"default_ulimits = [{limits}]")
    engine = ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    if machine.oci_runtime is not None:
        engine.append(f'runtime = "{machine.oci_runtime}"')
    text = "\n".join(
        [
            "[containers]",
            'log_driver = "k8s-file"',
            *containers,
            "[engine]",
            *engine,
            "[network]",
            'network_backend = "netavark"',
        ]
    )
    (folder / "containers.conf").write_text(text + "\n")
    (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')


def _usr(usr: Path) -> None:
    (usr / "sbin").mkdir(parents=True)
    for folder in (usr, usr / "sbin"):
        folder.chmod(0o755)
    local = _own_folder(usr / "local")
    for name in ("bin", "sbin", "lib", "share", "etc"):
        (local / name).mkdir()
