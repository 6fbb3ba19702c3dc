"""Keys to log in with: from files, from the agent; each read once for all connections of the process."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from paramiko.agent import SSH2_AGENT_IDENTITIES_ANSWER, AgentKey, AgentSSH, cSSH2_AGENTC_REQUEST_IDENTITIES
from paramiko.message import Message

from shipyard.base.record import Struct
from shipyard.transport.target import Target

_MAGIC = b"openssh-key-v1\0"
_MAX_KEY = 1024 * 1024
_AGENT_TIMEOUT = 30.0  # an agent may ask its user before it signs


class Offer(Struct, frozen=True):
    """A key to offer. `shown`: how it is named in an error."""

    key: paramiko.PKey
    shown: str


class Keyring:
    """For use by many threads. `ask`: asks a person for a passphrase, None where nobody can be asked."""

    def __init__(self, ask: Callable[[str], str | None] | None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._files: dict[str, paramiko.PKey | str] = {}
        self._agents: dict[str, _Agent] = {}

    def offers(self, target: Target, problems: list[str]) -> Iterator[Offer]:
        """Keys in the order in which to try them; what can't be used is added to `problems`.

        First the files that somebody named, then the agent's other keys, then the usual files of a user; those that
        need a passphrase last, so that nobody is asked in vain.
        """
        agent = self._agent(target.agent)
        locked: list[str] = []
        named, usual = ((), target.identities) if target.default_identities else (target.identities, ())
        yield from self._from_files(named, agent, locked, problems, missing_is_problem=True)
        if not target.identities_only:
            named_blobs = {_public_blob(path) for path in target.identities}
            for key in agent:
                if key.blob not in named_blobs:
                    yield Offer(key, f"{key.comment or key.get_name()} (agent)")
        yield from self._from_files(usual, agent, locked, problems, missing_is_problem=False)
        for path in locked:
            unlocked = self._unlock(path, problems)
            if unlocked is not None:
                yield Offer(unlocked, path)

    def close(self) -> None:
        """Leave the agents; the keys read from files stay."""
        with self._lock:
            agents, self._agents = self._agents, {}
        for agent in agents.values():
            agent.close()

    def _from_files(
        self,
        paths: tuple[str, ...],
        agent: tuple[AgentKey, ...],
        locked: list[str],
        problems: list[str],
        *,
        missing_is_problem: bool,
    ) -> Iterator[Offer]:
        for path in paths:
            blob = _public_blob(path)
            held = next((key for key in agent if blob is not None and key.blob == blob), None)
            if held is not None:
                yield Offer(held, f"{path} (agent)")
                continue
            loaded = self._load(path)
            if isinstance(loaded, paramiko.PKey):
                yield Offer(loaded, path)
            elif loaded == _LOCKED:
                locked.append(path)
            elif missing_is_problem or loaded != _MISSING:
                problems.append(f"{path} {loaded}")

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


def _read_key(path: str, passphrase: str | None) -> paramiko.PKey | str:
    """The key, or what is wrong with it."""
    try:
        if Path(path).stat().st_size > _MAX_KEY:
            return "is too large for a key"
        secret = None if passphrase is None else passphrase.encode()
        return paramiko.PKey.from_path(path, secret)  # type: ignore[arg-type]  # passed on to cryptography: bytes
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


def _public_blob(path: str) -> bytes | None:
    """The public half, known without a passphrase: from `PATH.pub`, or the front of an OpenSSH key file."""
    try:
        words = Path(path + ".pub").read_text(errors="replace").split()
        return base64.b64decode(words[1])
    except (OSError, ValueError, IndexError):
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
        return tuple(AgentKey(self, answer.get_binary(), answer.get_text()) for _ in range(answer.get_int()))

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
