"""Single values in Compose's normal form: ports, mounts, devices, durations. Raises ValueError with the reason."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

from shipyard.files.compose import units

_PORT = re.compile(r"(?:(?P<front>.*):)?(?P<target>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>[a-z]+))?")
_PROPAGATION = ("shared", "slave", "private", "rshared", "rslave", "rprivate")


def ports(said: Any) -> list[dict[str, Any]]:
    """A port in its long form; a range of the container's is one for each."""
    if isinstance(said, dict):
        made: dict[str, Any] = {"mode": "ingress", "protocol": "tcp"}
        made |= {key: value for key, value in said.items() if value is not None and not key.startswith("x-")}
        made["target"] = int(made["target"])
        if "published" in made:
            made["published"] = units.number_text(made["published"])
        return [made]
    match = _PORT.fullmatch(units.number_text(said))
    if match is None:
        raise ValueError(f"{said!r} is no port")
    address, _, published = (match["front"] or "").rpartition(":")
    targets, sources = _range(match["target"]), _range(published) if published else []
    if len(targets) == 1 and len(sources) > 1:
        shown = [published]
    elif sources and len(sources) != len(targets):
        raise ValueError(f"the ranges of {said} are not of one length")
    else:
        shown = [str(each) for each in sources]
    made_all = []
    for index, target in enumerate(targets):
        one: dict[str, Any] = {"mode": "ingress", "target": target, "protocol": match["protocol"] or "tcp"}
        if shown:
            one["published"] = shown[index]
        if address:
            one["host_ip"] = address.removeprefix("[").removesuffix("]")
        made_all.append(one)
    return made_all


def _range(said: str) -> list[int]:
    first, _, last = said.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    if not numbers or numbers[-1] > 65535:
        raise ValueError(f"{said} is no range of ports")
    return list(numbers)


def mount(said: Any, absolute: Callable[[str], str]) -> dict[str, Any]:
    """A volume in its long form."""
    if not isinstance(said, dict):
        return _short_mount(str(said), absolute)
    made = {key: value for key, value in said.items() if not key.startswith("x-") and value is not None}
    made["target"] = posixpath.normpath(made["target"])
    if made.get("read_only") is False:
        del made["read_only"]
    if made.get("type") == "bind":
        made["source"] = absolute(str(made["source"]))
        if "bind" in made:
            made["bind"] = {
                key: value for key, value in made["bind"].items() if (key, value) != ("create_host_path", True)
            }
    if made.get("type") == "volume" and "volume" in made:
        made["volume"] = {key: value for key, value in made["volume"].items() if value is not False}
    if "tmpfs" in made and "size" in made["tmpfs"]:
        made["tmpfs"] = {**made["tmpfs"], "size": str(units.size(str(made["tmpfs"]["size"])))}
    return made


def _short_mount(said: str, absolute: Callable[[str], str]) -> dict[str, Any]:
    parts = said.split(":")
    if len(parts) > 3 or not all(parts):
        raise ValueError(f"{said!r} is no volume")
    if len(parts) == 1:
        made: dict[str, Any] = {"type": "volume", "target": posixpath.normpath(said)}
        return made if len(said) < 3 else {**made, "volume": {}}
    bind = parts[0][0] in "./~"
    kind = "bind" if bind else "volume"
    options: dict[str, Any] = {}
    labelled = options if bind else {}
    made = {"type": kind, "source": absolute(parts[0]) if bind else parts[0], "target": posixpath.normpath(parts[1])}
    for mode in parts[2].split(",") if len(parts) == 3 else ():
        if mode == "ro":
            made["read_only"] = True
        elif mode == "nocopy":
            options["nocopy"] = True
        elif mode in ("z", "Z"):
            labelled["selinux"] = mode  # which Compose writes under bind, also of a named volume
        elif bind and mode in _PROPAGATION:
            options["propagation"] = mode
    return {**made, **({"bind": labelled} if labelled else {}), kind: options}


def device(said: Any) -> dict[str, Any]:
    """A device in its long form."""
    if isinstance(said, dict):
        return said
    source, _, rest = said.partition(":")
    target, _, rights = rest.partition(":")
    return {"source": source, "target": target or source, "permissions": rights or "rwm"}


def requests(said: Any) -> list[dict[str, Any]]:
    """Requests for devices, `all` being -1."""
    return [{**each, "count": -1} if each.get("count") == "all" else each for each in said]


def go_duration(said: str) -> str:
    """Seconds, minutes and hours, as Go writes a duration: `1m30s`, `1h0m0s`, `1.5s`, `100ms`."""
    nanos = round(units.duration(said) * 1_000_000_000)
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
        if nanos < (1000 * size):
            return f"{_number(nanos, size)}{unit}"
    hours, rest = divmod(nanos, 3600 * 10**9)
    minutes, rest = divmod(rest, 60 * 10**9)
    front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{front}{_number(rest, 10**9)}s"


def _number(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
