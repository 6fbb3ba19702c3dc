"""What may stand where a host is named: names, addresses, ports and ranges, as Ansible reads them."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

MAX_NAME = 255
MAX_EXPANDED = 100_000
"""Hosts that one line may stand for."""

_RANGE = r"\[(?:[0-9]+:[0-9]+|[a-z]:[a-z])(?::[0-9]+)?\]"
_LABEL = rf"(?:\w|{_RANGE})(?:[\w-]|{_RANGE})*(?<![_-])"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z", re.I)
_HEX_RANGE = re.compile(r"\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\]", re.I)
_BRACKETED_PORT = re.compile(r"\[(.+)\]:([0-9]{1,9})\Z")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]{1,9})\Z")
_GROUP_CHARS = re.compile(r"^[\d\W]|[^\w]")


class BadNameError(Exception):
    """A name that can't be used; the reader adds where it stands."""


def parse_address(text: str) -> tuple[str, int | None] | None:
    """Host and port of `host`, `host:22`, `[addr]:22`, ranges included; None where it is no address at all."""
    port: int | None = None
    for form in (_BRACKETED_PORT, _PORT):
        if found := form.match(text):
            text, port = found[1], int(found[2])
    return (text, port) if _HOST_NAME.match(text) or _is_ipv6(text) else None


def is_ip_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address, whose dots separate no domain."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return ":" in text and "%" not in text and is_ip_address(_HEX_RANGE.sub("0", text))


def expand(pattern: str) -> tuple[list[str], int | None]:
    """Every host that a host line's first word stands for, and the port given with it. Raises BadNameError."""
    name, port = parse_address(pattern) or (pattern, None)
    if "[" not in name:
        return [name], port
    parts = list(_parts(name))
    try:
        total = math.prod(len(part) for part in parts)
    except OverflowError:
        total = MAX_EXPANDED + 1
    if total == 0:
        return [], port
    if total > MAX_EXPANDED:
        raise BadNameError(f"{pattern!r} stands for more than {MAX_EXPANDED:,} hosts")
    return ["".join(words) for words in itertools.product(*parts)], port


def _parts(name: str) -> Iterator[Sequence[str]]:
    """What stands between ranges (one choice), and the ranges (each of their choices), in turn."""
    while "[" in name:
        head, _, rest = name.partition("[")
        bounds, closed, name = rest.partition("]")
        if not closed or "]" in head or "|" in head:
            raise BadNameError(f"{head}[{rest} holds a bracket that belongs to no range like [1:3]")
        yield (head,)
        yield _choices(bounds)
    yield (name,)


@dataclass(frozen=True, slots=True)
class _Numbers(Sequence[str]):
    """The numbers of a range, filled up with zeros to a width, made only when asked for."""

    numbers: range
    width: int

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return _Numbers(self.numbers[index], self.width)
        return str(self.numbers[index]).zfill(self.width)


def _choices(bounds: str) -> Sequence[str]:
    parts = bounds.split(":")
    if len(parts) not in (2, 3):
        raise BadNameError(f"the range [{bounds}] is not of the form [begin:end] or [begin:end:step]")
    begin, end, step = parts[0] or "0", parts[1], _integer(parts[2], bounds) if len(parts) == 3 else 1
    if not end:
        raise BadNameError(f"the range [{bounds}] has no end")
    if step == 0:
        raise BadNameError(f"the range [{bounds}] has a step of 0")
    letters = string.ascii_letters
    if begin in letters and end in letters:
        if letters.index(begin) > letters.index(end):
            raise BadNameError(f"the range [{bounds}] ends before it begins (letters go a-z, then A-Z)")
        return letters[letters.index(begin) : letters.index(end) + 1 : step]
    width = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
    if width and width != len(end):
        raise BadNameError(f"the range [{bounds}] begins with zeros, so both ends must be equally long")
    return _Numbers(range(_integer(begin, bounds), _integer(end, bounds) + 1, step), width)


def _integer(text: str, bounds: str) -> int:
    try:
        return int(text[:20])
    except ValueError:
        raise BadNameError(f"the range [{bounds}] is neither of numbers nor of single letters") from None


def check_host(name: str) -> str:
    """The name, if a host may have it. One that starts with `-` would be read as an option by ssh."""
    if not name:
        raise BadNameError("a host with an empty name")
    if name.startswith("-"):
        hint = "; '---' begins a YAML file, and this is read as INI" if name == "---" else ""
        raise BadNameError(f"a host name can't start with '-': {name!r}{hint}")
    _check_text(name, "host")
    return name


def check_group(name: str) -> str:
    """The name, if a group may have it."""
    if not name:
        raise BadNameError("a group with an empty name")
    _check_text(name, "group")
    return name


def has_odd_group_characters(name: str) -> bool:
    """Ansible warns of group names that are no variable names."""
    return _GROUP_CHARS.search(name) is not None


def _check_text(name: str, what: str) -> None:
    if len(name) > MAX_NAME:
        raise BadNameError(f"a {what} name of {len(name):,} characters; {MAX_NAME} are the most")
    if name.isascii() and name.isprintable():
        return
    for char in name:
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise BadNameError(f"a {what} name holds the control character U+{ord(char):04X}: {name!r}")
