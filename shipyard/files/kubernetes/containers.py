"""A container of a pod, as the keys of a service or of a further container of a replica."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from shipyard.base.record import Struct
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes import environment, security
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.environment import Facts
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused, said, warn
from shipyard.files.kubernetes.quantity import cores, cpus, memory, quantity, whole
from shipyard.files.kubernetes.scalars import boolean, label_name, port, text, texts, word
from shipyard.files.kubernetes.tree import node
from shipyard.files.kubernetes.volumes import Volumes

CONTAINER = Fields(
    "a container",
    done(
        "name",
        "the first (or the annotation's `kubectl.kubernetes.io/default-container`) is the service's own",
        label_name,
    ),
    done("image", "`image`", text),
    done("command", "`entrypoint`; `$(NAME)` as Kubernetes replaces it", texts),
    done("args", "`command`", texts),
    done("workingDir", "`working_dir`", text),
    done("env", "`environment`", itself),
    done("envFrom", "`environment`", itself),
    done("ports", "names for probes and Services; `hostPort` is published on the replica's node", itself),
    done("resources", "`deploy.resources`", itself),
    done("volumeMounts", "`volumes`, `configs`, `secrets`", itself),
    done("startupProbe", "`x-shipyard.probes`, of the first container", itself),
    done("livenessProbe", "`x-shipyard.probes`, of the first container", itself),
    done("readinessProbe", "`x-shipyard.probes`, of the first container", itself),
    done("lifecycle", "see below", itself),
    done("securityContext", "see below", itself),
    done("imagePullPolicy", "`pull_policy`", word("Always", "Never", "IfNotPresent")),
    done("restartPolicy", "of an init container, `Always`: a sidecar", word("Always")),
    done("stdin", "`stdin_open`", boolean),
    done("tty", "`tty`", boolean),
    said("stdinOnce", "has no effect here", False),
    said(
        "terminationMessagePath", "has no effect: a container's last words are what it printed", "/dev/termination-log"
    ),
    said("terminationMessagePolicy", "has no effect: a container's last words are what it printed", "File"),
    refused("volumeDevices", "are block devices, which are not carried out"),
    refused("resizePolicy", "is not carried out: changed resources roll out"),
    refused("restartPolicyRules", "is not carried out"),
)
PORT = Fields(
    "a port",
    done("name", "for probes and Services", text),
    done("containerPort", "the port", port),
    done("protocol", "`TCP`, `UDP`, `SCTP`", word("TCP", "UDP", "SCTP")),
    done("hostPort", "`published`, with mode host", port),
    done("hostIP", "`host_ip`", text),
)
RESOURCES = Fields(
    "resources",
    done("limits", "`cpu`, `memory`, `nvidia.com/gpu`", itself),
    done("requests", "reservations; without them, as the limits", itself),
    refused("claims", "are not carried out"),
)
LIFECYCLE = Fields(
    "a lifecycle",
    said(
        "preStop",
        "is not run: a replica leaves its service's address before it is stopped, and then gets the signal to stop",
    ),
    refused("postStart", "is not carried out", "let the container's own command do it"),
    done("stopSignal", "`stop_signal`", text),
)
_PULL = {"Always": "always", "Never": "never", "IfNotPresent": "missing"}


class Made(Struct, frozen=True):
    """A container as read. `keys`: those that a service and a member both have. `ports`: published ones.

    `hidden`: names of variables that hold Secrets' contents.
    """

    value: Value
    name: str
    got: Mapping[str, Any]
    keys: dict[str, Any]
    ports: list[Node]
    amounts: Mapping[str, Value]
    hidden: tuple[str, ...] = ()


def named_ports(containers: list[Value]) -> dict[str, int]:
    """The numbers of ports by their names, over all containers of a pod. What is wrong in them is told elsewhere."""
    found: dict[str, int] = {}
    for container in containers:
        ports = container.data.get("ports") if isinstance(container.data, dict) else None
        for each in ports if isinstance(ports, list) else ():
            if (
                isinstance(each, dict)
                and isinstance(each.get("name"), str)
                and isinstance(each.get("containerPort"), int)
            ):
                found.setdefault(each["name"], each["containerPort"])
    return found


def amounts(container: Value) -> dict[str, Value]:
    """What a container may use and has set aside, by `limits.cpu`, `requests.memory`; requests default to limits."""
    found: dict[str, Value] = {}
    resources = container.data.get("resources") if isinstance(container.data, dict) else None
    if not isinstance(resources, dict):
        return found
    base = container.child("resources", resources)
    for kind in ("limits", "requests"):
        part = resources.get(kind)
        for name, item in part.items() if isinstance(part, dict) else ():
            if item is not None:
                found[f"{kind}.{name}"] = base.child(kind, part).child(str(name), item)
    for name in ("cpu", "memory"):
        if f"limits.{name}" in found:
            found.setdefault(f"requests.{name}", found[f"limits.{name}"])
    return found


def container(value: Value, scope: Scope, facts: Facts, volumes: Volumes, context: Mapping[str, Any]) -> Made | None:
    """None where it has no name or image, which is noted."""
    got = CONTAINER.read(value)
    with value.reading.collect():
        need(value, "name")
    with value.reading.collect():
        need(value, "image")
    if "name" not in got or "image" not in got:
        return None
    name = got["name"]
    keys: dict[str, Any] = {"image": node(value.child("image", None), got["image"])}
    found = environment.Variables()
    with value.reading.collect():
        found = environment.environment(value, got, scope, facts, name)
    variables = found.made
    for field, key in (("command", "entrypoint"), ("args", "command")):
        if got.get(field):
            keys[key] = node(value.child(field, None), [environment.expanded(each, variables) for each in got[field]])
    if variables:
        keys["environment"] = node(value.child("env", None), variables)
    for field, key in (("workingDir", "working_dir"), ("stdin", "stdin_open"), ("tty", "tty")):
        if got.get(field):
            keys[key] = node(value.child(field, None), got[field])
    if "imagePullPolicy" in got:
        keys["pull_policy"] = node(value.child("imagePullPolicy", None), _PULL[got["imagePullPolicy"]])
    if "lifecycle" in got:
        signal = LIFECYCLE.read(got["lifecycle"]).get("stopSignal")
        if signal:
            keys["stop_signal"] = node(got["lifecycle"].child("stopSignal", None), signal)
    with value.reading.collect():
        keys |= security.keys(got.get("securityContext"), context)
    if "volumeMounts" in got:
        with value.reading.collect():
            keys |= {
                key: node(value.child("volumeMounts", None), items)
                for key, items in volumes.mounts(got["volumeMounts"]).items()
            }
    ports: list[Node] = []
    for item in got["ports"].items("a list of ports") if "ports" in got else ():
        with value.reading.collect():
            ports += _port(item)
    if "resources" in got:
        with value.reading.collect():
            _check(got["resources"])
    return Made(value, name, got, keys, ports, amounts(value), tuple(sorted(found.hidden)))


def _port(item: Value) -> list[Node]:
    got = PORT.read(item)
    need(item, "containerPort")
    if "hostPort" not in got or "containerPort" not in got:
        if "hostIP" in got:
            warn(item.child("hostIP", None), "has no effect without hostPort")
        return []
    made = {"target": got["containerPort"], "published": got["hostPort"], "mode": "host"}
    if "protocol" in got:
        made["protocol"] = got["protocol"].lower()
    if got.get("hostIP"):
        made["host_ip"] = node(item.child("hostIP", None), got["hostIP"])
    return [node(item.child("hostPort", None), made)]


def _check(resources: Value) -> None:
    """Say what of the amounts is not carried out."""
    for part in RESOURCES.read(resources).values():
        for name, entry in part.mapping("a mapping of amounts"):
            with entry.reading.collect():
                quantity(entry)
                if name == "ephemeral-storage":
                    warn(entry, "has no effect: disks have no limits here")
                elif name not in ("cpu", "memory", "nvidia.com/gpu", "amd.com/gpu"):
                    raise entry.error(f"{name} is not carried out; cpu, memory, nvidia.com/gpu and amd.com/gpu are")


def resources(main: Made, beside: list[Made]) -> Node | None:
    """`deploy.resources` of the service's own container. What others reserve of cores is set aside by it as well."""
    limits: dict[str, Any] = {}
    aside: dict[str, Any] = {}
    found = main.amounts
    for key, name, read in (("cpus", "cpu", cpus), ("memory", "memory", memory)):
        if f"limits.{name}" in found:
            limits[key] = node(found[f"limits.{name}"], read(found[f"limits.{name}"]))
        if f"requests.{name}" in found:
            aside[key] = node(found[f"requests.{name}"], read(found[f"requests.{name}"]))
    _check_order(found)
    more = [each.amounts["requests.cpu"] for each in beside if "requests.cpu" in each.amounts]
    if more:
        own = quantity(found["requests.cpu"]) if "requests.cpu" in found else Decimal(0)
        total = own + sum((quantity(each) for each in more), Decimal(0))
        if "limits.cpu" in found and total > quantity(found["limits.cpu"]):
            for each in more:
                warn(each, "is not set aside: it would be more than the first container's limit of cpu")
        else:
            aside["cpus"] = node(more[0], cores(total))
    devices = [
        node(found[key], {"capabilities": ["gpu"], "driver": vendor, "count": whole(quantity(found[key]))})
        for key, vendor in (("limits.nvidia.com/gpu", "nvidia"), ("limits.amd.com/gpu", "amd"))
        if key in found
    ]
    if devices:
        aside["devices"] = devices
    made = {**({"limits": limits} if limits else {}), **({"reservations": aside} if aside else {})}
    return node(main.value.child("resources", None), made) if made else None


def of_member(made: Made) -> dict[str, Any]:
    """The limits of a container beside the first, in the keys that such a container has."""
    keys: dict[str, Any] = {}
    found = made.amounts
    _check_order(found)
    for name, key, read in (
        ("limits.cpu", "cpus", cpus),
        ("limits.memory", "mem_limit", memory),
        ("requests.memory", "mem_reservation", memory),
    ):
        if name in found:
            keys[key] = node(found[name], read(found[name]))
    for name in ("limits.nvidia.com/gpu", "limits.amd.com/gpu"):
        if name in found:
            raise found[name].error("is carried out for the first container only")
    return keys


def _check_order(found: Mapping[str, Value]) -> None:
    for name in ("cpu", "memory"):
        most, least = found.get(f"limits.{name}"), found.get(f"requests.{name}")
        if most is not None and least is not None and quantity(least) > quantity(most):
            raise least.error(f"is more than the limit of {name}, {most.data}")
