"""The two dialects of YAML, as loaders that know which plain word is a number, a boolean or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

import yaml

Dialect = Literal["1.1", "1.2"]


class _Ansible(yaml.CSafeLoader):
    """YAML 1.1, as Ansible reads it."""


class WrittenInt(int):
    """A whole number whose spelling says more than its value: `0755`, `1_000`, `+5`."""

    written: str


class WrittenFloat(float):
    """The same of a number with a fraction: `1.10`, `1e3`."""

    written: str


class _Core(yaml.CSafeLoader):
    """YAML 1.2's core schema with Compose's numbers: `on`, `22:22` and dates are strings."""


_Core.yaml_implicit_resolvers = {}
_DIGITS = r"[0-9](?:[0-9_]*[0-9])?"
_NUMBER = rf"[-+]?(?:\.[0-9]+|{_DIGITS}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?(?:{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)", "-+0123456789"),
    ("float", _NUMBER, "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("merge", r"<<", "<"),
):
    _firsts = [*_first, ""] if _tag == "null" else [*_first]
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _firsts)


def _core_int(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node))
    digits = text.replace("_", "").lower()
    bare = digits.lstrip("+-")
    if bare.isdigit() and bare.startswith("0") and len(bare) > 1:
        if not set(bare) <= set("01234567"):
            return _core_float(loader, node)
        digits = digits.replace(bare, f"0o{bare}")
    value = int(digits, 0)
    if not -(2**63) <= value < 2**64:
        return _core_float(loader, node)
    if str(value) == text:
        return value
    number = WrittenInt(value)
    number.written = text
    return number


def _core_float(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node))
    value = float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    if repr(value) == text:
        return value
    number = WrittenFloat(value)
    number.written = text
    return number


_Core.add_constructor("tag:yaml.org,2002:int", _core_int)
_Core.add_constructor("tag:yaml.org,2002:float", _core_float)

LOADERS: dict[Dialect, type[yaml.CSafeLoader]] = {"1.1": _Ansible, "1.2": _Core}


def plain_tag(loader: yaml.CSafeLoader, word: str) -> str:
    """What a word without quotes or tag is, in the dialect of this loader."""
    resolve = cast(Callable[..., str], loader.resolve)
    return resolve(yaml.ScalarNode, word, (True, False))
