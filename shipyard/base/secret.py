"""Content that must never be shown: whatever prints, logs or compares a value that holds some says nothing of it."""

from __future__ import annotations

import hmac
from typing import NoReturn


class SecretBytes:
    """Bytes that only `reveal` gives away: not `repr`, not a format, not a traceback that prints values.

    Two are equal where their content is. It can't be pickled, and does not become JSON.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def reveal(self) -> bytes:
        """The content. Call it where it is encrypted, digested or sent, and nowhere else."""
        return self._content

    def __len__(self) -> int:
        return len(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretBytes) and hmac.compare_digest(self._content, other._content)

    def __hash__(self) -> int:
        return hash((SecretBytes, self._content))

    def __repr__(self) -> str:
        return "SecretBytes(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be pickled")
