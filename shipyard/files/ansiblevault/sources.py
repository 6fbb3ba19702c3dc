"""Reading vault passwords from files, programs and people."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.secret import SecretBytes
from shipyard.base.text import printable
from shipyard.base.trust import HINT, Trust
from shipyard.files import program
from shipyard.files.ansiblevault.identities import PROMPT, Ask, Identity

MAX_PASSWORD = 64 * 1024
UNKNOWN_ID = 2
"""The status of a client program that has no password of this label."""


class Reader:
    """Reads passwords. `root`: the project, whose own programs run where they are `trusted`."""

    def __init__(self, environ: Mapping[str, str], root: Path, *, trusted: Trust, ask: Ask | None) -> None:
        self._environ, self._root, self._trusted, self._ask = environ, root, trusted, ask

    def password(self, identity: Identity, unsealed: Callable[[bytes], bytes]) -> SecretBytes:
        """Raises ConfigError: what is wrong with this source. `unsealed`: opens a password file that is encrypted."""
        if identity.source == PROMPT:
            said = self._asked(identity)
        elif os.access(identity.source, os.X_OK) and Path(identity.source).is_file():
            said = self._told(identity)
        else:
            said = unsealed(_read(identity.source)).strip()
        if not said:
            raise ConfigError("there is no password in it")
        return SecretBytes(said)

    def _asked(self, identity: Identity) -> bytes:
        if self._ask is None:
            raise ConfigError("there is no terminal to ask on")
        return (self._ask(f"Vault password ({printable(identity.label)})") or "").strip().encode()

    def _told(self, identity: Identity) -> bytes:
        """By a program; one whose name ends with -client is told the label, as Ansible tells it."""
        path = Path(identity.source)
        inside = path.resolve().is_relative_to(self._root.resolve())
        if (inside or not identity.own) and not self._trusted.allows((identity.source,)):
            said = f"{self._trusted.refusal}: {HINT}"
            raise ConfigError(f"{said}; a file that just holds a password must not be executable")
        client = path.stem.endswith("-client")
        argv = (str(path), "--vault-id", identity.label) if client else (str(path),)
        try:
            told = program.ask(argv, environ=self._environ, folder=self._root, limit=MAX_PASSWORD)
        except ConfigError as error:
            if client and f"status {UNKNOWN_ID}:" in error.message:
                raise ConfigError(f"{printable(path.name)} knows no password of this label") from None
            raise
        return told.reveal().strip(b"\r\n")


def _read(source: str) -> bytes:
    try:
        with Path(source).open("rb") as file:
            content = file.read(MAX_PASSWORD + 1)
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}") from None
    if len(content) > MAX_PASSWORD:
        raise ConfigError(f"is larger than {MAX_PASSWORD // 1024} KiB, which no password is")
    return content.strip()
