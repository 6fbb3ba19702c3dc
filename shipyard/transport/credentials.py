"""Keys to log in with: from files, from the agent; each read once for all connections of the process."""

from __future__ import annotations

import base64
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from paramiko.agent import SSH2_AGENT_IDENTITIES_ANSWER, AgentKey, AgentSSH, cSSH2_AGENTC_REQUEST_IDENTITIES
from paramiko.message import Message

from shipyard.base.record import Struct
from shipyard.transport import usercerts
from shipyard.transport.target import Target
from shipyard.transport.usercerts import Certificate

_MAGIC = b"openssh-key-v1\0"
_MAX_KEY = 1024 * 1024
_AGENT_TIMEOUT = 30.0  # an agent may ask its user before it signs


class Offer(Struct, frozen=True):
    """A key to offer. `shown`: how it is named in an error."""

    key: paramiko.PKey
    shown: str


class _Offering:
    """What one login has come to. `locked`: files that need a passphrase. `certified`: certificates offered."""

    def __init__(self, agent: tuple[AgentKey, ...], problems: list[str]) -> None:
        self.agent = agent
        self.problems = problems
        self.locked: list[tuple[str, Certificate | None]] = []
        self.certified: set[bytes] = set()

    def held(self, public: bytes | None) -> AgentKey | None:
        """The agent's key of that public half."""
        return next((key for key in self.agent if public is not None and key.blob == public), None)


