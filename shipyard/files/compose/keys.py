"""Tables of keys: which there are in a section, how each is read, and what the documentation says of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from shipyard.base.record import Struct
from shipyard.files.compose.value import Value

OWN = "x-shipyard"
"""Under this key stands what Compose has no word for; its own keys are checked. Other keys with x- are passed over."""

Reader = Callable[[Value], Any]


class Key(Struct, frozen=True):
    """`form`, `meaning`, `default`: for the documentation. `refusal`: why the key is not carried out, if it is not."""

    name: str
    form: str
    meaning: str
    read: Reader
    default: str = ""
    refusal: str = ""


class Table:
    """The keys of one kind of section, `title` being what errors call it (`a service`)."""

    def __init__(self, title: str, *keys: Key) -> None:
        self.title = title
        self.keys: Mapping[str, Key] = {key.name: key for key in keys}

    def read(self, value: Value) -> dict[str, Any]:
        """What each key that is there was read as. Errors are noted one by one; a key without a value is not there."""
        got: dict[str, Any] = {}
        for name, entry in value.mapping(f"a mapping with the keys of {self.title}"):
            with value.reading.collect():
                key = self.keys.get(name)
                if key is None:
                    if name.startswith("x-") and name != OWN:
                        continue
                    raise unknown(entry, name, self.keys, self.title)
                if entry.data is not None or key.refusal:
                    got[name] = key.read(entry)
        return got


def unknown(value: Value, name: str, known: Mapping[str, Any], title: str) -> Exception:
    """The error about a key that a section does not have, with the nearest that it has."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else None
    return value.error(f"is not a key of {title}", hint=hint)


def not_yet(name: str, advice: str = "") -> Key:
    """A key of the specification that is not carried out, and so is an error rather than dropped."""
    why = "is not carried out yet"

    def refuse(value: Value) -> NoReturn:
        raise value.error(why, hint=advice or None)

    return Key(name, "", advice, refuse, refusal=why)


def refused(name: str, why: str, advice: str) -> Key:
    """A key that has no place here, with what to do instead."""

    def refuse(value: Value) -> NoReturn:
        raise value.error(why, hint=advice or None)

    return Key(name, "", advice, refuse, refusal=why)
