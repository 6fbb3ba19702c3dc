"""Deployments, StatefulSets, DaemonSets, ReplicaSets, Pods, Jobs and CronJobs, each as a service of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.base.record import Struct, field
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node, bare
from shipyard.files.kubernetes import data, pods, updates
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.environment import NAME
from shipyard.files.kubernetes.fields import Fields, done, itself, need, passed, refused, said
from shipyard.files.kubernetes.objects import METADATA, Object
from shipyard.files.kubernetes.pods import TEMPLATE, Pod
from shipyard.files.kubernetes.scalars import object_name, whole, word
from shipyard.files.kubernetes.selectors import matcher
from shipyard.files.kubernetes.tree import node

TOP = (passed("apiVersion"), passed("kind"), passed("metadata"), passed("status"))
WORKLOAD = Fields("a workload", *TOP, done("spec", "see below", itself))
_HISTORY = said("revisionHistoryLimit", "has no effect: shipyard keeps revisions of whole stacks", 10)
_COMMON = (
    done("selector", "held against the template's labels", itself),
    done("template", "the pod", itself),
)
DEPLOYMENT = Fields(
    "a Deployment's spec",
    *_COMMON,
    done("replicas", "`deploy.replicas`", whole()),
    done("strategy", "`update_config`", itself),
    done("minReadySeconds", "`update_config.monitor`", whole()),
    done("progressDeadlineSeconds", "`x-shipyard.progress_deadline`", whole(1)),
    refused("paused", "is not carried out", "shipyard pause stops an update", False),
    _HISTORY,
)
REPLICA_SET = Fields(
    "a ReplicaSet's spec",
    *_COMMON,
    done("replicas", "`deploy.replicas`", whole()),
    done("minReadySeconds", "`update_config.monitor`", whole()),
)
STATEFUL_SET = Fields(
    "a StatefulSet's spec",
    *_COMMON,
    done("replicas", "`deploy.replicas`", whole()),
    done(
        "serviceName",
        "replicas are found as `NAME-0.SERVICE` and `NAME-0.SERVICE.NAMESPACE.svc.cluster.local`",
        object_name,
    ),
    done("podManagementPolicy", "`x-shipyard.order`", word("OrderedReady", "Parallel")),
    done("updateStrategy", "`RollingUpdate`", itself),
    done("volumeClaimTemplates", "volumes that are `per_replica`", itself),
    done("minReadySeconds", "`update_config.monitor`", whole()),
    said(
        "persistentVolumeClaimRetentionPolicy",
        "has no effect: volumes are kept",
        {"whenDeleted": "Retain", "whenScaled": "Retain"},
        {"whenDeleted": "Retain"},
        {"whenScaled": "Retain"},
    ),
    done("ordinals", "`x-shipyard.names_from`", itself),
    _HISTORY,
)
DAEMON_SET = Fields(
    "a DaemonSet's spec",
    *_COMMON,
    done("updateStrategy", "`RollingUpdate`", itself),
    done("minReadySeconds", "`update_config.monitor`", whole()),
    _HISTORY,
)
ORDINALS = Fields("a StatefulSet's ordinals", done("start", "the number of the first replica, else 0", whole()))
CLAIM_TEMPLATE = Fields(
    "a volume claim template",
    *(passed(name) for name in ("apiVersion", "kind", "status")),
    done("metadata", "the name", itself),
    done("spec", "as a PersistentVolumeClaim's", itself),
)
SERVICE_KINDS = ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Pod")


class Workload(Struct):
    """What is to become a service. `name`: the service's. `aliases`, `exposed`: from the Services that select it."""

    item: Object
    name: str
    pod: Pod
    ports: list[Node] = field(default_factory=list)
    aliases: list[Node] = field(default_factory=list)

    def shown(self) -> str:
        return self.item.shown()

    def service(self, stack: str) -> Node:
        """All of it, as an entry of the play's services."""
        pod, at = self.pod, self.item.at("metadata", "name")
        made = dict(pod.service)
        published = [*pod.published, *self.ports]
        if published:
            made["ports"] = node(pod.value, published)
        if self.aliases:
            made["networks"] = node(at, {"default": {"aliases": self.aliases}})
        if pod.deploy:
            made["deploy"] = node(pod.value, pod.deploy)
        if pod.own:
            made["x-shipyard"] = node(pod.value, pod.own)
        return node(at, made)


def workload(item: Object, scope: Scope) -> Workload | None:
    """None where it has errors, which are noted."""
    if item.kind == "Pod":
        return _pod(item, scope)
    got = WORKLOAD.read(item.value)
    need(item.value, "spec")
    if "spec" not in got:
        return None
    spec: Value = got["spec"]
    match item.kind:
        case "Deployment":
            return _deployment(item, spec, DEPLOYMENT.read(spec), scope)
        case "ReplicaSet" | "ReplicationController":
            return _deployment(item, spec, REPLICA_SET.read(spec), scope)
        case "StatefulSet":
            return _stateful_set(item, spec, STATEFUL_SET.read(spec), scope)
        case _:
            return _daemon_set(item, spec, DAEMON_SET.read(spec), scope)


