"""Certificates of hosts: whether one that a host shows is good, when known_hosts trusts who signed it."""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from paramiko.message import Message

from shipyard.base import clock
from shipyard.base.record import Struct
from shipyard.base.text import one_line

SUFFIX = "-cert-v01@openssh.com"
_FIELDS = {b"ssh-ed25519": 1, b"ssh-rsa": 2}
"""How many fields a public key has in a certificate; an ECDSA key has two as well."""


class HostCertificate(Struct, frozen=True):
    """`authority`: the public key that signed it. `problem`: why it is not good for the name, empty where it is."""

    authority: bytes
    problem: str


def read(blob: bytes, name: str) -> HostCertificate | None:
    """What a certificate says about a host of that name (without port); None where it can't be read."""
    kind = Message(blob).get_binary()
    try:
        found = load_ssh_public_identity(kind + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(found, SSHCertificate):
        return None
    public = found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostCertificate(base64.b64decode(public.split()[1]), _problem(found, blob, name))


def _problem(found: SSHCertificate, blob: bytes, name: str) -> str:
    names = [principal.decode(errors="replace") for principal in found.valid_principals]
    now = clock.now()
    if found.type is not SSHCertificateType.HOST:
        return "is one of a user, not of a host"
    if now < found.valid_after:
        return f"is not valid before {clock.iso(found.valid_after)}"
    if now >= found.valid_before:
        return f"is not valid since {clock.iso(found.valid_before)}"
    if names and name not in names:
        return f"is for {one_line(', '.join(names))}, not for {name}"
    if found.critical_options:
        return "has critical options that are not known"
    if _signed_by(blob) == b"ssh-rsa":
        return "is signed with SHA-1"
    try:
        found.verify_cert_signature()
    except InvalidSignature:
        return "has a signature that is wrong"
    return ""


def _signed_by(blob: bytes) -> bytes:
    """The algorithm of the signature, the last of its fields."""
    message = Message(blob)
    kind = message.get_binary().removesuffix(SUFFIX.encode())
    for _ in range(1 + _FIELDS.get(kind, 2)):  # the nonce, the key
        message.get_binary()
    message.get_int64()  # serial
    message.get_int()  # type
    message.get_binary()  # id
    message.get_binary()  # principals
    message.get_int64()  # valid after
    message.get_int64()  # valid before
    for _ in range(4):  # critical options, extensions, reserved, key of the authority
        message.get_binary()
    return Message(message.get_binary()).get_binary()
