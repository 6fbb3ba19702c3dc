"""JSON that a node printed, read strictly: what is not as expected is a ValueError that says so, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from shipyard.base.text import one_line
from shipyard.model.container import Pairs

_DECODER = json.JSONDecoder()
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def array(line: str) -> list[Any]:
    """A line of JSON that is a list. Raises ValueError."""
    value = leading(line, "[")
    return value if isinstance(value, list) else wrong("a list", value)


def leading(line: str, bracket: str) -> Any:
    """The JSON that begins with the first such bracket of the line; what follows it is left out. Raises ValueError."""
    try:
        value, _ = _DECODER.raw_decode(line, max(0, line.find(bracket)))
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error}): {one_line(line, 80)}") from None
    if not isinstance(value, dict if bracket == "{" else list):
        return wrong(f"JSON that begins with {bracket}", value)
    return value


def fields(value: Any, count: int) -> list[Any]:
    """A list of so many items. Raises ValueError."""
    if not isinstance(value, list) or len(value) != count:
        return wrong(f"a list of {count}", value)
    return value


def listed(value: Any) -> list[Any]:
    """A JSON list, or null for an empty one. Raises ValueError."""
    if value is None:
        return []
    return value if isinstance(value, list) else wrong("a list", value)


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or null for an empty one. Raises ValueError."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else wrong("an object", value)


def pairs(value: Any) -> Pairs:
    """A JSON object of strings (or null) as sorted pairs."""
    return tuple(sorted((text(key), text(item)) for key, item in mapping(value).items()))


def text(value: Any) -> str:
    """A string in which every character can be written as UTF-8."""
    if not isinstance(value, str):
        return wrong("text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else wrong("a number", value)


def full_id(value: Any) -> str:
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else wrong("an id", value)


def image_id(value: Any) -> str:
    """With `sha256:` before it, which podman leaves out. Raises ValueError."""
    match = _IMAGE_ID.fullmatch(text(value))
    return f"sha256:{match[1]}" if match else wrong("an image's id", value)


def wrong(expected: str, value: Any) -> NoReturn:
    raise ValueError(f"expected {expected}, found {one_line(repr(value), 80)}")
