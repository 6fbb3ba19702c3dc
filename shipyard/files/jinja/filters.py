"""Ansible's filters and tests that only compute: none reads a file, an environment, a clock or a die."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import math
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from jinja2 import Undefined
from jinja2.exceptions import FilterArgumentError, UndefinedError
from jinja2.filters import FILTERS as JINJAS_OWN

from shipyard.base.shell import quote
from shipyard.files.jinja import bounds

NOT_OFFERED = ("random", "pprint", "urlize", "xmlattr", "forceescape", "safe", "e", "escape", "striptags")
_ANSIBLE_UUIDS = uuid.UUID("361E6D51-FAEC-444A-9079-341386DA8E2E")
_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _bool(value: Any) -> bool:
    word = str(value).lower() if isinstance(value, str | int) else None
    if word in ("yes", "on", "true", "1"):
        return True
    return False if word in ("no", "off", "false", "0") else value == 1


def _ternary(value: Any, yes: Any, no: Any, none: Any = None) -> Any:
    if value is None and none is not None:
        return none
    return yes if bool(value) else no


def _mandatory(value: Any, msg: str | None = None) -> Any:
    if isinstance(value, Undefined):
        if msg is not None:
            raise UndefinedError(msg)
        str(value)
    return value


def _b64decode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    try:
        decode = base64.urlsafe_b64decode if urlsafe else base64.b64decode
        return decode(_text(value).encode()).decode(encoding)
    except (binascii.Error, ValueError) as error:
        raise FilterArgumentError(f"b64decode: {error}") from None


def _b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(_text(value).encode(encoding)).decode()


def _to_json(value: Any, indent: int | None = None, sort_keys: bool = False, ensure_ascii: bool = True) -> str:
    bounds.width(indent)
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii, default=str)


def _to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, ensure_ascii: bool = True) -> str:
    return _to_json(value, indent, sort_keys, ensure_ascii)


def _to_yaml(value: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    known = {key: options[key] for key in ("indent", "width", "sort_keys", "explicit_start") if key in options}
    bounds.width(known.get("indent"))
    return str(yaml.safe_dump(value, default_flow_style=default_flow_style, allow_unicode=True, **known))


def _to_nice_yaml(value: Any, indent: int = 4, **options: Any) -> str:
    return _to_yaml(value, False, indent=indent, **options)


def _from_yaml(value: Any) -> Any:
    from shipyard.files import yamldoc

    return yamldoc.load_one(value, "from_yaml", "1.1").data if isinstance(value, str) else value


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def _regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    text = _text(value)
    bounds.text((len(text) + 1) * (len(replacement) + 1))
    made, times = re.compile(pattern, _flags(ignorecase, multiline)).subn(replacement, text, count=count)
    if mandatory_count and times != mandatory_count:
        raise FilterArgumentError(f"{pattern!r} should match {mandatory_count} times, but matches {times} times")
    return made


def _regex_search(value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    found = re.search(regex, _text(value), _flags(ignorecase, multiline))
    if found is None or not groups:
        return found and found.group()
    return [found.group(_group(name)) for name in groups]


def _group(name: str) -> int | str:
    known = re.fullmatch(r"\\(?:g<(\S+)>|([0-9]{1,3}))", name)
    if known is None:
        raise FilterArgumentError(f"regex_search: {name!r} is no group like '\\\\1' or '\\\\g<name>'")
    return int(known[2]) if known[2] else known[1]


def _regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return re.findall(regex, _text(value), _flags(ignorecase, multiline))


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


def _hash(value: Any, kind: str = "sha1") -> str:
    if kind not in _HASHES:
        raise FilterArgumentError(f"hash knows {', '.join(_HASHES)}, not {kind!r}")
    return hashlib.new(kind, _text(value).encode(), usedforsecurity=False).hexdigest()


def _to_uuid(value: Any, namespace: Any = _ANSIBLE_UUIDS) -> str:
    return str(uuid.uuid5(namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(namespace), _text(value)))


def _sum(value: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    total = start
    for item in value:
        each = item if attribute is None else item[attribute]
        bounds.operation("+", total, each)
        total = total + each
    return total


def _join(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    return bounds.joined([_text(item if attribute is None else item[attribute]) for item in value], _text(d))


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return bounds.replaced(_text(value), _text(old), _text(new), -1 if count is None else count)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    bounds.formatting(_text(value))
    return _text(value) % (kwargs or args)


def _narrow(name: str) -> Callable[..., Any]:
    """One of Jinja's own filters whose numbers are widths, with a bound."""
    own = JINJAS_OWN[name]

    def narrow(*args: Any, **kwargs: Any) -> Any:
        bounds.width(*args[1:], *kwargs.values())
        return own(*args, **kwargs)

    passes = getattr(own, "jinja_pass_arg", None)
    if passes is not None:
        narrow.jinja_pass_arg = passes  # type: ignore[attr-defined]  # how Jinja marks what it passes first
    return narrow


