"""The transport against real sshds: whom it trusts, how it logs in, and what becomes of commands that misbehave."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paramiko import Transport

from shipyard.base.errors import (
    AuthFailed,
    HostKeyChanged,
    HostKeyUnknown,
    NodeError,
    NotObserved,
    TimedOut,
    Truncated,
    Unreachable,
)
from shipyard.base.record import replace
from shipyard.base.trust import Trust
from shipyard.model.inventory import Connection
from shipyard.transport import hostkeys
from shipyard.transport.fleet import Fleet, SshOptions
from tests.lab.sshd import Cable, Sshd, User, eventually, free_port, make_key, running, temporary_user


class Place:
    """One sshd, the user who may log in, and a home with what the control machine's user would have."""

    def __init__(self, folder: Path, user: User) -> None:
        self.folder = folder
        self.user = user
        self.key = make_key(folder / "key")
        self.authorized = user.home / "authorized"  # sshd reads it as that user
        self.authorized.write_text(self.key.with_suffix(".pub").read_text())
        self.sshd = Sshd(folder / "sshd", self.authorized)
        self.options = SshOptions(home=folder / "home", system_config=folder / "nothing")
        self.ssh = folder / "home" / ".ssh"
        self.ssh.mkdir(parents=True)
        self.trust(self.sshd.known())

    def trust(self, *lines: str) -> None:
        (self.ssh / "known_hosts").write_text("".join(lines))

    def host(self, **changes: object) -> Connection:
        usual = Connection(
            address="127.0.0.1", port=self.sshd.port, user=self.user.name, key_file=str(self.key), timeout=5
        )
        return replace(usual, **changes)  # type: ignore[arg-type]  # each test names fields of Connection

    def fleet(self, *hosts: Connection, **options: object) -> Fleet:
        return Fleet(
            {f"node{number}": host for number, host in enumerate(hosts or (self.host(),), 1)},
            options=replace(self.options, **options),  # type: ignore[arg-type]  # the same
        )


def error_of(fleet: Fleet, node: str = "node1") -> NodeError:
    with fleet:
        outcome = fleet.each([node], lambda connection: connection.run(b"true", timeout=10))[node]
    assert isinstance(outcome, NodeError)
    return outcome


def said(fleet: Fleet, script: bytes = b"echo fine", node: str = "node1") -> bytes:
    with fleet:
        done = fleet.open(node).run(script, timeout=10)
    assert done.status == 0, done
    return done.stdout


# --- whose key -------------------------------------------------------------------------------------------------


def test_an_unknown_host_gets_no_login_and_the_error_names_the_remedy(place: Place) -> None:
    place.trust()
    error = error_of(place.fleet())
    assert isinstance(error, HostKeyUnknown)
    assert error.hint == "shipyard nodes trust node1"
    assert "SHA256:" in error.message
    assert "Accepted" not in place.sshd.log()
    assert place.user.name not in place.sshd.log()


def test_a_changed_key_is_refused_and_a_further_type_is_not_unknown(place: Place) -> None:
    place.trust(place.sshd.known("rsa"))
    assert said(place.fleet()) == b"fine\n"
    blob = make_key(place.folder / "other").with_suffix(".pub").read_text().split()[1]
    place.trust(f"[127.0.0.1]:{place.sshd.port} ssh-ed25519 {blob}\n")
    error = error_of(place.fleet())
    assert isinstance(error, HostKeyChanged)
    assert "nodes trust node1" in str(error)
    assert "known_hosts:1" in error.message


def test_hashed_names_are_known_and_revoked_keys_are_not(place: Place) -> None:
    subprocess.run(["ssh-keygen", "-H", "-f", place.ssh / "known_hosts"], check=True, capture_output=True)
    assert "127.0.0.1" not in (place.ssh / "known_hosts").read_text()
    assert said(place.fleet()) == b"fine\n"
    place.trust(place.sshd.known(), place.sshd.known(marker="@revoked ", name="*"))
    assert isinstance(error_of(place.fleet()), HostKeyChanged)
    place.trust(place.sshd.known(marker="@cert-authority "))
    error = error_of(place.fleet())
    assert isinstance(error, HostKeyUnknown)
    assert "@cert-authority" in error.message


