"""Which kinds there are, in which versions, and what is said of those that are not carried out."""

from __future__ import annotations

import difflib

from shipyard.files.kubernetes.fields import Fields, passed, said, warn
from shipyard.files.kubernetes.fields import done as _done
from shipyard.files.kubernetes.objects import Object
from shipyard.files.kubernetes.scalars import whole
from shipyard.files.kubernetes.workloads import TOP

VERSIONS = {
    "Namespace": ("v1",),
    "Pod": ("v1",),
    "ReplicationController": ("v1",),
    "Service": ("v1",),
    "ConfigMap": ("v1",),
    "Secret": ("v1",),
    "PersistentVolumeClaim": ("v1",),
    "Deployment": ("apps/v1",),
    "ReplicaSet": ("apps/v1",),
    "StatefulSet": ("apps/v1",),
    "DaemonSet": ("apps/v1",),
    "Job": ("batch/v1",),
    "CronJob": ("batch/v1",),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "autoscaling/v1"),
    "NetworkPolicy": ("networking.k8s.io/v1",),
    "PriorityClass": ("scheduling.k8s.io/v1",),
}
"""What is carried out. Older versions had other fields and defaults."""

_API = "is of the API server, which there is none of here, and is left out"
IGNORED = {
    "ServiceAccount": _API,
    "Role": _API,
    "RoleBinding": _API,
    "ClusterRole": _API,
    "ClusterRoleBinding": _API,
    "APIService": _API,
    "CustomResourceDefinition": _API,
    "MutatingWebhookConfiguration": _API,
    "ValidatingWebhookConfiguration": _API,
    "ValidatingAdmissionPolicy": _API,
    "ValidatingAdmissionPolicyBinding": _API,
    "Ingress": "is not carried out: there is no HTTP ingress yet; a Service of type LoadBalancer opens a port",
    "IngressClass": "is not carried out: there is no HTTP ingress yet",
    "Gateway": "is not carried out: there is no HTTP ingress yet; a Service of type LoadBalancer opens a port",
    "GatewayClass": "is not carried out: there is no HTTP ingress yet",
    "HTTPRoute": "is not carried out: there is no HTTP ingress yet; a Service of type LoadBalancer opens a port",
    "PodDisruptionBudget": "is not carried out: drains and updates take replicas as update_config says",
    "StorageClass": "is not carried out: claims are local volumes",
    "PersistentVolume": "is not carried out: claims are local volumes",
    "LimitRange": "is not carried out: what containers don't say themselves has no limit",
    "ResourceQuota": "is not carried out: namespaces have no limits",
}
"""Said, and left out: the rest works without, or in another way."""

PRIORITY_CLASS = Fields(
    "a PriorityClass",
    *TOP,
    _done("value", "`x-shipyard.priority`", whole(-(2**31))),
    said("globalDefault", "has no effect: say priorityClassName", False),
    said("preemptionPolicy", "has no effect here", "PreemptLowerPriority"),
    passed("description", "is for people"),
)
NAMESPACE = Fields(
    "a Namespace",
    *TOP,
    said("spec", "has no effect here"),
)


def carried(item: Object) -> bool:
    """Whether an object of this kind is carried out; False where that is said. Raises FileError where it can't be."""
    place = item.at("kind")
    if item.kind in VERSIONS:
        wanted = VERSIONS[item.kind]
        if item.group not in wanted:
            at = item.at("apiVersion")
            raise at.error(f"{item.group} is no version of {item.kind} that is read here", hint=f"write {wanted[0]}")
        return True
    if item.kind in IGNORED:
        warn(place, f"{item.kind} {item.name} {IGNORED[item.kind]}")
        return False
    if item.kind == "Kustomization":
        raise place.error(
            "Kustomization is kubectl's own file, not an object", hint="kubectl kustomize DIR | shipyard apply -"
        )
    group = item.group.partition("/")[0]
    if "." in group and not group.endswith(".k8s.io"):
        raise place.error(
            f"{item.kind} ({item.group}) is not carried out: it is for a controller, which there is none of here",
            hint="leave it out, and say what the controller would make of it in Kubernetes' own kinds",
        )
    near = difflib.get_close_matches(item.kind, VERSIONS, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(VERSIONS)
    raise place.error(f"{item.kind} ({item.group}) is not carried out", hint=hint)
