"""RevokedHostKeys: a list of keys that no host may show, besides known_hosts."""

from __future__ import annotations

import base64
import binascii
import subprocess
import tempfile
from pathlib import Path

from paramiko.message import Message

from shipyard.transport import hostcerts

_MAX_FILE = 32 * 1024 * 1024
_KRL = b"SSHKRL\n\0"
_TIMEOUT = 20.0


def why_refused(path: str, kind: str, blob: bytes, certificate: bytes | None) -> str:
    """What is wrong with a key: `path:line` revokes it, or the list can't be read, which refuses all keys, as in ssh.

    Empty where nothing is. A key is revoked with its `certificate` or the authority of that, too. Revocation lists in
    OpenSSH's own format are left to ssh-keygen.
    """
    shown = None if certificate is None else hostcerts.read(certificate, "")
    bad = {blob, certificate or blob, blob if shown is None else shown.authority}
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE)
    except OSError as error:
        return f"can't be compared with {path}: {error.strerror}"
    if content.startswith(_KRL):
        return _by_keygen(path, kind, blob) if certificate is None else _by_keygen(path, *_named(certificate))
    for number, line in enumerate(content.split(b"\n"), 1):
        for word in line.split(b"#")[0].split():
            if _decoded(word) in bad:
                return f"is revoked by {path}:{number}"
    return ""


def _named(blob: bytes) -> tuple[str, bytes]:
    return Message(blob).get_text(), blob


def _by_keygen(path: str, kind: str, blob: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".pub") as public:
        public.write(f"{kind} {base64.b64encode(blob).decode()}\n".encode())
        public.flush()
        argv = ["ssh-keygen", "-Q", "-f", path, public.name]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            return f"can't be compared with {path}: ssh-keygen does not do it"
    if done.returncode == 0:
        return ""
    return f"is revoked by {path}" if b"REVOKED" in done.stdout else f"can't be compared with {path}"


def _decoded(word: bytes) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        return b""
