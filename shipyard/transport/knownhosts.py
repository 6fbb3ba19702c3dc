"""Reading known_hosts as OpenSSH does: hashed names, `[host]:port`, patterns, `@revoked`, `@cert-authority`.

paramiko's own reader compares every line with every other while loading, takes `@revoked` for a host's name, and
ignores patterns.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hmac
import os
import threading
from enum import StrEnum
from pathlib import Path

from shipyard.base.record import Struct, field

_MAX_FILE = 32 * 1024 * 1024


class Verdict(StrEnum):
    """What known_hosts says about a key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


class Line(Struct, frozen=True):
    """One line. `names`: as written. `marker`: `@revoked`, `@cert-authority` or empty. `where`: `file:line`."""

    names: str
    type: str
    blob: bytes
    marker: str
    where: str

    def names_host(self, name: str) -> bool:
        """Whether this line is about that host; a `!pattern` that matches excludes it."""
        if self.names.startswith("|1|"):
            return _hash_matches(self.names, name)
        found = False
        for pattern in self.names.lower().split(","):
            if pattern.startswith("!"):
                if _matches(name, pattern[1:]):
                    return False
            elif _matches(name, pattern):
                found = True
        return found


class _File(Struct):
    stamp: tuple[int, int, int] = (0, 0, 0)
    lines: tuple[Line, ...] = ()
    plain: dict[str, list[Line]] = field(default_factory=dict)
    others: list[Line] = field(default_factory=list)


class KnownHosts:
    """The files, each read once and again when it changed. For use by many threads."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()

    def lines(self, files: tuple[str, ...], name: str) -> tuple[Line, ...]:
        """Those about that host, in the order of the files."""
        found: list[Line] = []
        for path in files:
            file = self._file(path)
            found += file.plain.get(name, ())
            found += [line for line in file.others if line.names_host(name)]
        return tuple(found)

    def verdict(self, files: tuple[str, ...], name: str, type_: str, blob: bytes) -> tuple[Verdict, str]:
        """About a key that a host shows, and the `file:line` that says so (empty for UNKNOWN)."""
        lines = self.lines(files, name)
        own = [line for line in lines if not line.marker]
        for line in lines:
            if line.marker == "@revoked" and line.blob == blob:
                return Verdict.REVOKED, line.where
        for line in own:
            if line.type == type_ and line.blob == blob:
                return Verdict.KNOWN, line.where
        if own:
            return Verdict.CHANGED, own[0].where
        bare = without_port(name)
        if bare is not None:
            verdict, where = self.verdict(files, bare, type_, blob)
            if verdict in {Verdict.KNOWN, Verdict.REVOKED}:  # as OpenSSH: another service's key changes nothing
                return verdict, where
        return Verdict.UNKNOWN, ""

    def types(self, files: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Types of the keys known for this host: to be asked for first, so that a further key is not `changed`."""
        lines = self.lines(files, name) or self.lines(files, without_port(name) or name)
        return tuple(dict.fromkeys(line.type for line in lines if not line.marker))

    def authorities(self, files: tuple[str, ...], name: str) -> tuple[Line, ...]:
        """Who may sign a certificate of that host; by the name without its port where nobody may for the port."""
        for one in (name, without_port(name)):
            lines = self.lines(files, one) if one is not None else ()
            if found := tuple(line for line in lines if line.marker == "@cert-authority"):
                return found
        return ()

    def revoked(self, files: tuple[str, ...], name: str, blob: bytes) -> str:
        """The `file:line` that revokes a key, of an authority too; empty where none does."""
        lines = self.lines(files, name)
        return next((line.where for line in lines if line.marker == "@revoked" and line.blob == blob), "")

    def _file(self, path: str) -> _File:
        try:
            status = Path(path).stat()
        except OSError:
            return _File()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        with self._lock:
            file = self._files.get(path)
            if file is None or file.stamp != stamp:
                file = _index(stamp, parse(path))
                self._files[path] = file
            return file


def parse(path: str) -> tuple[Line, ...]:
    """All usable lines of a file; none when it can't be read, as OpenSSH has it."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE).decode(errors="surrogateescape")
    except OSError:
        return ()
    lines = (parse_line(line, f"{path}:{number}") for number, line in enumerate(content.split("\n"), 1))
    return tuple(line for line in lines if line is not None)


def parse_line(text: str, where: str) -> Line | None:
    """One line; None for comments and what can't be read (the key is then unknown, never accepted)."""
    words = text.split()
    marker = ""
    if words and words[0].startswith("@"):
        marker = words.pop(0)
        if marker not in {"@revoked", "@cert-authority"}:
            return None
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Line(words[0], words[1], blob, marker, where)


def _index(stamp: tuple[int, int, int], lines: tuple[Line, ...]) -> _File:
    file = _File(stamp, lines)
    for line in lines:
        names = line.names.lower().split(",")
        if line.names.startswith("|1|") or any(set(name) & set("*?!") for name in names):
            file.others.append(line)
        else:
            for name in dict.fromkeys(names):
                file.plain.setdefault(name, []).append(line)
    return file


def _matches(name: str, pattern: str) -> bool:
    """`*` and `?` only: brackets are part of `[host]:port`, not a set of characters."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def hashed_name(name: str) -> str:
    """As ssh writes it under HashKnownHosts, with a salt of its own."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(errors="surrogateescape"), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _hash_matches(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed[3:].split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(errors="surrogateescape"), "sha1"), digest)


def without_port(name: str) -> str | None:
    """The host of `[host]:port`; None for a name without a port."""
    host, bracket, port = name.partition("]:")
    return host[1:] if bracket and host.startswith("[") and port.isdigit() else None
