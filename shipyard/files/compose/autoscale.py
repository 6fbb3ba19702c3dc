"""`x-shipyard.autoscale`: how many replicas, by what they use."""

from __future__ import annotations

import re
from typing import Any

from shipyard.files.compose.keys import OWN, Key, Table
from shipyard.files.compose.scalars import whole
from shipyard.files.compose.value import Value
from shipyard.model.container import Limits
from shipyard.model.spec import Autoscale, Reservations

_SHARE = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)\s*%")


def _share(value: Value) -> float:
    match = _SHARE.fullmatch(value.data) if isinstance(value.data, str) else None
    if match is None or float(match[1]) <= 0:
        raise value.expected("a share of what is reserved, such as 70%")
    return float(match[1]) / 100


AUTOSCALE = Table(
    "autoscale",
    Key("min", "number", "Never fewer replicas.", whole(1, 100_000), "`1`"),
    Key("max", "number", "Never more replicas. Required.", whole(1, 100_000)),
    Key("cpu", "share", "Wished use of the CPUs that are reserved (or, where none are, of their limit).", _share),
    Key("memory", "share", "Wished use of the memory that is reserved (or of its limit).", _share),
)


def autoscale(value: Value) -> Autoscale | None:
    before = len(value.reading.problems)
    got = AUTOSCALE.read(value)
    if len(value.reading.problems) > before:
        return None
    least, most = got.get("min", 1), got.get("max")
    if most is None:
        raise value.error("has no max")
    if most < least:
        raise value.child("max", most).error(f"is {most}, and min is {least}")
    if "cpu" not in got and "memory" not in got:
        raise value.error("says neither cpu nor memory", hint="for example cpu: 70%")
    return Autoscale(least, most, got.get("cpu"), got.get("memory"))


KEYS = (
    Key(
        "autoscale",
        "mapping",
        "`min`, `max`, `cpu`, `memory`: as many replicas as their use asks for; `replicas` is where it starts.",
        autoscale,
    ),
)


def check(service: Value, found: Autoscale | None, deploy: dict[str, Any], limits: Limits, aside: Reservations) -> None:
    """A share must be of something, and replicas must be what is counted."""
    if found is None:
        return
    place = service.child(OWN, None).child("autoscale", None)
    mode = deploy.get("mode", "replicated")
    if mode != "replicated":
        raise place.error(f"can't be said with mode {mode}, which says how many replicas there are")
    if found.cpu is not None and not (aside.cpus or limits.cpus):
        raise place.child("cpu", None).error(
            "is a share of nothing", hint="write deploy.resources.reservations.cpus, or limits.cpus"
        )
    if found.memory is not None and not (aside.memory or limits.memory):
        raise place.child("memory", None).error(
            "is a share of nothing", hint="write deploy.resources.reservations.memory, or limits.memory"
        )