def _path_join(value: Any) -> str:
    return posixpath.join(*value) if isinstance(value, list) else _text(value)


def _type_debug(value: Any) -> str:
    return type(value).__name__


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": _b64decode,
    "b64encode": _b64encode,
    "basename": lambda value: posixpath.basename(_text(value)),
    "bool": _bool,
    "checksum": _hash,
    "combine": _combine,
    "commonpath": posixpath.commonpath,
    "dict2items": _dict2items,
    "difference": _difference,
    "dirname": lambda value: posixpath.dirname(_text(value)),
    "extract": _extract,
    "flatten": _flatten,
    "format": _format,
    "from_json": json.loads,
    "from_yaml": _from_yaml,
    "hash": _hash,
    "intersect": _intersect,
    "items2dict": _items2dict,
    "join": _join,
    "log": lambda value, base=math.e: math.log10(value) if base == 10 else math.log(value, base),
    "mandatory": _mandatory,
    "md5": lambda value: _hash(value, "md5"),
    "normpath": posixpath.normpath,
    "path_join": _path_join,
    "pow": math.pow,
    "product": _product,
    "quote": lambda value: quote("" if value is None else _text(value)),
    "regex_escape": lambda value: re.escape(_text(value)),
    "regex_findall": _regex_findall,
    "regex_replace": _regex_replace,
    "regex_search": _regex_search,
    "replace": _replace,
    "root": lambda value, base=2: math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base)),
    "sha1": _hash,
    "split": lambda value, sep=None, maxsplit=-1: _text(value).split(sep, maxsplit),
    "splitext": lambda value: list(posixpath.splitext(_text(value))),
    "subelements": _subelements,
    "sum": _sum,
    "symmetric_difference": _symmetric_difference,
    "ternary": _ternary,
    "to_json": _to_json,
    "to_nice_json": _to_nice_json,
    "to_nice_yaml": _to_nice_yaml,
    "to_uuid": _to_uuid,
    "to_yaml": _to_yaml,
    "tojson": _to_json,
    "type_debug": _type_debug,
    "union": _union,
    "unique": _unique,
    "zip": _zip,
    "zip_longest": _zip_longest,
    **{name: _narrow(name) for name in ("batch", "center", "indent", "round", "slice", "truncate", "wordwrap")},
}


def _match(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return re.match(pattern, _text(value), _flags(ignorecase, multiline)) is not None


def _search(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return re.search(pattern, _text(value), _flags(ignorecase, multiline)) is not None


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
    parts = re.findall(r"[0-9]{1,18}|[a-z]+", _text(value).lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


TESTS: dict[str, Callable[..., Any]] = {
    "match": _match,
    "search": _search,
    "regex": lambda value, pattern, ignorecase=False, multiline=False: _search(value, pattern, ignorecase, multiline),
    "version": _version,
    "version_compare": _version,
    "truthy": lambda value, convert_bool=False: _bool(value) if convert_bool else bool(value),
    "falsy": lambda value, convert_bool=False: not (_bool(value) if convert_bool else bool(value)),
    "contains": lambda value, item: item in value,
    "subset": lambda value, other: all(item in other for item in value),
    "superset": lambda value, other: all(item in value for item in other),
    "any": any,
    "all": all,
    "abs": lambda value: posixpath.isabs(_text(value)),
    "is_abs": lambda value: posixpath.isabs(_text(value)),
    "nan": math.isnan,
}
