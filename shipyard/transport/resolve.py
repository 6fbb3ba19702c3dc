"""From an inventory's connection to a target: its variables, then the arguments, then ssh_config, as ssh ranks them."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable

from shipyard.base.errors import ConfigError, NotObserved
from shipyard.base.record import Struct
from shipyard.base.trust import HINT
from shipyard.model.inventory import Connection
from shipyard.transport import arguments, keywords, names, programs
from shipyard.transport.arguments import Arguments
from shipyard.transport.lookup import Lookup, Question
from shipyard.transport.options import SYSTEM_KNOWN_HOSTS, SshOptions
from shipyard.transport.sshconfig import Found
from shipyard.transport.target import Checking, Target, known_name

_JUMPS = 8
_USUAL_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")
_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_CHECKING = {"no": Checking.NO, "off": Checking.NO, "false": Checking.NO, "accept-new": Checking.ACCEPT_NEW}
_YES = frozenset({"yes", "true"})


class _Wanted(Struct, frozen=True):
    """One sshd as somebody named it, the inventory or a ProxyJump."""

    alias: str
    port: int | None
    user: str | None
    arguments: Arguments
    key_file: str | None
    timeout: float
    password: str | None = None
    unchecked: bool = False


class Resolver:
    """Reads each ssh_config once. For use by many threads."""

    def __init__(self, options: SshOptions) -> None:
        self._options = options
        self._lookup = Lookup(options)

    def target(self, node: str, connection: Connection) -> Target:
        """Raises NotObserved for settings that can't be used: nothing is known about the node then."""
        try:
            return self._resolve(
                _Wanted(
                    alias=connection.address or node,
                    port=connection.port,
                    user=connection.user,
                    arguments=arguments.parse(connection.common_args),
                    key_file=connection.key_file,
                    timeout=connection.timeout,
                    password=connection.password,
                    unchecked=connection.host_key_checking is False,
                ),
                (),
            )
        except ConfigError as error:
            raise NotObserved(node, error.message, hint=error.hint) from error

    def _resolve(self, wanted: _Wanted, behind: tuple[str, ...]) -> Target:
        found, host = self._lookup.find(Question(wanted.alias, wanted.port, wanted.user, wanted.arguments))
        port = wanted.port or int(found.first("port") or 22)
        if not 0 < port < 65536:
            raise ConfigError(f"`{port}` is no port")
        user = wanted.user or found.first("user") or self._lookup.local_user
        names.check_name("host", host)
        alias = (found.first("hostkeyalias") or "").lower() or None
        reading = _Reading(found, self._tokens(wanted.alias, host, port, user, alias, found), self._options)
        identities, usual = reading.identities(wanted.key_file)
        via, command = self._proxy(wanted, found, reading.tokens, behind)
        user_files = reading.user_known_hosts()
        revoked = found.first("revokedhostkeys")
        checking = _CHECKING.get(found.first("stricthostkeychecking") or "ask", Checking.YES)
        return Target(
            host=host,
            port=port,
            user=user,
            known_as=known_name(host, port, alias),
            known_hosts=(*user_files, *reading.system_known_hosts()),
            record_in=user_files[0] if user_files else None,
            hashed=found.first("hashknownhosts") in _YES,
            revoked=None if revoked is None or revoked.lower() == "none" else revoked,
            checking=Checking.NO if wanted.unchecked else checking,
            password=wanted.password,
            identities=identities,
            default_identities=usual,
            certificates=reading.files("certificatefile"),
            identities_only=found.first("identitiesonly") in _YES,
            agent=reading.agent(),
            via=via,
            proxy_command=command,
            timeout=wanted.timeout,
            family=keywords.family(found.first("addressfamily") or "any"),
            bind=found.first("bindaddress"),
        )

    def _proxy(
        self, wanted: _Wanted, found: Found, tokens: dict[str, str], behind: tuple[str, ...]
    ) -> tuple[Target | None, str | None]:
        """Jump host or command."""
        given = {key: tokens[key] for key in "hknpr"}
        jumps, command = found.first("proxyjump"), found.first("proxycommand")
        if jumps is not None:
            return self._jumps(wanted, _expanded(found, "proxyjump", jumps, given), behind), None
        if command is None or command.lower() == "none":
            return None, None
        self._check_trust(wanted)
        if found.first("proxyusefdpass") in _YES:
            raise ConfigError(
                f"{found.where('proxyusefdpass')}: a ProxyCommand that hands over a descriptor can't be used",
                hint="let it pass the bytes on: ProxyUseFdpass no",
            )
        for token, what in (("h", "host"), ("n", "host"), ("k", "host"), ("r", "user")):
            if f"%{token}" in command:
                names.check_name(what, given[token])  # it becomes part of a shell command
        return None, _expanded(found, "proxycommand", command, given)

    def _jumps(self, wanted: _Wanted, value: str, behind: tuple[str, ...]) -> Target:
        """`[user@]host[:port]`, several with commas: the last is the nearest to the node."""
        if len(behind) >= _JUMPS or wanted.alias in behind:
            raise ConfigError(f"jump hosts go round in a circle: {' -> '.join((*behind, wanted.alias))}")
        try:
            nearest = names.split_jumps(value)[-1]
        except (ValueError, IndexError):
            raise ConfigError(f"ProxyJump: `{value}` is not [user@]host[:port]") from None
        names.check_name("host", nearest.host)
        before = value.partition("#")[0].rpartition(",")[0]
        options = (("proxyjump", before),) if before else ()
        # As in ssh, a node's own options are not those of its jump host; its key may be offered, a password not.
        return self._resolve(
            _Wanted(
                alias=nearest.host,
                port=nearest.port,
                user=nearest.user,
                arguments=Arguments(options, wanted.arguments.config),
                key_file=wanted.key_file,
                timeout=wanted.timeout,
            ),
            (*behind, wanted.alias),
        )

    def _check_trust(self, wanted: _Wanted) -> None:
        named, trusted = wanted.arguments, self._options.trusted
        words = programs.command(named) or programs.config(named, self._options)
        if words and not trusted.allows(words):
            said = f"ProxyCommand runs a program that this project's files name. It {trusted.refusal}"
            raise ConfigError(said, hint=HINT)

    def _tokens(
        self, alias: str, host: str, port: int, user: str, key_alias: str | None, found: Found
    ) -> dict[str, str]:
        here = socket.gethostname()
        jumps = names.split_jumps(found.first("proxyjump") or "none")
        through = jumps[-1].host if jumps else ""
        return {
            "C": hashlib.sha1(f"{here}{host}{port}{user}{through}".encode(errors="surrogateescape")).hexdigest(),
            "L": here.split(".")[0],
            "d": str(self._options.home),
            "h": host,
            "i": str(os.getuid()),
            "j": through,
            "k": key_alias or alias,
            "l": here,
            "n": alias,
            "p": str(port),
            "r": user,
            "u": self._lookup.local_user,
        }


