"""Resources: `deploy.resources` and the older keys on the service, which must not contradict each other."""

from __future__ import annotations

from typing import Any

from shipyard.files.compose.devices import devices
from shipyard.files.compose.keys import Key, Table, not_yet
from shipyard.files.compose.scalars import boolean, decimal, pattern, size, size_or_unlimited, whole
from shipyard.files.compose.value import Value
from shipyard.model.container import Limits, Pairs
from shipyard.model.spec import Reservations

_pids = whole(-1)


def pids(value: Value) -> int:
    """0 and -1 are unlimited."""
    return int(_pids(value)) or -1


LIMITS = Table(
    "limits",
    Key("cpus", "number", "Cores.", decimal, "all"),
    Key("memory", "size", "Memory.", size, "all"),
    Key("pids", "number", "Processes; `-1` for no limit.", pids, "the runtime's"),
)
RESERVATIONS = Table(
    "reservations",
    Key("cpus", "number", "Cores set aside on the node.", decimal, "`0`"),
    Key("memory", "size", "Memory set aside on the node, and what the runtime keeps for it.", size, "`0`"),
    Key("devices", "list", "Devices set aside on the node, and given to the container if they are GPUs.", devices),
    not_yet("generic_resources", "write it as an entry of devices: capabilities: [KIND], count: N"),
)
RESOURCES = Table(
    "resources",
    Key("limits", "mapping", "`cpus`, `memory`, `pids`: no more than this.", LIMITS.read),
    Key("reservations", "mapping", "`cpus`, `memory`, `devices`: set aside on the node.", RESERVATIONS.read),
)


def _rates(name: str, read: Any, what: str) -> Key:
    table = Table(name, Key("path", "path", "", _device), Key(what, "", "", read))

    def entries(value: Value) -> Pairs:
        found = []
        for item in value.items():
            with value.reading.collect():
                got = table.read(item)
                if len(got) < 2:
                    raise item.error(f"takes path and {what}")
                found.append((name, f"{got['path']}:{got[what]}"))
        return tuple(found)

    return Key(name, f"list of `path` and `{what}`", "For single devices.", entries)


_device = pattern(r"/dev/[^:\s\0]+", "a device of the node, such as /dev/sda")
BLKIO = Table(
    "blkio_config",
    Key("weight", "number", "Share of the block devices, 10 to 1000.", whole(10, 1000)),
    _rates("weight_device", whole(10, 1000), "weight"),
    _rates("device_read_bps", size, "rate"),
    _rates("device_write_bps", size, "rate"),
    _rates("device_read_iops", whole(0), "rate"),
    _rates("device_write_iops", whole(0), "rate"),
)

_OLD = {
    "cpus": "cpus",
    "mem_limit": "memory",
    "mem_reservation": "memory_reservation",
    "memswap_limit": "memory_swap",
    "mem_swappiness": "swappiness",
    "pids_limit": "pids",
    "cpu_shares": "cpu_shares",
    "cpuset": "cpuset",
    "cpu_period": "cpu_period",
    "cpu_quota": "cpu_quota",
    "oom_kill_disable": "oom_kill_disable",
    "oom_score_adj": "oom_score_adj",
}


def limits(service: Value, got: dict[str, Any], deploy: dict[str, Any]) -> tuple[Limits, Reservations]:
    """From what the service and its `deploy` say together."""
    resources = deploy.get("resources", {})
    most, aside = resources.get("limits", {}), resources.get("reservations", {})
    _agree(service, got, "cpus", most, "deploy.resources.limits.cpus")
    _agree(service, got, "mem_limit", most, "deploy.resources.limits.memory")
    _agree(service, got, "pids_limit", most, "deploy.resources.limits.pids")
    _agree(service, got, "mem_reservation", aside, "deploy.resources.reservations.memory")
    made = {field: got[key] for key, field in _OLD.items() if key in got}
    made |= most
    if "memory" in aside:
        made["memory_reservation"] = aside["memory"]
    blkio = dict(got.get("blkio_config", {}))
    if "weight" in blkio:
        made["blkio_weight"] = blkio.pop("weight")
    made["devices"] = tuple(sorted(pair for pairs in blkio.values() for pair in pairs))
    result = Limits(**made)
    _possible(service, result, aside)
    return result, Reservations(aside.get("cpus", 0.0), result.memory_reservation or 0, aside.get("devices", ()))


def _agree(service: Value, got: dict[str, Any], old: str, new: dict[str, Any], where: str) -> None:
    name = where.rpartition(".")[2]
    if old in got and name in new and got[old] != new[name]:
        raise service.child(old, None).error(f"says something else than {where}", hint="write only one of them")


def _possible(service: Value, limits: Limits, aside: dict[str, Any]) -> None:
    if limits.memory and limits.memory_reservation and limits.memory_reservation > limits.memory:
        raise service.error("reserves more memory than its limit")
    if limits.cpus and aside.get("cpus", 0.0) > limits.cpus:
        raise service.error("reserves more cpus than its limit")
    if limits.memory_swap is not None and limits.memory_swap > 0 and limits.memory is None:
        raise service.error("memswap_limit is memory and swap together, so mem_limit is needed beside it")


KEYS = (
    Key("cpus", "number", "As `deploy.resources.limits.cpus`.", decimal),
    Key("mem_limit", "size", "As `deploy.resources.limits.memory`.", size),
    Key("mem_reservation", "size", "As `deploy.resources.reservations.memory`.", size),
    Key("memswap_limit", "size or `-1`", "Memory and swap together.", size_or_unlimited),
    Key("mem_swappiness", "number", "0 to 100.", whole(0, 100)),
    Key("pids_limit", "number", "As `deploy.resources.limits.pids`.", pids),
    Key("cpu_shares", "number", "Share of CPU time when it is short.", whole(0)),
    Key("cpu_period", "number", "Microseconds.", whole(0)),
    Key("cpu_quota", "number", "Microseconds of a period.", whole(-1)),
    Key(
        "cpuset",
        "text",
        "CPUs to run on: `0-3`, `0,1`.",
        pattern(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", "CPUs, such as 0-3 or 0,1"),
    ),
    Key("oom_kill_disable", "boolean", "Never killed for want of memory.", boolean, "`false`"),
    Key("oom_score_adj", "number", "-1000 to 1000.", whole(-1000, 1000)),
    Key("blkio_config", "mapping", "`weight`, and rates of single devices.", BLKIO.read),
)
