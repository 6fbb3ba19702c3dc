"""Host patterns: which hosts a play or `--limit` means, with all of Ansible's operators.

`web:db`, `web,db` (either), `web:&prod` (both), `web:!old` (without), globs, `~regex`, and `web[0:2]`. A comma
anywhere makes commas the only separator.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import Path

from shipyard.base.errors import FileError, UsageError
from shipyard.base.record import Struct
from shipyard.files.inventory.hostnames import parse_address
from shipyard.files.values import user_path
from shipyard.model.inventory import LOCALHOST, Inventory

MAX_PATTERN = 64 * 1024
_BETWEEN_COLONS = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]{1,9})|([0-9]{1,9})[:-]([0-9]{0,9}))\]\Z")
_GLOB = frozenset(".?*[")


class Matched(Struct, frozen=True):
    """The hosts a pattern means, in Ansible's order, and those of its parts that named nothing at all."""

    hosts: tuple[str, ...]
    unmatched: tuple[str, ...] = ()


def match(pattern: str, inventory: Inventory, *, limit: str | None = None, cwd: Path | None = None) -> Matched:
    """The hosts of a pattern, of which `limit` (another pattern, or `@file` relative to `cwd`) keeps some.

    A part that names no host and no group is not an error but is told in `unmatched`. Raises UsageError for a
    pattern that can't be read, FileError for a limit file.
    """
    matcher = _Matcher(inventory)
    hosts = matcher.evaluate(split(pattern))
    if limit is not None:
        kept = set(matcher.evaluate(_limit_parts(limit, cwd or Path())))
        hosts = [host for host in hosts if host in kept]
    return Matched(tuple(hosts), tuple(matcher.unmatched))


def split(pattern: str) -> list[str]:
    """The parts of a pattern. What can be read as one address or range (`::1`, `web[1:2]`) is one part."""
    if len(pattern) > MAX_PATTERN:
        raise UsageError(f"a host pattern of {len(pattern):,} characters is longer than {MAX_PATTERN:,}")
    if "," in pattern:
        parts = pattern.split(",")
    elif parse_address(pattern):
        parts = [pattern]
    else:
        parts = _BETWEEN_COLONS.findall(pattern)
    return [part.strip() for part in parts if part.strip()]


def _limit_parts(limit: str, cwd: Path) -> list[str]:
    parts: list[str] = []
    for part in split(limit):
        if not part.startswith("@"):
            parts.append(part)
            continue
        path = cwd / user_path(part[1:])
        try:
            lines = path.read_text("utf-8").split("\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise FileError(f"the limit file can't be read: {reason}", file=part[1:]) from None
        parts += [line.strip() for line in lines]
    return [part for part in parts if part]


class _Matcher:
    """Patterns over one inventory; remembers what matched nothing."""

    def __init__(self, inventory: Inventory) -> None:
        self._groups = inventory.members
        self._all = inventory.members.get("all", ())
        self._hosts = {host.name: None for host in inventory.hosts}
        self.unmatched: dict[str, None] = {}

    def evaluate(self, parts: Iterable[str]) -> list[str]:
        """Plain parts first, then `&`, then `!`, whatever their order; only `&` and `!` start from all."""
        given = list(parts)
        plain = [part for part in given if part[0] not in "&!"]
        found: dict[str, None] = {}
        for part in plain or ["all"]:
            found.update(dict.fromkeys([part] if part in self._hosts else self._one(part)))
        for part in (part for part in given if part[0] == "&"):
            kept = set(self._one(part[1:]))
            found = {host: None for host in found if host in kept}
        for part in (part for part in given if part[0] == "!"):
            dropped = set(self._one(part[1:]))
            found = {host: None for host in found if host not in dropped}
        return list(found)

    def _one(self, part: str) -> list[str]:
        subscript = None if part.startswith("~") else _SUBSCRIPT.match(part)
        if subscript is None:
            return self._named(part)
        hosts = self._named(subscript[1])
        first, last = int(subscript[2] or subscript[3]), subscript[4]
        if last == "":
            return hosts[first:]
        if last is not None and int(last) > 0:
            return hosts[first : int(last) + 1]
        return [hosts[first]] if -len(hosts) <= first < len(hosts) else []

    def _named(self, name: str) -> list[str]:
        """Hosts of the groups of this name; its hosts, too, where no group has it or it is a glob or expression."""
        if not name:
            return []
        matches = _compiled(name)
        groups = [group for group in self._groups if matches.match(group)]
        found = dict.fromkeys(host for group in groups for host in self._groups[group])
        if not groups or name.startswith("~") or not _GLOB.isdisjoint(name):
            found.update(dict.fromkeys(host for host in self._hosts if matches.match(host)))
        if not found and name in LOCALHOST:
            found[next((host for host in self._hosts if host in LOCALHOST), name)] = None
        if not found and not groups and name != "all":
            self.unmatched[name] = None
        return list(found)


def _compiled(name: str) -> re.Pattern[str]:
    try:
        return re.compile(name[1:] if name.startswith("~") else fnmatch.translate(name))
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"the host pattern {name!r} is no regular expression: {error}") from None
