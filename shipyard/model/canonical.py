"""Records of the model as canonical JSON, and back: for hashes, the store and the nodes' copies.

Fields that equal their default are left out, keys are sorted, bytes become base64. A spec's hash is thus over
what was explicitly wished for, and stays the same when a later version adds a field.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, cast

from shipyard.base.record import MISSING, annotated, defaults, is_record, replace
from shipyard.model.container import ContainerSpec
from shipyard.model.spec import StackSpec

T = TypeVar("T")

SPEC_VERSION = "v1"
"""Of the canonical form behind the `shipyard.spec` label. Old forms stay computable for ever."""


_FLOATS = (float, "float", "float | None")
_PLAIN = frozenset({str, int, float, bool, type(None)})
_ABSENT = object()


def to_data(value: Any) -> Any:
    """A model value as plain JSON data, defaults left out.

    A whole number in a float field is written as a float, as it will be when it is read back: hashes must not
    depend on which of the two somebody happened to write.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if is_record(value) and not isinstance(value, type):
        out = {}
        for name, default, is_float in _fields(cast(type, type(value))):
            item = getattr(value, name)
            if item is default or item == default:
                continue
            out[name] = float(item) if is_float and isinstance(item, int) else to_data(item)
        return out
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.value if isinstance(value, Enum) else value


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    """Name, default (a thing that equals nothing where there is none) and whether it is a float's."""
    written = annotated(kind)
    return tuple(
        (name, _ABSENT if default is MISSING else default, written[name] in _FLOATS)
        for name, default in defaults(kind).items()
    )


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
    read = _reader(kind)
    return data if read is None else read(data)


Reader = Callable[[Any], Any]


@functools.cache
def _reader(kind: Any) -> Reader | None:
    """What makes a value of this type from JSON data; None where the data is the value. Made once for each type."""
    if isinstance(kind, type) and is_record(kind):
        return _record_reader(kind)
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _tuple_reader(typing.get_args(kind))
    if origin in (typing.Union, types.UnionType):
        (inner,) = [part for part in typing.get_args(kind) if part is not type(None)]
        read = _reader(inner)
        return None if read is None else lambda data: None if data is None else read(data)
    if kind is bytes:
        return base64.b64decode
    if kind is float:
        return lambda data: float(data) if isinstance(data, int) else data
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return None


def _tuple_reader(parts: tuple[Any, ...]) -> Reader:
    if len(parts) == 2 and parts[1] is Ellipsis:
        read = _reader(parts[0])
        return tuple if read is None else lambda data: tuple([read(item) for item in data])
    readers = [_reader(part) for part in parts]
    if any(readers):
        return lambda data: tuple(
            [item if read is None else read(item) for read, item in zip(readers, data, strict=True)]
        )
    length = len(parts)

    def read_plain(data: Any) -> tuple[Any, ...]:
        if len(data) != length:
            raise ValueError(f"{len(data)} values where {length} belong")
        return tuple(data)

    return read_plain


def _record_reader(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    readers: dict[str, Reader | None] = {}

    def read(data: dict[str, Any]) -> Any:
        if not readers:  # made at first use, so that types may hold each other
            readers.update({name: _reader(hint) for name, hint in hints.items()})
        unknown = sorted(data.keys() - readers.keys())
        if unknown:
            raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}")
        return kind(**{name: item if (of := readers[name]) is None else of(item) for name, item in data.items()})

    return read


def digest(text: str | bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def stack_digest(spec: StackSpec) -> str:
    """Of a revision's body, and the digest of the revision where that holds no secrets."""
    return digest(dumps(spec))


@functools.lru_cache(maxsize=65536)
def spec_hash(spec: ContainerSpec) -> str:
    """`v1:<16 hex digits>`: the value of the `shipyard.spec` label.

    The networks' live side (who is attached, with which alias) is compared by itself, since it can be put right
    without recreating the container; so can nothing else.
    """
    return f"{SPEC_VERSION}:{digest(dumps(_hashed(spec)))[:16]}"


def _hashed(spec: ContainerSpec) -> ContainerSpec:
    members = tuple(replace(each, container=_hashed(each.container)) for each in spec.members)
    return replace(spec, networks=(), pull_policy=None, members=members, hidden=())
