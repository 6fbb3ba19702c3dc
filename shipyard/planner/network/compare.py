"""What a node's wiring lacks, has wrong, or has too much: each difference in words, and the step that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shipyard.base.record import Struct
from shipyard.model.plan import DropItem, EnsureItem
from shipyard.model.wire import Item
from shipyard.planner.network.mesh import device_of


class Difference(Struct, frozen=True):
    """`reason`: Missing, Wrong or NotNeeded. `detail`: a sentence, to which the node's name is added."""

    reason: str
    detail: str
    step: EnsureItem | DropItem


_KINDS = {
    "accept": "accepting rule",
    "address": "address",
    "bridge": "bridge",
    "bridge6": "IPv6 address of the bridge",
    "forwarding": "forwarding entry",
    "link": "device",
    "neighbour": "neighbour",
    "peer": "peer",
    "route": "route",
    "sysctl": "kernel setting",
}
_NEVER_DROPPED = ("sysctl", "bridge", "bridge6", "advertisement", "boot")
"""Settings of the node as a whole, bridges that go with their network, and what is written anew anyway."""


def differences(wanted: Iterable[Item], there: Iterable[Item]) -> Iterator[Difference]:
    """In the order in which they can be mended: what is made comes in the order of `wanted`, then what goes.

    A device that is made anew takes all with it that is on it: that is made again, too. What goes with a device that
    nothing needs is not named one by one: on many nodes that would be three lines for each of their peers.
    """
    found = {(item.kind, item.key): item.value for item in there}
    wanted = tuple(wanted)
    anew = {
        item.key for item in wanted if item.kind == "link" and _remade(found.get((item.kind, item.key)), item.value)
    }
    for item in wanted:
        value = found.get((item.kind, item.key))
        if value is None and not _absence_is_fine(item):
            yield Difference("Missing", f"{_called(item)} is missing", EnsureItem(item))
        elif value is not None and value != item.value:
            yield Difference("Wrong", _wrong(item, value), EnsureItem(item))
        elif value is not None and device_of(item) in anew:
            yield Difference("Missing", f"{_called(item)} goes with the device {device_of(item)}", EnsureItem(item))
    expected = {(item.kind, item.key) for item in wanted}
    superfluous = [item for item in there if (item.kind, item.key) not in expected and item.kind not in _NEVER_DROPPED]
    going = anew | {item.key for item in superfluous if item.kind == "link"}
    for item in sorted(superfluous, key=lambda item: (item.kind == "link", item.kind, item.key)):
        if item.kind == "link" or device_of(item) not in going:
            said = f"{_KINDS.get(item.kind, item.kind)} {item.key}{f' ({_brief(item)})' if item.value else ''}"
            yield Difference("NotNeeded", f"nothing needs the {said}", DropItem(item))


def _remade(there: str | None, wanted: str) -> bool:
    """Whether a device has to be made again; its hardware address and MTU can be changed as it is."""
    if there is None:
        return False
    now, then = _pairs(there), _pairs(wanted)
    alike = ("address", "mtu")
    return there.split()[:1] != wanted.split()[:1] or any(now.get(key) != then[key] for key in then if key not in alike)


def _absence_is_fine(item: Item) -> bool:
    """A kernel without this setting has no bridges that ask."""
    return item.kind == "sysctl" and item.key.startswith("net.bridge.")


def _brief(item: Item) -> str:
    return item.value.split()[0] if item.kind == "link" else item.value


def _called(item: Item) -> str:
    return item.what or f"{_KINDS.get(item.kind, item.kind)} {item.key}"


def _wrong(item: Item, value: str) -> str:
    """Only the words that differ, where the two are alike."""
    wanted, there = _pairs(item.value), _pairs(value)
    if wanted and there and wanted.keys() == there.keys():
        parts = [f"{key} {there[key]} instead of {wanted[key]}" for key in wanted if wanted[key] != there[key]]
        return f"{_called(item)} has {', '.join(parts)}"
    return f"{_called(item)} is `{value}` instead of `{item.value}`"


def _pairs(value: str) -> dict[str, str]:
    """`address A ip B mtu N` as pairs, where it is a list of such."""
    words = value.split()
    if words and words[0] in ("vxlan", "wireguard"):
        words = words[1:]
    return dict(zip(words[::2], words[1::2], strict=True)) if len(words) % 2 == 0 else {}
