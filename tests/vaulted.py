"""Texts as ansible-vault encrypts them, made here: a test can have any, and need not wait for Ansible."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SALT = bytes(range(32))


def encrypted(text: str | bytes, password: str = "secret", label: str = "", *, padded: bool = True) -> str:
    """A whole file's content. `padded` False: without the padding that ansible-vault always adds."""
    plain = text.encode() if isinstance(text, str) else text
    missing = 16 - len(plain) % 16
    keys = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 10_000, 80)
    encryptor = Cipher(algorithms.AES(keys[:32]), modes.CTR(keys[64:])).encryptor()
    ciphertext = encryptor.update(plain + (bytes([missing]) * missing if padded else b"")) + encryptor.finalize()
    mac = hmac.digest(keys[32:64], ciphertext, "sha256")
    digits = b"\n".join(part.hex().encode() for part in (SALT, mac, ciphertext)).hex()
    head = f"$ANSIBLE_VAULT;1.2;AES256;{label}" if label else "$ANSIBLE_VAULT;1.1;AES256"
    return "\n".join([head, *(digits[start : start + 80] for start in range(0, len(digits), 80))]) + "\n"


def value(text: str | bytes, password: str = "secret", label: str = "", *, indent: int = 2) -> str:
    """The same as a value of a YAML mapping, after its colon."""
    lines = encrypted(text, password, label).splitlines()
    return "!vault |\n" + "".join(" " * indent + line + "\n" for line in lines)
