"""All that is written about one name: arguments first, then the files, a second time where they ask for it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.text import one_line
from shipyard.base.trust import HINT
from shipyard.transport import keywords, lexing, names, programs
from shipyard.transport.arguments import WHERE, Arguments
from shipyard.transport.local import this_user
from shipyard.transport.matching import NeedsOpenSshError, Subject
from shipyard.transport.options import SshOptions
from shipyard.transport.sshconfig import Found, SshConfig, Value

_USUAL_FILES = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa")
_READ = frozenset({*keywords.SHOWN, "proxyusefdpass"}) - {"ignoreunknown"}
_NAMES = frozenset({"hostname", "hostkeyalias", "proxyjump", "user"})
_OF_A_SHELL = frozenset(" '`\"$;&<>|(){}#*?~!")
_LISTS = frozenset({"userknownhostsfile", "globalknownhostsfile"})


class Question(Struct, frozen=True):
    """A name, and what the inventory says itself about it; `port` and `user` are None where it says nothing."""

    alias: str
    port: int | None
    user: str | None
    arguments: Arguments


class Lookup:
    """Reads each ssh_config once. For use by many threads."""

    def __init__(self, options: SshOptions) -> None:
        self._options = options
        self._configs: dict[str | None, tuple[SshConfig, ...]] = {}
        self._asked: dict[tuple[str, ...], Found] = {}
        self._lock = threading.Lock()
        self.local_user = this_user()

    def find(self, question: Question) -> tuple[Found, str]:
        """What was found, and the host to connect to. Raises ConfigError."""
        found = Found()
        if question.user is not None:
            found.add("user", (question.user,), "inventory")  # `Match user` asks for it
        for key, text in question.arguments.options:
            found.add(*_words(key, text), WHERE)
        configs = self._files(question.arguments.config)
        subject = Subject(question.alias, self.local_user)
        try:
            for config in configs:
                config.apply(subject, found)
            _need_no_names(found)
            host = host_of(found, question.alias)
            if any(config.final for config in configs):
                found.values["hostname"] = [Value((host,), found.where("hostname"))]
                for config in configs:
                    config.apply(Subject(question.alias, self.local_user, final=host), found)
        except NeedsOpenSshError as needs:
            found = self._ask_openssh(question, needs)
            return found, found.first("hostname") or question.alias
        return found, host

    def _files(self, named: str | None) -> tuple[SshConfig, ...]:
        home, system = self._options.home, self._options.system_config
        with self._lock:
            if named not in self._configs:
                self._configs[named] = tuple(self._read(named, home, system))
            return self._configs[named]

    def _read(self, named: str | None, home: Path, system: Path) -> list[SshConfig]:
        if named is None:
            found = []
            if (own := self._options.user_config).exists():
                found.append(SshConfig(own, home / ".ssh", home, guarded=True))
            if system.exists():
                found.append(SshConfig(system, system.parent, home, user=False))
            return found
        if named.lower() == "none":
            return []
        path = programs.config_path(named, home)
        if not path.exists() or path.is_dir():
            raise ConfigError(f"{WHERE}: -F {named}: there is no such file")
        return [SshConfig(path, home / ".ssh", home)]

    def _ask_openssh(self, question: Question, needs: NeedsOpenSshError) -> Found:
        # ssh evaluates all of the file, and `Match exec` anywhere in it, or in what it includes, runs a program
        named, trusted = programs.config(question.arguments, self._options), self._options.trusted
        if named and not trusted.allows(named):
            if needs.wrong:
                raise ConfigError(str(needs))
            raise ConfigError(
                f"{needs}: only ssh itself can read this, and it runs the programs that this file names. It"
                f" {trusted.refusal}",
                hint=HINT,
            )
        ssh = shutil.which("ssh")
        if ssh is None:
            raise ConfigError(str(needs) if needs.wrong else f"{needs}: only ssh can read this, and there is none here")
        _check_names(question)
        argv = [ssh, "-G"]
        if question.arguments.config is not None:
            config = question.arguments.config
            argv += [
                "-F",
                config if config.lower() == "none" else str(programs.config_path(config, self._options.home)),
            ]
        if question.port is not None:
            argv += ["-p", str(question.port)]
        if question.user is not None:
            argv += ["-l", question.user]
        for key, text in question.arguments.options:
            argv += ["-o", f"{key} {text}"]
        argv += ["--", question.alias]
        with self._lock:
            if tuple(argv) not in self._asked:
                self._asked[tuple(argv)] = _openssh(argv, needs)
            return self._asked[tuple(argv)]


def host_of(found: Found, alias: str) -> str:
    """Where to connect to: HostName, which knows `%h` alone, or the name itself. Raises ConfigError."""
    said = found.first("hostname")
    try:
        host = alias if said is None else names.expand(said, {"h": alias})
    except ValueError as error:
        raise ConfigError(f"{found.where('hostname')}: HostName: {error}") from None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return names.address(host, keywords.family(found.first("addressfamily") or "any"))


def _words(key: str, text: str) -> tuple[str, tuple[str, ...]]:
    try:
        return keywords.read(key, text)
    except ValueError as error:
        raise ConfigError(f"{WHERE}: {keywords.shown(key)}: {error}") from None


def _check_names(question: Question) -> None:
    """Raises ConfigError for names that are none: tokens put them into the commands of `Match exec`, unquoted."""
    names.check_name("host", question.alias)
    said = [("user", question.user)] if question.user is not None else []
    said += [(key, word) for key, text in question.arguments.options if key in _NAMES for word in _words(key, text)[1]]
    for key, word in said:
        if word.startswith("-") or word.endswith("\\") or not word.isprintable() or set(word) & _OF_A_SHELL:
            raise ConfigError(f"{keywords.shown(key)}: `{one_line(word)}` can't become a word of a `Match exec`")


def _need_no_names(found: Found) -> None:
    """Raises NeedsOpenSshError where the name server is to complete the name."""
    for key in ("canonicalizehostname", "canonicalizepermittedcnames"):
        said = found.first(key)
        if said is not None and said.lower() not in {"no", "false", "none"}:
            raise NeedsOpenSshError(found.where(key), key)


def _openssh(argv: list[str], needs: NeedsOpenSshError) -> Found:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"`{shlex.join(argv)}` did not end in 20 s") from None
    if done.returncode:
        if needs.wrong:
            raise ConfigError(str(needs))
        said = done.stderr.decode(errors="replace")
        if placed := re.search(r"^(/.*?):? line (\d+): (.*)", said, re.MULTILINE):
            raise ConfigError(f"{placed[1]}:{placed[2]}: {one_line(placed[3])}")
        raise ConfigError(f"`{shlex.join(argv)}` failed: {one_line(said)}")
    found = Found(answered=True)
    for line in done.stdout.decode(errors="surrogateescape").split("\n"):
        key, value = lexing.keyword(line) or ("", "")
        if key in _READ and value:
            found.add(key, tuple(value.split(" ")) if key in _LISTS else (value,), "ssh -G")
    usual = [f"~/.ssh/{name}" for name in _USUAL_FILES]
    if [value.words[0] for value in found.values.get("identityfile", [])] == usual:
        del found.values["identityfile"]  # listed where nobody named any
    return found
