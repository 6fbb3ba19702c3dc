"""A container's variables: `env`, `envFrom`, and `$(NAME)` in values and commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shipyard.base.record import Struct
from shipyard.base.record import field as field_
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.data import Data, Scope
from shipyard.files.kubernetes.fields import Fields, done, itself, need, passed, refused, warn
from shipyard.files.kubernetes.quantity import quantity, whole
from shipyard.files.kubernetes.scalars import boolean, is_variable, object_name, text
from shipyard.files.kubernetes.tree import Template, node

NAME = "$(metadata.name)"
"""Stands for the name of a StatefulSet's replica, which each container is given where it is made."""
POD_NAME = "statefulset.kubernetes.io/pod-name"
_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")

VARIABLE = Fields(
    "a variable",
    done("name", "the name", text),
    done("value", "the value; `$(NAME)` as Kubernetes replaces it", text),
    done("valueFrom", "see below", itself),
)
SOURCE = Fields(
    "a variable's source",
    done("configMapKeyRef", "that text", itself),
    done("secretKeyRef", "that content, with a warning: `inspect` shows it", itself),
    done("fieldRef", "what is known beforehand", itself),
    done("resourceFieldRef", "the container's limits and requests", itself),
    refused("fileKeyRef", "is not carried out"),
)
KEY_REF = Fields(
    "a reference to a key",
    done("name", "of the ConfigMap or Secret", object_name),
    done("key", "one of its keys", text),
    done("optional", "whether it may be missing", boolean),
)
REF = Fields(
    "a reference to data",
    done("name", "of the ConfigMap or Secret", object_name),
    done("optional", "whether it may be missing", boolean),
)
FROM = Fields(
    "an entry of envFrom",
    done("prefix", "put before each name", text),
    done("configMapRef", "all of its texts", itself),
    done("secretRef", "all of its contents, with a warning: `inspect` shows them", itself),
)
FIELD_REF = Fields(
    "a reference to a field",
    done(
        "fieldPath",
        "`metadata.namespace`, `metadata.name` of a Pod or StatefulSet, `metadata.labels['NAME']`, "
        "`metadata.annotations['NAME']`, `spec.nodeName`, `spec.serviceAccountName`; "
        "others are known only once a pod runs",
        text,
    ),
    passed("apiVersion"),
)
RESOURCE_REF = Fields(
    "a reference to a resource",
    done("resource", "`limits.cpu`, `limits.memory`, `requests.cpu`, `requests.memory`", text),
    done("divisor", "the unit", itself),
    done("containerName", "of this pod", text),
)


class Facts(Struct, frozen=True):
    """What is known of a pod before it runs. `resources`: amounts by `limits.cpu`, of each container.

    `name`: what it is called, "" where that is not known.
    """

    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    account: str
    resources: Mapping[str, Mapping[str, Value]]
    name: str = ""


class Variables(Struct):
    """A container's variables by name. `hidden`: those that hold a Secret's content, also within a text."""

    made: dict[str, Node] = field_(default_factory=dict)
    hidden: set[str] = field_(default_factory=set)

    def put(self, more: Mapping[str, Node], *, hidden: bool) -> None:
        """In place of those that were called so."""
        self.made |= more
        self.hidden = self.hidden | more.keys() if hidden else self.hidden - more.keys()

    def refers(self, said: str) -> bool:
        """Whether `$(NAME)` in a text puts a Secret's content there."""
        return any(match[2] in self.hidden for match in _REFERENCE.finditer(said))


def environment(container: Value, got: Mapping[str, Any], scope: Scope, facts: Facts, name: str) -> Variables:
    """All variables."""
    made = Variables()
    for item in got["envFrom"].items("a list of sources") if "envFrom" in got else ():
        with container.reading.collect():
            data, found = _all_of(item, scope)
            made.put(found, hidden=data is not None and data.kind == "Secret")
    for item in got["env"].items("a list of variables") if "env" in got else ():
        with container.reading.collect():
            said = VARIABLE.read(item)
            need(item, "name")
            if "name" not in said:
                continue
            if not said["name"] or "=" in said["name"]:
                raise item.child("name", said["name"]).error(f'"{said["name"]}" is no name of a variable')
            if said.get("value") and "valueFrom" in said:
                raise item.child("valueFrom", None).error("can't be said together with value")
            if "valueFrom" in said:
                value = _from(said["valueFrom"], scope, facts, name)
                if value is not None:
                    made.put({said["name"]: node(item, value)}, hidden="secretKeyRef" in said["valueFrom"].data)
            else:
                value = said.get("value", "")
                there = node(item.child("value", None), expanded(value, made.made))
                made.put({said["name"]: there}, hidden=made.refers(value))
    return made


