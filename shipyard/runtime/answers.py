"""What a probe's `inspect` printed, read strictly: a node's words are data, and nonsense is a ValueError.

A line is a JSON list whose first item says of what: `c` a container (`c!` one that failed), `n` a network, `i` an
image. The other lines are the runtime's words about what it did not find, and its warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from shipyard.base.record import Struct, replace
from shipyard.base.text import one_line
from shipyard.model import labels
from shipyard.model.container import Pairs
from shipyard.model.observed import (
    Container,
    ContainerState,
    Health,
    ObservedAttachment,
    ObservedImage,
    ObservedNetwork,
)
from shipyard.runtime import probing, times
from shipyard.runtime.strictjson import array, fields, full_id, image_id, integer, listed, pairs, text, wrong

ERROR_LENGTH = 2000

_STATES = {
    "created": ContainerState.CREATED,
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "stopping": ContainerState.RUNNING,
    "paused": ContainerState.PAUSED,
    "restarting": ContainerState.RESTARTING,
    "exited": ContainerState.EXITED,
    "stopped": ContainerState.EXITED,
    "removing": ContainerState.REMOVING,
    "dead": ContainerState.DEAD,
    "unknown": ContainerState.DEAD,
}
_ENDED = {ContainerState.EXITED, ContainerState.DEAD, ContainerState.RESTARTING}
_HEALTH = {
    "": Health.NONE,
    "none": Health.NONE,
    "stopped": Health.NONE,
    "healthy": Health.HEALTHY,
    "unhealthy": Health.UNHEALTHY,
}
_NO_NETWORK = {"host", "none"}

_NAME = re.compile(r"/?([A-Za-z0-9][A-Za-z0-9_.-]{0,254})")
_RANDOM = re.compile(r"[0-9a-f]{64}")
_KEPT = re.compile(r"/shipyard/[^/]+/((?:configs|secrets)/[0-9a-f]{64}-[0-9]+-[0-9]+-[0-7]+)$")
_ABSENT = re.compile(r"no such (object|container|image|network)|no container with|not found|image not known", re.I)
_NOISE = re.compile(r'time="|warning|failed to connect to syslog', re.I)


class Answer(Struct, frozen=True):
    """What one or more inspects told of."""

    containers: tuple[Container, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    images: tuple[ObservedImage, ...] = ()


def read(body: bytes, clock: float) -> Answer:
    """The section `inspect`. Raises ValueError."""
    asked: list[str] = []
    found: list[list[Any]] = []
    words: list[str] = []
    status = 0
    for line in lines(body):
        if line.startswith("["):
            found.append(array(line))
        elif line.startswith("asked "):
            asked.append(line.removeprefix("asked "))
        elif re.fullmatch(r"ended [0-9]{1,3}", line):
            status = int(line.removeprefix("ended "))
        elif line.strip() and not line.startswith(("health ", "pid ")):
            words.append(line)
    if not body.strip():
        return Answer()
    missing = _missing(asked, words, status)
    kinds = {kind: [item for item in found if item[:1] in ([kind], [f"{kind}!"])] for kind in ("c", "n", "i")}
    if sum(len(items) for items in kinds.values()) != len(found):
        raise ValueError("inspect told of things that were not asked for")
    return Answer(
        _alone({box.id: box for box in _each(kinds["c"], clock)}.values()),
        tuple(sorted((network(item[1:]) for item in kinds["n"]), key=lambda net: (net.name, net.id))),
        _images([image for image in asked if image not in missing], kinds["i"]),
    )


def _alone(boxes: Iterable[Container]) -> tuple[Container, ...]:
    """Sorted by name; of containers that share a network namespace only its owner is on networks, as docker says it.

    Podman shows the owner's networks for all of them.
    """
    boxes = sorted(boxes, key=lambda box: box.name)
    owners = {labels.replica_name(box.name): box for box in boxes if box.label(labels.ROLE) == "holder"}
    if not owners:
        return tuple(boxes)
    return tuple(
        replace(box, networks=()) if owners.get(labels.replica_name(box.name), box) is not box else box for box in boxes
    )


def with_logs(boxes: Iterable[Container], sections: Mapping[str, bytes]) -> tuple[Container, ...]:
    """The containers, with the last lines that were read of those that failed."""
    return tuple(
        replace(box, log=_log(sections[f"log-{box.id}"])) if f"log-{box.id}" in sections else box for box in boxes
    )


def section(sections: Mapping[str, bytes], name: str) -> bytes:
    """A section that must be there. Raises ValueError."""
    if name not in sections:
        raise ValueError(f"the probe's section {name} is missing")
    return sections[name]


def lines(body: bytes) -> list[str]:
    return [line for line in body.decode("utf-8", "replace").split("\n") if line]


def network(item: list[Any]) -> ObservedNetwork:
    """`[id, name, driver, labels, subnets, internal, device]`; docker derives the device from the id, unless told."""
    identifier, name, driver, marks, subnets, internal, device = fields([*item, None][:7], 7)
    return ObservedNetwork(
        full_id(identifier),
        text(name),
        pairs(marks),
        text(driver),
        tuple(text(subnet) for subnet in listed(subnets) if subnet),
        internal is True,
        text(device or "") or (f"br-{text(identifier)[:12]}" if text(driver) == "bridge" else ""),
    )


def _each(items: list[list[Any]], clock: float) -> Iterable[Container]:
    return (container(item[1:], clock) for item in items)


def container(item: list[Any], clock: float) -> Container:
    """`[id, name, image, restarts, STATE, labels, networks, mounts]`.

    STATE: `[status, exit code, oom, error, started, finished, health]`.
    """
    identifier, name, image, restarts, state, marks, networks, mounts = fields(item, 8)
    status, exit_code, killed, error, started, finished, health = fields(state, 7)
    box = full_id(identifier)
    plain = _plain_name(name)
    now = _STATES.get(text(status)) or wrong("a container's state", status)
    code = integer(exit_code)
    return Container(
        id=box,
        name=plain,
        state=now,
        labels=pairs(marks),
        image=image_id(image) if image else "",
        health=_HEALTH.get(text(health), Health.STARTING),
        exit_code=code if now in _ENDED or (now is ContainerState.CREATED and code != 0) else None,
        oom_killed=killed is True,
        error=text(error)[:ERROR_LENGTH],
        restarts=integer(restarts),
        age=_since(started, clock),
        started=times.unix(text(started)),
        ended=_since(finished, clock),
        networks=_attachments(networks, {box, box[:12], plain}),
        anonymous=_anonymous(mounts),
        files=_files(mounts),
    )


def _attachments(value: Any, own: set[str]) -> tuple[ObservedAttachment, ...]:
    attached = []
    for item in listed(value):
        if item is None:
            continue
        name, aliases, address, mac, wished, address6 = fields(item, 6)
        if text(name) in _NO_NETWORK:
            continue
        fixed = wished if isinstance(wished, dict) else {}
        attached.append(
            ObservedAttachment(
                text(name),
                tuple(sorted({text(alias) for alias in listed(aliases)} - own)),
                text(address or fixed.get("IPv4Address") or "") or None,
                text(mac or "") or None,
                text(address6 or fixed.get("IPv6Address") or "") or None,
            )
        )
    return tuple(sorted(attached, key=lambda each: each.network))


def _anonymous(value: Any) -> Pairs:
    """Of `[type, target, volume]`, the volumes that have the kind of name that runtimes think of."""
    mounts = (map(text, fields(item, 3)) for item in listed(value) if item is not None)
    return tuple(
        sorted((target, name) for kind, target, name in mounts if kind == "volume" and _RANDOM.fullmatch(name))
    )


def _files(value: Any) -> tuple[str, ...]:
    """Of `[type, target, source]`, the files in shipyard's own directory on the node."""
    mounts = (map(text, fields(item, 3)) for item in listed(value) if item is not None)
    found = (_KEPT.search(source) for kind, _, source in mounts if kind == "bind")
    return tuple(sorted({match[1] for match in found if match is not None}))


