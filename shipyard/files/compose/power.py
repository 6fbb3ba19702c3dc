"""What gives a container power over its node: allowed and said, or refused in files that nobody vouches for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from shipyard.files.compose.value import Value

_SYSTEM = """
    / /bin /boot /dev /etc /home /lib /lib64 /proc /root /run /sbin /sys /usr /var /var/lib /var/run /var/spool/cron
    /var/lib/containers /var/lib/docker /var/lib/shipyard
"""
_FOLDERS = frozenset(_SYSTEM.split())
_SOCKET = re.compile(r".*/(docker|podman|containerd|crio|buildkitd)\.sock")
_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "BPF"})
_HARMLESS_DEVICES = frozenset({"/dev/fuse", "/dev/net/tun", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"})


def tell(value: Value, what: str) -> None:
    """Say it, or refuse it with `--untrusted`."""
    if value.reading.untrusted:
        raise value.error(f"{what}, which files applied with --untrusted may not")
    value.notice(f"{what}, which gives power over the node")


def path(value: Value, said: str) -> None:
    """A path of the node that is mounted into the container."""
    plain = posixpath.normpath(f"/{said.lstrip('/')}")
    if plain in _FOLDERS or _SOCKET.fullmatch(plain):
        tell(value, f"mounts {plain} of the node")


def capabilities(value: Value, names: Iterable[str]) -> None:
    strong = [name for name in names if name.upper().removeprefix("CAP_") in _CAPABILITIES]
    if strong:
        tell(value, f"adds {', '.join(strong)}")


def device(value: Value, source: str) -> None:
    if source.startswith("/") and posixpath.normpath(source) not in _HARMLESS_DEVICES:
        tell(value, f"uses {posixpath.normpath(source)} of the node")
