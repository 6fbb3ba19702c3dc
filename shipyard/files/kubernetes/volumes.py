"""A pod's volumes and what its containers mount of them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from shipyard.base.record import Struct, field
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes import files
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.environment import Facts
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused, warn
from shipyard.files.kubernetes.quantity import size
from shipyard.files.kubernetes.scalars import boolean, label_name, object_name, text, word
from shipyard.files.kubernetes.tree import node

_DRIVERS = """
    awsElasticBlockStore azureDisk azureFile cephfs cinder csi ephemeral fc flexVolume flocker gcePersistentDisk gitRepo
    glusterfs iscsi photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume image
"""
_KINDS = ("emptyDir", "hostPath", "persistentVolumeClaim", "nfs", *files.KINDS)

VOLUME = Fields(
    "a volume",
    done("name", "the name", label_name),
    done("emptyDir", "see below", itself),
    done("hostPath", "a bind", itself),
    done("persistentVolumeClaim", "the claim's volume", itself),
    done("nfs", "a volume of the driver `local` that mounts it", itself),
    *(done(name, "files that are sent to the nodes; changed contents roll out", itself) for name in files.KINDS),
    *(refused(name, "is not carried out", "a persistentVolumeClaim is a local volume") for name in _DRIVERS.split()),
)
EMPTY_DIR = Fields(
    "an emptyDir",
    done("medium", "`Memory`: a tmpfs", word("", "Memory")),
    done("sizeLimit", "of a tmpfs; else said", size),
    refused("mode", "is not carried out"),
)
HOST_PATH = Fields(
    "a hostPath",
    done("path", "the path on the node", text),
    done(
        "type",
        "`DirectoryOrCreate` and none make the folder",
        word("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"),
    ),
)
CLAIM = Fields(
    "a persistentVolumeClaim",
    done("claimName", "a claim of these files", object_name),
    done("readOnly", "`read_only`", boolean),
)
NFS = Fields(
    "an nfs",
    done("server", "`driver_opts`", text),
    done("path", "`driver_opts`", text),
    done("readOnly", "`read_only`", boolean),
)
MOUNT = Fields(
    "a volume mount",
    done("name", "a volume of the pod", label_name),
    done("mountPath", "the path in the container", text),
    done("readOnly", "`read_only`", boolean),
    done("subPath", "a folder of the volume, or one file", text),
    refused("subPathExpr", "is not carried out", "write subPath, without variables"),
    done("mountPropagation", "`bind.propagation`", word("None", "HostToContainer", "Bidirectional")),
    refused("recursiveReadOnly", "is not carried out", "", "Disabled"),
    refused("bindMountOptions", "is not carried out"),
)
_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


class Volumes(Struct):
    """The volumes of one pod by name. `own`: keys of the stack's volumes that take the place of claim templates.

    `job`: a pod that is meant to end; `alone`: one that is run once, not beside others of its job and by no schedule.
    """

    scope: Scope
    facts: Facts
    owner: str
    per_node: bool = False
    job: bool = False
    alone: bool = False
    found: dict[str, tuple[Value, str]] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def read(self, value: Value | None, containers: list[Value]) -> None:
        for container in containers:
            mounts = container.data.get("volumeMounts") if isinstance(container.data, dict) else None
            names = (
                {str(each.get("name")) for each in mounts or () if isinstance(each, dict)}
                if isinstance(mounts, list)
                else set()
            )
            for name in names:
                self.users[name] = self.users.get(name, 0) + 1
        for item in value.items("a list of volumes") if value is not None else ():
            with item.reading.collect():
                got = VOLUME.read(item)
                need(item, "name")
                kinds = [kind for kind in _KINDS if kind in got]
                if "name" in got and got["name"] in self.found:
                    raise item.child("name", None).error(f"there are two volumes {got['name']}")
                if any(kind in item.data for kind in _DRIVERS.split()):
                    self.found.setdefault(got.get("name", ""), (item, ""))
                    continue
                if len(kinds) > 1:
                    raise item.error(f"takes one kind of volume, found {' and '.join(kinds)}")
                kind = kinds[0] if kinds else "emptyDir"  # Kubernetes' own default
                self.found[got.get("name", "")] = (item.child(kind, item.data.get(kind) or {}), kind)

    def unused(self) -> None:
        for name, (at, _) in self.found.items():
            if name not in self.used:
                warn(at, f"the volume {name} is mounted by no container, and is not made")

    def mounts(self, value: Value) -> dict[str, Any]:
        """A container's `volumes`, `tmpfs`, `configs` and `secrets`."""
        made: dict[str, list[Node]] = {"volumes": [], "configs": [], "secrets": []}
        paths: dict[str, Value] = {}
        for item in value.items("a list of mounts"):
            with item.reading.collect():
                got = MOUNT.read(item)
                need(item, "name", "mountPath")
                if "name" not in got or "mountPath" not in got:
                    continue
                path = got["mountPath"]
                at = item.child("mountPath", path)
                if ":" in path:
                    raise at.error("can't hold a colon")
                got["mountPath"] = path if path.startswith("/") else f"/{path}"
                if posixpath.normpath(path) in paths:
                    raise at.error(f"{path} is mounted twice")
                paths[posixpath.normpath(path)] = at
                if got.get("subPath", "").startswith("/") or ".." in got.get("subPath", "").split("/"):
                    raise item.child("subPath", None).error("must be a path below the volume, without ..")
                self._mount(item, got, made)
        return {key: items for key, items in made.items() if items}

    def _mount(self, item: Value, got: Mapping[str, Any], made: dict[str, list[Node]]) -> None:
        name, target = got["name"], got["mountPath"]
        self.used.add(name)
        if name in self.own:
            made["volumes"].append(_volume(item, got, self.own[name]))
            return
        if name not in self.found:
            known = f"there are {', '.join([*self.found, *self.own])}" if self.found or self.own else "it has none"
            raise item.child("name", None).error(f"the pod has no volume {name}", hint=known)
        value, kind = self.found[name]
        match kind:
            case "":
                return
            case "emptyDir":
                made["volumes"].append(self._empty(value, item, got))
            case "hostPath":
                made["volumes"].append(_bind(value, item, got))
            case "persistentVolumeClaim":
                said_ = CLAIM.read(value)
                need(value, "claimName")
                key = self.scope.volume(value.child("claimName", None), said_["claimName"])
                read_only = said_.get("readOnly", False) or got.get("readOnly", False)
                made["volumes"].append(_volume(item, {**got, "readOnly": read_only}, key))
            case "nfs":
                made["volumes"].append(self._nfs(value, item, got))
            case _:
                section, entries = files.mounted(
                    value, kind, name, target, got.get("subPath", ""), self.scope, self.facts, item
                )
                for found, nodes in zip(section, entries, strict=True):
                    made[found].append(nodes)

    def _empty(self, value: Value, item: Value, got: Mapping[str, Any]) -> Node:
        said_ = EMPTY_DIR.read(value) if value.data else {}
        shared = self.users.get(got["name"], 0) > 1
        name = got["name"]
        if said_.get("medium") == "Memory" and not shared:
            limit = {"size": said_["sizeLimit"]} if said_.get("sizeLimit") else {}
            if got.get("subPath"):
                raise item.child("subPath", None).error("is not carried out for an emptyDir in memory")
            tmpfs = {"type": "tmpfs", "target": got["mountPath"], **({"tmpfs": limit} if limit else {})}
            return node(item, {**tmpfs, **({"read_only": True} if got.get("readOnly") else {})})
        if self.job and not self.alone:
            raise value.error(
                "is shared by containers of a job with several pods or a schedule, which is not carried out: "
                "none of them would begin with an empty one",
                hint="a persistentVolumeClaim is a volume that all runs of the job share",
            )
        if said_.get("medium") == "Memory":
            warn(value.child("medium", None), "is on disk: several containers share it")
        if said_.get("sizeLimit"):
            warn(value.child("sizeLimit", None), "is no limit: it grows as far as the node's disk does")
        if not shared:
            if got.get("subPath"):
                warn(item.child("subPath", None), "has no effect: no other container mounts this emptyDir")
            anonymous = {"type": "volume", "target": got["mountPath"]}
            return node(item, {**anonymous, **({"read_only": True} if got.get("readOnly") else {})})
        key = f"{self.owner}_{name}"
        if self.job:
            warn(
                value,
                "is shared by containers, and so is a volume of the job, which keeps its node; unlike in Kubernetes, "
                "a further attempt finds in it what the one before left",
            )
        elif not self.per_node:
            warn(
                value,
                "is shared by containers, and so is a volume of its own for each replica, "
                "which keeps its node and, unlike in Kubernetes, what is in it",
            )
        self.scope.sections["volumes"].setdefault(
            key, node(value, {} if self.per_node or self.job else {"x-shipyard": {"per_replica": True}})
        )
        return _volume(item, got, key)

    def _nfs(self, value: Value, item: Value, got: Mapping[str, Any]) -> Node:
        said_ = NFS.read(value)
        need(value, "server", "path")
        key = f"{self.owner}_{got['name']}"
        options = {"type": "nfs", "o": f"addr={said_['server']},rw", "device": f":{said_['path']}"}
        self.scope.sections["volumes"].setdefault(key, node(value, {"driver_opts": options}))
        read_only = said_.get("readOnly", False) or got.get("readOnly", False)
        return _volume(item, {**got, "readOnly": read_only}, key)