class Keyring:
    """For use by many threads. `ask`: asks a person for a passphrase, None where nobody can be asked."""

    def __init__(self, ask: Callable[[str], str | None] | None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._files: dict[str, paramiko.PKey | str] = {}
        self._agents: dict[str, _Agent] = {}
        self._certificate_files: dict[str, Certificate | str] = {}

    def offers(self, target: Target, problems: list[str]) -> Iterator[Offer]:
        """Keys in the order in which to try them; what can't be used is added to `problems`.

        First the certificates that somebody named, then the named key files, then the agent's other keys, then the
        usual files of a user; behind each file its own certificate, unless one was named. Those that need a passphrase
        come last, so that nobody is asked in vain.
        """
        offering = _Offering(self._agent(target.agent), problems)
        certificates = self._certificates(target, problems)
        for certificate in certificates:
            yield from self._certified(certificate, target, offering)
        named, usual = ((), target.identities) if target.default_identities else (target.identities, ())
        beside = not target.certificates
        yield from self._from_files(named, offering, beside=beside, missing_is_problem=True)
        if not target.identities_only:
            known = {_public_blob(path) for path in target.identities} | offering.certified
            for key in offering.agent:
                if key.blob not in known:
                    yield Offer(key, f"{key.comment or key.get_name()} (agent)")
        yield from self._from_files(usual, offering, beside=beside, missing_is_problem=False)
        for path, certificate_or_none in offering.locked:
            unlocked = self._unlock(path, problems)
            if unlocked is not None:
                yield _offer(unlocked, path, certificate_or_none)

    def close(self) -> None:
        """Leave the agents; the keys read from files stay."""
        with self._lock:
            agents, self._agents = self._agents, {}
        for agent in agents.values():
            agent.close()

    def _from_files(
        self, paths: tuple[str, ...], offering: _Offering, *, beside: bool, missing_is_problem: bool
    ) -> Iterator[Offer]:
        for path in paths:
            certificate = self._certificate(f"{path}-cert") if beside else usercerts.MISSING
            also = [None, certificate] if isinstance(certificate, Certificate) else [None]
            blob = _public_blob(path)
            held = offering.held(blob)
            loaded = held or self._load(path)
            if isinstance(loaded, paramiko.PKey):
                shown = f"{path} (agent)" if held else path
                for one in also:
                    if one is None or one.key == (blob or loaded.asbytes()):
                        yield _offer(loaded, shown, one)
                        offering.certified |= set() if one is None else {one.blob}
            elif loaded == _LOCKED:
                offering.locked += [(path, one) for one in also if one is None or blob in {None, one.key}]
            elif missing_is_problem or loaded != _MISSING:
                offering.problems.append(f"{path} {loaded}")

    def _certificates(self, target: Target, problems: list[str]) -> list[Certificate]:
        """Those that somebody named."""
        found: list[Certificate] = []
        for path in target.certificates:
            certificate = self._certificate(path)
            if isinstance(certificate, str):
                problems.append(f"{path} {certificate}")
            else:
                found.append(certificate)
        return found

    def _certified(self, certificate: Certificate, target: Target, offering: _Offering) -> Iterator[Offer]:
        """It, signed for by its key in the agent or in one of the key files."""
        files = [path for path in target.identities if _public_blob(path) in {None, certificate.key}]
        held = offering.held(certificate.key)
        if held is not None and not (target.identities_only and not files):
            offering.certified.add(certificate.blob)
            yield _offer(held, "agent", certificate)
            return
        for path in files:
            loaded = self._load(path)
            if isinstance(loaded, paramiko.PKey) and loaded.asbytes() == certificate.key:
                offering.certified.add(certificate.blob)
                yield _offer(loaded, path, certificate)
                return
            if loaded == _LOCKED and _public_blob(path) == certificate.key:
                offering.locked.append((path, certificate))
                return
        offering.problems.append(f"{certificate.path} is for a key that none of the key files holds")

    def _certificate(self, path: str) -> Certificate | str:
        with self._lock:
            if path not in self._certificate_files:
                self._certificate_files[path] = usercerts.read(path)
            return self._certificate_files[path]

    def _load(self, path: str) -> paramiko.PKey | str:
        with self._lock:
            if path not in self._files:
                self._files[path] = _read_key(path, None)
            return self._files[path]

    def _unlock(self, path: str, problems: list[str]) -> paramiko.PKey | None:
        """Asks once a process; the answer, also a wrong one, stands for all nodes."""
        with self._lock:
            loaded = self._files[path]
            if loaded == _LOCKED and self._ask is not None:
                passphrase = self._ask(path)
                loaded = "was not unlocked" if passphrase is None else _read_key(path, passphrase)
                self._files[path] = loaded
        if isinstance(loaded, str):
            problems.append(f"{path} {loaded}")
            return None
        return loaded

    def _agent(self, socket_path: str | None) -> tuple[AgentKey, ...]:
        if socket_path is None:
            return ()
        with self._lock:
            if socket_path not in self._agents:
                self._agents[socket_path] = _Agent(socket_path)
            return self._agents[socket_path].keys


_LOCKED = "needs a passphrase (add it to the agent: `ssh-add`)"
_MISSING = "does not exist"


def _offer(key: paramiko.PKey, shown: str, certificate: Certificate | None) -> Offer:
    if certificate is None:
        return Offer(key, shown)
    return Offer(certificate.with_key(key), f"{certificate.shown} with {shown}")


def _read_key(path: str, passphrase: str | None) -> paramiko.PKey | str:
    """The key, or what is wrong with it."""
    try:
        if Path(path).stat().st_size > _MAX_KEY:
            return "is too large for a key"
        secret = None if passphrase is None else passphrase.encode()
        return _private(Path(path).read_bytes(), secret)
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography: "Password was not given"
        return _LOCKED
    except (paramiko.SSHException, ValueError) as error:
        if passphrase is not None:
            return "could not be unlocked with this passphrase"
        return _LOCKED if "assw" in str(error) or "crypt" in str(error) else f"is no usable key: {error}"


def _private(data: bytes, secret: bytes | None) -> paramiko.PKey:
    """As PKey.from_path, which would take a certificate beside the file for the key, and fail with a broken one."""
    try:
        loaded = load_ssh_private_key(data, secret)
    except ValueError:
        loaded = load_pem_private_key(data, secret)  # type: ignore[assignment]  # one of its many kinds
    kinds: dict[type, type[paramiko.PKey]] = {
        rsa.RSAPrivateKey: paramiko.RSAKey,
        ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
        ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
    }
    for kind, reader in kinds.items():
        if isinstance(loaded, kind):
            return reader.from_private_key(io.StringIO(data.decode()), password=secret)  # type: ignore[arg-type]  # bytes
    raise paramiko.SSHException("neither RSA, ECDSA nor Ed25519")


def _public_blob(path: str) -> bytes | None:
    """The public half, known without a passphrase: the file is one, PATH.pub is, or the front of a key file says it."""
    for name in (path, f"{path}.pub"):
        try:
            kind, text = Path(name).read_text(errors="replace").split()[:2]
            blob = base64.b64decode(text, validate=True)
            if Message(blob).get_binary() == kind.encode():
                return blob
        except (OSError, ValueError, struct.error):
            pass
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
        return _front(base64.b64decode("".join(line for line in lines if not line.startswith("-----"))))
    except (OSError, ValueError, struct.error):
        return None


def _front(data: bytes) -> bytes | None:
    """The public key in an OpenSSH key file: after cipher, derivation and its options, and the number of keys."""
    if not data.startswith(_MAGIC):
        return None
    message = Message(data[len(_MAGIC) :])
    for _ in range(3):
        message.get_binary()
    message.get_int()
    return message.get_binary() or None


class _Agent(AgentSSH):
    """One connection to the agent, signing for many transport threads: one question at a time, each with an end."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._asking = threading.Lock()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(_AGENT_TIMEOUT)
        self.keys: tuple[AgentKey, ...] = ()
        try:
            self._connection.connect(path)
            self.keys = self._held()
        except (OSError, paramiko.SSHException, struct.error, IndexError):
            self.close()  # of a dangling or wedged SSH_AUTH_SOCK there are no keys, as OpenSSH has it

    def close(self) -> None:
        """Leave it; its keys sign no more."""
        self._connection.close()

    def _held(self) -> tuple[AgentKey, ...]:
        kind, answer = self._send_message(cSSH2_AGENTC_REQUEST_IDENTITIES)
        if kind != SSH2_AGENT_IDENTITIES_ANSWER:
            return ()
        return tuple(_held_key(self, answer.get_binary(), answer.get_text()) for _ in range(answer.get_int()))

    def _send_message(self, message: Message | bytes) -> tuple[int, Message]:
        """What AgentKey calls to sign."""
        request = message if isinstance(message, bytes) else message.asbytes()
        with self._asking:
            self._connection.sendall(struct.pack(">I", len(request)) + request)
            (size,) = struct.unpack(">I", self._exactly(4))
            if size > _MAX_KEY:
                raise paramiko.SSHException("the ssh agent answers nonsense")
            answer = self._exactly(size)
        return answer[0], Message(answer[1:])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            if not piece:
                raise paramiko.SSHException("the ssh agent closed the connection")
            data += piece
        return data


def _held_key(agent: _Agent, blob: bytes, comment: str) -> AgentKey:
    """One of an agent's keys; a certificate is offered as such, and signed for by the key that it is for."""
    key = AgentKey(agent, blob, comment)
    if key.get_name().endswith("-cert-v01@openssh.com"):
        key.load_certificate(Message(blob))
    return key
