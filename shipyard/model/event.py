"""What happened, for people to read afterwards."""

from __future__ import annotations

from shipyard.base.record import Struct


class Event(Struct, frozen=True):
    """`reason`: a CamelCase word. `target`: `stack/service.slot` or a node. `at`: unix seconds. `warning`: unwished."""

    at: float
    reason: str
    target: str
    message: str
    node: str = ""
    warning: bool = False
