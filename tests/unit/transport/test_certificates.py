"""Certificates read without any sshd: which of a host's are good for it, and which of a user's can be offered."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

from shipyard.transport import hostcerts, revocations, usercerts

AUTHORITY, KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
YEAR = 365 * 86400


def public(key: Ed25519PrivateKey) -> bytes:
    text = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


def text_of(
    kind: SSHCertificateType = SSHCertificateType.HOST,
    names: tuple[bytes, ...] = (b"node1",),
    begins: float = -YEAR,
    ends: float = YEAR,
) -> bytes:
    now = time.time()
    made = SSHCertificateBuilder().public_key(KEY.public_key()).serial(7).type(kind).key_id(b"tests")
    made = made.valid_principals(list(names)) if names else made.valid_for_all_principals()
    made = made.valid_after(int(now + begins)).valid_before(int(now + ends))
    return made.sign(AUTHORITY).public_bytes()


def blob_of(text: bytes) -> bytes:
    return base64.b64decode(text.split()[1])


def problem(blob: bytes, name: str = "node1") -> str:
    read = hostcerts.read(blob, name)
    assert read is not None
    return read.problem


def test_a_good_certificate_of_a_host() -> None:
    read = hostcerts.read(blob_of(text_of()), "node1")
    assert read == hostcerts.HostCertificate(public(AUTHORITY), "")
    assert problem(blob_of(text_of(names=())), "any") == ""


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (text_of(), "node2", "is for node1, not for node2"),
        (text_of(), "NODE1", "is for node1, not for NODE1"),
        (text_of(names=(b"*",)), "node1", "is for *, not for node1"),
        (text_of(kind=SSHCertificateType.USER), "node1", "is one of a user"),
        (text_of(ends=-60.0), "node1", "is not valid since"),
        (text_of(begins=YEAR, ends=2 * YEAR), "node1", "is not valid before"),
    ],
    ids=["another name", "case counts", "no patterns", "of a user", "over", "too early"],
)
def test_what_is_wrong_with_a_certificate(text: bytes, name: str, why: str) -> None:
    assert why in problem(blob_of(text), name)


def test_a_certificate_that_was_changed_is_not_believed() -> None:
    forged = blob_of(text_of()).replace(b"node1", b"node2")
    assert problem(forged, "node2") == "has a signature that is wrong"


def test_what_is_no_certificate() -> None:
    whole = blob_of(text_of())
    assert hostcerts.read(public(KEY), "node1") is None
    assert [hostcerts.read(whole[:size], "node1") for size in range(len(whole))] == [None] * len(whole)


def test_a_certificate_of_a_user_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "cert.pub").write_bytes(text_of(kind=SSHCertificateType.USER) + b" me@here\n")
    for path in (tmp_path / "cert.pub", tmp_path / "cert"):  # as ssh looks for it
        read = usercerts.read(str(path))
        assert isinstance(read, usercerts.Certificate)
        assert (read.path, read.key, read.ended) == (str(tmp_path / "cert.pub"), public(KEY), False)
    key = paramiko.Ed25519Key(data=public(KEY))
    certified = read.with_key(key)
    assert certified.public_blob is not None
    assert certified.public_blob.key_blob == read.blob
    assert key.public_blob is None  # which others may offer as it is


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no usable certificate"),
        (b"\xff\x00", "is no usable certificate"),
        (b"ssh-ed25519-cert-v01@openssh.com AAAA\n", "is no usable certificate"),
        (b"ssh-ed25519 " + base64.b64encode(public(KEY)), "is a key, no certificate"),
        (text_of(), "is a certificate of a host"),
    ],
    ids=["empty", "noise", "short", "a key", "of a host"],
)
def test_what_is_no_certificate_of_a_user(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "cert").write_bytes(content)
    read = usercerts.read(str(tmp_path / "cert"))
    assert isinstance(read, str)
    assert why in read


def test_an_expired_certificate_says_so(tmp_path: Path) -> None:
    (tmp_path / "cert").write_bytes(text_of(kind=SSHCertificateType.USER, ends=-60.0))
    read = usercerts.read(str(tmp_path / "cert"))
    assert isinstance(read, usercerts.Certificate)
    assert read.shown == f"{tmp_path / 'cert'} (expired)"
    assert usercerts.read(str(tmp_path / "none")) == "does not exist"


def test_a_list_of_revoked_keys(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text(f"# mine\nssh-ed25519 {base64.b64encode(public(KEY)).decode()} gone\n")
    assert revocations.why_refused(str(file), "ssh-ed25519", public(KEY), None) == f"is revoked by {file}:2"
    assert revocations.why_refused(str(file), "ssh-ed25519", public(AUTHORITY), None) == ""
    assert "can't be compared" in revocations.why_refused(str(tmp_path / "none"), "ssh-ed25519", public(KEY), None)
