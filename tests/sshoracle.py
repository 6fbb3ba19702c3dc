"""OpenSSH's own word on a file of ssh_config, and whether a target agrees with it."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipyard.base.errors import NotObserved
from shipyard.base.trust import Trust
from shipyard.model.inventory import Connection
from shipyard.transport.options import SshOptions
from shipyard.transport.resolve import Resolver
from shipyard.transport.target import Target

HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
"""What ssh takes for the home, whatever the environment says."""

_USUAL = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"]
_EXPANDING_FAILED = re.compile(r"percent_expand|tilde_expand|invalid environment variable|dollar_expand")
_CHECKING = {"true": "yes", "ask": "yes", "false": "no", "off": "no", "accept-new": "accept-new"}
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass
class Said:
    """What ssh comes to. `problem`: why it refuses, and `lines`: where, if it says so. Files are expanded."""

    problem: str = ""
    lines: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    identities: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    command: str | None = None

    def one(self, key: str) -> str:
        """The value of a keyword, empty where ssh prints none."""
        return self.values.get(key, [""])[0]


def ask(config: Path, host: str, words: Sequence[str] = ()) -> Said:
    """`ssh -G`; and `ssh -v` for what it expands only on the way, with nothing to connect to."""
    shown = _run("-G", "-F", str(config), *words, "--", host)
    if shown.returncode:
        return Said(shown.stderr.strip() or "no words", re.findall(r"line (\d+)", shown.stderr))
    said = Said()
    for text in shown.stdout.split("\n"):
        key, _, value = text.partition(" ")
        said.values.setdefault(key, []).append(value)
    nowhere = () if "proxycommand" in said.values else ("-o", "ProxyCommand=false")
    alone = [word for before, word in zip(("", *words), words, strict=False) if "-J" not in (before, word)]
    tried = _run("-v", "-F", str(config), "-o", "BatchMode=yes", *nowhere, *alone, "--", host).stderr
    if _EXPANDING_FAILED.search(tried):
        return Said(tried)
    said.identities = _files("identity", tried)
    said.certificates = _files("certificate", tried)
    if not nowhere:
        found = re.search(r"^debug1: Executing proxy command: exec (.*?)\r?$", tried, re.MULTILINE)
        said.command = found[1].replace("\\\\", "\\") if found else None
    return said


def _files(kind: str, log: str) -> list[str]:
    # words of a proxy's shell, which has the same stderr, may stand before those of ssh
    found = re.findall(rf"debug1: {kind} file (.*) type -?\d+\r?$", log, re.MULTILINE)
    return list(dict.fromkeys(path.replace("\\\\", "\\") for path in found))


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ssh", *argv], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def resolve(config: Path, host: str, words: Sequence[str] = ()) -> Target:
    """Shipyard's own reading."""
    options = SshOptions(home=HOME, trusted=Trust.all())
    return Resolver(options).target("node1", Connection(address=host, common_args=("-F", str(config), *words)))


def agree(config: Path, host: str, words: Sequence[str] = (), *, exact: bool = True) -> None:
    """Fails where the two come to something else, or only one of them refuses the file.

    `exact`: both refuse the same line. Where several are wrong, ssh gives up at the end of a file, shipyard at a line.
    """
    said = ask(config, host, words)
    if not said.problem:
        compare(resolve(config, host, words), said, config, host)
        return
    with pytest.raises(NotObserved) as raised:
        pytest.fail(f"ssh says {said.problem}, shipyard: {resolve(config, host, words)}")
    if not words:
        where = rf"{re.escape(str(config.parent))}/\S*:({'|'.join(said.lines if exact else ()) or '[0-9]+'}): "
        assert "permissions" in said.problem or re.search(where, str(raised.value)) or _nowhere(raised.value, said), (
            raised.value,
            said.problem,
        )


def _nowhere(error: NotObserved, said: Said) -> bool:
    """Whether ssh was asked, which names no place for this, and its words are passed on.

    What it only fails to expand on its way is told in shipyard's words, and by the key.
    """
    if "ssh -G: " in str(error):
        return bool(_EXPANDING_FAILED.search(said.problem))
    asked = "/ssh -G -F" in str(error) and not re.search(r"line \d+", said.problem)
    return asked and all(line in str(error) for line in said.problem.splitlines())


def compare(target: Target, said: Said, config: Path, host: str) -> None:
    """Everything that is used of a configuration."""
    assert (target.host, target.port, target.user) == (said.one("hostname"), int(said.one("port")), said.one("user"))
    assert target.checking.value == _CHECKING[said.one("stricthostkeychecking")]
    assert target.identities_only == (said.one("identitiesonly") == "yes")
    assert target.hashed == (said.one("hashknownhosts") == "yes")
    assert (target.bind or "") == said.one("bindaddress")
    assert (target.revoked or "") == said.one("revokedhostkeys")
    assert target.family == _FAMILIES[said.one("addressfamily")]
    known_as = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    assert target.known_as == (said.one("hostkeyalias") or known_as.lower())
    files = f"{said.one('userknownhostsfile')} {said.one('globalknownhostsfile')}".split(" ")
    files = [file for file in files if file.lower() not in ("none", "/dev/null")]
    assert " ".join(target.known_hosts) == " ".join(dict.fromkeys(files))
    agent = said.one("identityagent")
    assert target.agent == {"": os.environ.get("SSH_AUTH_SOCK"), "none": None}.get(agent, agent)
    _compare_keys(target, said)
    _compare_way(target, said, config, host)


def _compare_keys(target: Target, said: Said) -> None:
    assert list(target.certificates) == said.certificates
    usual = [f"~/.ssh/{name}" for name in _USUAL] == said.values.get("identityfile")
    assert target.default_identities == usual
    if not usual:
        each = (lambda path: [path]) if target.certificates else (lambda path: [path, f"{path}-cert"])
        assert [word for path in target.identities for word in each(path)] == said.identities


def _compare_way(target: Target, said: Said, config: Path, host: str) -> None:
    jumps = said.one("proxyjump")
    assert (target.via is None) == (not jumps)
    if target.via is not None:
        *before, last = jumps.split(",")
        user, _, place = last.removeprefix("ssh://").rpartition("@")
        bare = re.fullmatch(r"\[(.*)\](?::(\d+))?|([^:]*)(?::(\d+))?", place)
        assert bare is not None
        words = [*(["-l", user] if user else []), *(["-p", bare[2] or bare[4]] if bare[2] or bare[4] else [])]
        words += ["-J", ",".join(before)] if before else []
        name = bare[1] or bare[3]
        compare(target.via, ask(config, name, words), config, name)
    assert target.proxy_command == said.command
