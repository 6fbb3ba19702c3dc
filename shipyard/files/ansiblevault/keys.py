"""The vault passwords of one run: each is read when something is to be opened first, and then tried as Ansible does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shipyard.base.errors import ConfigError, FileError
from shipyard.base.secret import SecretBytes
from shipyard.base.trust import NOTHING, Trust
from shipyard.files.ansiblevault.identities import DEFAULT, Ask, Identity

HEADER = b"$ANSIBLE_VAULT;"
_EVERY_RUN = "for every run: $ANSIBLE_VAULT_PASSWORD_FILE, or password_file of [vault] in shipyard.toml"

_DAMAGED = "put back a copy that is whole, or encrypt it anew: ansible-vault encrypt, or encrypt_string"


class EnvelopeError(Exception):
    """What is there is not what ansible-vault writes. `line`: of the encrypted text, from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class Keys:
    """What opens encrypted texts. Nothing is read or asked before the first of them is opened."""

    def __init__(
        self,
        identities: Sequence[Identity] = (),
        *,
        environ: Mapping[str, str] | None = None,
        root: Path = Path(),
        trusted: Trust = NOTHING,
        ask: Ask | None = None,
    ) -> None:
        self._identities = tuple(identities)
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self._root, self._trusted, self._ask = root, trusted, ask
        self._passwords: dict[Identity, SecretBytes] = {}
        self._unread: dict[Identity, str] = {}
        self._opened: dict[bytes, SecretBytes] = {}

    def plain(self, data: bytes, file: str) -> bytes:
        """A file's content: as it is, or opened where all of it is encrypted. Raises FileError."""
        return self.open(data, file, 1) if data.startswith(HEADER) else data

    def text(self, ciphertext: str, file: str, line: int) -> str:
        """The text that a `!vault` value holds. Raises FileError."""
        try:
            return self.open(ciphertext.encode(errors="replace"), file, line, part=True).decode()
        except UnicodeDecodeError:
            raise FileError("the encrypted value is no UTF-8 text", file=file, line=line) from None

    def open(self, data: bytes, file: str, line: int, *, part: bool = False) -> bytes:
        """What was encrypted. `part`: a value that begins beneath this line, and not a whole file. Raises FileError."""
        if data in self._opened:
            return self._opened[data].reveal()
        try:
            found = self._try(data, self._identities, file, line)
        except EnvelopeError as error:
            where = line if part else error.line
            beneath = f" (line {error.line} of the value)" if part and error.line > 1 else ""
            raise FileError(f"{error}{beneath}", file=file, line=where, hint=_DAMAGED) from None
        self._opened[data] = SecretBytes(found)
        return found

    def _try(self, data: bytes, identities: Sequence[Identity], file: str, line: int) -> bytes:
        from shipyard.files.ansiblevault.envelope import opened, parse  # most runs open nothing

        envelope = parse(data)
        label = envelope.label or DEFAULT
        tried = []
        for identity in sorted(identities, key=lambda identity: identity.label != label):
            password = self._password(identity)
            if password is None:
                continue
            found = opened(envelope, password.reveal())
            if found is not None:
                return found
            tried.append(identity)
        raise self._failed(envelope.label, identities, tried, FileError("", file=file, line=line))

    def _password(self, identity: Identity) -> SecretBytes | None:
        """None where it can't be had, which is remembered: nobody is asked twice."""
        if identity not in self._passwords and identity not in self._unread:
            from shipyard.files.ansiblevault.sources import Reader

            reader = Reader(self._environ, self._root, trusted=self._trusted, ask=self._ask)
            try:
                self._passwords[identity] = reader.password(identity, self._unsealing(identity))
            except ConfigError as error:
                self._unread[identity] = error.message
        return self._passwords.get(identity)

    def _unsealing(self, identity: Identity) -> Callable[[bytes], bytes]:
        """A password file may itself be encrypted, with a password that was named before it."""
        before = self._identities[: self._identities.index(identity)]

        def unsealed(content: bytes) -> bytes:
            if not content.startswith(HEADER):
                return content
            try:
                return self._try(content, before, identity.source, 1)
            except (EnvelopeError, FileError) as error:
                raise ConfigError(f"is encrypted itself: {getattr(error, 'message', error)}") from None

        return unsealed

    def _failed(self, label: str, all_: Sequence[Identity], tried: Sequence[Identity], where: FileError) -> FileError:
        shown = f" (vault id {label})" if label else ""
        unread = [f"{identity}: {self._unread[identity]}" for identity in all_ if identity in self._unread]
        if not all_:
            message = f"is encrypted with ansible-vault{shown}, and no vault password was given"
            named = f"{label}@FILE" if label else "FILE"
            hint = f"--vault-id {named}, --vault-password-file FILE or --ask-vault-pass; {_EVERY_RUN}"
        elif not tried:
            message = f"is encrypted with ansible-vault{shown}, and no vault password can be had: {'; '.join(unread)}"
            hint = None
        else:
            which = ", ".join(map(str, tried))
            message = (
                f"can't be opened{shown}: it was encrypted with another vault password than {which},"
                " or was changed since"
            ) + (f"; not to be had: {'; '.join(unread)}" if unread else "")
            hint = f"--vault-id {label or DEFAULT}@FILE names a further one; `ansible-vault view` tries one by hand"
        return FileError(message, file=where.file, line=where.line, hint=hint)