def _volume(item: Value, got: Mapping[str, Any], key: str) -> Node:
    made: dict[str, Any] = {"type": "volume", "source": node(item.child("name", None), key), "target": got["mountPath"]}
    if got.get("readOnly"):
        made["read_only"] = True
    if got.get("subPath"):
        at = item.child("subPath", None)
        warn(at, "has to be in the volume already: a runtime mounts a folder of a volume, and makes none")
        made["volume"] = {"subpath": node(at, got["subPath"])}
    return node(item, made)


def _bind(value: Value, item: Value, got: Mapping[str, Any]) -> Node:
    said_ = HOST_PATH.read(value)
    need(value, "path")
    path = posixpath.join(said_["path"], got["subPath"]) if got.get("subPath") else said_["path"]
    if not path.startswith("/"):
        raise value.child("path", None).error("must be an absolute path on the node")
    kind = said_.get("type", "")
    if kind == "FileOrCreate":
        raise value.child("type", None).error("FileOrCreate is not carried out: files are not made on nodes")
    made: dict[str, Any] = {"type": "bind", "source": node(value.child("path", None), path), "target": got["mountPath"]}
    if got.get("readOnly"):
        made["read_only"] = True
    bind: dict[str, Any] = {"create_host_path": True} if kind in ("", "DirectoryOrCreate") else {}
    if got.get("mountPropagation") in _PROPAGATION:
        bind["propagation"] = node(item.child("mountPropagation", None), _PROPAGATION[got["mountPropagation"]])
    if bind:
        made["bind"] = bind
    return node(item, made)
