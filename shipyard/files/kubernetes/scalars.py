"""Readers of single values: Kubernetes' names, and what every field of its kind has to be."""

from __future__ import annotations

import re
from typing import Any

from shipyard.files.compose.value import Value

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_SERVICE = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LABEL_NAME = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def boolean(value: Value) -> bool:
    if not isinstance(value.data, bool):
        raise value.expected("true or false")
    return value.data


def text(value: Value) -> str:
    return value.text(empty=True)


def label_name(value: Value) -> str:
    """The name of a namespace, a container or a volume."""
    return _named(value, _LABEL, 63, "lower-case letters, digits and -, at most 63, no - at either end")


def object_name(value: Value) -> str:
    what = "lower-case letters, digits, - and ., at most 253, a letter or digit at either end"
    return _named(value, _SUBDOMAIN, 253, what)


def service_name(value: Value) -> str:
    return _named(value, _SERVICE, 63, "lower-case letters, digits and -, at most 63, a letter first, no - at the end")


def _named(value: Value, form: re.Pattern[str], most: int, what: str) -> str:
    said = value.text("a name", empty=False)
    if len(said) > most or form.fullmatch(said) is None:
        raise value.error(f'"{said}" is no name that Kubernetes takes here: {what}')
    return said


def data_key(value: Value, name: str) -> str:
    if _KEY.fullmatch(name) is None or name in (".", ".."):
        raise value.error(f'"{name}" is no key of such data: letters, digits, -, _ and . only')
    return name


def is_variable(name: str) -> bool:
    """Whether a key of data can be an environment variable."""
    return _VARIABLE.fullmatch(name) is not None


def labels(value: Value) -> dict[str, str]:
    """Labels, or what they are selected by."""
    found: dict[str, str] = {}
    for name, entry in value.mapping("a mapping of labels"):
        with value.reading.collect():
            if _LABEL_NAME.fullmatch(name) is None:
                raise entry.error(f'"{name}" is no name of a label')
            words = entry.text("a text", empty=True)
            if _LABEL_VALUE.fullmatch(words) is None:
                raise entry.error(f'"{words}" is no value of a label: letters, digits, -, _ and ., at most 63')
            found[name] = words
    return found


def texts(value: Value) -> list[str]:
    """A list of texts, doubles and empty ones kept."""
    return [item.text("a text", empty=True) for item in value.items("a list of texts")]


def whole(least: int = 0, most: int = 2**31 - 1) -> Any:
    """A reader of whole numbers within bounds."""

    def read(value: Value) -> int:
        data = value.data
        if not isinstance(data, int) or isinstance(data, bool):
            raise value.expected("a whole number")
        if not least <= data <= most:
            raise value.error(f"must be between {least} and {most}, found {int(data)}")
        return int(data)

    return read


def word(*choices: str) -> Any:
    """A reader of one of a few words, which are spelt as they are."""

    def read(value: Value) -> str:
        said = value.text(f"one of {', '.join(choices)}")
        if said not in choices:
            raise value.expected(f"one of {', '.join(choices)}")
        return said

    return read


def port(value: Value) -> int:
    """A port's number."""
    found: int = whole(1, 65535)(value)
    return found


def port_or_name(value: Value) -> int | str:
    """A port's number, or the name that a container gives one."""
    if isinstance(value.data, str):
        if not re.fullmatch(r"[a-z0-9-]{1,15}", value.data) or not re.search("[a-z]", value.data):
            raise value.expected("a port: a number, or the name of a container's port")
        return value.text()
    return port(value)


def share(value: Value) -> tuple[int, bool]:
    """A whole number, or a percentage. True for a percentage."""
    if isinstance(value.data, str):
        match = re.fullmatch(r"([0-9]{1,4})%", value.data)
        if match is None:
            raise value.expected("a whole number, or a share such as 25%")
        return int(match[1]), True
    return whole()(value), False
