"""YAML with the place of every key kept, in the two dialects that people's files need.

Ansible's own files are YAML 1.1 (`off` is False, `010` is 8, `1:30` is 90). Compose's body must not read
`22:22` as 1342 or `on` as True: there YAML 1.2's core schema holds, with numbers as Compose's own reader has them
(`0440` is octal, `1_000` a thousand). Duplicate keys are errors in both, and files are bounded: size, depth, and
how much aliases may unfold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import yaml

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.base.text import one_line, printable
from shipyard.files.yamldialects import LOADERS, Dialect, plain_tag

Path = tuple[str | int, ...]
"""Of a value in a document: ("services", "web", "ports", 0)."""

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000
MAX_DIGITS = 1000
_MERGE = "tag:yaml.org,2002:merge"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TEXT = "tag:yaml.org,2002:str"


class Mark(Struct, frozen=True):
    """A place in a file; line and column from 1."""

    file: str
    line: int
    column: int


class Marks:
    """Where each key and value of a document stands, by path. For a mapping's entry: its key."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._places: dict[Path, tuple[int, int]] = {}

    def set(self, path: Path, line: int, column: int) -> None:
        self._places[path] = (line, column)

    def at(self, path: Path) -> Mark:
        """The mark of this path, or of its nearest ancestor that has one."""
        for end in range(len(path), -1, -1):
            place = self._places.get(path[:end])
            if place is not None:
                return Mark(self.file, *place)
        return Mark(self.file, 1, 1)

    def error(self, path: Path, message: str, *, hint: str | None = None) -> FileError:
        """An error about the value at this path."""
        mark = self.at(path)
        key = printable(dotted(path)) or None
        said = printable(message)
        return FileError(
            said, file=mark.file, line=mark.line, column=mark.column, key=key, hint=hint and printable(hint)
        )


