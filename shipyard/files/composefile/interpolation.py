"""`$NAME` and `${NAME…}` in a Compose file's values, and which of them are numbers or booleans afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from shipyard.files.compose.substitution import substitute
from shipyard.files.composefile.nodes import Node
from shipyard.files.yamldoc import Path

_PLAIN = re.compile(r"\$(?:(\$)|\{([_A-Za-z][_A-Za-z0-9]*)\}|([_A-Za-z][_A-Za-z0-9]*)|(?=[^{]|$)())")
_SECRET = re.compile(r"PASS|SECRET|TOKEN|PRIVATE_?KEY|API_?KEY|CREDENTIAL", re.IGNORECASE)
_WHOLE = re.compile(r"[-+]?[0-9]+")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_TRUE = ("true", "y", "yes", "on")
_FALSE = ("false", "n", "no", "off")

_INTS = """
    services.*.deploy.replicas services.*.deploy.update_config.parallelism services.*.scale services.*.pids_limit
    services.*.deploy.rollback_config.parallelism services.*.deploy.restart_policy.max_attempts
    services.*.deploy.placement.max_replicas_per_node services.*.healthcheck.retries services.*.oom_score_adj
    services.*.ports.*.target services.*.ulimits.* services.*.ulimits.*.hard services.*.ulimits.*.soft
    services.*.volumes.*.tmpfs.mode services.*.configs.*.mode services.*.secrets.*.mode services.*.cpu_shares
    services.*.deploy.resources.limits.pids services.*.networks.*.priority
"""
_FLOATS = """
    services.*.cpus services.*.deploy.update_config.max_failure_ratio
    services.*.deploy.rollback_config.max_failure_ratio
"""
_BOOLEANS = """
    services.*.init services.*.privileged services.*.read_only services.*.stdin_open services.*.tty
    services.*.oom_kill_disable services.*.healthcheck.disable services.*.volumes.*.read_only
    services.*.volumes.*.volume.nocopy services.*.volumes.*.bind.create_host_path services.*.depends_on.*.required
    services.*.depends_on.*.restart services.*.env_file.*.required
    networks.*.external networks.*.internal networks.*.attachable networks.*.enable_ipv6 networks.*.enable_ipv4
    volumes.*.external configs.*.external secrets.*.external
"""


def _whole(text: str) -> Any:
    return int(text) if _WHOLE.fullmatch(text) else text


def _fraction(text: str) -> Any:
    return float(text) if _FRACTION.fullmatch(text) else text


def _boolean(text: str) -> Any:
    low = text.lower()
    return True if low in _TRUE else False if low in _FALSE else text


_CASTS: dict[tuple[str, ...], Callable[[str], Any]] = {
    tuple(path.split(".")): cast
    for paths, cast in ((_INTS, _whole), (_FLOATS, _fraction), (_BOOLEANS, _boolean))
    for path in paths.split()
}
_LENGTHS = {len(path) for path in _CASTS}


class Interpolation:
    """One file's variables. `notices`: what people should know of those that are not set, or that inspect shows."""

    def __init__(self, environ: Mapping[str, str], notices: list[str]) -> None:
        self._environ, self._notices = environ, notices

    def apply(self, node: Node, path: Path = ()) -> Node:
        """The same with all variables replaced, keys excepted. Raises FileError at the value's place."""
        data = node.data
        if isinstance(data, dict):
            for key, value in data.items():
                data[key] = self.apply(value, (*path, key))
        elif isinstance(data, list):
            for index, value in enumerate(data):
                data[index] = self.apply(value, (*path, index))
        elif isinstance(data, str) and "$" in data:
            node.data = self._substituted(node, str(data), path)
        return node

    def _substituted(self, node: Node, text: str, path: Path) -> Any:
        for found in _PLAIN.finditer(text):
            name = found[2] or found[3]
            if name is not None and name not in self._environ:
                self._say(node, f"{name} is not set; it becomes an empty text")
            elif name is None and not found[1]:
                hint = "write a dollar sign as $$"
                raise node.error(f"has a $ that begins no variable: {text!r}", path=path, hint=hint)
        try:
            said = substitute(text, self._environ.get)
        except ValueError as error:
            raise node.error(str(error), path=path) from error
        if len(path) >= 4 and path[0] == "services" and path[2] == "environment" and said:
            name = path[3] if isinstance(path[3], str) else text.partition("=")[0]
            if _SECRET.search(name) and "$" in text.replace("$$", ""):
                self._say(node, f"{name} stands in the environment, where inspect shows it; secrets: would hide it")
        cast = _cast(path)
        return cast(said) if cast is not None else said

    def _say(self, node: Node, words: str) -> None:
        said = f"{node.mark.file}:{node.mark.line}: {words}"
        if said not in self._notices:
            self._notices.append(said)


def _cast(path: Path) -> Callable[[str], Any] | None:
    if len(path) not in _LENGTHS:
        return None
    names = tuple(str(part) for part in path)
    for wanted, cast in _CASTS.items():
        if len(wanted) == len(names) and all(one in ("*", two) for one, two in zip(wanted, names, strict=True)):
            return cast
    return None
