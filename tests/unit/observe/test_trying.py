"""Tries of probes against real ports and by real shells, on a node that is this machine."""

from __future__ import annotations

import datetime
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shipyard.base.errors import NotObserved, Unreachable
from shipyard.model.container import Probe
from shipyard.model.memory import ProbeName
from shipyard.model.probing import Tried, Try
from shipyard.observe import trying
from shipyard.observe.trying import try_all
from tests.shellnode import SHELLS, FakeFleet, ShellNode

BOX = "a" * 64
DOCKER = r"""#!/bin/sh
case "$1 $3" in
  "exec well") echo fine ;;
  "exec ill") printf 'no database\nno hope' >&2; exit 3 ;;
  "exec mute") exit 1 ;;
  "exec long") yes | head -c 100000; exit 1 ;;
  "exec slow") exec sleep 20 ;;
  "exec words") printf '%s|' "$@"; exit 1 ;;
  logs*) echo "log of $*" ;;
esac
"""


class Node(ShellNode):
    """FAKE connection that can connect to this machine's ports, too."""

    refuses = False

    def reach(self, address: str, port: int, *, timeout: float) -> socket.socket:
        if self.refuses:
            raise NotObserved(self.node, "its sshd forwards nothing", hint="see AllowTcpForwarding")
        return socket.create_connection((address, port), timeout)


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    node = Node("n1", tmp_path / "node", shell=request.param)
    node.command("docker", DOCKER)
    return node


@pytest.fixture
def plain(tmp_path: Path) -> Node:
    return Node("n1", tmp_path / "node")


@contextmanager
def serving(
    *answers: bytes, tls: ssl.SSLContext | None = None, hold: bool = False
) -> Iterator[tuple[int, list[bytes]]]:
    """A port that gives each caller the next answer. `hold`: the connection stays open after it."""
    heard: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                caller, _ = server.accept()
                with caller:
                    try:
                        wire = caller if tls is None else tls.wrap_socket(caller, server_side=True)
                        heard.append(wire.recv(4096))
                        wire.sendall(answer)
                        if hold:
                            done.wait(5)
                        wire.close()
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            done.set()
            thread.join(5)


def certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "pem").write_bytes(plain + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context


def http(port: int, **more: object) -> Try:
    probe = Probe("http", port=port, **more)  # type: ignore[arg-type]  # keyword arguments of the probe
    return attempt(probe, address="127.0.0.1", port=port)


def attempt(probe: Probe, name: ProbeName = "liveness", **more: object) -> Try:
    return Try("n1", ("s", "web", 1), BOX, name, probe, **more)  # type: ignore[arg-type]  # of the try


def tried(node: Node, *tries: Try) -> tuple[Tried, ...]:
    return try_all(FakeFleet({"n1": node}), tries, {"n1": "docker"})  # type: ignore[arg-type]  # a fake


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\n\r\nfine", True, ""),
    (b"HTTP/1.0 204 No Content\r\n\r\n", True, ""),
    (b"HTTP/1.1 399 Odd\r\n\r\n", True, ""),
    (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", True, ""),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "it answered 400 Bad Request"),
    (b"HTTP/1.1 503 No\r\nX: y\r\n\r\nno\ndatabase", False, "it answered 503 No: no database"),
    (b"HTTP/1.1 199 Odd\r\n\r\n", False, "it answered 199 Odd"),
    (b"SSH-2.0-OpenSSH\r\n", False, "it answered no HTTP: SSH-2.0-OpenSSH"),
    (b"HTTP/1.1 2000 No\r\n\r\n", False, "it answered no HTTP: HTTP/1.1 2000 No"),
    (b"", False, "it answered nothing"),
]


@pytest.mark.parametrize(("answer", "passed", "words"), ANSWERS)
def test_what_an_http_answer_comes_to(plain: Node, answer: bytes, passed: bool, words: str) -> None:
    with serving(answer) as (port, _):
        (result,) = tried(plain, http(port))
    assert (result.passed, result.words) == (passed, words)


def test_what_is_asked(plain: Node) -> None:
    headers = (("Host", "shop.example"), ("X-Probe", "1"))
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n") as (port, heard):
        tried(plain, http(port))
        tried(plain, http(port, path="/healthz?full=1", headers=headers))
    assert heard[0].startswith(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert heard[0].endswith(b"\r\n\r\n")
    assert b"GET /healthz?full=1 HTTP/1.1\r\n" in heard[1]
    assert heard[1].count(b"Host:") == 1
    assert b"Host: shop.example\r\nX-Probe: 1\r\n" in heard[1]


def test_an_answer_is_enough_also_where_the_connection_stays_open(plain: Node) -> None:
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", hold=True) as (port, _):
        assert tried(plain, http(port, timeout=3.0))[0].passed


def test_https_without_looking_at_the_certificate(plain: Node, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\nill", tls=tls) as (port, _):
        assert tried(plain, http(port, scheme="https", timeout=5.0))[0].passed
        assert tried(plain, http(port, scheme="https", timeout=5.0))[0].words == "it answered 500 No: ill"
    with serving(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        failed = tried(plain, http(port, scheme="https", timeout=5.0))[0]
        assert failed.passed is False
        assert "WRONG_VERSION_NUMBER" in failed.words.upper().replace(" ", "_")


def test_a_port_that_is_closed_and_one_that_never_answers(plain: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    closed = attempt(Probe("tcp", port=port), address="127.0.0.1", port=port)
    assert tried(plain, closed)[0].words == f"no connection to 127.0.0.1 port {port}: Connection refused"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        opened, silent = tried(
            plain, attempt(Probe("tcp", port=port), address="127.0.0.1", port=port), http(port, timeout=0.2)
        )
    assert opened.passed
    assert (silent.passed, silent.words) == (False, f"no answer from 127.0.0.1 port {port}: timed out after 0.2 s")


def test_commands_by_the_runtimes_exec(node: Node) -> None:
    asked = ("well", "ill", "mute", "long", "words")
    tries = [attempt(Probe("exec", command=(word, "it's $HOME", "")), "readiness") for word in asked]
    results = {word: (each.passed, each.words) for word, each in zip(asked, tried(node, *tries), strict=True)}
    assert results["well"] == (True, "")
    assert results["ill"] == (False, "its command ended with 3: no database no hope")
    assert results["mute"] == (False, "its command ended with 1")
    assert len(results["long"][1]) < 1000
    assert results["words"][1].endswith(f"exec|{BOX}|words|it's $HOME||")
    assert node.execs == 1


@pytest.mark.skipif(shutil.which("timeout") is None, reason="no timeout command")
def test_a_command_that_does_not_end_is_given_up(plain: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "STARTING", 0.0)
    plain.command("docker", DOCKER)
    slow, well = tried(
        plain, attempt(Probe("exec", command=("slow",), timeout=0.1)), attempt(Probe("exec", command=("well",)))
    )
    assert (slow.passed, slow.words) == (False, "its command did not end in 0.1 s")
    assert well.passed


def test_the_log_comes_with_the_failure_that_decides(node: Node) -> None:
    ill = Probe("exec", command=("ill",))
    first, last = attempt(ill), attempt(ill, decides=True)
    results = tried(node, first, last, attempt(Probe("exec", command=("well",)), decides=True))
    assert [each.log for each in results] == ["", f"log of logs --tail=10 {BOX}\n", ""]


def test_what_can_not_be_tried_says_why_and_costs_nothing(plain: Node) -> None:
    (result,) = tried(plain, attempt(Probe("http", port=80), obstacle="no way there"))
    assert (result.passed, result.words) == (None, "no way there")
    plain.refuses = True
    (result,) = tried(plain, http(80))
    assert (result.passed, result.words) == (None, "its sshd forwards nothing; see AllowTcpForwarding")
    gone = FakeFleet({"n1": Unreachable("n1", "no route to host")})
    (result,) = try_all(gone, [http(80)], {"n1": "docker"})  # type: ignore[arg-type]  # a fake
    assert (result.passed, result.words) == (None, "no route to host")
    assert plain.execs == 0
