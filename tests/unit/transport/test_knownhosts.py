"""known_hosts: which line speaks about a host, and what becomes of the file when a key is recorded."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

import pytest

from shipyard.transport.hostkey import HostKey, record, remember
from shipyard.transport.hostkey_check import key_order
from shipyard.transport.knownhosts import KnownHosts, Verdict
from shipyard.transport.target import Target

BLOB, OTHER = b"key one", b"key two"
ONE, TWO = (base64.b64encode(blob).decode() for blob in (BLOB, OTHER))


def verdict(file: Path, name: str, blob: bytes = BLOB, type_: str = "ssh-ed25519") -> str:
    return KnownHosts().verdict((str(file),), name, type_, blob)[0].value


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (f"web ssh-ed25519 {ONE}", "web", "known"),
        (f"web ssh-ed25519 {ONE} a comment", "web", "known"),
        (f"  web\tssh-ed25519   {ONE}", "web", "known"),
        (f"WEB ssh-ed25519 {ONE}", "web", "known"),
        (f"db,web,10.0.0.1 ssh-ed25519 {ONE}", "web", "known"),
        (f"web ssh-ed25519 {TWO}", "web", "changed"),
        (f"web ssh-ed25519 {TWO}\nweb ssh-ed25519 {ONE}", "web", "known"),
        (f"web ssh-rsa {ONE}", "web", "changed"),
        (f"# web ssh-ed25519 {ONE}", "web", "unknown"),
        ("web ssh-ed25519", "web", "unknown"),
        ("web ssh-ed25519 not*base64", "web", "unknown"),
        ("", "web", "unknown"),
        (f"*.example ssh-ed25519 {ONE}", "web.example", "known"),
        (f"*.example,!db.example ssh-ed25519 {ONE}", "db.example", "unknown"),
        (f"we? ssh-ed25519 {ONE}", "web", "known"),
        (f"[web]:2222 ssh-ed25519 {ONE}", "[web]:2222", "known"),
        (f"[web]:2222 ssh-ed25519 {ONE}", "web", "unknown"),
        (f"[web]:2222 ssh-ed25519 {ONE}", "[w]:2222", "unknown"),
        (f"web ssh-ed25519 {ONE}", "[web]:2222", "known"),
        (f"web ssh-ed25519 {TWO}", "[web]:2222", "unknown"),
        (f"@revoked web ssh-ed25519 {ONE}", "web", "revoked"),
        (f"web ssh-ed25519 {ONE}\n@revoked * ssh-ed25519 {ONE}", "web", "revoked"),
        (f"web ssh-ed25519 {ONE}\n@revoked * ssh-ed25519 {TWO}", "web", "known"),
        (f"@cert-authority web ssh-ed25519 {ONE}", "web", "unknown"),
        (f"@else web ssh-ed25519 {ONE}", "web", "unknown"),
        (f"@revoked ssh-ed25519 {ONE}", "@revoked", "unknown"),
    ],
)
def test_what_a_file_says(tmp_path: Path, text: str, name: str, expected: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(text + "\n")
    assert verdict(file, name) == expected


def hashed(name: str) -> str:
    salt = bytes(range(20))
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_hashed_names(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{hashed('[web]:2222')} ssh-ed25519 {ONE}\n|1|broken ssh-ed25519 {TWO}\n")
    assert verdict(file, "[web]:2222") == "known"
    assert verdict(file, "[web]:2223") == "unknown"


def test_several_files_and_one_that_is_missing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text(f"web ssh-ed25519 {ONE}\n")
    known = KnownHosts()
    files = (str(first), str(second))
    assert known.verdict(files, "web", "ssh-ed25519", BLOB) == (Verdict.KNOWN, f"{second}:1")
    first.write_text(f"\nweb ssh-ed25519 {TWO}\n")
    assert known.verdict(files, "web", "ssh-ed25519", b"third") == (Verdict.CHANGED, f"{first}:2")


def test_known_types_are_asked_for_first(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"web ssh-rsa {ONE}\nweb ecdsa-sha2-nistp256 {ONE}\n")
    target = Target("web", 22, "me", "web", (str(file),))
    order = key_order(target, KnownHosts())
    assert order[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256")
    assert "ssh-ed25519" in order
    assert len(order) == len(set(order))
    file.write_text(f"@cert-authority * ssh-ed25519 {ONE}\nweb ssh-rsa {ONE}\n")
    assert key_order(target, KnownHosts())[:2] == (
        "rsa-sha2-512-cert-v01@openssh.com",
        "rsa-sha2-256-cert-v01@openssh.com",
    )


def test_recording_makes_a_private_file_and_writes_each_key_once(tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    key = HostKey("web", "ssh-ed25519", BLOB, file=str(file))
    for _ in range(2):
        assert record([key, key]) == (file,)
    assert file.read_text() == f"web ssh-ed25519 {ONE}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_recording_replaces_only_when_told_and_only_that_host(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    before = "\n".join(
        ("# mine", f"web,db x {ONE}", f"{hashed('web')} ssh-rsa {ONE}", f"@revoked web ssh-rsa {TWO}", f"*.x y {ONE}")
    )
    file.write_text(before)
    key = HostKey("web", "ssh-ed25519", OTHER)
    remember(file, [key])
    assert file.read_text() == f"{before}\nweb ssh-ed25519 {TWO}\n"
    remember(file, [key], replace=True)
    assert file.read_text() == (f"# mine\ndb x {ONE}\n@revoked web ssh-rsa {TWO}\n*.x y {ONE}\nweb ssh-ed25519 {TWO}\n")


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("# real\n")
    link.symlink_to(real)
    remember(link, [HostKey("web", "ssh-ed25519", BLOB)])
    assert link.is_symlink()
    assert real.read_text() == f"# real\nweb ssh-ed25519 {ONE}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_fingerprint_is_what_openssh_shows() -> None:
    blob = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
    assert (
        HostKey("github.com", "ssh-ed25519", blob).fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    )