class _Reading(Struct, frozen=True):
    """The files that a lookup names, with `tokens` in place."""

    found: Found
    tokens: dict[str, str]
    options: SshOptions

    def files(self, key: str) -> tuple[str, ...]:
        """All files of a keyword that adds up, each once."""
        return tuple(
            dict.fromkeys(
                self._path(key, word, value.where) for value in self.found.values.get(key, ()) for word in value.words
            )
        )

    def identities(self, key_file: str | None) -> tuple[tuple[str, ...], bool]:
        """Key files, and whether they are only the usual ones."""
        said = [(value.words[0], value.where) for value in self.found.values.get("identityfile", ())]
        named = [] if key_file is None else [(key_file, "ansible_ssh_private_key_file")]
        if not named and not said:
            return tuple(str(self.options.home / ".ssh" / name) for name in _USUAL_KEYS), True
        paths = (self._path("identityfile", word, where) for word, where in (*named, *said) if word.lower() != "none")
        return tuple(dict.fromkeys(paths)), False

    def user_known_hosts(self) -> tuple[str, ...]:
        """UserKnownHostsFile, without what is no file."""
        values = self.found.values.get("userknownhostsfile")
        words, where = (values[0].words, values[0].where) if values else (_USER_KNOWN_HOSTS, "")
        return _real(
            word if self.found.answered and values else self._path("userknownhostsfile", word, where)
            for word in words
            if word.lower() != "none"
        )

    def system_known_hosts(self) -> tuple[str, ...]:
        """GlobalKnownHostsFile, where nothing stands for something else."""
        values = self.found.values.get("globalknownhostsfile")
        return _real(word for word in (values[0].words if values else map(str, SYSTEM_KNOWN_HOSTS)))

    def agent(self) -> str | None:
        """The agent's socket."""
        said = self.found.first("identityagent")
        if said is not None and not self.found.answered:
            said = self._path("identityagent", said, self.found.where("identityagent"))
        if said is None or said == "SSH_AUTH_SOCK":
            return os.environ.get("SSH_AUTH_SOCK") or None
        if said == "none":
            return None
        if said.startswith("$"):
            return os.environ.get(said[1:]) or None
        return said

    def _path(self, key: str, word: str, where: str) -> str:
        try:
            return names.path(word, self.tokens, self.options.home)
        except ValueError as error:
            raise ConfigError(f"{where}: {keywords.SHOWN[key]}: {error}") from None


def _real(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path.lower() not in {"none", "/dev/null"}))


def _expanded(found: Found, key: str, text: str, tokens: dict[str, str]) -> str:
    try:
        return names.expand(text, tokens)
    except ValueError as error:
        raise ConfigError(f"{found.where(key)}: {keywords.SHOWN[key]}: {error}") from None
