"""Certificates of users and of hosts against real sshds, and what ssh itself makes of the same files."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, NodeError
from shipyard.base.record import replace
from shipyard.model.inventory import Connection
from shipyard.transport import hostkeys
from shipyard.transport.fleet import Fleet, SshOptions
from tests.lab.sshd import Sshd, User, host_public, make_key

OTHER_KINDS = tuple(pytest.param(kind, marks=pytest.mark.matrix) for kind in ("ecdsa", "rsa"))
LONG_AGO = ("-V", "20200101:20210101")


def certify(authority: Path, public: Path, *words: str) -> Path:
    """The certificate that ssh-keygen puts beside a public key."""
    subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "tests", *words, public], check=True)
    return public.with_name(public.stem + "-cert.pub")


class Place:
    """An sshd that lets nobody in by a key alone, an authority for users and one for hosts, and a home."""

    def __init__(self, folder: Path, user: User) -> None:
        self.folder = folder
        self.user = user
        self.users, self.hosts = make_key(folder / "users"), make_key(folder / "hosts")
        self.options = SshOptions(home=folder / "home", system_config=folder / "nothing")
        self.ssh = folder / "home" / ".ssh"
        self.ssh.mkdir(parents=True)
        self._authorized = user.home / "authorized"
        self._authorized.write_text("")
        trusted = user.home / "trusted"
        trusted.write_text(self.users.with_suffix(".pub").read_text())
        self._lines = [f"TrustedUserCAKeys {trusted}"]
        self.sshd = Sshd(folder / "sshd", self._authorized, *self._lines)
        self.trust(self.sshd.known())

    def show_certificate(self, *words: str, authority: Path | None = None, kind: str = "ed25519") -> None:
        """Start it again with a certificate for its key."""
        self.sshd.stop()
        public = self.folder / f"host_{kind}.pub"
        public.write_bytes(host_public("sshd", kind))
        certificate = certify(authority or self.hosts, public, *(words or ("-h", "-n", "127.0.0.1,node1.example")))
        self.sshd = Sshd(self.folder / "sshd", self._authorized, *self._lines, f"HostCertificate {certificate}")

    def trust(self, *lines: str) -> None:
        (self.ssh / "known_hosts").write_text("".join(lines))

    def authority(self, names: str = "127.0.0.1", key: Path | None = None, marker: str = "@cert-authority") -> str:
        """A line of known_hosts about who signs certificates."""
        public = (key or self.hosts).with_suffix(".pub").read_text().split()
        return f"{marker} {names} {public[0]} {public[1]}\n"

    def key(self, *words: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        """A key of the user, with a certificate beside it."""
        key = make_key(self.folder / "key", kind, passphrase)
        certify(self.users, key.with_suffix(".pub"), *(words or ("-n", self.user.name)))
        return key

    def config(self, *lines: str) -> None:
        usual = ("Host node1", "HostName 127.0.0.1", f"Port {self.sshd.port}", f"User {self.user.name}")
        (self.ssh / "config").write_text("".join(line + "\n" for line in (*usual, *lines)))

    def login(self, **options: object) -> NodeError | bytes:
        host = Connection(address="node1", timeout=5)
        with Fleet({"node1": host}, options=replace(self.options, **options)) as fleet:  # type: ignore[arg-type]  # named
            outcome = fleet.each(["node1"], lambda node: node.run(b"echo fine", timeout=10))["node1"]
        return outcome if isinstance(outcome, NodeError) else outcome.stdout

    def ssh_logs_in(self) -> bool:
        """Whether ssh itself does, with the same files."""
        files = ["-F", str(self.ssh / "config"), "-o", f"UserKnownHostsFile={self.ssh / 'known_hosts'}"]
        files += ["-o", "GlobalKnownHostsFile=none", "-o", "BatchMode=yes"]
        return subprocess.run(["ssh", *files, "node1", "true"], check=False, capture_output=True).returncode == 0


@pytest.fixture
def agent(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    started = subprocess.run(["ssh-agent", "-a", tmp_path / "agent"], check=True, capture_output=True, text=True).stdout
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    yield
    found = re.search(r"SSH_AGENT_PID=(\d+)", started)
    assert found is not None
    os.kill(int(found[1]), 15)


# --- of users ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", *OTHER_KINDS])
def test_a_named_certificate_is_offered_with_its_key(place: Place, kind: str) -> None:
    key = place.key(kind=kind)
    elsewhere = key.with_name("key-cert.pub").rename(place.folder / "elsewhere")
    place.config(f"IdentityFile {key}")
    assert isinstance(place.login(), AuthFailed)
    place.config(f"IdentityFile {key}", f"CertificateFile {elsewhere}")
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"
    assert "-CERT" in place.sshd.log()


def test_the_certificate_beside_a_key_is_found(place: Place) -> None:
    place.config(f"IdentityFile {place.key()}")
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


def test_the_certificate_beside_a_key_is_not_looked_for_where_one_is_named(place: Place) -> None:
    place.config(f"IdentityFile {place.key()}", "CertificateFile /nowhere")
    assert not place.ssh_logs_in()
    error = place.login()
    assert isinstance(error, AuthFailed)
    assert "/nowhere does not exist" in str(error)


def test_a_broken_certificate_beside_a_key_leaves_the_key(place: Place) -> None:
    key = place.key()
    key.with_name("key-cert.pub").write_text("ssh-ed25519-cert-v01@openssh.com AAAA broken\n")
    (place.user.home / "authorized").write_text(key.with_suffix(".pub").read_text())
    place.config(f"IdentityFile {key}")
    assert place.login() == b"fine\n"


def test_a_locked_key_with_a_certificate(place: Place) -> None:
    place.config(f"IdentityFile {place.key(passphrase='sesame')}")
    assert isinstance(place.login(), AuthFailed)
    assert place.login(passphrase=lambda path: "sesame") == b"fine\n"


def test_an_expired_certificate_is_named_in_the_error(place: Place) -> None:
    place.config(f"IdentityFile {place.key('-n', place.user.name, *LONG_AGO)}")
    error = place.login()
    assert isinstance(error, AuthFailed)
    assert "key-cert.pub (expired) with" in str(error)


def test_a_certificate_without_its_key(place: Place) -> None:
    key = place.key()
    other = make_key(place.folder / "other")
    place.config(f"IdentityFile {other}", f"CertificateFile {key}-cert.pub")
    error = place.login()
    assert isinstance(error, AuthFailed)
    assert f"{key}-cert.pub is for a key that none of the key files holds" in str(error)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("kind", ["ed25519", *OTHER_KINDS[1:]])
def test_the_agent_signs_for_a_certificate_in_a_file(place: Place, kind: str) -> None:
    key = place.key(kind=kind)
    certificate = key.with_name("key-cert.pub").rename(place.folder / "elsewhere.pub")
    subprocess.run(["ssh-add", "-q", key], check=True)
    key.unlink()
    lines = (f"IdentityFile {key}.pub", "IdentitiesOnly yes", f"CertificateFile {certificate}")
    place.config(*lines)
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("kind", ["ed25519", *OTHER_KINDS[1:]])
def test_the_agent_has_the_certificate_too(place: Place, kind: str) -> None:
    key = place.key(kind=kind)
    subprocess.run(["ssh-add", "-q", key], check=True)
    for file in place.folder.glob("key*"):
        file.unlink()
    place.config()
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


@pytest.mark.usefixtures("agent")
def test_a_public_key_names_a_key_of_the_agent(place: Place) -> None:
    key = make_key(place.folder / "plain")
    (place.user.home / "authorized").write_text(key.with_suffix(".pub").read_text())
    subprocess.run(["ssh-add", "-q", key], check=True)
    key.unlink()
    place.config(f"IdentityFile {key}.pub", "IdentitiesOnly yes")
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


# --- of hosts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def certified(place: Place) -> Place:
    place.show_certificate()
    place.config(f"IdentityFile {place.key()}")
    return place


@pytest.mark.parametrize("kind", ["ed25519", *OTHER_KINDS])
def test_an_authority_vouches_for_a_host(place: Place, kind: str) -> None:
    place.show_certificate(kind=kind)
    place.config(f"IdentityFile {place.key()}")
    place.trust(place.authority())
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"
    assert place.authority() == (place.ssh / "known_hosts").read_text()
    shown = hostkeys.scan("node1", Connection(address="node1"), place.options)
    assert [kind in key.type for key in shown if key.known] == [True]


@pytest.mark.parametrize("names", ["127.0.0.*", "[127.0.0.1]:PORT", "*", "other,127.*,!127.0.0.2"])
def test_an_authority_for_patterns(certified: Place, names: str) -> None:
    certified.trust(certified.authority(names.replace("PORT", str(certified.sshd.port))))
    assert certified.ssh_logs_in()
    assert certified.login() == b"fine\n"


@pytest.mark.parametrize("names", ["*.example", "127.*,!127.0.0.1", "[127.0.0.1]:1"])
def test_an_authority_for_others(certified: Place, names: str) -> None:
    certified.trust(certified.authority(names))
    assert not certified.ssh_logs_in()
    assert isinstance(certified.login(), HostKeyUnknown)


def test_an_authority_for_another_name_of_the_host(certified: Place) -> None:
    certified.trust(certified.authority("*.example"))
    certified.config(f"IdentityFile {certified.folder / 'key'}", "HostKeyAlias Node1.Example")
    assert certified.ssh_logs_in()
    assert certified.login() == b"fine\n"


def test_another_authority(certified: Place) -> None:
    certified.trust(certified.authority(key=make_key(certified.folder / "others")))
    assert not certified.ssh_logs_in()
    error = certified.login()
    assert isinstance(error, HostKeyUnknown)
    assert "its certificate is signed by nobody who is trusted" in str(error)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-h", "-n", "other.example"), "is for other.example, not for 127.0.0.1"),
        (("-h", "-n", "127.0.0.1", *LONG_AGO), "is not valid since 2021-"),
        (("-h", "-n", "127.0.0.1", "-V", "20990101:21000101"), "is not valid before 2098-|is not valid before 2099-"),
        (("-h", "-n", "127.0.0.1", "-O", "critical:strange=1"), "has critical options"),
    ],
)
def test_a_certificate_that_is_no_good(place: Place, words: tuple[str, ...], why: str) -> None:
    place.show_certificate(*words)
    place.config(f"IdentityFile {place.key()}")
    place.trust(place.authority())
    assert not place.ssh_logs_in()
    error = place.login()
    assert isinstance(error, HostKeyUnknown)
    assert re.search(why, str(error))
    place.trust(place.authority(), place.sshd.known())  # then the key in it counts, as any other
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


def test_a_certificate_without_names_is_for_all(place: Place) -> None:
    place.show_certificate("-h")
    place.config(f"IdentityFile {place.key()}")
    place.trust(place.authority())
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


def test_an_authority_that_signs_with_sha_1(place: Place) -> None:
    authority = make_key(place.folder / "old", "rsa")
    place.show_certificate("-h", "-t", "ssh-rsa", "-n", "127.0.0.1", authority=authority)
    place.config(f"IdentityFile {place.key()}")
    place.trust(place.authority(key=authority))
    assert not place.ssh_logs_in()
    error = place.login()
    assert isinstance(error, HostKeyUnknown)
    assert "is signed with SHA-1" in str(error)
    place.show_certificate("-h", "-n", "127.0.0.1", authority=authority)
    place.config(f"IdentityFile {place.folder / 'key'}")
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"


def test_an_authority_that_is_revoked(certified: Place) -> None:
    certified.trust(certified.authority(), certified.authority("*", marker="@revoked"))
    assert not certified.ssh_logs_in()
    assert isinstance(certified.login(), HostKeyChanged)


def test_a_certified_key_that_is_revoked(certified: Place) -> None:
    certified.trust(certified.authority(), certified.sshd.known(marker="@revoked "))
    assert not certified.ssh_logs_in()
    assert isinstance(certified.login(), HostKeyChanged)


def test_another_key_is_known_besides_the_authority(certified: Place) -> None:
    certified.trust(
        certified.authority(), f"[127.0.0.1]:{certified.sshd.port} {certified.authority().split(' ', 2)[2]}"
    )
    assert certified.ssh_logs_in()
    assert certified.login() == b"fine\n"


def test_new_keys_under_hashed_names(place: Place) -> None:
    place.trust()
    lines = (f"IdentityFile {place.key()}", "StrictHostKeyChecking accept-new", "HashKnownHosts yes")
    place.config(*lines)
    for _ in range(2):
        assert place.login() == b"fine\n"
    (line,) = (place.ssh / "known_hosts").read_text().splitlines()
    assert line.startswith("|1|")
    place.config(*lines[:1])
    assert place.ssh_logs_in()
    assert place.login() == b"fine\n"
    hostkeys.record(hostkeys.scan("node1", Connection(address="node1"), place.options))
    assert len((place.ssh / "known_hosts").read_text().splitlines()) == 3


@pytest.mark.parametrize("what", ["key", "authority", "certificate", "no list at all"])
@pytest.mark.parametrize("listed", ["as text", "as ssh-keygen writes it"])
def test_keys_that_no_host_may_show(certified: Place, what: str, listed: str) -> None:
    public = {
        "key": certified.folder / "host_ed25519.pub",
        "authority": certified.hosts.with_suffix(".pub"),
        "certificate": certified.folder / "host_ed25519-cert.pub",
    }
    revoked = certified.folder / "revoked"
    if what in public and listed == "as text":
        revoked.write_text(f"# gone\n{public[what].read_text()}")
    elif what in public:
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, public[what]], check=True)
    certified.trust(certified.authority())
    certified.config(f"IdentityFile {certified.folder / 'key'}", f"RevokedHostKeys {revoked}")
    error = certified.login()
    assert certified.ssh_logs_in() is (error == b"fine\n"), error
    assert isinstance(error, HostKeyChanged)
    assert str(revoked) in str(error)
    certified.config(f"IdentityFile {certified.folder / 'key'}", "RevokedHostKeys none")
    assert certified.login() == b"fine\n"
