"""Values of several files laid over each other, each with the place that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.base.text import printable
from shipyard.files.values import Unsafe
from shipyard.files.yamldoc import Document, Mark, Marks, Path, dotted


class Tagged(Struct, frozen=True):
    """What stands under `!reset` or `!override`."""

    tag: str
    data: Any


TAGS: Mapping[str, Callable[[Any, Mark], Any]] = {
    "!reset": lambda data, _: Tagged("reset", data),
    "!override": lambda data, _: Tagged("override", data),
}


class Node(Struct):
    """A value with its place. `data`: a dict or a list of nodes, or a scalar. `tag`: `reset`, `override` or ""."""

    data: Any
    mark: Mark
    tag: str = ""

    def error(self, message: str, *, path: Path = (), hint: str | None = None) -> FileError:
        mark = self.mark
        key = printable(dotted(path)) or None
        said = printable(message)
        return FileError(said, file=mark.file, line=mark.line, column=mark.column, key=key, hint=hint)

    def get(self, key: str) -> Node | None:
        """The value of a key, where this is a mapping that has one."""
        found = self.data.get(key) if isinstance(self.data, dict) else None
        return found if isinstance(found, Node) and found.data is not None else None

    def entries(self) -> dict[str, Node]:
        """Of a mapping; {} of everything else."""
        return self.data if isinstance(self.data, dict) else {}


def nodes(document: Document) -> Node:
    """A document as nodes."""
    return _node(document.data, (), document.marks)


def _node(data: Any, path: Path, marks: Marks) -> Node:
    tag = ""
    if isinstance(data, Tagged):
        data, tag = data.data, data.tag
    if isinstance(data, dict):
        made: Any = {key: _node(value, (*path, key), marks) for key, value in data.items()}
    elif isinstance(data, list):
        made = [_node(value, (*path, index), marks) for index, value in enumerate(data)]
    else:
        made = data
    return Node(made, marks.at(path), tag)


def bare(node: Node) -> Any:
    """What stands there, without places: to be compared."""
    if isinstance(node.data, dict):
        return {key: bare(value) for key, value in node.data.items()}
    return [bare(item) for item in node.data] if isinstance(node.data, list) else node.data


class ManyMarks(Marks):
    """Places of values that came from several files."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._marks: dict[Path, Mark] = {}

    def put(self, path: Path, mark: Mark) -> None:
        self._marks[path] = mark

    def at(self, path: Path) -> Mark:
        for end in range(len(path), -1, -1):
            mark = self._marks.get(path[:end])
            if mark is not None:
                return mark
        return Mark(self.file, 1, 1)


def plain(node: Node, marks: ManyMarks, path: Path = ()) -> Any:
    """Plain data again, the places noted. Texts with braces are marked as no templates, which Compose does not have."""
    marks.put(path, node.mark)
    data = node.data
    if isinstance(data, dict):
        return {key: plain(value, marks, (*path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [plain(value, marks, (*path, index)) for index, value in enumerate(data)]
    if isinstance(data, str) and ("{{" in data or "{%" in data or "{#" in data):
        return Unsafe(data)
    return data
