"""Variables that are rendered when they are used, and not before.

A variable may refer to others, in any order, and one that nobody uses may be broken without harm: this is how
Ansible's variables behave. Mappings and lists that hold templates are shown to templates through views that
render an item when it is asked for; `plain` makes real ones of them, wherever they leave the template.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from jinja2 import Undefined

from shipyard.files.jinja import bounds
from shipyard.files.values import Unsafe, Vaulted, holds_template

MAX_DEPTH = 100
Evaluate = Callable[[str], Any]


class LoopError(Exception):
    """A variable that needs itself; the message names the way."""


class NoValueError(Exception):
    """Something that a template came to, but that is no value a file can hold."""


class OmitType:
    """What `omit` is: an item that comes to it is left out."""

    def __repr__(self) -> str:
        return "omit"


OMIT = OmitType()


class Scope:
    """How the texts of one namespace are rendered, and which of them are being rendered now."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._open: list[str] = []

    def value(self, raw: Any, name: str) -> Any:
        """What a template sees of a raw value: a text rendered, a container with templates as a view."""
        if isinstance(raw, Vaulted):
            return raw.open()
        if not holds_template(raw):
            return raw
        if isinstance(raw, Mapping):
            return LazyDict(raw, self, name)
        if isinstance(raw, list | tuple):
            return LazyList(raw, self, name)
        if name in self._open:
            way = [*self._open[self._open.index(name) :], name]
            raise LoopError("these variables need each other: " + " -> ".join(way))
        if len(self._open) > MAX_DEPTH:
            raise LoopError(f"variables refer to variables more than {MAX_DEPTH} times over")
        self._open.append(name)
        try:
            return self._evaluate(raw)
        finally:
            self._open.pop()


class View:
    """What stands for values that are rendered when asked for."""


class LazyDict(View, Mapping[Any, Any]):
    """A mapping whose values are rendered when asked for."""

    def __init__(self, raw: Mapping[Any, Any], scope: Scope, name: str) -> None:
        self._raw, self._scope, self._name = raw, scope, name
        self._known: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if key not in self._known:
            self._known[key] = self._scope.value(self._raw[key], f"{self._name}.{key}")
        return self._known[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        return bool(plain(self) == plain(other))

    __hash__ = None  # type: ignore[assignment]  # as of dict

    def __str__(self) -> str:
        return str(plain(self))

    def copy(self) -> Any:
        """A real dict: templates call this before changing one."""
        return plain(self)


class LazyList(View, Sequence[Any]):
    """A list whose items are rendered when asked for."""

    def __init__(self, raw: Sequence[Any], scope: Scope, name: str) -> None:
        self._raw, self._scope, self._name = raw, scope, name

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self._raw)))]
        return self._scope.value(self._raw[index], f"{self._name}[{index}]")

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        return bool(plain(self) == plain(other))

    __hash__ = None  # type: ignore[assignment]  # as of list

    def __str__(self) -> str:
        return str(plain(self))


def plain(value: Any, depth: int = 0) -> Any:
    """The value without views, tuples and marked texts; what is `omit` left out. Other objects are handed on.

    Raises jinja2's UndefinedError where a value inside is undefined.
    """
    bounds.spend()
    if isinstance(value, str):
        bounds.text(len(value))
        return str(value) if type(value) is not str else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Vaulted):
        return plain(value.open())
    if depth > MAX_DEPTH:
        raise bounds.TooMuchError(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return dict(_pairs(value, depth + 1))
    if isinstance(value, list | tuple | LazyList):
        items = list(_items(value, depth + 1))
        return type(value)(*items) if hasattr(value, "_fields") else items
    if depth and isinstance(value, Undefined):
        str(value)
    return value


def _pairs(value: Mapping[Any, Any], depth: int) -> Iterator[tuple[Any, Any]]:
    for key, item in value.items():
        if item is not OMIT:
            yield (str(key) if isinstance(key, Unsafe) else key), plain(item, depth)


def _items(value: Iterable[Any], depth: int) -> Iterator[Any]:
    for item in value:
        if item is not OMIT:
            yield plain(item, depth)


def final(value: Any) -> Any:
    """The plain value that leaves rendering. Raises NoValueError for what no file can hold, such as a method."""
    made = plain(value)
    if isinstance(made, Undefined):
        str(made)
    return _checked(listed(made))


def _checked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_checked(item) for item in value]
    if value is None or isinstance(value, str | int | float | bytes | datetime.date | OmitType):
        return value
    what = "a method that is not called" if callable(value) else f"a {type(value).__name__}"
    raise NoValueError(f"comes to {what}, which is no value")


def listed(value: Any) -> Any:
    """Iterators and dict views as lists, which can be used twice and shown."""
    if isinstance(value, str | bytes | Mapping | list | tuple | LazyList | Undefined) or not isinstance(
        value, Iterable
    ):
        return value
    if isinstance(value, range):
        return value
    made = []
    for item in value:
        bounds.spend()
        made.append(item)
    bounds.items(len(made))
    return made
