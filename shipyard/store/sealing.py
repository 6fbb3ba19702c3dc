"""How secrets are encrypted: what the store, its backups and everyone who reads them see is ciphertext.

AES-256-GCM with a random nonce. Name and digest are bound to it: a row that was changed, or put in another's place,
does not open. The digest is an HMAC, so that what nodes and revisions hold tells nothing about the content; its key is
made from the same master key: same key, same content, same digest, also in a store that was made anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shipyard.base.errors import StoreError
from shipyard.base.secret import SecretBytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class Keyring:
    """Master keys; the first seals and digests, each opens what it sealed. `origin`: where they came from, in words."""

    def __init__(self, keys: Sequence[SecretBytes], origin: str) -> None:
        self.keys = tuple(keys)
        self._keys = {_derived(key, b"id").hex()[:16]: key for key in keys}
        self.origin = origin
        self.ids = tuple(self._keys)

    @classmethod
    def random(cls) -> Keyring:
        """One that nobody has: what it digests equals nothing that was ever stored."""
        return cls([new_key()], "nowhere")

    def digest(self, content: SecretBytes) -> str:
        """64 hex digits, which only somebody with the key can compute."""
        key = _derived(self._keys[self.ids[0]], b"digest")
        return hmac.new(key, content.reveal(), hashlib.sha256).hexdigest()

    def body_digests(self, body: str) -> tuple[str, ...]:
        """Of a revision's body: 64 hex digits for each key, those of the first one first."""
        content = body.encode()
        return tuple(
            hmac.new(_derived(key, b"revision"), content, hashlib.sha256).hexdigest() for key in self._keys.values()
        )

    def seal(self, name: str, digest: str, content: SecretBytes) -> tuple[str, str]:
        """The id of the key, and the ciphertext as text."""
        return self.encrypt(_bound(name, digest), content.reveal())

    def open(self, name: str, digest: str, key: str, sealed: str) -> SecretBytes:
        """The content. Raises StoreError: another key is needed, or the row was changed."""
        if key not in self._keys:
            raise wrong_key([name], key, self)
        content = self.decrypt(_bound(name, digest), key, sealed)
        if content is None:
            raise StoreError(
                f"the secret {name} in the store is damaged: it was changed there, or put in the place of another",
                hint="`shipyard state restore` an older store, or give it anew: `shipyard secret set`,"
                " or `shipyard secret remove --force` and apply where a playbook declares it",
            )
        return SecretBytes(content)

    def encrypt(self, bound: bytes, content: bytes) -> tuple[str, str]:
        """The id of the key, and the ciphertext as text, which opens together with `bound` alone."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(self.ids[0]).encrypt(nonce, content, bound)
        return self.ids[0], base64.b64encode(nonce + sealed).decode()

    def decrypt(self, bound: bytes, key: str, sealed: str) -> bytes | None:
        """None where it was changed, or is bound to something else. `key`: one of `ids`."""
        from cryptography.exceptions import InvalidTag

        try:
            whole = base64.b64decode(sealed, validate=True)
            return self._cipher(key).decrypt(whole[:_NONCE_BYTES], whole[_NONCE_BYTES:], bound)
        except (InvalidTag, ValueError, binascii.Error):
            return None

    def _cipher(self, key: str) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(_derived(self._keys[key], b"seal"))


def new_key() -> SecretBytes:
    """A master key."""
    return SecretBytes(os.urandom(KEY_BYTES))


def wrong_key(names: Sequence[str], needed: str, ring: Keyring) -> StoreError:
    """The error that secrets, or revisions that hold some, were sealed with a key that is not here."""
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    have = ", ".join(ring.ids)
    return StoreError(
        f"the key {ring.origin} ({have}) is not the one that these secrets were sealed with ({needed}): {shown}",
        hint="bring that key back; if it is lost for good, `shipyard secret rotate-key --lost` drops what it sealed",
    )


def _derived(key: SecretBytes, purpose: bytes) -> bytes:
    """HKDF's expand step (RFC 5869), one block: the master key is random already."""
    return hmac.new(key.reveal(), b"shipyard secrets v1 " + purpose + b"\x01", hashlib.sha256).digest()


def _bound(name: str, digest: str) -> bytes:
    return f"shipyard secret v1\n{name}\n{digest}".encode()