def expanded(said: str, known: Mapping[str, Node]) -> str:
    """`$(NAME)` replaced where the name is known, `$$` a dollar: as Kubernetes does it."""

    per_node = False

    def each(match: re.Match[str]) -> str:
        nonlocal per_node
        if match[1] == "$":
            return "$"
        found = known.get(match[2])
        per_node = per_node or (found is not None and isinstance(found.data, Template))
        return match[0] if found is None else str(found.data)

    made = _REFERENCE.sub(each, said)
    return Template(made) if per_node and "{{" not in said else made


def _all_of(item: Value, scope: Scope) -> tuple[Data | None, dict[str, Node]]:
    got = FROM.read(item)
    references = [name for name in ("configMapRef", "secretRef") if name in got]
    if len(references) != 1:
        raise item.error(f"takes one of configMapRef and secretRef, found {' and '.join(references) or 'none'}")
    value: Value = got[references[0]]
    data = _referred(value, "ConfigMap" if references[0] == "configMapRef" else "Secret", scope, REF)
    if data is None:
        return None, {}
    if data.kind == "Secret":
        _tell_shown(value, data)
    made = {}
    for key, (place, content) in data.contents.items():
        name = got.get("prefix", "") + key
        if not is_variable(name):
            warn(value, f"{name} of {data.item.shown()} is no name of a variable, and is left out")
            continue
        made[name] = node(place, content)
    return data, made


def _referred(value: Value, kind: Any, scope: Scope, table: Fields) -> Data | None:
    got = table.read(value)
    need(value, "name")
    at = value.child("name", None)
    return scope.data(at, kind, got["name"], optional=got.get("optional", False)) if "name" in got else None


def _tell_shown(value: Value, data: Data) -> None:
    warn(
        value,
        f"puts the Secret {data.item.name} into the environment, where inspect shows it; "
        "mounted as a file it is seen by the container alone",
    )


def _from(value: Value, scope: Scope, facts: Facts, name: str) -> str | None:
    got = SOURCE.read(value)
    if len(got) != 1:
        known = "configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
        raise value.error(f"takes one of {known}, found {' and '.join(got) or 'none'}")
    ((source, at),) = got.items()
    match source:
        case "fieldRef":
            return _field(at, facts)
        case "resourceFieldRef":
            return _resource(at, facts, name)
        case _:
            data = _referred(at, "ConfigMap" if source == "configMapKeyRef" else "Secret", scope, KEY_REF)
            need(at, "key")
            if data is None:
                return None
            if at.data.get("optional") is True and at.data["key"] not in data.contents:
                return None
            if data.kind == "Secret":
                _tell_shown(at, data)
            return data.content(at.child("key", None), at.child("key", at.data["key"]).text())


def _field(value: Value, facts: Facts) -> str:
    got = FIELD_REF.read(value)
    need(value, "fieldPath")
    return field(value.child("fieldPath", None), got["fieldPath"], facts)


def field(value: Value, path: str, facts: Facts) -> str:
    """What a field of the pod is. Raises FileError where only a running pod has it."""
    match = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if match is not None and match[2] == POD_NAME and facts.name:
        return facts.name
    if match is not None:
        return (facts.labels if match[1] == "labels" else facts.annotations).get(match[2], "")
    match path:
        case "metadata.namespace":
            return facts.namespace
        case "spec.serviceAccountName":
            return facts.account
        case "spec.nodeName":
            return Template("{{ inventory_hostname }}")
        case "metadata.name":
            if facts.name:
                return facts.name
            raise value.error(
                "metadata.name is not known before a replica runs",
                hint="a StatefulSet's is; HOSTNAME is the container's own name",
            )
        case "metadata.uid" | "status.podIP" | "status.podIPs" | "status.hostIP" | "status.hostIPs":
            raise value.error(f"{path} is not known before a replica runs, and is not carried out")
        case _:
            raise value.error(f"{path} is no field that a variable can have")


def _resource(value: Value, facts: Facts, name: str) -> str:
    got = RESOURCE_REF.read(value)
    need(value, "resource")
    return resource(value, got, facts, name)


def resource(value: Value, got: Mapping[str, Any], facts: Facts, name: str) -> str:
    """What a container may use or has set aside, in the unit asked for. Raises FileError."""
    of = got.get("containerName", name)
    if of not in facts.resources:
        raise value.child("containerName", None).error(f"there is no container {of} in this pod")
    said = got.get("resource", "")
    at = value.child("resource", said)
    if said not in ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory"):
        raise at.error(f'"{said}" is none of limits.cpu, limits.memory, requests.cpu and requests.memory')
    amount = facts.resources[of].get(said)
    if amount is None:
        raise at.error(f"{of} says no {said}, and Kubernetes would take what its node has, which differs here")
    divisor = quantity(got["divisor"]) if "divisor" in got else 0
    return str(whole(quantity(amount) / (divisor or 1)))
