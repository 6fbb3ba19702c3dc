"""What pods refer to: ConfigMaps, Secrets, PersistentVolumeClaims, and what of them a stack comes to need."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
from typing import Any, Literal

from shipyard.base.record import Struct, field
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.fields import Fields, done, itself, passed, refused, said, warn
from shipyard.files.kubernetes.objects import Object
from shipyard.files.kubernetes.quantity import quantity
from shipyard.files.kubernetes.scalars import data_key, text, texts, word
from shipyard.files.kubernetes.tree import node

Kind = Literal["ConfigMap", "Secret"]
_TOP = (passed("apiVersion"), passed("kind"), passed("metadata"), passed("status"))

CONFIG_MAP = Fields(
    "a ConfigMap",
    *_TOP,
    done("data", "texts, for variables and files", itself),
    done("binaryData", "the same in base64; only what is text", itself),
    passed("immutable", "changed contents roll out anyway"),
)
SECRET = Fields(
    "a Secret",
    *_TOP,
    done("data", "contents in base64", itself),
    done("stringData", "contents as texts, over those of `data`", itself),
    done("type", "only what registries' credentials are told by", text),
    passed("immutable", "changed contents roll out anyway"),
)
CLAIM = Fields(
    "a PersistentVolumeClaim",
    *_TOP,
    done("spec", "a local volume", itself),
)
CLAIM_SPEC = Fields(
    "a claim's spec",
    done("accessModes", "`ReadWriteOnce`; with others said that a local volume is on one node", texts),
    done("resources", "said: a local volume has no limit", itself),
    said("storageClassName", "has no effect: it is a local volume of the node on which it is used first"),
    done("volumeMode", "`Filesystem`", word("Filesystem", "Block")),
    refused("volumeName", "names a PersistentVolume, and volumes here are local ones of nodes"),
    refused("selector", "selects a PersistentVolume, and volumes here are local ones of nodes"),
    refused("dataSource", "is not carried out: a volume begins empty"),
    refused("dataSourceRef", "is not carried out: a volume begins empty"),
    said("volumeAttributesClassName", "has no effect here"),
)


class Data(Struct):
    """A ConfigMap or Secret: its entries, each with its place. `used`: whether a pod refers to it."""

    kind: Kind
    item: Object
    contents: dict[str, tuple[Value, str]]
    used: bool = False

    def content(self, at: Value, key: str) -> str:
        """Of one key that is referred to here. Raises FileError."""
        if key not in self.contents:
            near = difflib.get_close_matches(key, self.contents, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.contents) or 'none at all'}"
            raise at.error(f"{self.item.shown()} has no key {key}", hint=hint)
        return self.contents[key][1]


class Scope(Struct):
    """One namespace: what its pods can refer to, and what the stack's play comes to declare."""

    name: str
    config_maps: dict[str, Data] = field(default_factory=dict)
    secrets: dict[str, Data] = field(default_factory=dict)
    claims: dict[str, tuple[Object, dict[str, Any]]] = field(default_factory=dict)
    priorities: dict[str, int] = field(default_factory=dict)
    sections: dict[str, dict[str, Node]] = field(
        default_factory=lambda: {"networks": {}, "volumes": {}, "configs": {}, "secrets": {}}
    )
    used_claims: set[str] = field(default_factory=set)

    def data(self, at: Value, kind: Kind, name: str, *, optional: bool = False) -> Data | None:
        """What a pod refers to. None where it is optional and not there. Raises FileError."""
        found = (self.config_maps if kind == "ConfigMap" else self.secrets).get(name)
        if found is None:
            if optional:
                return None
            known = self.config_maps if kind == "ConfigMap" else self.secrets
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else "give its manifest with the others; optional: true goes on without"
            )
            raise at.error(f"there is no {kind} {name} in the namespace {self.name} of these files", hint=hint)
        found.used = True
        return found

    def file(self, data: Data, key: str) -> str:
        """The key under which the stack declares one content; it is declared by asking."""
        section = "configs" if data.kind == "ConfigMap" else "secrets"
        name = declared_name(f"{data.item.name}_{key}")
        place, content = data.contents[key]
        self.sections[section].setdefault(name, node(place, {"content": content}))
        return name

    def text_file(self, at: Value, name: str, content: str) -> str:
        """The same of a text that is made here."""
        key = declared_name(name)
        self.sections["configs"].setdefault(key, node(at, {"content": content}))
        return key

    def volume(self, at: Value, claim: str) -> str:
        """The volume of a claim that is referred to here. Raises FileError."""
        if claim not in self.claims:
            near = difflib.get_close_matches(claim, self.claims, n=1)
            hint = f"did you mean {near[0]}?" if near else "give its manifest with the others"
            raise at.error(
                f"there is no PersistentVolumeClaim {claim} in the namespace {self.name} of these files", hint=hint
            )
        item, _ = self.claims[claim]
        self.used_claims.add(claim)
        self.sections["volumes"].setdefault(claim, node(item.at("metadata", "name"), {}))
        return claim


