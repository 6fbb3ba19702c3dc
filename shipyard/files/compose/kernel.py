"""Keys about the container's place in the kernel: devices, ulimits, namespaces, groups."""

from __future__ import annotations

from shipyard.files.compose import power
from shipyard.files.compose.keys import Key, Reader, Table
from shipyard.files.compose.scalars import boolean, pattern, size, text, text_pairs, texts, whole
from shipyard.files.compose.value import Value
from shipyard.model.container import Ulimit

_limit = whole(-1)

ULIMIT = Table(
    "a ulimit",
    Key("soft", "number", "What it starts with; `-1` for no limit. Required.", _limit),
    Key("hard", "number", "How far it may go. Required.", _limit),
)
DEVICE = Table(
    "a device",
    Key("source", "path", "The device on the node, or a CDI name. Required.", text),
    Key("target", "path", "The device in the container.", text, "as `source`"),
    Key("permissions", "text", "Some of r, w and m.", pattern(r"[rwm]{1,3}", "some of r, w and m"), "`rwm`"),
)


def ulimits(value: Value) -> tuple[Ulimit, ...]:
    """A number for both, or `soft` and `hard`."""
    found = []
    for name, entry in value.mapping("a mapping of names to limits"):
        with value.reading.collect():
            if not isinstance(entry.data, dict):
                number = _limit(entry)
                found.append(Ulimit(name, number, number))
                continue
            got = ULIMIT.read(entry)
            if len(got) < 2:
                raise entry.error("takes both soft and hard")
            if 0 <= got["hard"] < got["soft"] or (got["soft"] < 0 <= got["hard"]):
                raise entry.error(f"has a soft limit ({got['soft']}) above the hard one ({got['hard']})")
            found.append(Ulimit(name, got["soft"], got["hard"]))
    return tuple(sorted(found, key=lambda limit: limit.name))


def devices(value: Value) -> tuple[str, ...]:
    """`SOURCE[:TARGET[:PERMISSIONS]]`, the same as a mapping, or a CDI name (`vendor.com/gpu=all`)."""
    found: dict[str, None] = {}
    for item in value.items("a list of devices"):
        with value.reading.collect():
            found.setdefault(_device(item))
    return tuple(found)


def capabilities(value: Value) -> tuple[str, ...]:
    found = texts(value)
    power.capabilities(value, found)
    return found


def _device(value: Value) -> str:
    if isinstance(value.data, dict):
        got = DEVICE.read(value)
        if "source" not in got:
            raise value.error("has no source")
        parts = [got["source"], got.get("target", got["source"]), got.get("permissions", "rwm")]
    else:
        parts = value.text("a device, such as /dev/fuse", empty=False).split(":")
    if not parts[0].startswith("/") and "=" not in parts[0]:
        raise value.error(f"{parts[0]!r} is neither an absolute path on the node nor a CDI name")
    if len(parts) > 3 or not all(parts):
        raise value.expected("SOURCE:TARGET:PERMISSIONS")
    power.device(value, parts[0])
    return ":".join(parts)


def namespace(*choices: str) -> Reader:
    """A reader for `ipc`, `pid` and the like: a namespace of another container is not carried out."""

    def read(value: Value) -> str:
        said = value.text(f"one of {', '.join(choices)}", empty=False)
        if said.startswith(("service:", "container:")):
            raise value.error(f"{said.partition(':')[0]}:… is not carried out yet; known are {', '.join(choices)}")
        if said not in choices:
            raise value.expected(f"one of {', '.join(choices)}")
        if said == "host" and value.path[-1] in ("pid", "ipc"):
            power.tell(value, f"shares the node's {value.path[-1]} namespace")
        return said

    return read


KEYS = (
    Key("privileged", "boolean", "All rights on the node; the plan says so.", boolean, "`false`"),
    Key("cap_add", "list", "Capabilities to add.", capabilities),
    Key("cap_drop", "list", "Capabilities to take away.", texts),
    Key("security_opt", "list", "Security options.", texts),
    Key("devices", "list", "Devices of the node: `/dev/a[:/dev/b[:rwm]]`, or mappings.", devices),
    Key("device_cgroup_rules", "list", "Rules for devices.", texts),
    Key("ulimits", "mapping", "A number, or `soft` and `hard`, by name.", ulimits),
    Key("sysctls", "mapping or list", "Kernel parameters.", text_pairs),
    Key("shm_size", "size", "Size of /dev/shm.", size, "`64m`"),
    Key(
        "ipc",
        "`host`, `private`, `shareable`, `none`",
        "IPC namespace.",
        namespace("host", "private", "shareable", "none"),
    ),
    Key("pid", "`host`", "PID namespace.", namespace("host", "private")),
    Key("uts", "`host`", "UTS namespace.", namespace("host", "private")),
    Key("cgroup", "`host`, `private`", "Cgroup namespace.", namespace("host", "private")),
    Key("cgroup_parent", "text", "Cgroup to be in.", text),
    Key("userns_mode", "text", "User namespace.", text),
)