def _images(asked: list[str], items: list[list[Any]]) -> tuple[ObservedImage, ...]:
    """They are told of in the order in which they were asked for, without those that are missing."""
    if len(asked) != len(items):
        raise ValueError(f"inspect told of {len(items)} images where {len(asked)} were expected")
    images = []
    for reference, item in zip(asked, items, strict=True):
        identifier, digests = fields(item[1:], 2)
        images.append(ObservedImage(reference, image_id(identifier), tuple(sorted(map(text, listed(digests))))))
    return tuple(sorted(images, key=lambda image: image.reference))


def _missing(asked: list[str], words: list[str], status: int) -> set[str]:
    """The images that are not there. Raises ValueError when inspect failed for another reason than absence."""
    if status == 0:
        return set()
    told = [line for line in words if not _NOISE.match(line)]
    missing = {image for image in asked if any(_named(line) == probing.lookup(image) for line in told)}
    strange = [line for line in told if not _ABSENT.search(line)]
    if strange or not told:
        raise ValueError(f"inspect failed with status {status}: {one_line(' '.join(strange) or 'no words')}")
    return missing


def _named(line: str) -> str:
    """What an error is about: its last word."""
    return line.rsplit(maxsplit=1)[-1].strip("\"':")


def _log(body: bytes) -> str:
    whole = body[-probing.LOG_BYTES :].decode("utf-8", "replace")
    return "\n".join(whole.rstrip("\n").split("\n")[-probing.LOG_LINES :])


def _since(value: Any, clock: float) -> float | None:
    at = times.unix(text(value))
    return None if at is None else max(0.0, clock - at)


def _plain_name(value: Any) -> str:
    match = _NAME.fullmatch(text(value))
    return match[1] if match else wrong("a container's name", value)
