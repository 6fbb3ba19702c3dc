"""Keeps the lease for as long as a run lasts: a wave that pulls large images outlives any sensible time to live."""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, Refused, ShipyardError
from shipyard.model.observed import ObservedNode
from shipyard.store.lease import WATCHING
from shipyard.store.records import Lease
from shipyard.store.store import Store

TTL = 60.0
"""Seconds after which a holder that can't be asked (another machine's) counts as gone."""


def whoami() -> str:
    """`user@host`, as it stands in revisions and leases."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


POLL = 0.1
"""Seconds between two tries to get it; a watch leaves more than that between two of its rounds."""


class LeaseKeeper:
    """Acquired on entry, renewed by a thread, released on exit. Raises LeaseHeld on entry.

    `watching`: whether this is a round of a watch. `wait`: seconds for which others wait for such a round, which ends
    by itself to let them in; `on_wait` is told of it once. `waited`: how long it was. `acted`: whether nodes may have
    heard of this lease.
    """

    def __init__(
        self,
        store: Store,
        *,
        watching: bool = False,
        wait: float = 0.0,
        on_wait: Callable[[LeaseHeld], None] = lambda held: None,
    ) -> None:
        self._store = store
        self._holder = whoami() + (WATCHING if watching else "")
        self._wait, self._on_wait = wait, on_wait
        self.waited = 0.0
        self.acted = False
        self._unused = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._lost: ShipyardError | None = None
        self.lease: Lease | None = None

    @property
    def epoch(self) -> int:
        """By which nodes tell this holder from older ones."""
        assert self.lease is not None, "the lease is held inside the with block only"
        return self.lease.epoch

    def compare(self, nodes: Iterable[ObservedNode]) -> None:
        """Raises Refused where a node has seen this lease's number, or a newer one, before anybody got to use it.

        Then the store is an old copy. Its number is given back: were each refusal to raise it, the copy would be let in
        after as many attempts as it lacks passes.
        """
        for node in nodes:
            if node.epoch > self.epoch or (node.epoch == self.epoch and not self.acted):
                self._unused = not self.acted
                why = f"has seen a newer holder of the lease (number {node.epoch}, this is {self.epoch})"
                hint = "is this store an old copy? `shipyard state rebuild` reads the present state back from the nodes"
                raise Refused(node.name, why, hint=hint)

    def check(self) -> None:
        """Raises LeaseHeld when somebody else has taken the lease meanwhile: ask before each wave."""
        if self._lost is not None:
            raise self._lost

    def __enter__(self) -> LeaseKeeper:
        self.lease = self._acquired()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.lease is not None and self._lost is None:
            self._store.release(self.lease, unused=self._unused)

    def _acquired(self) -> Lease:
        began = clock.monotonic()
        told = False
        while True:
            try:
                return self._store.acquire(self._holder, self._store.now(clock.now()), TTL)
            except LeaseHeld as held:
                self.waited = clock.monotonic() - began
                if not held.yields or self.waited >= self._wait:
                    raise
                if not told:
                    self._on_wait(held)
                told = True
                clock.sleep(POLL)

    def _renew(self) -> None:
        while not self._stop.wait(TTL / 4):
            try:
                assert self.lease is not None
                self._store.renew(self.lease, self._store.now(clock.now()))
            except ShipyardError as error:
                self._lost = error
                return