def test_scanned_keys_are_those_of_ssh_keygen_and_make_the_host_known(place: Place) -> None:
    place.trust("# mine\n", "other.example ssh-ed25519 AAAA\n")
    keys = hostkeys.scan("node1", place.host(), place.options)
    assert [key.known for key in keys] == [False, False, False]
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", place.sshd.folder / "host_ed25519.pub"], check=True, capture_output=True, text=True
    )
    assert keys[0].fingerprint == shown.stdout.split()[1]
    assert hostkeys.record(keys) == (place.ssh / "known_hosts",)
    assert (place.ssh / "known_hosts").read_text().startswith("# mine\nother.example ssh-ed25519 AAAA\n[127.")
    assert all(key.known for key in hostkeys.scan("node1", place.host(), place.options))
    assert said(place.fleet()) == b"fine\n"


def test_a_reinstalled_host_is_known_again_only_when_replaced(place: Place) -> None:
    hostkeys.record(hostkeys.scan("node1", place.host(), place.options))
    place.sshd.stop()
    place.sshd = Sshd(place.folder / "again", place.authorized, port=place.sshd.port)
    keys = hostkeys.scan("node1", place.host(), place.options)
    assert not any(key.known for key in keys)
    hostkeys.record(keys, replace=True)
    assert said(place.fleet()) == b"fine\n"
    assert len((place.ssh / "known_hosts").read_text().splitlines()) == 3


def test_accept_new_records_and_never_accepts_a_change(place: Place) -> None:
    place.trust()
    lax = place.host(common_args=("-o", "StrictHostKeyChecking=accept-new"))
    assert said(place.fleet(lax)) == b"fine\n"
    assert (place.ssh / "known_hosts").read_text() == place.sshd.known()
    assert said(place.fleet()) == b"fine\n"
    place.trust(place.sshd.known().replace("AAAA", "AAAB", 1))
    assert isinstance(error_of(place.fleet(lax)), HostKeyChanged)


def test_without_checking_a_changed_host_still_gets_no_password(place: Place) -> None:
    place.trust(place.sshd.known().replace("AAAA", "AAAB", 1))
    unchecked = place.host(host_key_checking=False)
    assert said(place.fleet(unchecked)) == b"fine\n"
    only_password = replace(unchecked, key_file=None, password=place.user.password)
    assert isinstance(error_of(place.fleet(only_password)), AuthFailed)
    assert "Failed password" not in place.sshd.log()


# --- logging in ------------------------------------------------------------------------------------------------


def test_a_passphrase_is_asked_once_for_all_nodes(place: Place) -> None:
    locked = make_key(place.folder / "locked", passphrase="correct horse")
    place.authorized.write_text(locked.with_suffix(".pub").read_text())
    host = place.host(key_file=str(locked))
    asked: list[str] = []

    def answer(path: str) -> str:
        asked.append(path)
        return "correct horse"

    with place.fleet(host, host, host, passphrase=answer) as fleet:
        outcomes = fleet.each(["node1", "node2", "node3"], lambda node: node.run(b"echo fine", timeout=10).stdout)
    assert set(outcomes.values()) == {b"fine\n"}
    assert asked == [str(locked)]

    nobody = error_of(place.fleet(host))
    assert isinstance(nobody, AuthFailed)
    assert f"{locked} needs a passphrase" in nobody.message
    wrong = error_of(place.fleet(host, passphrase=lambda _: "wrong"))
    assert "could not be unlocked" in wrong.message


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_keys_of_other_types_with_a_passphrase(place: Place, kind: str) -> None:
    locked = make_key(place.folder / kind, kind, passphrase="correct horse")
    place.authorized.write_text(locked.with_suffix(".pub").read_text())
    assert said(place.fleet(place.host(key_file=str(locked)), passphrase=lambda _: "correct horse")) == b"fine\n"


