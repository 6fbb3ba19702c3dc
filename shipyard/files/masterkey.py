"""The key that secrets are sealed with: read from a variable, a program or a file, made at first use, never shown.

A key is 32 random bytes as base64. Where several stand, the first seals, and each opens what it sealed: so a key is
replaced without a moment at which nothing opens.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.secret import SecretBytes
from shipyard.base.text import printable
from shipyard.base.trust import HINT, Trust
from shipyard.files import program
from shipyard.files.config import KeySource

KEY_BYTES = 32
MAX_BYTES = 64 * 1024
HEAD = b"""\
# The key of shipyard's secrets. Keep a copy in a safe place: without it they can't be read. Never put it into git.
"""
_FORM = "a key is 32 random bytes as base64: openssl rand -base64 32"


class Found(Struct, frozen=True):
    """Keys, at least one, and where they were, in words. `file`: None where they were in none."""

    keys: tuple[SecretBytes, ...]
    origin: str
    file: Path | None = None


def find(source: KeySource, environ: Mapping[str, str], *, trusted: Trust, folder: Path) -> Found | None:
    """None where there is no key yet. Raises ConfigError. `trusted`: which programs may run."""
    if environ.get(source.variable):
        origin = f"in ${source.variable}"
        return Found(_parsed(environ[source.variable].encode(errors="replace"), origin), origin)
    if source.command:
        origin = f"that {printable(source.command[0])} tells"
        if not trusted.allows(source.command):
            why = f"secrets.key_command ({printable(source.command[0])}) {trusted.refusal}"
            raise ConfigError(why, hint=HINT)
        said = program.ask(source.command, environ=environ, folder=folder, limit=MAX_BYTES)
        return Found(_parsed(said.reveal(), origin), origin)
    keys = read_file(source.file)
    return Found(keys, f"in {printable(str(source.file))}", source.file) if keys else None


def read_file(path: Path) -> tuple[SecretBytes, ...]:
    """The keys in a file; none where it is not there. Raises ConfigError."""
    content = _read(path)
    return () if content is None else _parsed(content, f"in {printable(str(path))}")


def make(path: Path, key: SecretBytes) -> Found:
    """A new key's file. Raises ConfigError, also where there is one already."""
    _write(path, (key,), replacing=False)
    return Found((key,), f"in {printable(str(path))}", path)


def replace(path: Path, keys: Sequence[SecretBytes]) -> None:
    """The file holds these keys, all of them or what it held before."""
    _write(path, keys, replacing=True)


def _read(path: Path) -> bytes | None:
    shown = printable(str(path))
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{shown}: the key of secrets is in no regular file")
            if status.st_mode & 0o077:
                raise ConfigError(
                    f"{shown}: others than its owner may read or change this key (mode {status.st_mode & 0o777:04o})",
                    hint=f"chmod 600 {shown}; if somebody may have read it, `shipyard secret rotate-key` too",
                )
            if status.st_uid not in (0, os.geteuid()):
                raise ConfigError(f"{shown}: the key of secrets belongs to another user (uid {status.st_uid})")
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{shown}: the key of secrets can't be read: {error.strerror}") from error


def _parsed(content: bytes, origin: str) -> tuple[SecretBytes, ...]:
    """What can't be understood is not repeated: it may be a key all the same."""
    lines = [line for line in content[:MAX_BYTES].splitlines() if not line.lstrip().startswith(b"#")]
    keys = []
    for word in b" ".join(lines).split():
        try:
            key = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigError(f"what is {origin} is no key for secrets", hint=_FORM)
        keys.append(SecretBytes(key))
    if not keys:
        raise ConfigError(f"there is no key for secrets {origin}", hint=_FORM)
    return tuple(dict.fromkeys(keys))


def _write(path: Path, keys: Sequence[SecretBytes], *, replacing: bool) -> None:
    content = HEAD + b"".join(base64.b64encode(key.reveal()) + b"\n" for key in keys)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replacing:
            fresh.replace(path)
        else:
            os.link(fresh, path)
            fresh.unlink()
        _flush(path.parent)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"{printable(str(path))}: the key can't be written: {error.strerror}") from error


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
