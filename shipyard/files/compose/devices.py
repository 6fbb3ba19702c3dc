"""`deploy.resources.reservations.devices`: how many of which kind; a kind is the first of the capabilities."""

from __future__ import annotations

from shipyard.files.compose.keys import Key, Table, not_yet
from shipyard.files.compose.scalars import listed, pattern, whole
from shipyard.files.compose.value import Value
from shipyard.model.container import DeviceRequest

_word = pattern(r"[A-Za-z0-9_.-]+", "a name of letters, digits, _ . and -")

_id = pattern(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*", "a device's number or UUID, such as 0")


def _count(value: Value) -> int | None:
    """None: all of the node's."""
    return None if value.data == "all" else int(whole(1, 10_000)(value))


DEVICES = Table(
    "devices",
    Key(
        "capabilities",
        "list",
        "The first is the kind that is counted, against the node's `shipyard_devices`: `[gpu]`, `[gpu, utility]`.",
        lambda value: listed(value, _word),
    ),
    Key("driver", "text", "Only this driver's: of nodes that have `nvidia/gpu`, not just `gpu`.", _word),
    Key("count", "number or `all`", "How many; `all` takes a node's devices whole.", _count, "`all`"),
    Key(
        "device_ids",
        "list",
        "These and no others, by number or UUID, instead of `count`; each goes to one replica of the node.",
        lambda value: listed(value, _id),
    ),
    not_yet("options"),
)


def devices(value: Value) -> tuple[DeviceRequest, ...]:
    found = []
    for item in value.items("a list of devices"):
        with value.reading.collect():
            got = DEVICES.read(item)
            if not item.data.get("capabilities"):
                raise item.error("has no capabilities", hint="such as capabilities: [gpu]")
            ids = got.get("device_ids", ())
            if ids and item.data.get("count") is not None:
                raise item.error("says both count and device_ids", hint="leave one of them out")
            count = len(ids) if ids else got.get("count")
            found.append(DeviceRequest(got.get("capabilities", ()), got.get("driver", ""), count, ids))
    return tuple(found)