def _pod(item: Object, scope: Scope) -> Workload | None:
    got = WORKLOAD.read(item.value)
    need(item.value, "spec")
    if "spec" not in got:
        return None
    metadata = item.at("metadata")
    kept = {key: metadata.data[key] for key in ("labels", "annotations") if metadata.data.get(key) is not None}
    notes = kept.get("annotations")
    if isinstance(notes, dict):  # those without effect are told already
        kept["annotations"] = {
            name: said_ for name, said_ in notes.items() if name.startswith("kubectl.kubernetes.io/")
        }
    own = Value(kept, metadata.path, metadata.reading)
    made = pods.pod(got["spec"], own, scope, item.name, ("Always", "OnFailure", "Never"), {}, name=item.name)
    if made is not None and made.deadline is not None:
        raise got["spec"].child("activeDeadlineSeconds", None).error("is carried out for jobs only")
    return Workload(item, item.name, made) if made is not None else None


def template(
    item: Object, spec: Value, got: Mapping[str, Any], scope: Scope, own: Mapping[str, str], *, per_node: bool = False
) -> Pod | None:
    """The pod of a workload whose selector has to fit it."""
    need(spec, "template")
    if "template" not in got:
        return None
    head = TEMPLATE.read(got["template"])
    need(got["template"], "spec")
    if "spec" not in head:
        return None
    name = NAME if item.kind == "StatefulSet" else ""
    pod = pods.pod(head["spec"], head.get("metadata"), scope, item.name, ("Always",), own, per_node=per_node, name=name)
    if pod is None:
        return None
    if pod.deadline is not None:
        raise head["spec"].child("activeDeadlineSeconds", None).error("is carried out for jobs only")
    plain = item.kind == "ReplicationController"
    if not plain:
        need(spec, "selector")
    if "selector" in got:
        selector: Value = got["selector"]
        wanted = Value({"matchLabels": selector.data}, selector.path, selector.reading) if plain else selector
        if not matcher(wanted)(pod.labels):
            raise selector.error("does not fit the labels of the template, and Kubernetes refuses that")
    if item.labels:
        pod.deploy["labels"] = node(item.at("metadata", "labels"), item.labels)
    return pod


def _deployment(item: Object, spec: Value, got: Mapping[str, Any], scope: Scope) -> Workload | None:
    pod = template(item, spec, got, scope, {})
    if pod is None:
        return None
    replicas = _replicas(pod, spec, got)
    update: dict[str, Any] = {}
    if item.kind == "Deployment":
        with spec.reading.collect():
            update = updates.strategy(spec, got, replicas)
        if "progressDeadlineSeconds" in got:
            deadline = f"{got['progressDeadlineSeconds']}s"
            pod.own["progress_deadline"] = node(spec.child("progressDeadlineSeconds", None), deadline)
    updates.carried_by(pod, spec, got, update)
    return Workload(item, item.name, pod)


def _replicas(pod: Pod, spec: Value, got: Mapping[str, Any]) -> int:
    replicas: int = got.get("replicas", 1)
    if replicas != 1:
        pod.deploy["replicas"] = node(spec.child("replicas", None), replicas)
    return replicas


def _stateful_set(item: Object, spec: Value, got: Mapping[str, Any], scope: Scope) -> Workload | None:
    own: dict[str, str] = {}
    for each in got["volumeClaimTemplates"].items("a list of claims") if "volumeClaimTemplates" in got else ():
        with each.reading.collect():
            own |= _claim_template(item, each, scope)
    pod = template(item, spec, got, scope, own)
    if pod is None:
        return None
    _replicas(pod, spec, got)
    at = item.at("metadata", "name")
    order = "parallel" if got.get("podManagementPolicy") == "Parallel" else "ordered"
    pod.own["order"] = node(spec.child("podManagementPolicy", None), order)
    pod.own["stable_names"] = node(at, True)
    first = ORDINALS.read(got["ordinals"]).get("start", 0) if "ordinals" in got else 0
    if first != 1:
        pod.own["names_from"] = node(spec.child("ordinals", None), first)
    if "serviceName" in got:
        name = f"{got['serviceName']}.{scope.name}"
        domains = [got["serviceName"], name, f"{name}.svc", f"{name}.svc.cluster.local"]
        pod.own["peer_domains"] = node(spec.child("serviceName", None), domains)
    if any(NAME in str(bare(each)) for each in (*pod.service.values(), *pod.own.values())):
        pod.own["name_token"] = node(at, NAME)
    update: dict[str, Any] = {}
    with spec.reading.collect():
        updates.of_set(got)
    updates.carried_by(pod, spec, got, update)
    return Workload(item, item.name, pod)


def _claim_template(item: Object, value: Value, scope: Scope) -> dict[str, str]:
    got = CLAIM_TEMPLATE.read(value)
    need(value, "metadata")
    if "metadata" not in got:
        return {}
    name = METADATA.read(got["metadata"]).get("name")
    need(got["metadata"], "name")
    if "spec" in got:
        data.claim_spec(got["spec"])
    key = f"{name}-{item.name}"
    scope.sections["volumes"][key] = node(got["metadata"].child("name", None), {"x-shipyard": {"per_replica": True}})
    return {str(name): key}


def _daemon_set(item: Object, spec: Value, got: Mapping[str, Any], scope: Scope) -> Workload | None:
    pod = template(item, spec, got, scope, {}, per_node=True)
    if pod is None:
        return None
    pod.deploy["mode"] = node(item.at("kind"), "global")
    update: dict[str, Any] = {}
    with spec.reading.collect():
        update = updates.of_daemon(got)
    updates.carried_by(pod, spec, got, update)
    return Workload(item, item.name, pod)
