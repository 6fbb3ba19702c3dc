"""From files to objects: every document, and every item of a `List`, with its kind, name and namespace."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.files.compose.value import Reading, Value
from shipyard.files.kinds import STDIN
from shipyard.files.kubernetes.fields import Fields, done, passed, refused, said
from shipyard.files.kubernetes.scalars import label_name, labels, object_name
from shipyard.files.yamldoc import MAX_BYTES, load_all

METADATA = Fields(
    "metadata",
    done("name", "the name", object_name),
    done("namespace", "the stack; without it `default`", label_name),
    done("labels", "a workload's: labels of the service", labels),
    said("annotations", "annotations have no effect here"),
    refused("generateName", "is a name that the API server would make up", "give it a name:"),
    refused("ownerReferences", "names what another controller would look after", "leave it out"),
    said("finalizers", "has no effect here"),
    passed("creationTimestamp"),
    passed("deletionTimestamp"),
    passed("deletionGracePeriodSeconds"),
    passed("generation"),
    passed("managedFields"),
    passed("resourceVersion"),
    passed("selfLink"),
    passed("uid"),
)
_TOOLS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")


class Object(Struct, frozen=True):
    """One object. `value`: all of it. `file`: as services remember it. `namespace`: as written, else `default`."""

    kind: str
    group: str
    name: str
    namespace: str
    labels: dict[str, str]
    value: Value
    file: str

    def at(self, *path: str) -> Value:
        """The value of a field, None where it is not there."""
        found = self.value
        for name in path:
            found = found.child(name, found.data.get(name) if isinstance(found.data, dict) else None)
        return found

    def shown(self) -> str:
        mark = self.value.reading.marks.at((*self.value.path, "kind"))
        return f"the {self.kind} {self.name} ({mark.file}:{mark.line})"


def objects(files: Sequence[tuple[Path, str, Reading]]) -> list[Object]:
    """All objects of all files, in order. Errors are noted; each file has a reading of its own, with its name."""
    found: list[Object] = []
    for path, file, reading in files:
        with reading.collect():
            for value in _documents(path, reading):
                with reading.collect():
                    found.extend(_objects(value, file))
    return found


def _documents(path: Path, reading: Reading) -> Iterator[Value]:
    text = _read(path)
    try:
        documents = load_all(text, str(path), "1.2")
    except FileError as error:
        if b"{{" in text:
            error.hint = "a chart's templates are no manifests yet: helm template CHART | shipyard apply -"
        raise
    for document in documents:
        if document.data is not None:
            own = _copy(reading, document.marks)
            yield own.root(document.data)


def _copy(reading: Reading, marks: Any) -> Reading:
    """The same reading of another document: what comes to light is noted in one place."""
    return Reading(
        marks,
        reading.resources,
        reading.project,
        reading.folder,
        reading.environ,
        reading.problems,
        reading.notices,
        reading.untrusted,
    )


def _read(path: Path) -> bytes:
    shown = str(path)
    try:
        if shown == STDIN:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        if not path.is_file():
            raise FileError("is no regular file" if path.exists() else "there is no such file", file=shown)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=shown) from error


def _objects(value: Value, file: str) -> Iterable[Object]:
    if not isinstance(value.data, dict):
        raise value.expected("an object, a mapping with apiVersion and kind")
    for name in ("apiVersion", "kind"):
        if value.data.get(name) is None:
            hint = "in a folder of manifests all files are manifests" if len(value.data) else None
            raise value.error(f"has no {name}", hint=hint)
    kind = value.child("kind", value.data["kind"]).text("the kind of an object", empty=False)
    version = value.child("apiVersion", value.data["apiVersion"]).text("a version, such as apps/v1", empty=False)
    if kind == "List" or (kind.endswith("List") and "items" in value.data):
        found: list[Object] = []
        for item in value.child("items", value.data.get("items")).items("a list of objects"):
            with value.reading.collect():
                found.extend(_objects(item, file))
        return found
    return _object(value, kind, version, file)


def _object(value: Value, kind: str, version: str, file: str) -> list[Object]:
    """The object, or none where its name has an error, which is noted."""
    metadata = value.child("metadata", value.data.get("metadata"))
    if metadata.data is None:
        raise value.error("has no metadata, and so no name")
    got = METADATA.read(_without_tools(metadata))
    if "name" not in got:
        if metadata.data.get("name") is None and metadata.data.get("generateName") is None:
            raise metadata.error("has no name")
        return []
    namespace = got.get("namespace", "default")
    return [Object(kind, version, got["name"], namespace, got.get("labels", {}), value, file)]


def _without_tools(metadata: Value) -> Value:
    """What kubectl and controllers note about their own work is nobody's wish."""
    data = metadata.data
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), dict):
        return metadata
    kept = {key: item for key, item in data["annotations"].items() if key not in _TOOLS}
    return Value({**data, "annotations": kept}, metadata.path, metadata.reading)
