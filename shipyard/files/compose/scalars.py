"""Readers of single values and of lists and mappings of them, as Compose's keys have them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, TypeVar

from shipyard.files.compose import units, words
from shipyard.files.compose.keys import Reader
from shipyard.files.compose.value import Value
from shipyard.model.container import Pairs

T = TypeVar("T")

_TRUE = frozenset({"true", "yes", "y", "on"})
_FALSE = frozenset({"false", "no", "n", "off"})


def text(value: Value) -> str:
    return value.text()


def boolean(value: Value) -> bool:
    if isinstance(value.data, bool):
        return value.data
    word = value.data.lower() if isinstance(value.data, str) else None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise value.expected("true or false")


def whole(least: int | None = None, most: int | None = None) -> Reader:
    """A reader of whole numbers within bounds, which may be written as text."""

    def read(value: Value) -> int:
        data = value.data
        if isinstance(data, str) and re.fullmatch(r"[-+]?[0-9]{1,18}", data):
            data = int(data)
        if isinstance(data, float) and data.is_integer() and abs(data) < 2**53:
            data = int(data)
        if not isinstance(data, int) or isinstance(data, bool):
            raise value.expected("a whole number")
        if (least is not None and data < least) or (most is not None and data > most):
            raise value.error(f"must be {_bounds(least, most)}, found {data}")
        return int(data)

    return read


def decimal(value: Value) -> float:
    """A number of at least 0, which may be written as text (`cpus: "1.5"`)."""
    data = value.data
    if isinstance(data, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12}", data):
        data = float(data)
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise value.expected("a number")
    if not 0 <= data < 2**53:
        raise value.error(f"must be at least 0, found {units.number_text(data)}")
    return float(data)


def size(value: Value) -> int:
    """Bytes, from a whole number or a text with a unit."""
    data = value.data
    if isinstance(data, int) and not isinstance(data, bool):
        data = str(int(data))
    if not isinstance(data, str):
        raise value.expected('a size, such as "64m"')
    try:
        return units.size(data)
    except ValueError as error:
        raise value.expected('a size, such as "64m"', hint=str(error)) from error


def size_or_unlimited(value: Value) -> int:
    return -1 if value.data in (-1, "-1") else size(value)


def duration(value: Value) -> float:
    """Seconds, from a text with units; a bare number has none and is refused."""
    data = value.data
    if isinstance(data, int | float) and not isinstance(data, bool):
        said = units.number_text(data)
        raise value.expected('a duration with its unit, such as "10s"', hint=f'seconds are written "{said}s"')
    if not isinstance(data, str):
        raise value.expected('a duration with its unit, such as "10s"')
    try:
        return units.duration(data)
    except ValueError as error:
        raise value.expected('a duration with its unit, such as "10s"', hint=str(error)) from error


def word(*choices: str, **also: str) -> Reader:
    """A reader of one of a few words. `also`: other spellings, and what they come to."""

    def read(value: Value) -> str:
        said = value.text(f"one of {', '.join(choices)}")
        if said not in choices and said not in also:
            raise value.expected(f"one of {', '.join(choices)}")
        return also.get(said, said)

    return read


def pattern(expression: str, what: str) -> Reader:
    """A reader of texts of one form."""
    compiled = re.compile(expression)

    def read(value: Value) -> str:
        said = value.text(what)
        if compiled.fullmatch(said) is None:
            raise value.expected(what)
        return said

    return read


def address(value: Value, version: int | None = None) -> str:
    said = value.text("an IP address")
    try:
        parsed = ipaddress.ip_address(said)
    except ValueError as error:
        raise value.expected("an IP address") from error
    if version is not None and parsed.version != version:
        raise value.expected(f"an IPv{version} address")
    return said


def texts(value: Value) -> tuple[str, ...]:
    """A list of texts."""
    return listed(value, text)


def scalars(value: Value) -> tuple[str, ...]:
    """A list of texts or numbers."""
    return listed(value, lambda item: item.scalar(empty=False))


def text_or_texts(value: Value) -> tuple[str, ...]:
    if isinstance(value.data, str):
        return (value.text(),)
    return listed(value, text, "a text or a list of texts")


def listed(value: Value, read: Callable[[Value], T], what: str = "a list of texts") -> tuple[T, ...]:
    """Each item read by `read`, doubles left out as Compose does."""
    found: dict[T, None] = {}
    for item in value.items(what):
        with value.reading.collect():
            found.setdefault(read(item))
    return tuple(found)


def command(value: Value) -> tuple[str, ...]:
    """A list as it is, or a text split into words as a shell would, without any shell."""
    if isinstance(value.data, str):
        said = value.text("a text or a list of texts", empty=True)
        try:
            return words.split(said)
        except ValueError as error:
            raise value.error(str(error), hint='no shell runs it; to have one, write ["sh", "-c", "…"]') from error
    return tuple(item.text("a text", empty=True) for item in value.items("a text or a list of texts"))


def pairs(value: Value, *, booleans: bool = True) -> dict[str, str | None]:
    """Compose's `list_or_dict`: a mapping, or a list of NAME=VALUE. None where only the name is there."""
    if isinstance(value.data, list):
        return _pair_list(value)
    result: dict[str, str | None] = {}
    for name, entry in value.mapping("a mapping, or a list of NAME=VALUE"):
        with value.reading.collect():
            result[_pair_name(entry, name)] = None if entry.data is None else entry.scalar(booleans=booleans)
    return result


def _pair_list(value: Value) -> dict[str, str | None]:
    result: dict[str, str | None] = {}
    for item in value.items():
        with value.reading.collect():
            name, equals, rest = item.text("a text of the form NAME=VALUE").partition("=")
            result[_pair_name(item, name)] = rest if equals else None
    return result


def _pair_name(value: Value, name: str) -> str:
    if not name:
        raise value.error("has an empty name")
    if "\0" in name:
        raise value.error("has a NUL character in its name")
    return name


def text_pairs(value: Value) -> Pairs:
    """Pairs sorted by name; a name without a value has an empty one."""
    return sorted_pairs({name: said or "" for name, said in pairs(value).items()})


def label_pairs(value: Value) -> Pairs:
    """Labels. Shipyard's own are what it knows its property by, so nobody else may write them."""
    found = text_pairs(value)
    for name, _ in found:
        if name == "shipyard" or name.startswith("shipyard."):
            raise value.error(
                f"the label {name!r} is shipyard's own", hint="labels that begin with shipyard. are kept for it"
            )
    return found


def options(value: Value) -> Pairs:
    """A mapping of texts or numbers."""
    result: dict[str, str] = {}
    for name, entry in value.mapping("a mapping of texts"):
        with value.reading.collect():
            result[_pair_name(entry, name)] = "" if entry.data is None else entry.scalar()
    return sorted_pairs(result)


def sorted_pairs(mapping: dict[str, str]) -> Pairs:
    return tuple(sorted(mapping.items()))


def _bounds(least: int | None, most: int | None) -> str:
    if least is None or most is None:
        return f"at least {least}" if most is None else f"at most {most}"
    return f"between {least} and {most}"


def octal(value: Value) -> str:
    """A file mode as octal digits: a number of YAML (`0440` is octal there), or a text of digits."""
    data = value.data
    said = data if isinstance(data, str) else f"{data:o}" if isinstance(data, int) else ""
    if isinstance(data, bool) or re.fullmatch(r"[0-7]{1,5}", said) is None:
        raise value.expected('an octal mode, such as "0755"')
    return said


def anything(value: Value) -> Any:
    """For keys that are accepted and have no effect here."""
    return value.data
