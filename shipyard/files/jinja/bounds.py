"""How much a template may do, so that a hostile one ends with an error and not with the machine.

Templates come with folders that people fetched elsewhere. Each rendering has a budget of steps (turns of loops,
values looked at) and no value may grow beyond a size; whatever could multiply is checked before it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MAX_STEPS = 300_000
"""Of one template: turns of loops and values looked at; a call counts as CALL of them."""
CALL = 10
MAX_TEXT = 4 * 1024 * 1024
MAX_ITEMS = 200_000
MAX_WIDTH = 10_000
"""Of padding, indenting, rounding and batches."""
MAX_BITS = 4096
"""Of whole numbers."""

_WIDE_FORMAT = re.compile(r"[0-9]{5,}|%[-+ #0]*\*|%[^a-zA-Z%]*\.\*|\{[^{}]*\{")
_PADDERS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes"})
_left: ContextVar[list[int]] = ContextVar("steps left of this rendering")


class TooMuchError(Exception):
    """The template asked for more than any file needs."""


@contextmanager
def budget() -> Iterator[None]:
    """The steps of one rendering; what is rendered within it shares them."""
    if _left.get(None) is not None:
        yield
        return
    token = _left.set([MAX_STEPS])
    try:
        yield
    finally:
        _left.reset(token)


def spend(steps: int = 1) -> None:
    """Take steps from the budget. Raises TooMuchError when it is empty."""
    left = _left.get(None)
    if left is None:
        return
    left[0] -= steps
    if left[0] < 0:
        raise TooMuchError(f"takes more than {MAX_STEPS:,} steps")


def text(size: int) -> None:
    """Raises TooMuchError for a text of so many characters."""
    if size > MAX_TEXT:
        raise TooMuchError(f"makes a text of more than {MAX_TEXT // 2**20} MiB")


def items(count: int) -> None:
    """Raises TooMuchError for a list of so many items."""
    if count > MAX_ITEMS:
        raise TooMuchError(f"makes a list of more than {MAX_ITEMS:,} items")


def width(*numbers: Any) -> None:
    """Raises TooMuchError if any of these is a number too large to pad or indent with."""
    if any(isinstance(number, int | float) and abs(number) > MAX_WIDTH for number in numbers):
        raise TooMuchError(f"pads or rounds to more than {MAX_WIDTH:,} places")


def formatting(form: str) -> None:
    """Raises TooMuchError for a format whose width is large, or computed."""
    if _WIDE_FORMAT.search(form):
        raise TooMuchError("has a format with a huge or computed width")


def joined(parts: list[str], between: str = "") -> str:
    """The parts as one text, measured before it is made."""
    text(sum(map(len, parts)) + len(between) * max(0, len(parts) - 1))
    return between.join(parts)


def replaced(whole: str, old: str, new: str, count: int = -1) -> str:
    """`str.replace`, measured before it is done."""
    times = whole.count(old) if count < 0 else min(count, whole.count(old))
    text(len(whole) + times * len(new))
    return whole.replace(old, new, count)


def operation(operator: str, left: Any, right: Any) -> None:
    """Check an arithmetic operator before it works."""
    if operator == "%" and isinstance(left, str):
        formatting(left)
    elif operator == "*":
        _times(left, right)
        _times(right, left)
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
            raise TooMuchError(f"makes a number of more than {MAX_BITS:,} bits")
    elif operator == "+":
        if isinstance(left, str) and isinstance(right, str):
            text(len(left) + len(right))
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            items(len(left) + len(right))


def _times(thing: Any, times: Any) -> None:
    if not isinstance(times, int):
        return
    if isinstance(thing, str | bytes):
        text(len(thing) * max(times, 0))
    elif isinstance(thing, list | tuple):
        items(len(thing) * max(times, 0))
    elif isinstance(thing, int) and thing.bit_length() + times.bit_length() > MAX_BITS:
        raise TooMuchError(f"makes a number of more than {MAX_BITS:,} bits")


def method(function: Any, args: tuple[Any, ...]) -> None:
    """Check a method of a text or a number before it is called."""
    inner = getattr(function, "__wrapped__", function)
    owner, name = getattr(inner, "__self__", None), getattr(inner, "__name__", "")
    if not isinstance(owner, str | bytes | int) or isinstance(owner, bool):
        return
    if name in _PADDERS:
        width(*args)
    elif name in ("format", "format_map"):
        formatting(str(owner))
    elif name == "replace" and isinstance(owner, str) and len(args) >= 2:
        text(len(owner) + owner.count(str(args[0])) * len(str(args[1])))
    elif name == "translate":
        raise TooMuchError("uses translate, which no file needs")
    elif name == "join" and args and isinstance(args[0], list | tuple):
        between = owner if isinstance(owner, str) else ""
        text(sum(len(str(item)) for item in args[0]) + len(between) * len(args[0]))
