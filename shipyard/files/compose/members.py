"""Replicas of several containers: `x-shipyard.init_containers`, `x-shipyard.sidecars`, services that join another.

What belongs to the replica as a whole (its network, how many of it and where) is said once, on the service.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

from shipyard.base.record import Struct
from shipyard.files.compose import basics, environment, health, kernel, limits, mounts
from shipyard.files.compose.keys import OWN, Key, Reader, Table, refused
from shipyard.files.compose.scalars import boolean, pattern
from shipyard.files.compose.value import Value
from shipyard.model.labels import HOLDER, NAME
from shipyard.model.spec import Reservations

JOINS = "service:"
"""`network_mode` of a service that is a sidecar of another."""

_WHOLE = "belongs to the whole replica"
_NETWORK = (
    "ports",
    "expose",
    "networks",
    "network_mode",
    "mac_address",
    "dns",
    "dns_search",
    "dns_opt",
    "extra_hosts",
    "hostname",
    "domainname",
)
_OTHERS = ("deploy", "scale", "depends_on", OWN)
_ENDS = "must_end"

MEMBER = Table(
    "a container of a replica",
    Key("name", "text", "Its name in the replica, for `--container`. Required.", pattern(NAME.pattern, "a name")),
    Key(
        _ENDS,
        "boolean",
        "Of a job's sidecar: it is waited for like the job's own container, and has to end with 0, too.",
        boolean,
        "`false`",
    ),
    environment.HIDDEN,
    *(refused(name, _WHOLE, "write it on the service") for name in (*_NETWORK, *_OTHERS)),
)
"""Beside the keys of a service that are about one container."""


class Wish(Struct, frozen=True):
    """One of a service's other containers, as read."""

    name: str
    kind: Literal["init", "sidecar", "main"]
    value: Value
    got: dict[str, Any]


@functools.cache
def _table() -> Table:
    groups = (basics.KEYS, mounts.KEYS, health.KEYS, limits.KEYS, kernel.KEYS)
    of_one = [key for keys in groups for key in keys if key.name not in MEMBER.keys]
    return Table(MEMBER.title, *MEMBER.keys.values(), *of_one)


def _reader(kind: Literal["init", "sidecar"]) -> Reader:
    def read(value: Value) -> tuple[Wish, ...]:
        wishes = []
        for item in value.items("a list of containers, each a mapping with a name and an image"):
            with value.reading.collect():
                got = _table().read(item)
                for key in ("name", "image"):
                    if item.data.get(key) is None:
                        raise item.error(f"has no {key}")
                for key in ("restart", "healthcheck", _ENDS) if kind == "init" else ():
                    if key in got:
                        raise item.child(key, None).error("has no meaning: an init container runs to its end, once")
                if got.get(_ENDS) and "restart" in got:
                    raise item.child("restart", None).error(f"has no meaning with {_ENDS}: it runs to its end, once")
                if "name" in got:
                    wishes.append(Wish(got["name"], "main" if got.get(_ENDS) else kind, item, got))
        return tuple(wishes)

    return read


KEYS = (
    Key(
        "init_containers",
        "list",
        "Containers that run to their end, one after the other, before the others of the replica start.",
        _reader("init"),
    ),
    Key("sidecars", "list", "Containers that run beside the service's own, in each replica.", _reader("sidecar")),
)


def wishes(service: Value, own: Mapping[str, Any]) -> tuple[Wish, ...]:
    """All other containers of a service, of which no two may have one name."""
    found = (*own.get("init_containers", ()), *own.get("sidecars", ()))
    seen = {HOLDER}
    for wish in found:
        with service.reading.collect():
            if wish.name in seen:
                why = "is what shipyard calls a container of its own" if wish.name == HOLDER else "is there twice"
                raise wish.value.child("name", wish.name).error(f"{wish.name} {why}")
        seen.add(wish.name)
    return found


def check_ends(wishes: tuple[Wish, ...], *, job: bool) -> None:
    """What is meant to end belongs to a job. Errors are noted."""
    for wish in wishes:
        if wish.kind == "main" and not job:
            with wish.value.reading.collect():
                raise wish.value.child(_ENDS, None).error(
                    "is for jobs", hint="deploy: {mode: replicated-job} makes one, or a schedule"
                )


def together(main: Reservations, others: list[tuple[str, Reservations]]) -> Reservations:
    """What a replica needs, by kind of its other containers: those that run at once, or the greediest before them."""
    beside = [each for kind, each in others if kind != "init"]
    before = [each for kind, each in others if kind == "init"]
    return Reservations(
        max(main.cpus + sum(each.cpus for each in beside), *(each.cpus for each in before), 0.0),
        max(main.memory + sum(each.memory for each in beside), *(each.memory for each in before), 0),
        (*main.devices, *(device for each in beside for device in each.devices)),
    )


def check_sidecar(service: Value, mode: str, got: Mapping[str, Any]) -> None:
    """A service that joins another is no more than a container of it, and can't say what is the other's to say."""
    main = mode.removeprefix(JOINS)
    why = f"belongs to {main}, of whose replicas this is a container (network_mode: {mode})"
    for key in (*_NETWORK, "scale"):
        if key != "network_mode" and service.data.get(key) is not None:
            with service.reading.collect():
                raise service.child(key, None).error(why)
    for section, allowed in (("deploy", ("resources", "restart_policy")), (OWN, ("hidden", "tags"))):
        for key in sorted({*got.get(section, {})} - {*allowed}):
            with service.reading.collect():
                raise service.child(section, None).child(key, None).error(why)
    for needed in got.get("depends_on", ()):
        if needed.service != main:
            with service.reading.collect():
                raise service.child("depends_on", None).error(why, hint=f"write it on {main}")
