"""Certificates of users: files beside keys, offered with the key that they were made for, wherever that is held."""

from __future__ import annotations

import base64
import copy
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from paramiko.agent import AgentKey
from paramiko.message import Message

from shipyard.base import clock
from shipyard.base.record import Struct

_MAX = 1024 * 1024


class Certificate(Struct, frozen=True):
    """`blob`: the certificate. `key`: the public key it is for. `ended`: it is not valid any more."""

    path: str
    blob: bytes
    key: bytes
    ended: bool = False

    @property
    def shown(self) -> str:
        """How it is named in an error."""
        return f"{self.path} (expired)" if self.ended else self.path

    def with_key(self, key: paramiko.PKey) -> paramiko.PKey:
        """The key that it is for, offering the certificate."""
        # copying is nothing for an agent's key: what it lacks it asks of itself
        own = AgentKey(key.agent, key.blob, key.comment) if isinstance(key, AgentKey) else None
        certified = copy.copy(key) if own is None else own
        certified.load_certificate(Message(self.blob))
        return certified


def read(path: str) -> Certificate | str:
    """The certificate in a file, or in `PATH.pub`, as ssh looks for it; or what is wrong with it."""
    for name in (path, f"{path}.pub"):
        try:
            with Path(name).open("rb") as file:
                line = file.read(_MAX)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"can't be read: {error.strerror}"
        found = _parsed(name, line)
        if found is not None:
            return found
    return MISSING


MISSING = "does not exist"


def _parsed(path: str, line: bytes) -> Certificate | str | None:
    try:
        found = load_ssh_public_identity(line)
    except (ValueError, UnsupportedAlgorithm):
        return "is no usable certificate"
    if not isinstance(found, SSHCertificate):
        return "is a key, no certificate"
    if found.type is not SSHCertificateType.USER:
        return "is a certificate of a host, not of a user"
    public = found.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Certificate(
        path,
        base64.b64decode(found.public_bytes().split()[1]),
        base64.b64decode(public.split()[1]),
        found.valid_before <= clock.now(),
    )
