"""Dataclasses of the model as canonical JSON, and back: for hashes, the store and the nodes' copies.

Fields that equal their default are left out, keys are sorted, bytes become base64. A spec's hash is thus over
what was explicitly wished for, and stays the same when a later version adds a field.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import types
import typing
from enum import Enum
from typing import Any, TypeVar, cast

from shipyard.model.spec import ContainerSpec, StackSpec

T = TypeVar("T")

SPEC_VERSION = "v1"
"""Of the canonical form behind the `shipyard.spec` label. Old forms stay computable for ever."""


def to_data(value: Any) -> Any:
    """A model value as plain JSON data, defaults left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if field.default is not dataclasses.MISSING and item == field.default:
                continue
            out[field.name] = to_data(item)
        return out
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Enum):
        return value.value
    return value


def dumps(value: Any) -> str:
    """Canonical JSON: sorted keys, no white space, UTF-8 characters as they are."""
    return json.dumps(to_data(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def loads(kind: type[T], text: str) -> T:
    """The inverse of `dumps`. Raises ValueError where the text is not such a value."""
    try:
        return cast(T, from_data(kind, json.loads(text)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


def from_data(kind: Any, data: Any) -> Any:
    """Plain JSON data as a value of the annotated type `kind`. Unknown keys are a ValueError."""
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast(type, kind), data)
    origin = typing.get_origin(kind)
    if origin is tuple:
        arguments = typing.get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(from_data(arguments[0], item) for item in data)
        return tuple(from_data(part, item) for part, item in zip(arguments, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        (inner,) = [part for part in typing.get_args(kind) if part is not type(None)]
        return from_data(inner, data)
    if kind is bytes:
        return base64.b64decode(data)
    if kind is float and isinstance(data, int):
        return float(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    return data


def _dataclass(kind: type, data: dict[str, Any]) -> Any:
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}")
    return kind(**{name: from_data(hints[name], item) for name, item in data.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def digest(text: str | bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def stack_digest(spec: StackSpec) -> str:
    """Of a revision's body."""
    return digest(dumps(spec))


@functools.lru_cache(maxsize=65536)
def spec_hash(spec: ContainerSpec) -> str:
    """`v1:<16 hex digits>`: the value of the `shipyard.spec` label.

    The networks' live side (who is attached, with which alias) is compared by itself, since it can be put right
    without recreating the container; so can nothing else.
    """
    return f"{SPEC_VERSION}:{digest(dumps(dataclasses.replace(spec, networks=(), pull_policy=None)))[:16]}"
