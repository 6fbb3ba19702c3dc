"""Keys of a play made from manifests: each value keeps the field that it came from, so that errors name that."""

from __future__ import annotations

from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.text import printable
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import ManyMarks, Node
from shipyard.files.values import Unsafe
from shipyard.files.yamldoc import Mark, Path, dotted


class Origin(Mark, frozen=True):
    """A place in a manifest. `key`: the field's path, `spec.template.spec.containers[0].image`."""

    key: str = ""


class Template(str):
    """A text that is rendered for each node, unlike everything that stands in a manifest."""

    __slots__ = ()


class Origins(ManyMarks):
    """Places of a play's values, in manifests."""

    def error(self, path: Path, message: str, *, hint: str | None = None) -> FileError:
        """An error about what was made of a field, at that field."""
        mark = self.at(path)
        key = mark.key if isinstance(mark, Origin) else dotted(path)
        said = printable(message)
        return FileError(
            said,
            file=mark.file,
            line=mark.line,
            column=mark.column,
            key=printable(key) or None,
            hint=hint and printable(hint),
        )


def node(at: Value, data: Any) -> Node:
    """Data as nodes that came from this field; what is a node already keeps its own."""
    mark = at.reading.marks.at(at.path)
    return _node(Origin(mark.file, mark.line, mark.column, dotted(at.path)), data)


def _node(mark: Origin, data: Any) -> Node:
    if isinstance(data, Node):
        return data
    if isinstance(data, dict):
        return Node({key: _node(mark, item) for key, item in data.items()}, mark)
    if isinstance(data, list | tuple):
        return Node([_node(mark, item) for item in data], mark)
    return Node(data, mark)


def plain(made: Node, marks: ManyMarks, path: Path = ()) -> Any:
    """Plain data, the places noted. No text is a template but those that were made as such."""
    marks.put(path, made.mark)
    data = made.data
    if isinstance(data, dict):
        return {key: plain(item, marks, (*path, key)) for key, item in data.items()}
    if isinstance(data, list):
        return [plain(item, marks, (*path, index)) for index, item in enumerate(data)]
    if isinstance(data, str) and not isinstance(data, Template) and ("{{" in data or "{%" in data or "{#" in data):
        return Unsafe(data)
    return data


def per_node(data: Any) -> bool:
    """Whether something in this is rendered for each node."""
    if isinstance(data, dict):
        return any(per_node(item) for item in data.values())
    return any(per_node(item) for item in data) if isinstance(data, list) else isinstance(data, Template)
