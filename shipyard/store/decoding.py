"""What the store keeps as canonical JSON, and may have been written by another version of shipyard."""

from __future__ import annotations

from typing import TypeVar

from shipyard.base.errors import StoreError
from shipyard.model import canonical

T = TypeVar("T")


def decoded(kind: type[T], text: str, what: str) -> T:
    """The record. Raises StoreError, which says that `what` can't be read, and what may help."""
    try:
        return canonical.loads(kind, text)
    except ValueError as error:
        raise StoreError(
            f"{what} can't be read: {error}",
            hint="was it written by a newer shipyard? if not: `shipyard state restore`, or `shipyard state rebuild`",
        ) from error
