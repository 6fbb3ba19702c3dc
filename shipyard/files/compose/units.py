"""Sizes, durations and numbers as Compose spells them. Everything raises ValueError with the reason."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?([kmgtp]?)(i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")
_UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
}


def size(text: str) -> int:
    """Bytes: `64m`, `1.5gb`, `10 KiB`, `4096`. Units are powers of 1024 with and without the i, as Docker has them."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a size is a number with b, k, m, g, t or p behind it, such as 64m or 1.5gb")
    return int(Decimal(match.group(1)) * 1024 ** _POWERS[match.group(2).lower()])


def duration(text: str) -> float:
    """Seconds: `10s`, `1m30s`, `1.5h`, `500ms`, `1d`."""
    if text == "0":
        return 0.0
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError("a duration is a number with its unit, such as 10s, 1m30s or 500ms")
    return float(sum((Decimal(part.group(1)) * _UNITS[part.group(2)] for part in parts), Decimal(0)))


def number_text(value: Any) -> str:
    """A YAML scalar as Compose turns it into text: `true`, `8080`, `1.1`, `1e+08`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float_text(float(value))
    return "" if value is None else str(value)


def _float_text(value: float) -> str:
    """The shortest digits that mean this number, with an exponent below 1e-4 and from 1e6 on, as Go prints it."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    point = len(digits) + int(exponent)
    minus = "-" if sign else ""
    text = "".join(map(str, digits))
    if not -4 <= point - 1 < 6:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{point - 1:+03d}"
    return minus + format(abs(Decimal(repr(value)).normalize()), "f")
