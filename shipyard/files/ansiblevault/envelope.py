"""The format that ansible-vault writes: a line that says how, and hexadecimal digits of three parts.

    $ANSIBLE_VAULT;1.1;AES256            1.2 has a label besides: $ANSIBLE_VAULT;1.2;AES256;prod
    6231663163...                        hex of three lines, each hex again: salt, HMAC, ciphertext

The password and the salt give 80 bytes (PBKDF2, SHA-256, 10,000 rounds): a key, a key for the HMAC, and where AES-256
in CTR mode begins to count. The HMAC is that of the ciphertext; the label is protected by nothing, and only a hint.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac

from shipyard.base.record import Struct
from shipyard.base.text import one_line
from shipyard.files.ansiblevault.keys import HEADER, EnvelopeError

VERSIONS = (b"1.1", b"1.2")
CIPHER = b"AES256"
ROUNDS = 10_000
_KEY = 32
_BLOCK = 16
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Envelope(Struct, frozen=True):
    """An encrypted text, taken apart. `label`: the vault id that it was encrypted with, "" where none was said."""

    label: str
    salt: bytes
    mac: bytes
    ciphertext: bytes


def parse(text: bytes) -> Envelope:
    """Take an encrypted text apart. Raises EnvelopeError."""
    lines = text.splitlines() or [b""]
    head = [part.strip() for part in lines[0].split(b";")]
    if not lines[0].startswith(HEADER) or len(head) < 3:
        raise EnvelopeError("is no text of ansible-vault: one begins with $ANSIBLE_VAULT;1.1;AES256")
    if head[1] not in VERSIONS:
        raise EnvelopeError(f"is of ansible-vault's format {_shown(head[1])}; 1.1 and 1.2 can be read")
    if head[2] != CIPHER:
        raise EnvelopeError(f"is encrypted by ansible-vault with {_shown(head[2])}; AES256 can be read")
    for number, line in enumerate(lines[1:], 2):
        if not _HEX.issuperset(line.strip()):
            raise EnvelopeError(
                "is encrypted with ansible-vault, and damaged: not all here is hexadecimal",
                number,
            )
    try:
        salt, mac, ciphertext = binascii.unhexlify(b"".join(line.strip() for line in lines[1:])).split(b"\n", 2)
        parts = tuple(map(binascii.unhexlify, (salt, mac, ciphertext)))
    except ValueError:
        raise EnvelopeError(
            "is encrypted with ansible-vault, and damaged: it is not made of salt, HMAC and ciphertext"
        ) from None
    label = head[3].decode("utf-8", "replace") if len(head) > 3 else ""
    return Envelope(label, *parts)


def opened(envelope: Envelope, password: bytes) -> bytes | None:
    """What was encrypted; None where it was with another password, or was changed since: nobody can tell which."""
    keys = hashlib.pbkdf2_hmac("sha256", password, envelope.salt, ROUNDS, 2 * _KEY + _BLOCK)
    if not hmac.compare_digest(hmac.digest(keys[_KEY : 2 * _KEY], envelope.ciphertext, "sha256"), envelope.mac):
        return None
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    decryptor = Cipher(algorithms.AES(keys[:_KEY]), modes.CTR(keys[2 * _KEY :])).decryptor()
    unpadder = PKCS7(8 * _BLOCK).unpadder()
    try:
        return unpadder.update(decryptor.update(envelope.ciphertext) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise EnvelopeError("was not encrypted by ansible-vault: its padding is not as it should be") from None


def _shown(word: bytes) -> str:
    return repr(one_line(word.decode("utf-8", "replace"), 40))