def declared_name(name: str) -> str:
    """As long as the keys of a stack may be; what is cut off is told apart by its digest."""
    if len(name) <= 63:
        return name
    return f"{name[:46]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def config_map(item: Object) -> Data:
    got = CONFIG_MAP.read(item.value)
    contents: dict[str, tuple[Value, str]] = {}
    for name in ("data", "binaryData"):
        for key, entry in got[name].mapping("a mapping of texts") if name in got else ():
            with item.value.reading.collect():
                data_key(entry, key)
                if key in contents:
                    raise entry.error(f"{key} is under data already")
                contents[key] = entry, entry.text(empty=True) if name == "data" else _decoded(entry)
    return Data("ConfigMap", item, contents)


def secret(item: Object) -> Data:
    got = SECRET.read(item.value)
    if got.get("type") in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
        warn(
            item.at("type"),
            "credentials of registries are not taken from manifests: log in with docker login or podman login here",
        )
    contents: dict[str, tuple[Value, str]] = {}
    for name in ("data", "stringData"):
        for key, entry in got[name].mapping("a mapping of texts") if name in got else ():
            with item.value.reading.collect():
                data_key(entry, key)
                if not isinstance(entry.data, str):
                    hint = "quote it" if name == "stringData" else "data is in base64; stringData takes texts"
                    raise entry.error("expected a text, found something else (it is not shown)", hint=hint)
                contents[key] = entry, entry.data if name == "stringData" else _decoded(entry)
    return Data("Secret", item, contents)


def _decoded(value: Value) -> str:
    try:
        return base64.b64decode("".join(str(value.data or "").split()), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise value.error("holds bytes that are no text in UTF-8, which is not carried out yet") from None
        raise value.error(
            "is not base64 (it is not shown)", hint="stringData and a ConfigMap's data take texts"
        ) from None


def claim(item: Object) -> dict[str, Any]:
    """A claim's spec; also of a volume claim template."""
    got = CLAIM.read(item.value)
    return claim_spec(got["spec"]) if "spec" in got else {}


def claim_spec(spec: Value) -> dict[str, Any]:
    got = CLAIM_SPEC.read(spec)
    if got.get("volumeMode") == "Block":
        raise spec.child("volumeMode", None).error("block devices are not carried out; only file systems are")
    shared = [mode for mode in got.get("accessModes", ()) if mode in ("ReadWriteMany", "ReadOnlyMany")]
    if shared:
        warn(
            spec.child("accessModes", None),
            f"{', '.join(shared)}: a local volume is on one node, and so are all pods that mount it",
        )
    if "resources" in got:
        _storage(got["resources"])
    return got


CLAIM_RESOURCES = Fields(
    "a claim's resources",
    done("requests", "`storage`, said: it is no limit", itself),
    done("limits", "`storage`, said: it is no limit", itself),
)


def _storage(value: Value) -> None:
    for amounts in CLAIM_RESOURCES.read(value).values():
        for name, entry in amounts.mapping("a mapping of amounts"):
            with value.reading.collect():
                quantity(entry)
                if name != "storage":
                    raise entry.error("is not what a volume has; it has storage")
                warn(entry, "is no limit: a local volume grows as far as the node's disk does")
