"""Trying the probes of replicas: what a pass is to try, and what each try came to."""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.container import Probe
from shipyard.model.memory import ProbeName, SlotKey


class Try(Struct, frozen=True):
    """One probe of one container, to be tried now. `address`, `port`: as the node itself reaches the container.

    `obstacle`: why it can't be tried; "" where it can. `decides`: if it fails, the container is given up, and its
    last log lines are wanted with the answer. `main`: of a replica of several containers, the main one; `container`
    then is the one whose network it has.
    """

    node: str
    slot: SlotKey
    container: str
    name: ProbeName
    probe: Probe
    address: str = ""
    port: int = 0
    obstacle: str = ""
    decides: bool = False
    main: str = ""

    @property
    def runs_in(self) -> str:
        """The container in which commands run, and whose log is read."""
        return self.main or self.container


class Tried(Struct, frozen=True):
    """What became of it. `passed` None: it could not be tried, which says nothing about the container.

    `words`: what was answered, or why there is no answer. `log`: the container's last lines, where they were wanted.
    """

    attempt: Try
    passed: bool | None
    words: str = ""
    log: str = ""
