"""A bounded number of threads that work through a list, each item with an outcome of its own.

Not concurrent.futures: its threads are waited for when the process ends, and one that is stuck would hold up Ctrl-C.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from shipyard.base import clock
from shipyard.base.errors import NodeError

T = TypeVar("T")

_PATIENCE = 5.0
"""Seconds for what runs to notice that its connection was closed."""


class Crew(Generic[T]):
    """Does `work` for each name, once."""

    def __init__(self, names: tuple[str, ...], work: Callable[[str], T]) -> None:
        self._names = names
        self._work = work
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._cancelled = False
        for name in names:
            self._todo.put(name)

    def run(self, threads: int) -> dict[str, T | NodeError]:
        """All outcomes, in the order of the names. Raises the first error that is no NodeError."""
        for _ in range(threads):
            thread = threading.Thread(target=self._take_turns, name="shipyard-node", daemon=True)
            self._threads.append(thread)
            thread.start()
        outcomes: dict[str, T | NodeError] = {}
        for _ in self._names:
            name, outcome = self._done.get()  # a signal's handler runs while this waits
            if isinstance(outcome, BaseException) and not isinstance(outcome, NodeError):
                raise outcome
            outcomes[name] = outcome
        for thread in self._threads:
            thread.join()
        return {name: outcomes[name] for name in self._names}

    def cancel(self) -> None:
        """Begin nothing more."""
        self._cancelled = True

    def leave(self) -> None:
        """Wait a little for what still runs."""
        until = clock.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - clock.monotonic()))

    def _take_turns(self) -> None:
        while not self._cancelled:
            try:
                name = self._todo.get_nowait()
            except queue.Empty:
                return
            outcome: T | BaseException
            try:
                outcome = self._work(name)
            except BaseException as error:
                outcome = error
                if not isinstance(error, NodeError):
                    self.cancel()
            self._done.put((name, outcome))
