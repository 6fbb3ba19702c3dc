"""Who has the store's file open: everybody shares, and only one who replaces or migrates it is alone.

A lock file beside the store, since locks on SQLite's own file are SQLite's. The kernel lets go of it when a
process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from shipyard.base import clock
from shipyard.base.errors import StoreError
from shipyard.store.location import Location, cannot

if TYPE_CHECKING:
    from pathlib import Path

WAIT = 10.0
"""Seconds for which others' use is waited for."""


class FileLock:
    """Held from `shared` or `alone` until `close`."""

    def __init__(self, location: Location, path: Path) -> None:
        self._location = location
        try:
            name = path.with_name(path.name + ".lock")
            self._file = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot(location, "be locked", error) from error

    def shared(self) -> None:
        """Together with others."""
        self._take(fcntl.LOCK_SH, WAIT)

    def alone(self, wait: float | None = None) -> None:
        """With nobody else. Raises StoreError when others do not let go within `wait` seconds (`WAIT`)."""
        self._take(fcntl.LOCK_EX, WAIT if wait is None else wait)

    def close(self) -> None:
        """Let go; harmless when done twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self, kind: int, wait: float) -> None:
        deadline = clock.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if clock.monotonic() >= deadline:
                    break
                clock.sleep(0.02)
            else:
                return
        raise StoreError(
            f"the store {self._location.shown} is in use by another shipyard process",
            hint="end it (a `reconcile --watch`, `events --follow`, a pass), then try again",
        )
