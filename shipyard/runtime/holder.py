"""The holder: a container that does nothing but own the network namespace of a replica of several containers.

Whoever owns a namespace must outlive those who join it, and no image that people name can be relied on for that (it
may have no shell, or restart). So its image is brought along: one program of fewer than 300 bytes, which waits for the
signal that ends it. It is written out below as the machine has it, each instruction with its meaning, and sent inside
the node's script as an archive of `save`, which all runtimes can `load`: no registry and no tool of the node is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import tarfile

from shipyard.base import shell
from shipyard.model.image import HOLDER

_AMD64 = """
  b8 0e 00 00 00          mov eax, 14               rt_sigprocmask: signals that are blocked wait for us,
  31 ff                   xor edi, edi              SIG_BLOCK         also as process 1, where they would be ignored
  48 8d 35 2f 00 00 00    lea rsi, [rip + signals]
  31 d2                   xor edx, edx
  41 ba 08 00 00 00       mov r10d, 8
  0f 05                   syscall
  b8 80 00 00 00     1:   mov eax, 128              rt_sigtimedwait, without a time limit
  48 8d 3d 19 00 00 00    lea rdi, [rip + signals]
  31 f6                   xor esi, esi
  31 d2                   xor edx, edx
  41 ba 08 00 00 00       mov r10d, 8
  0f 05                   syscall
  85 c0                   test eax, eax
  78 e4                   js 1b                     interrupted: once more
  b8 3c 00 00 00          mov eax, 60               exit
  31 ff                   xor edi, edi              0
  0f 05                   syscall
"""
_ARM64 = """
  e8 10 80 d2             mov x8, 135               rt_sigprocmask
  00 00 80 d2             mov x0, 0                 SIG_BLOCK
  c1 01 00 10             adr x1, signals
  02 00 80 d2             mov x2, 0
  03 01 80 d2             mov x3, 8
  01 00 00 d4             svc 0
  28 11 80 d2        1:   mov x8, 137               rt_sigtimedwait
  20 01 00 10             adr x0, signals
  01 00 80 d2             mov x1, 0
  02 00 80 d2             mov x2, 0
  03 01 80 d2             mov x3, 8
  01 00 00 d4             svc 0
  40 ff ff 37             tbnz w0, 31, 1b
  a8 0b 80 d2             mov x8, 93                exit
  00 00 80 d2             mov x0, 0
  01 00 00 d4             svc 0
"""
_SIGNALS = struct.pack("<Q", 1 << (2 - 1) | 1 << (15 - 1))
"""SIGINT and SIGTERM, right behind the code."""

_BYTES = re.compile(r"^  ((?:[0-9a-f]{2} )+)", re.MULTILINE)
_ADDRESS = 0x400000
_PAGE = 0x10000
"""As large as any arm64 kernel's."""

_MACHINES = {
    "x86_64": ("amd64", 62, _AMD64),
    "amd64": ("amd64", 62, _AMD64),
    "aarch64": ("arm64", 183, _ARM64),
    "arm64": ("arm64", 183, _ARM64),
}
"""By what a kernel calls itself: the name that images have, ELF's number, the code."""


def program(machine: str) -> bytes:
    """A static executable for this kind of machine (`uname -m`). Raises ValueError where there is none for it."""
    _, number, listing = _machine(machine)
    code = b"".join(map(bytes.fromhex, _BYTES.findall(listing)))
    start = 64 + 2 * 56
    size = start + len(code) + len(_SIGNALS)
    header = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, _ADDRESS + start, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, _PAGE)
    no_executable_stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return header + load + no_executable_stack + code + _SIGNALS


def archive(machine: str) -> bytes:
    """The holder's image as `docker save` writes one, the same bytes each time. Raises ValueError as `program` does.

    It is not compressed: podman 4.3 does not read such archives.
    """
    layer = _tar({"holder": (program(machine), 0o755)})
    config = {
        "architecture": _machine(machine)[0],
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/holder"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "shipyard"}],
    }
    body = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [HOLDER], "Layers": ["layer.tar"]}]
    manifest_body = json.dumps(manifest).encode()
    whole = {"layer.tar": (layer, 0o644), name: (body, 0o644), "manifest.json": (manifest_body, 0o644)}
    return _tar(whole)


def load(client: str, machine: str) -> str:
    """Shell text that sees to it that the node has the holder's image. Raises ValueError as `program` does."""
    octal = "".join(f"\\{byte:03o}" for byte in archive(machine))
    there = shell.join((client, "image", "inspect", HOLDER))
    return f"{there} >/dev/null 2>&1 || printf '{octal}' | {shell.join((client, 'load'))}"


def _machine(machine: str) -> tuple[str, int, str]:
    if machine not in _MACHINES:
        raise ValueError(
            f"there is no holder for machines of the kind {machine or 'unknown'}: replicas of several containers run "
            "on x86_64 and aarch64"
        )
    return _MACHINES[machine]


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        end = tar.offset + 2 * tarfile.BLOCKSIZE
    return out.getvalue()[:end]
