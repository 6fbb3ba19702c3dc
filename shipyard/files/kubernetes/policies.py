"""HorizontalPodAutoscalers and NetworkPolicies: what holds for workloads that other manifests declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused, said
from shipyard.files.kubernetes.objects import Object
from shipyard.files.kubernetes.probes import numbered
from shipyard.files.kubernetes.scalars import object_name, port_or_name, text, whole, word
from shipyard.files.kubernetes.selectors import matcher
from shipyard.files.kubernetes.tree import node
from shipyard.files.kubernetes.workloads import TOP, Workload

AUTOSCALER = Fields("a HorizontalPodAutoscaler", *TOP, done("spec", "`x-shipyard.autoscale`", itself))
AUTOSCALER_SPEC = Fields(
    "an autoscaler's spec",
    done("scaleTargetRef", "a workload of these files", itself),
    done("minReplicas", "`min`; without it 1", whole(1)),
    done("maxReplicas", "`max`", whole(1)),
    done("targetCPUUtilizationPercentage", "`cpu`", whole(1, 9999)),
    done("metrics", "`Resource` of cpu and memory, by `averageUtilization`; without any cpu: 80%", itself),
    said("behavior", "has no effect: it is Kubernetes' default"),
)
TARGET = Fields(
    "a scaleTargetRef",
    said("apiVersion", "has no effect", "apps/v1"),
    done("kind", "a Deployment, StatefulSet or ReplicaSet", text),
    done("name", "its name", object_name),
)
METRIC = Fields(
    "a metric",
    done("type", "`Resource`", word("Resource", "Pods", "Object", "External", "ContainerResource")),
    done("resource", "`cpu`, `memory`", itself),
    *(
        refused(name, "is not carried out: cpu and memory of whole replicas are")
        for name in ("pods", "object", "external")
    ),
    refused("containerResource", "is not carried out: cpu and memory of whole replicas are"),
)
RESOURCE = Fields(
    "a resource metric", done("name", "`cpu`, `memory`", word("cpu", "memory")), done("target", "see below", itself)
)
USE = Fields(
    "a metric's target",
    done("type", "`Utilization`", word("Utilization", "AverageValue", "Value")),
    done("averageUtilization", "a share of what is reserved", whole(1, 9999)),
    refused("averageValue", "is not carried out", "averageUtilization is"),
    refused("value", "is not carried out", "averageUtilization is"),
)
POLICY = Fields("a NetworkPolicy", *TOP, done("spec", "`x-shipyard.allow`", itself))
POLICY_SPEC = Fields(
    "a NetworkPolicy's spec",
    done("podSelector", "workloads of these files", itself),
    done("policyTypes", "`Ingress`", itself),
    done("ingress", "who may connect", itself),
    refused("egress", "is not carried out: who may connect is said where the connection leads"),
)
INGRESS = Fields(
    "an entry of ingress", done("from", "workloads, by podSelector", itself), done("ports", "their ports", itself)
)
PEER = Fields(
    "a peer",
    done("podSelector", "workloads of these files", itself),
    refused("namespaceSelector", "is not carried out: the namespace's own pods are meant"),
    refused("ipBlock", "is not carried out: peers are pods"),
)
PEER_PORT = Fields(
    "a port of a policy",
    done("port", "a number, or a container port's name", port_or_name),
    done("protocol", "`TCP`, `UDP`, `SCTP`", word("TCP", "UDP", "SCTP")),
    refused("endPort", "is not carried out", "write each port"),
)


def autoscale(item: Object, workloads: Sequence[Workload]) -> None:
    """Give the workload that is scaled its bounds. Raises FileError."""
    top = AUTOSCALER.read(item.value)
    need(item.value, "spec")
    spec: Value = top["spec"]
    got = AUTOSCALER_SPEC.read(spec)
    need(spec, "scaleTargetRef", "maxReplicas")
    target = TARGET.read(got["scaleTargetRef"])
    need(got["scaleTargetRef"], "kind", "name")
    found = next(
        (each for each in workloads if (each.item.kind, each.item.name) == (target.get("kind"), target.get("name"))),
        None,
    )
    if found is None:
        raise got["scaleTargetRef"].error(
            f"there is no {target.get('kind')} {target.get('name')} in these files",
            hint="an autoscaler is given together with what it scales",
        )
    made: dict[str, Any] = {"max": node(spec.child("maxReplicas", None), got.get("maxReplicas", 1))}
    if "minReplicas" in got:
        made["min"] = node(spec.child("minReplicas", None), got["minReplicas"])
    if "targetCPUUtilizationPercentage" in got:
        share = f"{got['targetCPUUtilizationPercentage']}%"
        made["cpu"] = node(spec.child("targetCPUUtilizationPercentage", None), share)
    for each in got["metrics"].items("a list of metrics") if "metrics" in got else ():
        with each.reading.collect():
            name, wished = _metric(each)
            made[name] = wished
    if not {"cpu", "memory"} & made.keys():
        made["cpu"] = "80%"
    for name, key in (("cpu", "cpus"), ("memory", "memory")):
        if name in made and not _reserved(found, key):
            raise got["scaleTargetRef"].error(
                f"goes by a share of {name}, of which {found.item.shown()} requests none",
                hint=f"write resources.requests.{name} in its first container",
            )
    found.pod.own["autoscale"] = node(spec, made)


def _reserved(workload: Workload, key: str) -> bool:
    resources = workload.pod.deploy.get("resources")
    parts = resources.data.values() if resources is not None else ()
    return any(key in part.data for part in parts)


def _metric(value: Value) -> tuple[str, Node]:
    got = METRIC.read(value)
    if got.get("type") != "Resource" or "resource" not in got:
        raise value.error("is of a type that is not carried out; Resource is")
    metric = RESOURCE.read(got["resource"])
    need(got["resource"], "name", "target")
    use = USE.read(metric["target"])
    if "averageUtilization" not in use:
        raise metric["target"].error("has no averageUtilization; other targets are not carried out")
    at = metric["target"].child("averageUtilization", None)
    return metric.get("name", "cpu"), node(at, f"{use['averageUtilization']}%")


def policy(item: Object, workloads: Sequence[Workload], scope: Scope) -> None:
    """Say for each workload that it selects who may connect. Raises FileError."""
    top = POLICY.read(item.value)
    need(item.value, "spec")
    spec: Value = top["spec"]
    got = POLICY_SPEC.read(spec)
    types = (
        [each.text() for each in got["policyTypes"].items("a list of words")] if "policyTypes" in got else ["Ingress"]
    )
    if "Egress" in types:
        at = spec.child("policyTypes", None)
        raise at.error("Egress is not carried out: who may connect is said where the connection leads")
    selector = got.get("podSelector", spec.child("podSelector", {}))
    chosen = [each for each in workloads if matcher(selector)(each.pod.labels)]
    if not chosen:
        raise selector.error(
            "selects no pod of these files", hint="a policy is given together with the pods that it is for"
        )
    for workload in chosen:
        if workload.pod.host_network:
            raise selector.error(f"selects {workload.shown()}, which has hostNetwork, where nobody can be kept away")
        allowed: list[Node] = list(workload.pod.own["allow"].data) if "allow" in workload.pod.own else []
        for entry in got["ingress"].items("a list of who may connect") if "ingress" in got else ():
            with entry.reading.collect():
                allowed += _allowed(entry, workload, workloads)
        workload.pod.own["allow"] = node(spec, allowed)


def _allowed(value: Value, workload: Workload, workloads: Sequence[Workload]) -> list[Node]:
    got = INGRESS.read(value)
    ports = []
    for each in got["ports"].items("a list of ports") if "ports" in got else ():
        with each.reading.collect():
            said_ = PEER_PORT.read(each)
            need(each, "port")
            number = numbered(each.child("port", said_.get("port")), workload.pod.ports)
            ports.append(node(each, f"{number}/{said_.get('protocol', 'TCP').lower()}"))
    more = {"ports": ports} if ports else {}
    if "from" not in got or not got["from"].data:
        return [node(value, {"service": "*", **more})]
    made = []
    for peer in got["from"].items("a list of peers"):
        with peer.reading.collect():
            said_ = PEER.read(peer)
            if "podSelector" not in said_:
                continue
            fits = matcher(said_["podSelector"])
            names = [each.name for each in workloads if fits(each.pod.labels)]
            if not names:
                raise said_["podSelector"].error("selects no pod of these files")
            made += [node(peer, {"service": name, **more}) for name in names]
    return made