def test_a_password_and_a_wrong_one(place: Place) -> None:
    host = place.host(key_file=None, password=place.user.password)
    assert said(place.fleet(host)) == b"fine\n"
    error = error_of(place.fleet(replace(host, password="not it")))
    assert isinstance(error, AuthFailed)
    assert "the password" in error.message
    assert "not it" not in str(error)


def test_nothing_to_offer_says_what_sshd_takes(place: Place) -> None:
    error = error_of(place.fleet(place.host(key_file=str(place.folder / "missing"))))
    assert isinstance(error, AuthFailed)
    assert "missing does not exist" in error.message
    assert "publickey" in error.message


def test_the_agent_signs_for_a_key_whose_file_is_locked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = make_key(place.folder / "locked", passphrase="correct horse")
    place.authorized.write_text(locked.with_suffix(".pub").read_text())
    address = place.folder / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    try:
        assert eventually(address.exists)
        helper = place.folder / "askpass"
        helper.write_text("#!/bin/sh\necho correct horse\n")
        helper.chmod(0o700)
        environment = os.environ | {"SSH_AUTH_SOCK": str(address), "SSH_ASKPASS": str(helper), "DISPLAY": ":0"}
        for key in (make_key(place.folder / "unused"), locked):
            subprocess.run(
                ["ssh-add", "-q", key],
                check=True,
                env=environment | {"SSH_ASKPASS_REQUIRE": "force"},
                capture_output=True,
            )
        monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
        hosts = [place.host(key_file=str(locked))] * 8
        with place.fleet(*hosts) as fleet:
            outcomes = fleet.each([f"node{n}" for n in range(1, 9)], lambda node: node.run(b"echo fine", timeout=10))
        assert not [outcome for outcome in outcomes.values() if isinstance(outcome, NodeError)]
        assert said(place.fleet(place.host(key_file=None))) == b"fine\n"
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place.folder / "dangling"))
        assert isinstance(error_of(place.fleet(place.host(key_file=None))), AuthFailed)
    finally:
        agent.terminate()
        agent.wait(10)


# --- ways through ----------------------------------------------------------------------------------------------


@pytest.fixture
def bastion(place: Place) -> Iterator[Sshd]:
    sshd = Sshd(place.folder / "bastion", place.authorized)
    place.trust(place.sshd.known(), sshd.known())
    yield sshd
    sshd.stop()


def test_nodes_share_the_connection_to_their_jump_host(place: Place, bastion: Sshd) -> None:
    host = place.host(common_args=("-J", f"{place.user.name}@127.0.0.1:{bastion.port}"))
    with place.fleet(host, host, host) as fleet:
        for _ in range(2):
            outcomes = fleet.each(["node1", "node2", "node3"], lambda node: node.run(b"echo fine", timeout=10).stdout)
            assert set(outcomes.values()) == {b"fine\n"}
    assert bastion.logins() == 1
    assert place.sshd.logins() == 3
    assert eventually(lambda: not [thread for thread in threading.enumerate() if isinstance(thread, Transport)])


