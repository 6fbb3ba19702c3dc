"""`$NAME` and `${NAME…}` in a Compose file's values, and which of them are numbers or booleans afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from shipyard.files.compose.substitution import substitute
from shipyard.files.compose.value import found
from shipyard.files.composefile.nodes import Node
from shipyard.files.yamldoc import Path

_PLAIN = re.compile(r"\$(?:(\$)|\{([_A-Za-z][_A-Za-z0-9]*)\}|([_A-Za-z][_A-Za-z0-9]*)|(?=[^{]|$)())")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_FRACTION = re.compile(r"[-+]?(?:[0-9_]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TRUE = ("true", "y", "yes", "on")
_FALSE = ("false", "n", "no", "off")

_INTS = """
    services.*.deploy.replicas services.*.deploy.update_config.parallelism services.*.scale services.*.pids_limit
    services.*.deploy.rollback_config.parallelism services.*.deploy.restart_policy.max_attempts
    services.*.deploy.placement.max_replicas_per_node services.*.healthcheck.retries services.*.oom_score_adj
    services.*.ports.*.target services.*.ulimits.* services.*.ulimits.*.hard services.*.ulimits.*.soft
    services.*.cpu_shares services.*.cpu_count services.*.cpu_percent services.*.cpu_period services.*.cpu_quota
    services.*.cpu_rt_period services.*.cpu_rt_runtime services.*.deploy.resources.limits.pids
    services.*.deploy.resources.reservations.generic_resources.*.discrete_resource_spec.value
"""
_COUNTS = "services.*.gpus.*.count services.*.deploy.resources.reservations.devices.*.count"
_FLOATS = """
    services.*.cpus services.*.deploy.update_config.max_failure_ratio services.*.deploy.resources.limits.cpus
    services.*.deploy.rollback_config.max_failure_ratio services.*.deploy.resources.reservations.cpus
"""
_BOOLEANS = """
    services.*.init services.*.privileged services.*.read_only services.*.stdin_open services.*.tty services.*.attach
    services.*.oom_kill_disable services.*.healthcheck.disable services.*.volumes.*.read_only
    services.*.volumes.*.volume.nocopy services.*.volumes.*.bind.create_host_path services.*.depends_on.*.required
    services.*.depends_on.*.restart services.*.env_file.*.required services.*.build.no_cache services.*.build.pull
    services.*.build.privileged services.*.post_start.*.privileged services.*.pre_stop.*.privileged
    networks.*.external networks.*.internal networks.*.attachable networks.*.enable_ipv6 networks.*.enable_ipv4
    volumes.*.external configs.*.external secrets.*.external
"""


def _whole(text: str) -> Any:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError("a whole number")
    return int(text)


def _count(text: str) -> Any:
    return text if text == "all" else _whole(text)


def _fraction(text: str) -> Any:
    if _FRACTION.fullmatch(text) is None:
        raise ValueError("a number")
    return float(text)


def _boolean(text: str) -> Any:
    low = text.lower()
    if low not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return low in _TRUE


Cast = Callable[[str], Any]


def _tree() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for paths, cast in ((_INTS, _whole), (_COUNTS, _count), (_FLOATS, _fraction), (_BOOLEANS, _boolean)):
        for path in paths.split():
            inner = tree
            for part in path.split("."):
                inner = inner.setdefault(part, {})
            inner[""] = cast
    return tree


_CASTS: Mapping[str, Any] = _tree()
"""Where a text is a number or a boolean, quoted or not: by the parts of the path; under "" what makes it one."""
_NONE: Mapping[str, Any] = {}


class Interpolation:
    """One file's variables. `notices`: what people should know of those that are not set."""

    def __init__(self, environ: Mapping[str, str], notices: list[str]) -> None:
        self._environ, self._notices = environ, notices

    def apply(self, node: Node, path: Path = (), casts: Mapping[str, Any] = _CASTS) -> Node:
        """The same with all variables replaced, keys excepted. Raises FileError at the value's place."""
        data = node.data
        if isinstance(data, dict):
            anywhere = casts.get("*", _NONE)
            for key, value in data.items():
                data[key] = self.apply(value, (*path, key), casts.get(key, anywhere) if casts else _NONE)
        elif isinstance(data, list):
            anywhere = casts.get("*", _NONE)
            for index, value in enumerate(data):
                data[index] = self.apply(value, (*path, index), anywhere)
        elif isinstance(data, str):
            said = self._substituted(node, str(data), path) if "$" in data else data
            cast = casts.get("")
            try:
                node.data = cast(said) if cast is not None else said
            except ValueError as error:
                raise node.error(f"expected {error}, found {found(said)}", path=path) from error
        return node

    def _substituted(self, node: Node, text: str, path: Path) -> str:
        for match in _PLAIN.finditer(text):
            name = match[2] or match[3]
            if name is not None and name not in self._environ:
                self._say(node, f"{name} is not set; it becomes an empty text")
            elif name is None and not match[1]:
                hint = "write a dollar sign as $$"
                raise node.error(f"has a $ that begins no variable: {text!r}", path=path, hint=hint)
        try:
            said = substitute(text, self._environ.get)
        except ValueError as error:
            raise node.error(str(error), path=path) from error
        return said

    def _say(self, node: Node, words: str) -> None:
        said = f"{node.mark.file}:{node.mark.line}: {words}"
        if said not in self._notices:
            self._notices.append(said)
