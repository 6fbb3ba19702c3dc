"""Volumes that are files from manifests: ConfigMaps, Secrets, the downward API, and several of these as one."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.data import Data, Scope
from shipyard.files.kubernetes.environment import FIELD_REF, NAME, RESOURCE_REF, Facts, field, resource
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused
from shipyard.files.kubernetes.scalars import boolean, object_name, text, whole
from shipyard.files.kubernetes.tree import Template, node

KINDS = ("configMap", "secret", "projected", "downwardAPI")
_MODE = done("defaultMode", "the files' mode; without it 0444", whole(0, 0o777))
_USER = refused("defaultUser", "is not carried out: files belong to root")
_ITEMS = done("items", "which keys, and where each is put", itself)
_OPTIONAL = done("optional", "whether it may be missing", boolean)

CONFIG_MAP = Fields("a configMap", done("name", "of the ConfigMap", object_name), _ITEMS, _MODE, _USER, _OPTIONAL)
SECRET = Fields("a secret", done("secretName", "of the Secret", object_name), _ITEMS, _MODE, _USER, _OPTIONAL)
PROJECTED = Fields("a projected", done("sources", "files of all of these", itself), _MODE, _USER)
PROJECTED_SOURCE = Fields(
    "a source of projected",
    done("configMap", "as the volume", itself),
    done("secret", "as the volume", itself),
    done("downwardAPI", "as the volume", itself),
    refused("serviceAccountToken", "is a token of the API server, which there is none of here"),
    refused("clusterTrustBundle", "is the API server's, which there is none of here"),
    refused("podCertificate", "is the API server's, which there is none of here"),
)
PROJECTED_DATA = Fields("a projected source", done("name", "of the object", object_name), _ITEMS, _OPTIONAL)
DOWNWARD = Fields("a downwardAPI", done("items", "files of fields", itself), _MODE, _USER)
ITEM = Fields(
    "an item",
    done("key", "the key", text),
    done("path", "the file, below the mount's path", text),
    done("mode", "its mode", whole(0, 0o777)),
    refused("user", "is not carried out: files belong to root"),
)
DOWNWARD_ITEM = Fields(
    "an item of downwardAPI",
    done("path", "the file, below the mount's path", text),
    done("fieldRef", "as in variables; also all `metadata.labels` and `metadata.annotations`", itself),
    done("resourceFieldRef", "as in variables", itself),
    done("mode", "its mode", whole(0, 0o777)),
    refused("user", "is not carried out: files belong to root"),
)
Entry = tuple[str, Value, str, int | None]
"""The section of the stack, the place, the key there, the mode."""


def mounted(
    value: Value, kind: str, name: str, target: str, sub: str, scope: Scope, facts: Facts, mount: Value
) -> tuple[list[str], list[Node]]:
    """The sections, and in each an entry, of all files of a volume. `sub`: only this file, put at the target itself."""
    found = _files(value, kind, name, scope, facts)
    if sub:
        inside = {path: entry for path, entry in found.items() if path == sub or path.startswith(f"{sub}/")}
        if not inside and found:
            hint = f"it has {', '.join(sorted(found))}"
            raise mount.child("subPath", None).error(f"the volume {name} has no file {sub}", hint=hint)
        found = {path[len(sub) + 1 :]: entry for path, entry in inside.items()}
    sections, nodes = [], []
    for path, (section, place, key, mode) in found.items():
        made: dict[str, Any] = {"source": node(place, key), "target": posixpath.join(target, path) if path else target}
        if mode is not None:
            made["mode"] = f"{mode:04o}"
        sections.append(section)
        nodes.append(node(mount, made))
    return sections, nodes


def _files(value: Value, kind: str, name: str, scope: Scope, facts: Facts) -> dict[str, Entry]:
    match kind:
        case "configMap":
            return _data(value, CONFIG_MAP, "name", scope)
        case "secret":
            return _data(value, SECRET, "secretName", scope)
        case "downwardAPI":
            return _downward(value, DOWNWARD.read(value), name, scope, facts)
    got = PROJECTED.read(value)
    made: dict[str, Entry] = {}
    for item in got["sources"].items("a list of sources") if "sources" in got else ():
        with item.reading.collect():
            sources = PROJECTED_SOURCE.read(item)
            for source, at in sources.items():
                found = (
                    _downward(at, DOWNWARD.read(at), name, scope, facts)
                    if source == "downwardAPI"
                    else _data(at, PROJECTED_DATA, "name", scope, secret=source == "secret")
                )
                for path, (section, place, key, mode) in found.items():
                    if path in made:
                        raise at.error(f"the file {path} is there already, from another source")
                    made[path] = section, place, key, got.get("defaultMode") if mode is None else mode
    return made


def _data(value: Value, table: Fields, named: str, scope: Scope, *, secret: bool = False) -> dict[str, Entry]:
    got = table.read(value)
    need(value, named)
    if named not in got:
        return {}
    optional = got.get("optional", False)
    kind: Any = "Secret" if secret or table is SECRET else "ConfigMap"
    data = scope.data(value.child(named, None), kind, got[named], optional=optional)
    if data is None:
        return {}
    section = "secrets" if data.kind == "Secret" else "configs"
    mode = got.get("defaultMode")
    if "items" not in got:
        return {key: (section, value, scope.file(data, key), mode) for key in data.contents}
    made: dict[str, Entry] = {}
    for item in got["items"].items("a list of keys"):
        with item.reading.collect():
            made |= _item(item, data, scope, section, mode, optional=optional)
    return made


def _item(item: Value, data: Data, scope: Scope, section: str, mode: int | None, *, optional: bool) -> dict[str, Entry]:
    said = ITEM.read(item)
    need(item, "key", "path")
    if "key" not in said or "path" not in said or (optional and said["key"] not in data.contents):
        return {}
    data.content(item.child("key", None), said["key"])
    return {_path(item, said): (section, item, scope.file(data, said["key"]), said.get("mode", mode))}


def _path(item: Value, said: Mapping[str, Any]) -> str:
    path: str = said["path"]
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise item.child("path", None).error("must be a path below the mount's, without ..")
    return path


def _downward(value: Value, got: Mapping[str, Any], name: str, scope: Scope, facts: Facts) -> dict[str, Entry]:
    made: dict[str, Entry] = {}
    for item in got["items"].items("a list of files") if "items" in got else ():
        with item.reading.collect():
            said = DOWNWARD_ITEM.read(item)
            need(item, "path")
            content = _content(item, said, facts)
            if isinstance(content, Template):
                raise item.child("fieldRef", None).error(
                    "differs from node to node, and is carried out for variables only"
                )
            path = _path(item, said)
            key = scope.text_file(item, f"downward_{name}_{path.replace('/', '_')}_{abs(hash_of(content)):x}", content)
            made[path] = "configs", item, key, said.get("mode", got.get("defaultMode"))
    return made


def hash_of(content: str) -> int:
    """A number that tells contents apart, the same in each run."""
    import zlib

    return zlib.crc32(content.encode())


def _content(item: Value, said: Mapping[str, Any], facts: Facts) -> str:
    if "resourceFieldRef" in said:
        at: Value = said["resourceFieldRef"]
        return resource(at, RESOURCE_REF.read(at), facts, "")
    if "fieldRef" not in said:
        raise item.error("takes one of fieldRef and resourceFieldRef, found none")
    at = said["fieldRef"]
    path = FIELD_REF.read(at).get("fieldPath", "")
    for whole_of, pairs in (("metadata.labels", facts.labels), ("metadata.annotations", facts.annotations)):
        if path == whole_of:
            return "".join(f'{key}="{word}"\n' for key, word in sorted(pairs.items()))
    found = field(at.child("fieldPath", None), path, facts)
    if found == NAME:
        raise at.child("fieldPath", None).error(
            f"{path} is another for each replica, and files are the same", hint="a variable can have it"
        )
    return found