def dotted(path: Path) -> str:
    """`services.web.ports[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Document(Struct, frozen=True):
    """One YAML document as plain data (dict, list, scalars), with the place of everything in it."""

    data: Any
    marks: Marks


Tags = Mapping[str, Callable[[Any, Mark], Any]]
Elsewhere = Callable[[Path], bool]
"""Whether what stands at a path, and beneath it, is of the other dialect."""


def _nowhere(_path: Path) -> bool:
    return False


def load_all(
    text: str | bytes,
    file: str,
    dialect: Dialect,
    tags: Tags = MappingProxyType({}),
    other: Elsewhere = _nowhere,
    thin: Collection[str] = (),
) -> list[Document]:
    """Every document of a YAML text. `file` is only for messages. An empty text has no document.

    `tags`: what to make of application tags, from the value beneath them and its place; other tags are errors.
    `other`: where the other dialect holds. `thin`: tags under which a plain word is the number or boolean that it would
    be without them. Raises FileError: unreadable, duplicate key, too large, too deep, aliases that unfold too far.
    """
    if len(text) > MAX_BYTES:
        raise FileError(f"is larger than {MAX_BYTES // 2**20} MiB, which no file of this kind should be", file=file)
    try:
        loader = LOADERS[dialect](text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(error, file, text) from error
    documents = []
    try:
        while loader.check_node():
            root = loader.get_node()
            if root is None:
                break
            marks = Marks(file)
            builder = _Builder(loader, marks, tags, thin, (other, LOADERS["1.1" if dialect == "1.2" else "1.2"]("")))
            documents.append(Document(builder.value(root, ()), marks))
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(error, file, text) from error
    finally:
        loader.dispose()
    return documents


def load_one(
    text: str | bytes,
    file: str,
    dialect: Dialect,
    tags: Tags = MappingProxyType({}),
    other: Elsewhere = _nowhere,
) -> Document:
    """The only document of a YAML text; an empty text is a document of None. Several are a FileError."""
    documents = load_all(text, file, dialect, tags, other)
    if len(documents) > 1:
        mark = documents[1].marks.at(())
        raise FileError("holds several documents; one is expected", file=file, line=mark.line)
    return documents[0] if documents else Document(None, Marks(file))


def _unreadable(error: Exception, file: str, text: str | bytes) -> FileError:
    mark = getattr(error, "problem_mark", None)
    foreign = _not_utf8(text) if mark is None else None
    if foreign is not None:
        words, line, column = foreign
        return FileError(f"can't be read as YAML: {words}", file=file, line=line, column=column)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    words = f"can't be read as YAML: {problem}" + (f" ({context})" if context else "")
    return FileError(
        printable(words),
        file=file,
        line=mark.line + 1 if mark is not None else None,
        column=mark.column + 1 if mark is not None else None,
    )


def _not_utf8(text: str | bytes) -> tuple[str, int, int] | None:
    """What is wrong with the first byte that is no UTF-8, its line and its column; None where all are."""
    try:
        _ = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError as wrong:
        before = wrong.object[: wrong.start].split(b"\n")
        words = f"byte 0x{wrong.object[wrong.start]:02x} is not UTF-8, as which it should be saved"
        return words, len(before), len(before[-1].decode("utf-8")) + 1
    return None


class _Builder:
    """From PyYAML's nodes to data, by hand, since its constructors know neither places nor bounds."""

    def __init__(
        self,
        loader: yaml.CSafeLoader,
        marks: Marks,
        tags: Tags,
        thin: Collection[str],
        other: tuple[Elsewhere, yaml.CSafeLoader],
    ) -> None:
        self._loader, self._marks, self._tags, self._thin = loader, marks, tags, thin
        self._elsewhere, self._other = other
        self._within_other = False
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        if not path:
            self._marks.set(path, node.start_mark.line + 1, node.start_mark.column + 1)
        self._count += 1
        if self._count > MAX_NODES:
            raise self._marks.error(path, f"unfolds to more than {MAX_NODES:,} values (aliases of aliases?)")
        if len(path) > MAX_DEPTH or id(node) in self._open:
            raise self._marks.error(path, f"is nested deeper than {MAX_DEPTH} levels, or within itself")
        self._open.add(id(node))
        entered = not self._within_other and self._elsewhere(path)
        self._within_other = self._within_other or entered
        try:
            made = self._plain(node, path)
        finally:
            self._open.discard(id(node))
            self._within_other = self._within_other and not entered
        if node.tag.startswith("!"):
            maker = self._tags.get(node.tag)
            if maker is None:
                self._marks.set(path, node.start_mark.line + 1, node.start_mark.column + 1)
                known = f"; known here: {', '.join(sorted(self._tags))}" if self._tags else ""
                raise self._marks.error(path, f"the tag {printable(node.tag)} is not known{known}")
            return maker(made, Mark(self._marks.file, node.start_mark.line + 1, node.start_mark.column + 1))
        return made

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS and not node.tag.startswith("!"):
            raise self._marks.error(path, f"the tag {printable(node.tag)} is not known")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                here = (*path, index)
                self._marks.set(here, item.start_mark.line + 1, item.start_mark.column + 1)
                items.append(self.value(item, here))
            return items
        if not isinstance(node, yaml.ScalarNode):
            raise self._marks.error(path, "is of no kind that YAML has")
        if node.tag.startswith("!"):
            if node.tag not in self._thin or node.style:
                return self._loader.construct_scalar(node)
            word = yaml.ScalarNode(plain_tag(self._loader, node.value), node.value, node.start_mark, node.end_mark)
            return self._plain(word, path)
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.endswith((":python", "/")):
            raise self._marks.error(path, f"the tag {printable(node.tag)} is not known")
        if node.tag == _TEXT and not self._within_other:  # nearly all scalars, and nothing to construct
            return node.value
        loader, tag = (self._other, self._other_tag(node)) if self._within_other else (self._loader, node.tag)
        if tag not in loader.yaml_constructors:
            raise self._marks.error(path, f"the tag {printable(tag)} is not known")
        try:
            scalar = yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark)
            return loader.construct_object(scalar, deep=True)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = "a number of so many digits" if len(node.value) > MAX_DIGITS else tag.rpartition(":")[2]
            said = f"{one_line(str(node.value), 60)!r} can't be read as {printable(kind)}"
            raise self._marks.error(path, said) from error

    def _other_tag(self, node: yaml.ScalarNode) -> str:
        """What a plain word is in the other dialect; a tag that was written stays."""
        if node.style or plain_tag(self._loader, node.value) != node.tag:
            return str(node.tag)
        return plain_tag(self._other, node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        merges = [value for key, value in node.value if key.tag == _MERGE]
        for value_node in merges:  # first, so that the places of the mapping's own keys stay
            self._merge(merged, value_node, path)
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._marks.error(path, "has a key that is a list or a mapping; keys are words")
            key = self._plain(key_node, path)
            name = key if isinstance(key, int) and not isinstance(key, bool) else str(key_node.value)
            here = (*path, name)
            first = self._marks.at(here).line if key in own else None
            self._marks.set(here, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if first is not None:
                raise self._marks.error(here, f"is there twice; the first is on line {first}")
            own[key] = self.value(value_node, here)
        return {**merged, **own}

    def _merge(self, into: dict[Any, Any], node: yaml.Node, path: Path) -> None:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise self._marks.error(path, "<< takes a mapping, or a list of mappings")
            for key, value in self.value(part, path).items():
                into.setdefault(key, value)
