"""Ansible's tests (`x is match('a')`) that only compute."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable
from typing import Any

from jinja2.exceptions import FilterArgumentError

from shipyard.files.jinja.filters import flags, text_of, truth


def _match(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return re.match(pattern, text_of(value), flags(ignorecase, multiline)) is not None


def _search(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return re.search(pattern, text_of(value), flags(ignorecase, multiline)) is not None


def _version(value: Any, other: Any, operator: str = "==") -> bool:
    left, right = _version_key(value), _version_key(other)
    order = (left > right) - (left < right)
    match operator:
        case "==" | "=" | "eq":
            return order == 0
        case "!=" | "<>" | "ne":
            return order != 0
        case "<" | "lt":
            return order < 0
        case "<=" | "le":
            return order <= 0
        case ">" | "gt":
            return order > 0
        case ">=" | "ge":
            return order >= 0
    raise FilterArgumentError(f"version knows no operator {operator!r}")


def _version_key(value: Any) -> list[tuple[int, int, str]]:
    """Numbers before words, as versions are compared loosely."""
    parts = re.findall(r"[0-9]{1,18}|[a-z]+", text_of(value).lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


TESTS: dict[str, Callable[..., Any]] = {
    "match": _match,
    "search": _search,
    "regex": lambda value, pattern, ignorecase=False, multiline=False: _search(value, pattern, ignorecase, multiline),
    "version": _version,
    "version_compare": _version,
    "truthy": lambda value, convert_bool=False: truth(value) if convert_bool else bool(value),
    "falsy": lambda value, convert_bool=False: not (truth(value) if convert_bool else bool(value)),
    "contains": lambda value, item: item in value,
    "subset": lambda value, other: all(item in other for item in value),
    "superset": lambda value, other: all(item in value for item in other),
    "any": any,
    "all": all,
    "abs": lambda value: posixpath.isabs(text_of(value)),
    "is_abs": lambda value: posixpath.isabs(text_of(value)),
    "nan": math.isnan,
}
