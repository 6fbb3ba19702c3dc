"""From an inventory's connection to a target: its variables, then the arguments, then ssh_config, as ssh ranks them."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from shipyard.base.errors import ConfigError, NotObserved
from shipyard.base.record import Struct
from shipyard.base.text import one_line
from shipyard.model.inventory import Connection
from shipyard.transport import arguments
from shipyard.transport.arguments import Arguments
from shipyard.transport.local import this_user
from shipyard.transport.names import check_name, expand, jump, port_number, real_name
from shipyard.transport.options import SYSTEM_KNOWN_HOSTS, SshOptions
from shipyard.transport.sshconfig import Found, NeedsOpenSshError, SshConfig, Subject
from shipyard.transport.target import Checking, Target, known_name

_JUMPS = 8
_USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_DEFAULT_KEYS = frozenset({*_USUAL_KEYS, "id_dsa", "id_ecdsa_sk", "id_ed25519_sk", "id_xmss"})
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_SYSTEM_KNOWN_HOSTS = shlex.join(map(str, SYSTEM_KNOWN_HOSTS))
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_CHECKING = {"no": Checking.NO, "off": Checking.NO, "false": Checking.NO, "accept-new": Checking.ACCEPT_NEW}


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
        self._configs: dict[str | None, tuple[SshConfig, ...]] = {}
        self._asked: dict[tuple[str, ...], Found] = {}
        self._lock = threading.Lock()
        self._local_user = this_user()

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
        found = self._lookup(wanted)
        host = real_name(found.first("hostname"), wanted.alias)
        port = port_number(wanted.port or found.first("port"))
        user = wanted.user or found.first("user") or self._local_user
        check_name("host", host)
        tokens = self._tokens(wanted.alias, host, port, user)
        identities, usual = self._identities(wanted, found, tokens)
        via, command = self._proxy(wanted, found, tokens, behind)
        alias = found.first("hostkeyalias")
        user_files = self._files_of(found.first("userknownhostsfile") or _USER_KNOWN_HOSTS, tokens)
        system_files = self._files_of(found.first("globalknownhostsfile") or _SYSTEM_KNOWN_HOSTS, tokens)
        return Target(
            host=host,
            port=port,
            user=user,
            known_as=known_name(host, port, alias),
            known_hosts=(*user_files, *system_files),
            record_in=user_files[0] if user_files else None,
            checking=Checking.NO
            if wanted.unchecked
            else _CHECKING.get((found.first("stricthostkeychecking") or "yes").lower(), Checking.YES),
            password=wanted.password,
            identities=identities,
            default_identities=usual,
            identities_only=(found.first("identitiesonly") or "no").lower() in {"yes", "true"},
            agent=self._agent(found.first("identityagent"), tokens),
            via=via,
            proxy_command=command,
            timeout=wanted.timeout,
            family=_FAMILIES.get((found.first("addressfamily") or "any").lower(), socket.AF_UNSPEC),
        )

    def _lookup(self, wanted: _Wanted) -> Found:
        """Everything that is written about this name; what the inventory says itself is looked at by the caller."""
        found = Found()
        if wanted.user is not None:
            found.add("user", wanted.user)  # `Match user` asks for it
        for key, value in wanted.arguments.options:
            found.add(key, value)
        before = {key: list(values) for key, values in found.values.items()}
        try:
            for config in self._files(wanted.arguments.config):
                config.apply(Subject(wanted.alias, self._local_user), found)
        except NeedsOpenSshError as needs:
            return self._ask_openssh(wanted, Found(before), needs)
        return found

    def _files(self, named: str | None) -> tuple[SshConfig, ...]:
        home, system = self._options.home, self._options.system_config
        with self._lock:
            if named not in self._configs:
                paths: tuple[tuple[Path, Path], ...]
                if named is None:
                    paths = ((self._options.user_config, home / ".ssh"), (system, system.parent))
                elif named.lower() == "none":
                    paths = ()
                else:
                    path = Path(expand(named, {}, home))
                    if not path.exists() or path.is_dir():
                        raise ConfigError(f"ansible_ssh_common_args: -F {named}: there is no such file")
                    paths = ((path, home / ".ssh"),)
                self._configs[named] = tuple(SshConfig(path, folder, home) for path, folder in paths if path.exists())
            return self._configs[named]

    def _ask_openssh(self, wanted: _Wanted, found: Found, needs: NeedsOpenSshError) -> Found:
        # ssh evaluates all of the file, and `Match exec` anywhere in it, or in what it includes, runs a program
        if not self._options.trusted and self._of_project(wanted.arguments.config):
            raise ConfigError(
                f"{needs}: only ssh itself can read this, and it runs the programs that a file of this project names",
                hint=_TRUST,
            )
        ssh = shutil.which("ssh")
        if ssh is None:
            raise ConfigError(f"{needs}: only ssh itself can read this, and it is not installed here")
        check_name("host", wanted.alias)
        argv = [ssh, "-G"]
        if wanted.arguments.config is not None:
            argv += ["-F", expand(wanted.arguments.config, {}, self._options.home)]
        if wanted.user is not None:
            argv += ["-l", wanted.user]
        argv += ["--", wanted.alias]
        with self._lock:
            if tuple(argv) not in self._asked:
                self._asked[tuple(argv)] = _openssh(argv)
            answer = self._asked[tuple(argv)]
        for key, values in answer.values.items():
            for value in values:
                found.add(key, value)
        return found

    def _identities(self, wanted: _Wanted, found: Found, tokens: dict[str, str]) -> tuple[tuple[str, ...], bool]:
        """Key files, and whether they are only the usual ones."""
        written = found.values.get("identityfile", [])
        named = [] if wanted.key_file is None else [wanted.key_file]
        named += [name for name in written if name.lower() != "none"]
        folder = self._options.home / ".ssh"
        paths = tuple(dict.fromkeys(expand(name, tokens, self._options.home) for name in named))
        if (paths or written) and not {*paths} <= {str(folder / name) for name in _DEFAULT_KEYS}:
            return paths, False  # `ssh -G` lists the usual ones where nobody named any
        if written and not paths:
            return (), False
        return tuple(str(folder / name) for name in _USUAL_KEYS), True

    def _proxy(
        self, wanted: _Wanted, found: Found, tokens: dict[str, str], behind: tuple[str, ...]
    ) -> tuple[Target | None, str | None]:
        """Jump host or command: whichever was written first, as in ssh."""
        order = [key for key in found.values if key in {"proxyjump", "proxycommand"}]
        key = order[0] if order else ""
        value = found.first(key) or "none"
        if value.lower() == "none":
            return None, None
        if key == "proxyjump":
            return self._jumps(wanted, expand(value, tokens), behind), None
        self._check_trust(wanted)
        for what, name in (("host", tokens["h"]), ("user", tokens["r"])):
            check_name(what, name)  # they become part of a shell command
        return None, expand(value, tokens)

    def _jumps(self, wanted: _Wanted, value: str, behind: tuple[str, ...]) -> Target:
        """`[user@]host[:port]`, several with commas: the last is the nearest to the node."""
        if len(behind) >= _JUMPS or wanted.alias in behind:
            raise ConfigError(f"jump hosts go round in a circle: {' -> '.join((*behind, wanted.alias))}")
        *before, last = value.split(",")
        user, host, port = jump(last)
        options = (("proxyjump", ",".join(before)),) if before else ()
        # As in ssh, a node's own options are not those of its jump host; its key may be offered, a password not.
        return self._resolve(
            _Wanted(
                alias=host,
                port=port,
                user=user,
                arguments=Arguments(options, wanted.arguments.config),
                key_file=wanted.key_file,
                timeout=wanted.timeout,
            ),
            (*behind, wanted.alias),
        )

    def _check_trust(self, wanted: _Wanted) -> None:
        named_here = any(key == "proxycommand" for key, _ in wanted.arguments.options)
        if not self._options.trusted and (named_here or self._of_project(wanted.arguments.config)):
            raise ConfigError("ProxyCommand runs a program that this project's files name", hint=_TRUST)

    def _of_project(self, config: str | None) -> bool:
        """Whether that -F file is anything but the user's or the system's own."""
        if config is None or config.lower() == "none":
            return False
        folder = Path(expand(config, {}, self._options.home)).resolve().parent
        own = (self._options.home / ".ssh", self._options.system_config.parent)
        return not any(folder.is_relative_to(place.resolve()) for place in own)

    def _files_of(self, said: str, tokens: dict[str, str]) -> tuple[str, ...]:
        names = [name for name in shlex.split(said) if name.lower() not in {"none", "/dev/null"}]
        return tuple(dict.fromkeys(expand(name, tokens, self._options.home) for name in names))

    def _agent(self, said: str | None, tokens: dict[str, str]) -> str | None:
        if said is None or said == "SSH_AUTH_SOCK":
            return os.environ.get("SSH_AUTH_SOCK") or None
        if said.lower() == "none":
            return None
        if said.startswith("$") and not said.startswith("${"):
            return os.environ.get(said[1:]) or None
        return expand(said, tokens, self._options.home)

    def _tokens(self, alias: str, host: str, port: int, user: str) -> dict[str, str]:
        return {
            "%": "%",
            "d": str(self._options.home),
            "h": host,
            "n": alias,
            "p": str(port),
            "r": user,
            "u": self._local_user,
            "i": str(os.getuid()),
            "L": socket.gethostname().split(".")[0],
            "l": socket.gethostname(),
        }


_TRUST = "look at it, then allow it with: shipyard trust-project"


def _openssh(argv: list[str]) -> Found:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"`{shlex.join(argv)}` did not end in 20 s") from None
    if done.returncode:
        raise ConfigError(f"`{shlex.join(argv)}` failed: {one_line(done.stderr.decode(errors='replace'))}")
    found = Found()
    for line in done.stdout.decode(errors="replace").splitlines():
        key, value = arguments.split_option(line)
        found.add(key, value)
    return found
