"""Ansible's filters over lists and mappings. Sets keep the order of what they were made from."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2.exceptions import FilterArgumentError

from shipyard.files.jinja import bounds


def _combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> Any:
    merged: dict[Any, Any] = {}
    for term in _flatten(terms, 1):
        if not isinstance(term, Mapping):
            raise FilterArgumentError(f"combine takes mappings, not {type(term).__name__}")
        merged = _merged(merged, term, recursive, list_merge)
    return merged


def _merged(low: Mapping[Any, Any], high: Mapping[Any, Any], recursive: bool, list_merge: str) -> dict[Any, Any]:
    made = dict(low)
    for key, new in high.items():
        old = made.get(key)
        if recursive and isinstance(old, Mapping) and isinstance(new, Mapping):
            made[key] = _merged(old, new, recursive, list_merge)
        elif isinstance(old, list) and isinstance(new, list):
            made[key] = _merged_lists(old, new, list_merge)
        else:
            made[key] = new
    return made


def _merged_lists(old: list[Any], new: list[Any], how: str) -> list[Any]:
    match how:
        case "replace":
            return new
        case "keep":
            return old
        case "append":
            return old + new
        case "prepend":
            return new + old
        case "append_rp":
            return [item for item in old if item not in new] + new
        case "prepend_rp":
            return new + [item for item in old if item not in new]
    raise FilterArgumentError(f"combine knows no list_merge {how!r}")


def _flatten(value: Iterable[Any], levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    made: list[Any] = []
    for item in value:
        if skip_nulls and item in (None, "None", "null"):
            continue
        if isinstance(item, list | tuple) and (levels is None or levels > 0):
            made += _flatten(item, None if levels is None else levels - 1, skip_nulls)
        else:
            made.append(item)
        bounds.items(len(made))
    return made


def _dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise FilterArgumentError(f"dict2items takes a mapping, not {type(value).__name__}")
    return [{key_name: key, value_name: item} for key, item in value.items()]


def _items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    try:
        return {item[key_name]: item[value_name] for item in value}
    except (KeyError, TypeError) as error:
        raise FilterArgumentError(
            f"items2dict takes a list of mappings with {key_name} and {value_name}: {error}"
        ) from None


def _subelements(value: Any, path: Any, skip_missing: bool = False) -> list[Any]:
    made = []
    for element in value.values() if isinstance(value, Mapping) else value:
        below = element
        for key in path if isinstance(path, list) else path.split("."):
            below = below.get(key, []) if skip_missing and isinstance(below, Mapping) else below[key]
        made += [[element, item] for item in below]
    return made


def _extract(item: Any, container: Any, morekeys: Any = None) -> Any:
    keys = [item] if morekeys is None else [item, *(morekeys if isinstance(morekeys, list) else [morekeys])]
    for key in keys:
        container = container[key]
    return container


def _unique(value: Iterable[Any], case_sensitive: bool = True, attribute: str | None = None) -> list[Any]:
    seen: set[str] = set()
    made = []
    for item in value:
        shown = item[attribute] if attribute is not None else item
        key = json.dumps(shown, sort_keys=True, default=str)
        key = key if case_sensitive else key.lower()
        if key not in seen:
            seen.add(key)
            made.append(item)
    return made


def _intersect(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    kept = {json.dumps(item, sort_keys=True, default=str) for item in right}
    return [item for item in _unique(left) if json.dumps(item, sort_keys=True, default=str) in kept]


def _difference(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    gone = {json.dumps(item, sort_keys=True, default=str) for item in right}
    return [item for item in _unique(left) if json.dumps(item, sort_keys=True, default=str) not in gone]


def _union(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    return _unique([*left, *right])


def _symmetric_difference(left: list[Any], right: list[Any]) -> list[Any]:
    return _difference(left, right) + _difference(right, left)


def _product(*lists: list[Any]) -> list[Any]:
    bounds.items(math.prod(len(part) for part in lists))
    return [list(chosen) for chosen in itertools.product(*lists)]


def _zip(*lists: list[Any]) -> list[Any]:
    return [list(group) for group in zip(*lists, strict=False)]


def _zip_longest(*lists: list[Any], fillvalue: Any = None) -> list[Any]:
    return [list(group) for group in itertools.zip_longest(*lists, fillvalue=fillvalue)]


def _sum(value: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    total = start
    for item in value:
        each = item if attribute is None else item[attribute]
        bounds.operation("+", total, each)
        total = total + each
    return total


CONTAINERS: dict[str, Callable[..., Any]] = {
    "combine": _combine,
    "dict2items": _dict2items,
    "difference": _difference,
    "extract": _extract,
    "flatten": _flatten,
    "intersect": _intersect,
    "items2dict": _items2dict,
    "product": _product,
    "subelements": _subelements,
    "sum": _sum,
    "symmetric_difference": _symmetric_difference,
    "union": _union,
    "unique": _unique,
    "zip": _zip,
    "zip_longest": _zip_longest,
}
