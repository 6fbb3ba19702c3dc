"""`deploy.resources.reservations.devices`: how many of which kind; a kind is the first of the capabilities."""

from __future__ import annotations

from shipyard.files.compose.keys import Key, Table, not_yet
from shipyard.files.compose.scalars import listed, pattern, whole
from shipyard.files.compose.value import Value
from shipyard.model.spec import DeviceRequest

_word = pattern(r"[A-Za-z0-9_.-]+", "a name of letters, digits, _ . and -")


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
    not_yet("device_ids", "say how many with count"),
    not_yet("options"),
)


def devices(value: Value) -> tuple[DeviceRequest, ...]:
    found = []
    for item in value.items("a list of devices"):
        with value.reading.collect():
            got = DEVICES.read(item)
            if not item.data.get("capabilities"):
                raise item.error("has no capabilities", hint="such as capabilities: [gpu]")
            found.append(DeviceRequest(got.get("capabilities", ()), got.get("driver", ""), got.get("count")))
    return tuple(found)
