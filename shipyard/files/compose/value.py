"""A value of a document together with its place: every reader's one argument, and the one maker of its errors.

Readers say what was found and what is expected. They raise FileError about one value; whoever goes through several
(`Reading.collect`) notes it and carries on, so that all that is wrong in a file is said at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path as FilePath
from typing import Any

from shipyard.base.errors import FileError, FileErrors
from shipyard.base.record import Struct, field
from shipyard.base.text import one_line
from shipyard.files.compose.declared import Resources
from shipyard.files.compose.units import number_text
from shipyard.files.yamldoc import Marks, Path

MAX_TEXT = 131_072 - 1
"""Bytes of one argument or environment entry that Linux takes."""
MAX_PROBLEMS = 100
MAX_NOTICES = 200


class Collecting(AbstractContextManager[None]):
    """Notes a FileError of its block, once, and lets everything else pass."""

    def __init__(self, problems: list[FileError]) -> None:
        self._problems = problems

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, FileError):
            return False
        if str(error) not in map(str, self._problems):
            self._problems.append(error)
        if len(self._problems) > MAX_PROBLEMS:
            left = FileError(f"has more than {MAX_PROBLEMS} errors; the rest is left out", file=error.file)
            raise FileErrors((*self._problems[:MAX_PROBLEMS], left)) from None
        return True


class Reading(Struct):
    """One reading of one file: the places in it, the world around it, and what came to light.

    `resources`: of the stack whose services are read. `untrusted`: what gives power over nodes is refused.
    `project`: nothing outside of it is read. `folder`: what relative paths start from. `environ`: for names that are
    passed through. `problems`, `notices`: in the order found.
    """

    marks: Marks
    resources: Resources
    project: FilePath
    folder: FilePath
    environ: Mapping[str, str] = field(default_factory=dict)
    problems: list[FileError] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    untrusted: bool = False

    def collect(self) -> Collecting:
        """A block in which an error about one value is noted, to carry on with the next."""
        return Collecting(self.problems)

    def root(self, data: Any, path: Path = (), rendered: frozenset[Path] = frozenset()) -> Value:
        return Value(data, path, self, rendered)


class Value(Struct, frozen=True):
    """`rendered`: paths whose value came out of a template, where a number may stand for a text."""

    data: Any
    path: Path
    reading: Reading
    rendered: frozenset[Path] = frozenset()

    def error(self, message: str, *, hint: str | None = None) -> FileError:
        return self.reading.marks.error(self.path, message, hint=hint)

    def expected(self, what: str, *, hint: str | None = None) -> FileError:
        return self.error(f"expected {what}, found {found(self.data)}", hint=hint)

    def notice(self, message: str) -> None:
        mark = self.reading.marks.at(self.path)
        text = f"{mark.file}:{mark.line}: {message}"
        if len(self.reading.notices) < MAX_NOTICES and text not in self.reading.notices:
            self.reading.notices.append(text)

    def child(self, key: str | int, data: Any) -> Value:
        return Value(data, (*self.path, key), self.reading, self.rendered)

    def mapping(self, what: str = "a mapping") -> list[tuple[str, Value]]:
        """Keys, which must be texts, with their values."""
        if not isinstance(self.data, dict):
            raise self.expected(what)
        entries = []
        for key, data in self.data.items():
            name = key if isinstance(key, str) else number_text(key)
            if not name.isascii():
                self._encoded(name)
            if "{{" in name:
                raise self.child(name, data).error("a key can't be a template; only values are")
            entries.append((name, self.child(key if isinstance(key, str | int) else name, data)))
        return entries

    def items(self, what: str = "a list") -> list[Value]:
        if not isinstance(self.data, list):
            hint = None
            if isinstance(self.data, str | int | float) and not isinstance(self.data, bool):
                hint = f"write it as a list: [{quoted(self.data)}]"
            raise self.expected(what, hint=hint)
        return [self.child(index, data) for index, data in enumerate(self.data)]

    def text(self, what: str = "a text", *, empty: bool = False) -> str:
        """A string as it is: what YAML takes for a number or a boolean is refused, as Compose does."""
        data = self.data
        if not isinstance(data, str):
            rendered = self._is_rendered()
            if rendered and isinstance(data, int | float) and not isinstance(data, bool):
                return number_text(data)
            raise self.expected(what, hint="to make it a text: {{ … | string }}" if rendered else _trap(data))
        return self.checked(str(data), empty=empty)

    def scalar(self, what: str = "a text or a number", *, empty: bool = True, booleans: bool = False) -> str:
        """A string, or a number as Compose writes it into text."""
        data = self.data
        if isinstance(data, str):
            return self.checked(str(data), empty=empty)
        if isinstance(data, bool) and not booleans:
            raise self.expected(what, hint=_trap(data))
        if not isinstance(data, int | float):
            raise self.expected(what)
        text = number_text(data)
        written = getattr(data, "written", text)
        if written != text:
            self.notice(f"{written} is read as a number and becomes {text}; quote it to keep it as written")
        return text

    def _is_rendered(self) -> bool:
        return any(self.path[:end] in self.rendered for end in range(len(self.path), -1, -1))

    def checked(self, text: str, *, empty: bool) -> str:
        if not text and not empty:
            raise self.error("is empty")
        if "\0" in text:
            raise self.error("holds a NUL character, which no container can be given")
        if not text.isascii():
            self._encoded(text)
        if len(text) > MAX_TEXT // 4 and len(text.encode()) > MAX_TEXT:
            raise self.error("is longer than 128 KiB, which Linux does not take")
        return text

    def _encoded(self, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self.error("holds what is no character in UTF-8") from error


def found(data: Any) -> str:
    """What stands there, in words: `the number 8080`, `a list`."""
    if data is None:
        return "nothing"
    if isinstance(data, bool):
        return f"the boolean {str(data).lower()}"
    if isinstance(data, int | float):
        return f"the number {getattr(data, 'written', number_text(data))}"
    if isinstance(data, str):
        return f'the text "{one_line(data, 60)}"' if data else "an empty text"
    if isinstance(data, list):
        return "a list"
    return "a mapping" if isinstance(data, dict) else f"a value of kind {type(data).__name__}"


def quoted(data: Any) -> str:
    """The value as it should be written to be a text."""
    return f'"{one_line(getattr(data, "written", None) or number_text(data), 60)}"'


def _trap(data: Any) -> str | None:
    if isinstance(data, bool):
        return f'quote it to make it a text: "{str(data).lower()}"'
    return f"quote it to make it a text: {quoted(data)}" if isinstance(data, int | float) else None