def test_an_unreachable_jump_host_is_one_failure_of_all_behind_it(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = place.host(common_args=("-J", f"127.0.0.1:{silent.getsockname()[1]}"), timeout=1)
        with place.fleet(*[host] * 20) as fleet:
            outcomes = fleet.each([f"node{n}" for n in range(1, 21)], lambda node: node.run(b"true", timeout=10))
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # nobody tried a second time
            silent.accept()
    for node, outcome in outcomes.items():
        assert isinstance(outcome, Unreachable)
        assert (outcome.node, outcome.via) == (node, "127.0.0.1")


def test_a_jump_host_that_refuses_says_nothing_about_the_node(place: Place) -> None:
    strict = Sshd(place.folder / "strict", place.authorized, "AllowTcpForwarding no")
    try:
        place.trust(place.sshd.known(), strict.known())
        jump = f"{place.user.name}@127.0.0.1:{strict.port}"
        error = error_of(place.fleet(place.host(common_args=("-J", jump))))
        assert type(error) is NotObserved
        assert "AllowTcpForwarding" in str(error)
    finally:
        strict.stop()


def test_a_node_that_is_down_behind_a_jump_host_is_unreachable_by_itself(place: Place, bastion: Sshd) -> None:
    jump = f"{place.user.name}@127.0.0.1:{bastion.port}"
    error = error_of(place.fleet(place.host(common_args=("-J", jump), port=free_port())))
    assert isinstance(error, Unreachable)
    assert error.via is None


def test_an_untrusted_jump_host_is_scanned_before_what_is_behind_it(place: Place, bastion: Sshd) -> None:
    place.trust()
    host = place.host(common_args=("-J", f"{place.user.name}@127.0.0.1:{bastion.port}"))
    first = hostkeys.scan("node1", host, place.options)
    assert {key.host for key in first} == {f"[127.0.0.1]:{bastion.port}"}
    hostkeys.record(first)
    second = hostkeys.scan("node1", host, place.options)
    assert {key.host for key in second} == {f"[127.0.0.1]:{place.sshd.port}"}
    hostkeys.record(second)
    assert said(place.fleet(host)) == b"fine\n"


def test_the_users_ssh_config_with_include_and_proxyjump(place: Place, bastion: Sshd) -> None:
    (place.ssh / "conf.d").mkdir()
    (place.ssh / "config").write_text("Include conf.d/*\n\nHost *\n  IdentitiesOnly yes\n")
    (place.ssh / "conf.d" / "fleet").write_text(
        f"Host web\n  HostName 127.0.0.1\n  Port {place.sshd.port}\n  ProxyJump gate\n"
        f"Host gate\n  HostName 127.0.0.1\n  Port {bastion.port}\n"
        f"Host web gate\n  User {place.user.name}\n  IdentityFile {place.key}\n"
    )
    assert said(place.fleet(Connection(address="web", timeout=5))) == b"fine\n"
    assert bastion.logins() == 1


def test_a_proxycommand_of_the_project_runs_only_once_it_is_trusted(place: Place) -> None:
    marker = place.folder / "ran"
    relay = place.folder / "relay.py"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "open(sys.argv[3], 'w').close()\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    command = f"python3 {relay} %h %p {marker}"
    host = place.host(common_args=("-o", f"ProxyCommand={command}"))
    error = error_of(place.fleet(host))
    assert type(error) is NotObserved
    assert "trust-project" in str(error)
    assert not marker.exists()
    assert said(place.fleet(host, trusted=Trust.all())) == b"fine\n"
    assert marker.exists()
    assert eventually(lambda: not running(f"{relay} 127.0.0.1 {place.sshd.port} {marker}"))


# --- what goes wrong on the way --------------------------------------------------------------------------------


def test_a_closed_port_and_a_silent_one_are_unreachable(place: Place) -> None:
    closed = error_of(place.fleet(place.host(port=free_port())))
    assert isinstance(closed, Unreachable)
    assert "refused" in closed.message
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = error_of(place.fleet(place.host(port=silent.getsockname()[1], timeout=0.5)))
    assert isinstance(error, Unreachable)
    assert "no sshd answered" in error.message


def test_closing_ends_a_connection_that_is_being_made(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fleet = place.fleet(place.host(port=silent.getsockname()[1], timeout=60))
        outcomes: list[object] = []
        opening = threading.Thread(
            target=lambda: outcomes.append(fleet.each(["node1"], lambda node: node.node)["node1"]), daemon=True
        )
        opening.start()
        with silent.accept()[0] as client:
            assert client.recv(4) == b"SSH-"
            fleet.close()
            opening.join(20)
    assert isinstance(outcomes[0], Unreachable)
    assert eventually(lambda: not [thread for thread in threading.enumerate() if isinstance(thread, Transport)])


def test_a_port_that_speaks_something_else_is_alive(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _address = server.accept()
                    with client:
                        client.sendall(b"Not allowed at this time\r\n")

        threading.Thread(target=serve, daemon=True).start()
        error = error_of(place.fleet(place.host(port=server.getsockname()[1], timeout=0.5)))
    assert type(error) is NotObserved
    assert "Not allowed at this time" in error.message


def test_fifty_nodes_at_one_sshd_with_its_default_limits(place: Place) -> None:
    with place.fleet(*[place.host(timeout=30)] * 50) as fleet:
        names = [f"node{number}" for number in range(1, 51)]
        outcomes = fleet.each(names, lambda node: node.run(b"echo fine", timeout=30))
    assert [outcome for outcome in outcomes.values() if isinstance(outcome, NodeError)] == []
    assert list(outcomes) == names


def test_a_dropped_connection_is_tried_again(place: Place) -> None:
    place.sshd.stop()
    place.sshd = Sshd(place.folder / "few", place.authorized, "MaxStartups 2")
    place.trust(place.sshd.known())
    with place.fleet(*[place.host(timeout=30)] * 12) as fleet:
        outcomes = fleet.each([f"node{n}" for n in range(1, 13)], lambda node: node.run(b"echo fine", timeout=30))
    assert [outcome for outcome in outcomes.values() if isinstance(outcome, NodeError)] == []
    assert "drop" in place.sshd.log()


def test_one_nodes_failure_is_its_own(place: Place) -> None:
    down = place.host(port=free_port())
    with place.fleet(place.host(), down, place.host()) as fleet:
        outcomes = fleet.each(["node1", "node2", "node3"], lambda node: node.run(b"echo fine", timeout=10))
    kinds = [type(outcome).__name__ for outcome in outcomes.values()]
    assert kinds == ["Completed", "Unreachable", "Completed"]


def test_a_session_that_sshd_refuses_is_alive(place: Place) -> None:
    place.sshd.stop()
    place.sshd = Sshd(place.folder / "none", place.authorized, "MaxSessions 0")
    place.trust(place.sshd.known())
    error = error_of(place.fleet())
    assert type(error) is NotObserved
    assert "MaxSessions" in str(error)


def test_a_connection_that_broke_between_two_passes_is_made_anew(place: Place) -> None:
    cable = Cable(place.sshd.port)
    place.trust(place.sshd.known(name=f"[127.0.0.1]:{cable.port}"))
    try:
        with place.fleet(place.host(port=cable.port)) as fleet:
            for _ in range(3):
                assert fleet.open("node1").run(b"echo fine", timeout=10).stdout == b"fine\n"
                cable.cut()
        assert place.sshd.logins() == 3
    finally:
        cable.close()


# --- commands that misbehave -----------------------------------------------------------------------------------


def test_a_hanging_command_is_stopped_with_what_it_started(place: Place) -> None:
    with place.fleet() as fleet:
        connection = fleet.open("node1")
        with pytest.raises(TimedOut):
            connection.run(b"sleep 4711 & sleep 4712; wait", timeout=1)
        assert eventually(lambda: not running("sleep 4712") and not running("sleep 4711"))
        assert connection.run(b"echo fine", timeout=10).stdout == b"fine\n"


def test_endless_output_is_cut_off(place: Place) -> None:
    with place.fleet() as fleet:
        connection = fleet.open("node1")
        with pytest.raises(Truncated):
            connection.run(b"yes shipyard-test-endless", timeout=30, max_bytes=1024 * 1024)
        assert eventually(lambda: not running("yes shipyard-test-endless"))
        with pytest.raises(Truncated):
            connection.run(b"yes >&2", timeout=30, max_bytes=1024 * 1024)
        assert connection.run(b"head -c 1000000 /dev/zero", timeout=30).stdout == bytes(1_000_000)


def test_a_command_ended_by_a_signal_has_a_status(place: Place) -> None:
    with place.fleet() as fleet:
        assert fleet.open("node1").run(b"kill -KILL 0", timeout=10).status == 128 + signal.SIGKILL


def test_both_outputs_at_once_do_not_block(place: Place) -> None:
    script = b"head -c 3000000 /dev/zero & head -c 3000000 /dev/zero >&2; wait"
    with place.fleet() as fleet:
        done = fleet.open("node1").run(script, timeout=30)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_an_answer_is_whole_though_its_command_ended_before_it(place: Place) -> None:
    """What a command left behind writes on, piece by piece: it is no silence as long as something comes."""
    script = b"{ for piece in $(seq 20000); do echo $piece; done; echo end; } & exit 3"
    with place.fleet() as fleet:
        for _ in range(10):
            done = fleet.open("node1").run(script, timeout=30)
            assert (done.stdout[-10:], done.status) == (b"20000\nend\n", 3)


def test_a_connection_cut_in_the_answer_is_truncated_and_one_that_goes_silent_times_out(place: Place) -> None:
    cable = Cable(place.sshd.port)
    place.trust(place.sshd.known(name=f"[127.0.0.1]:{cable.port}"))
    arrived = threading.Event()

    def when_begun(action: Callable[[], None]) -> None:
        def act() -> None:
            arrived.wait(10)
            action()

        threading.Thread(target=act, daemon=True).start()

    begun = place.user.home / "begun"

    def watch() -> None:
        if eventually(begun.exists):
            arrived.set()

    try:
        with place.fleet(place.host(port=cable.port)) as fleet:
            connection = fleet.open("node1")
            for action, expected in ((cable.cut, Truncated), (cable.hold, TimedOut)):
                begun.unlink(missing_ok=True)
                arrived.clear()
                when_begun(action)
                threading.Thread(target=watch, daemon=True).start()
                with pytest.raises(expected):
                    connection.run(b"echo half; : > ~/begun; sleep 20", timeout=4)
    finally:
        cable.close()


def test_an_interrupt_ends_everything_at_once(place: Place) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    begun = threading.Event()

    def hang(node: object) -> None:
        begun.set()
        fleet.open("node1" if node is None else node.node).run(b"sleep 4713", timeout=60)

    def interrupt() -> None:
        begun.wait(10)
        eventually(lambda: running("sleep 4713"))
        os.kill(os.getpid(), signal.SIGINT)

    fleet = Fleet({f"node{n}": place.host() for n in range(6)}, forks=3, options=place.options)
    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fleet.each([f"node{n}" for n in range(6)], hang)
    assert time.monotonic() - started < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "shipyard-node"]
    assert place.sshd.logins() <= 3
    for _ in range(3):
        subprocess.run(["pkill", "-u", place.user.name, "sleep"], check=False)


def test_a_bug_in_the_work_is_raised(place: Place) -> None:
    def work(_node: object) -> None:
        raise ZeroDivisionError

    with place.fleet() as fleet, pytest.raises(ZeroDivisionError):
        fleet.each(["node1"], work)


def test_following_ends_when_the_connection_does(place: Place) -> None:
    pieces: list[bytes] = []
    fleet = place.fleet()

    def heard(piece: bytes) -> None:
        pieces.append(piece)
        if b"two" in b"".join(pieces):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet.open("node1").stream(b"echo one; echo two; sleep 4714", heard, pieces.append)
    assert eventually(lambda: not running("sleep 4714"))
    assert fleet.open("node1").stream(b"echo three; exit 5", pieces.append, pieces.append) == 5
    assert b"".join(pieces) == b"one\ntwo\nthree\n"
    fleet.close()


# --- login shells ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/dash"])
def test_noise_of_the_login_shell_is_no_part_of_the_answer(tmp_path: Path, shell: str) -> None:
    with temporary_user(shell) as user:
        (user.home / ".bashrc").write_text("echo welcome; echo warning >&2\n")
        place = Place(tmp_path, user)
        try:
            with place.fleet() as fleet:
                done = fleet.open("node1").run(b"echo fine; echo oops >&2; exit 3", timeout=10)
            assert (done.status, done.stdout, done.stderr) == (3, b"fine\n", b"oops\n")
        finally:
            place.sshd.stop()


def test_a_user_without_a_shell_is_alive_and_the_error_has_its_words(tmp_path: Path) -> None:
    with temporary_user("/usr/sbin/nologin") as user:
        place = Place(tmp_path, user)
        try:
            error = error_of(place.fleet())
            assert type(error) is NotObserved
            assert "not available" in error.message
        finally:
            place.sshd.stop()
