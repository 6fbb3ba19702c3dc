"""Values of named, typed fields: what is known, wished and done is passed around in these.

`class Node(Struct, frozen=True)` is used like a frozen dataclass. It is msgspec's: the class is made, and its values
are made, changed, compared and hashed, many times faster than a dataclass's, and shipyard has hundreds of them to make
before it begins and millions to handle for thousands of nodes. A dataclass is left where fields must not be shown or
compared.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT, Struct, field
from msgspec.structs import replace as _replace

__all__ = ["MISSING", "Struct", "annotated", "defaults", "field", "is_record", "names", "replace"]

MISSING = NODEFAULT
"""In place of the default of a field that has none."""

if TYPE_CHECKING:
    from dataclasses import replace  # by which the names and types of what is changed are checked
else:

    def replace(value, /, **changes):
        """A copy of a record with some fields changed."""
        if isinstance(value, Struct):
            return _replace(value, **changes)
        return dataclasses.replace(value, **changes)


def is_record(value: object) -> bool:
    """Whether this is a record, or the class of one."""
    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, Struct) or dataclasses.is_dataclass(kind)


def names(kind: type[Any]) -> tuple[str, ...]:
    """Of a record's fields, in order."""
    if issubclass(kind, Struct):
        return kind.__struct_fields__
    return tuple(each.name for each in dataclasses.fields(kind))


def defaults(kind: type[Any]) -> dict[str, Any]:
    """Of each field, in order; MISSING where there is none, or a new one is made each time."""
    if not issubclass(kind, Struct):
        found = {each.name: each.default for each in dataclasses.fields(kind)}
        return {name: MISSING if value is dataclasses.MISSING else value for name, value in found.items()}
    fields, known = kind.__struct_fields__, kind.__struct_defaults__
    rest = len(fields) - len(known)
    return {name: known[at - rest] if at >= rest else MISSING for at, name in enumerate(fields)}


def annotated(kind: type[Any]) -> dict[str, Any]:
    """The annotations of all fields as they are written, which is text."""
    return {
        name: each for base in reversed(kind.__mro__) for name, each in vars(base).get("__annotations__", {}).items()
    }
