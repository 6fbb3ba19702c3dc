"""A job's task of several containers: how it fares, by what is there of them. Begins nothing.

As Kubernetes has it: init containers run first, one after the other; the task has ended when all its main containers
have, and well when all of them ended with 0. The holder of the network and sidecars do not count, and end with them.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from shipyard.base.record import Struct, replace
from shipyard.model import labels
from shipyard.model.container import ContainerSpec, Member, RestartPolicy
from shipyard.model.observed import Container, ContainerState
from shipyard.planner import groups

ALIVE = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)
MAIN = "_main"
"""The main container in the name of a marker; no member can be called so."""

_OVER = (ContainerState.EXITED, ContainerState.CREATED)
_BROKEN = (ContainerState.DEAD, ContainerState.REMOVING)


class Fares(StrEnum):
    """What became of a task so far."""

    HALF = "half"  # its next containers are to be made, or one that was made is to be started
    BUSY = "busy"  # an init container or a main one is at work
    ENDED = "ended"  # all that counts ended well
    FAILED = "failed"  # `part` ended badly, and nothing that counts is at work any more
    BROKEN = "broken"  # `part` can't be started
    CUT_OFF = "cut off"  # one that is at work has lost its network
    GONE = "gone"  # one that was begun is not there any more


class Found(Struct, frozen=True):
    """`part`: the container that this is about. `what`: names of those that are gone."""

    fares: Fares
    part: Container | None = None
    what: str = ""


def run_once(spec: ContainerSpec) -> ContainerSpec:
    """What a task is made from: the runtime starts nothing of it again that is to end by itself.

    A sidecar that a reboot ended does not come back once it was stopped.
    """
    members = tuple(map(_member, spec.members))
    return replace(spec, restart=RestartPolicy("none"), members=members)


def _member(member: Member) -> Member:
    policy = member.container.restart or RestartPolicy()
    if member.kind != "sidecar":
        policy = RestartPolicy("none")
    elif policy.condition == "any":
        policy = replace(policy, condition="unless-stopped")
    return replace(member, container=replace(member.container, restart=policy))


def once(marker: str, spec: ContainerSpec, member: str) -> str:
    """The marker of a task's container; "" for a sidecar, which may be made anew. `marker`: the task's own."""
    if not spec.members or member == labels.HOLDER:
        return marker
    if any(each.name == member and each.kind == "sidecar" for each in spec.members):
        return ""
    return f"{marker}.{member or MAIN}"


def begun(marker: str, markers: Collection[str]) -> set[str]:
    """Which members of a task were begun, by the markers on its node; "" for the main one."""
    ends = {name.removeprefix(f"{marker}.") for name in markers if name.startswith(f"{marker}.")}
    return {"" if end == MAIN else end for end in ends}


def alive(box: Container) -> bool:
    """Whether any container of it is, be it one that counts or not."""
    return any(part.state in ALIVE for part in groups.parts_of(box))


def at_work(box: Container) -> list[Container]:
    """What of it is alive and counts."""
    return [part for part in groups.parts_of(box) if _counts(part) and part.state in ALIVE]


def age(box: Container) -> float | None:
    """Seconds since the first of it started."""
    return max((part.age for part in groups.parts_of(box) if part.age is not None), default=None)


def ended(box: Container) -> float:
    """Seconds since the last of what counts ended; 0 where the runtime does not say."""
    return min((part.ended for part in groups.parts_of(box) if _counts(part) and part.ended is not None), default=0.0)


def _counts(part: Container) -> bool:
    return groups.role_of(part) in ("init", "main", "")


def fares(spec: ContainerSpec | None, box: Container, begun: Collection[str]) -> Found:
    """How a task fares. `spec`: what it is made from, None where nobody knows that any more."""
    parts = groups.parts_of(box)
    main = groups.main_in(parts)
    counted = [part for part in parts if groups.role_of(part) in ("main", "")]
    first = [part for part in parts if groups.role_of(part) == "init"] if main is None else []
    due = counted if main is not None else parts
    if gone := _gone(spec, parts, begun):
        return Found(Fares.GONE, what=", ".join(name or "its main container" for name in gone))
    for part in due:
        if part.state in _BROKEN or (_never_started(part) and part.error):
            return Found(Fares.BROKEN, part)
    for part in first:
        if part.state in _OVER and not _never_started(part) and not groups.completed(part):
            return Found(Fares.FAILED, part)
    over = [part for part in counted if part.state in _OVER and not _never_started(part)]
    if main is not None and over == counted:
        bad = next((part for part in counted if part.exit_code != 0 or part.error), None)
        return Found(Fares.ENDED if bad is None else Fares.FAILED, bad)
    if _cut_off(spec, parts):
        return Found(Fares.CUT_OFF)
    if waiting := next((part for part in due if _never_started(part)), None):
        return Found(Fares.HALF, waiting)
    busy = any(part.state in ALIVE for part in (first if main is None else counted))
    return Found(Fares.BUSY if busy else Fares.HALF)


def _gone(spec: ContainerSpec | None, parts: Collection[Container], begun: Collection[str]) -> list[str]:
    """Names of what was begun and is not there. Init containers have had their day once the main one is there."""
    there = {groups.member_of(part) for part in parts}
    missing = set(begun) - there
    if "" in there:
        mains = {member.name for member in spec.members if member.kind == "main"} if spec is not None else set()
        return sorted(missing & mains)
    if labels.HOLDER not in there:
        missing.add(labels.HOLDER)
    return sorted(missing)


def _never_started(part: Container) -> bool:
    return part.state == ContainerState.CREATED and part.age is None


def _cut_off(spec: ContainerSpec | None, parts: Collection[Container]) -> bool:
    """Whether something that counts is at work in a namespace that is no more: a second start of it is none of ours."""
    if spec is not None and spec.network_mode == "host":
        return False
    working = [part for part in parts if _counts(part) and part.state == ContainerState.RUNNING]
    holder = groups.holder_in(parts)
    if holder is None:
        return bool(working)
    if holder.state == ContainerState.PAUSED:
        return False
    return any(groups.adrift(parts, part) for part in working)


def to_start(box: Container) -> list[Container] | None:
    """Of a task that is half made: what was made and has to be started first. None: it has to wait for its holder."""
    holder = groups.holder_in(box.parts)
    if holder is not None and holder.state in (ContainerState.PAUSED, ContainerState.RESTARTING):
        return None
    down = [part for part in box.parts if _never_started(part)]
    if holder is not None and holder.state in _OVER and holder not in down:
        return [holder, *down]
    return down
