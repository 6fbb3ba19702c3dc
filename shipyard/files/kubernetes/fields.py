"""Tables of fields: which there are, what becomes of each, and what is said of those that come to nothing.

A field is carried out, said (allowed, with a warning that names it), refused (an error), or passed over where it says
nothing about what runs (what the API server writes). None is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.files.compose.keys import unknown
from shipyard.files.compose.value import Value
from shipyard.files.yamldoc import dotted

State = Literal["carried", "said", "refused", "passed"]
Reader = Callable[[Value], Any]

TABLES: list[Fields] = []
"""All of them, for the documentation."""


class Field(Struct, frozen=True):
    """`how`: what it comes to, or why it does not. `usual`: values of which nothing needs to be said."""

    name: str
    state: State
    how: str
    read: Reader | None = None
    hint: str = ""
    usual: tuple[Any, ...] = ()


class Got(dict[str, Any]):
    """What the fields of a section were read as. To ask for one that had an error is that error again, told once."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, FileError] = {}

    def __missing__(self, name: str) -> Any:
        if name in self.errors:
            raise self.errors[name]
        raise KeyError(name)


class Fields:
    """The fields of one kind of section; `title` is what errors call it (`a container`)."""

    def __init__(self, title: str, *fields: Field) -> None:
        self.title = title
        self.fields = {field.name: field for field in fields}
        TABLES.append(self)

    def read(self, value: Value) -> Got:
        """What each field that is carried out was read as. Errors are noted one by one; null is as not written."""
        got = Got()
        for name, entry in value.mapping(f"a mapping with the fields of {self.title}"):
            with value.reading.collect():
                try:
                    self._field(name, entry, got)
                except FileError as error:
                    got.errors[name] = error
                    raise
        return got

    def _field(self, name: str, entry: Value, got: Got) -> None:
        field = self.fields.get(name)
        if field is None:
            raise unknown(entry, name, self.fields, self.title)
        if entry.data is None or field.state == "passed":
            return
        if field.read is not None:
            got[name] = field.read(entry)
        elif entry.data not in ({}, [], "") and entry.data not in field.usual:
            if field.state == "refused":
                raise entry.error(field.how, hint=field.hint or None)
            warn(entry, field.how)


def warn(value: Value, message: str) -> None:
    """What is allowed but worth knowing, with file, line and the field's path."""
    mark = value.reading.marks.at(value.path)
    text = f"{mark.file}:{mark.line}: {dotted(value.path)}: {message}"
    if text not in value.reading.notices:
        value.reading.notices.append(text)


def done(name: str, how: str, read: Reader) -> Field:
    return Field(name, "carried", how, read)


def said(name: str, why: str, *usual: Any) -> Field:
    return Field(name, "said", why, usual=usual)


def refused(name: str, why: str, hint: str = "", *usual: Any) -> Field:
    return Field(name, "refused", why, hint=hint, usual=usual)


def passed(name: str, why: str = "is the API server's") -> Field:
    return Field(name, "passed", why)


def itself(value: Value) -> Value:
    """For what is read later, when more is known."""
    return value


def listed(value: Value, read: Callable[[Value], Any], what: str = "a list") -> list[Any]:
    """Each item read, errors noted one by one."""
    found = []
    for item in value.items(what):
        with value.reading.collect():
            found.append(read(item))
    return found


def entries(value: Value, what: str = "a list") -> Iterator[Value]:
    """Each item, for a loop of which the body's errors are the item's own."""
    yield from value.items(what)


def need(value: Value, *names: str) -> None:
    """Raise the error that a field is not there."""
    for name in names:
        if not isinstance(value.data, dict) or value.data.get(name) is None:
            raise value.error(f"has no {name}")
