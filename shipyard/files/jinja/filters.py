"""Ansible's filters that only compute: none reads a file, an environment, a clock or a die."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import yaml
from jinja2 import Undefined
from jinja2.exceptions import FilterArgumentError, UndefinedError
from jinja2.filters import FILTERS as JINJAS_OWN

from shipyard.base.shell import quote
from shipyard.files.jinja import bounds
from shipyard.files.jinja.containers import CONTAINERS

NOT_OFFERED = ("random", "pprint", "urlize", "xmlattr", "forceescape", "safe", "e", "escape", "striptags")
_ANSIBLE_UUIDS = uuid.UUID("361E6D51-FAEC-444A-9079-341386DA8E2E")
_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


def text_of(value: Any) -> str:
    """What a filter that works on texts sees."""
    return value if isinstance(value, str) else str(value)


def truth(value: Any) -> bool:
    """What the `bool` filter makes of words and numbers."""
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
        return decode(text_of(value).encode()).decode(encoding)
    except (binascii.Error, ValueError) as error:
        raise FilterArgumentError(f"b64decode: {error}") from None


def _b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(text_of(value).encode(encoding)).decode()


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


def flags(ignorecase: bool, multiline: bool) -> int:
    """Of regular expressions."""
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
    text = text_of(value)
    compiled = re.compile(pattern, flags(ignorecase, multiline))
    if len(text) * len(replacement) > bounds.MAX_TEXT:
        times = sum(1 for _ in compiled.finditer(text))
        bounds.text(len(text) * (1 + replacement.count("\\")) + times * len(replacement))
    made, times = compiled.subn(replacement, text, count=count)
    if mandatory_count and times != mandatory_count:
        raise FilterArgumentError(f"{pattern!r} should match {mandatory_count} times, but matches {times} times")
    return made


def _regex_search(value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    found = re.search(regex, text_of(value), flags(ignorecase, multiline))
    if found is None or not groups:
        return found and found.group()
    return [found.group(_group(name)) for name in groups]


def _group(name: str) -> int | str:
    known = re.fullmatch(r"\\(?:g<(\S+)>|([0-9]{1,3}))", name)
    if known is None:
        raise FilterArgumentError(f"regex_search: {name!r} is no group like '\\\\1' or '\\\\g<name>'")
    return int(known[2]) if known[2] else known[1]


def _regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return re.findall(regex, text_of(value), flags(ignorecase, multiline))


def _hash(value: Any, kind: str = "sha1") -> str:
    if kind not in _HASHES:
        raise FilterArgumentError(f"hash knows {', '.join(_HASHES)}, not {kind!r}")
    return hashlib.new(kind, text_of(value).encode(), usedforsecurity=False).hexdigest()


def _to_uuid(value: Any, namespace: Any = _ANSIBLE_UUIDS) -> str:
    return str(uuid.uuid5(namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(namespace), text_of(value)))


def _join(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    return bounds.joined([text_of(item if attribute is None else item[attribute]) for item in value], text_of(d))


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return bounds.replaced(text_of(value), text_of(old), text_of(new), -1 if count is None else count)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    bounds.formatting(text_of(value))
    return text_of(value) % (kwargs or args)


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
    return posixpath.join(*value) if isinstance(value, list) else text_of(value)


def _type_debug(value: Any) -> str:
    return type(value).__name__


FILTERS: dict[str, Callable[..., Any]] = {
    **CONTAINERS,
    "b64decode": _b64decode,
    "b64encode": _b64encode,
    "basename": lambda value: posixpath.basename(text_of(value)),
    "bool": truth,
    "checksum": _hash,
    "commonpath": posixpath.commonpath,
    "dirname": lambda value: posixpath.dirname(text_of(value)),
    "format": _format,
    "from_json": json.loads,
    "from_yaml": _from_yaml,
    "hash": _hash,
    "join": _join,
    "log": lambda value, base=math.e: math.log10(value) if base == 10 else math.log(value, base),
    "mandatory": _mandatory,
    "md5": lambda value: _hash(value, "md5"),
    "normpath": posixpath.normpath,
    "path_join": _path_join,
    "pow": math.pow,
    "quote": lambda value: quote("" if value is None else text_of(value)),
    "regex_escape": lambda value: re.escape(text_of(value)),
    "regex_findall": _regex_findall,
    "regex_replace": _regex_replace,
    "regex_search": _regex_search,
    "replace": _replace,
    "root": lambda value, base=2: math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base)),
    "sha1": _hash,
    "split": lambda value, sep=None, maxsplit=-1: text_of(value).split(sep, maxsplit),
    "splitext": lambda value: list(posixpath.splitext(text_of(value))),
    "ternary": _ternary,
    "to_json": _to_json,
    "to_nice_json": _to_nice_json,
    "to_nice_yaml": _to_nice_yaml,
    "to_uuid": _to_uuid,
    "to_yaml": _to_yaml,
    "tojson": _to_json,
    "type_debug": _type_debug,
    **{name: _narrow(name) for name in ("batch", "center", "indent", "round", "slice", "truncate", "wordwrap")},
}
