"""Kubernetes' quantities: `500m`, `64Mi`, `1e3`, `0.5`."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from shipyard.base.text import one_line
from shipyard.files.compose.value import Value

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([munkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?")
_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"


def quantity(value: Value) -> Decimal:
    """A number, or a text with a suffix. Raises FileError."""
    data = value.data
    if isinstance(data, bool) or not isinstance(data, int | float | str):
        raise value.expected("a quantity, such as 500m or 64Mi")
    said = data if isinstance(data, str) else str(getattr(data, "written", None) or repr(data))
    match = _QUANTITY.fullmatch(said)
    if match is None:
        raise value.expected("a quantity, such as 500m or 64Mi", hint="suffixes are m, k, M, G, T, P, E, and Ki to Ei")
    number, suffix = Decimal(match[1]), match[2] or ""
    if number < 0:
        raise value.error(f"must be at least 0, found {said}")
    amount = _scaled(number, suffix)
    if amount >= 2**63:
        raise value.error(f"{one_line(said, 60)} is more than any node has")
    return amount


def _scaled(number: Decimal, suffix: str) -> Decimal:
    if suffix[1:] == "i":
        return number * Decimal(1024 ** (_BINARY.index(suffix[0]) + 1))
    if suffix not in _POWERS:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(_POWERS[suffix])


def cpus(value: Value) -> str:
    """Cores as Compose writes them, with Kubernetes' finest step of a thousandth, rounded up."""
    return cores(quantity(value))


def cores(amount: Decimal) -> str:
    said = f"{amount.quantize(Decimal('0.001'), ROUND_CEILING):f}"
    return said.rstrip("0").rstrip(".") or "0"


def size(value: Value) -> int:
    """Bytes, rounded up."""
    return whole(quantity(value))


def memory(value: Value) -> str:
    """Bytes, rounded up, as Compose writes them: `128m`, as a text, which its schema asks for."""
    amount = size(value)
    for suffix, unit in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if amount and amount % unit == 0:
            return f"{amount // unit}{suffix}"
    return str(amount)


def whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))
