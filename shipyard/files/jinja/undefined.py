"""What is undefined: it may be passed around and tested, and is an error with a name as soon as it is used."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2.exceptions import UndefinedError
from jinja2.runtime import StrictUndefined
from jinja2.utils import missing

from shipyard.files.jinja.lazy import LazyDict, LazyList


class NotDefinedError(UndefinedError):
    """A variable or key that is not there. `name`: the variable; `near`: the existing name most like it."""

    def __init__(self, message: str, name: str | None = None, near: str | None = None) -> None:
        super().__init__(message)
        self.name, self.near = name, near


class Missing(StrictUndefined):
    """What is undefined. An attribute of it is undefined for the same reason, so that `a.b | default(1)` works."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        near = None
        if hint is None and name is not None and obj is not missing:
            near = nearest(name, obj) if isinstance(obj, Mapping) else None
            hint = f"there is no {name!r} in {_described(obj)}"
        elif hint is None:
            hint = f"the variable {name!r} is not defined"
        if exc is UndefinedError:
            exc = _exception(name if obj is missing else None, near)
        super().__init__(hint, obj, name, exc)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self


def _exception(name: str | None, near: str | None) -> Callable[[str], NotDefinedError]:
    return lambda message: NotDefinedError(message, name, near)


def nearest(name: str, names: Iterable[Any]) -> str | None:
    """The existing name that looks most like this one."""
    close = difflib.get_close_matches(str(name), [known for known in names if isinstance(known, str)], 1, 0.7)
    return close[0] if close else None


def _described(obj: Any) -> str:
    if isinstance(obj, LazyDict | LazyList):
        return f"{obj._name!r}"
    if isinstance(obj, Mapping):
        return f"the mapping with {', '.join(map(repr, list(obj)[:5])) or 'no keys'}"[:120]
    return f"the value of type {type(obj).__name__}"
