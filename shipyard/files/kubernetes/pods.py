"""A pod, as the keys of a service: its containers, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from shipyard.base.record import Struct, field
from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes import containers, names, probes, scheduling, security
from shipyard.files.kubernetes.containers import Made
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.environment import Facts
from shipyard.files.kubernetes.fields import Fields, done, itself, need, passed, refused, said, warn
from shipyard.files.kubernetes.scalars import boolean, labels, object_name, text, whole, word
from shipyard.files.kubernetes.tree import node
from shipyard.files.kubernetes.volumes import Volumes

_API = "is of the API server, which there is none of here"

TEMPLATE = Fields("a pod template", done("metadata", "labels", itself), done("spec", "the pod", itself))
TEMPLATE_METADATA = Fields(
    "a pod template's metadata",
    done("labels", "what Services and other selectors go by, and labels of the containers", labels),
    done("annotations", "for variables; said that they have no other effect", itself),
    said("name", "has no effect in a template"),
    said("namespace", "has no effect in a template"),
    said("finalizers", "has no effect here"),
    passed("creationTimestamp"),
)
POD = Fields(
    "a pod",
    done("containers", "the first is the service's own, the others `sidecars` (of a job, with `must_end`)", itself),
    done("initContainers", "`init_containers`; with `restartPolicy: Always` they are `sidecars`", itself),
    done("volumes", "see below", itself),
    done("restartPolicy", "`restart`", word("Always", "OnFailure", "Never")),
    done("terminationGracePeriodSeconds", "`stop_grace_period`; without it 30s", whole()),
    done("activeDeadlineSeconds", "of a job: `deadline`", whole(1)),
    done("nodeSelector", "constraints", itself),
    done("nodeName", "a constraint", text),
    done("affinity", "see below", itself),
    done("topologySpreadConstraints", "`preferences`", itself),
    done("tolerations", "`x-shipyard.tolerations`", itself),
    done("securityContext", "see below", itself),
    done("hostNetwork", "`network_mode: host`", boolean),
    done("hostPID", "`pid: host`", boolean),
    done("hostIPC", "`ipc: host`", boolean),
    done("hostname", "`hostname`", text),
    done("hostAliases", "`extra_hosts`", itself),
    done(
        "dnsPolicy",
        "`None` needs dnsConfig; the others are the runtime's own",
        word("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    ),
    done("dnsConfig", "`dns`, `dns_search`, `dns_opt`", itself),
    done("priorityClassName", "`x-shipyard.priority`, of a PriorityClass of these files", object_name),
    done("priority", "`x-shipyard.priority`", whole(-(2**31))),
    done("serviceAccountName", f"said: {_API}", text),
    said("serviceAccount", _API, "default"),
    said("automountServiceAccountToken", _API, False),
    said("imagePullSecrets", "images are pulled with what docker login or podman login has on this machine"),
    said("enableServiceLinks", "has no effect: services are found by name, not by variables", False),
    said("schedulerName", "has no effect: shipyard places it", "default-scheduler"),
    said("runtimeClassName", "has no effect: the node's own runtime is used"),
    said("subdomain", "has no effect: names of single replicas are SLOT.SERVICE.STACK"),
    said("setHostnameAsFQDN", "has no effect here", False),
    said("preemptionPolicy", "has no effect here", "PreemptLowerPriority"),
    said("overhead", "has no effect here"),
    said("os", "has no effect here", {"name": "linux"}),
    refused("shareProcessNamespace", "is not carried out", "", False),
    refused("hostUsers", "is not carried out", "", True),
    refused("readinessGates", "are not carried out"),
    refused("ephemeralContainers", "are not carried out", "shipyard exec runs a command in a container"),
    refused("schedulingGates", "are not carried out"),
    refused("resourceClaims", "are not carried out"),
    refused("resources", "of a whole pod are not carried out", "say them of its containers"),
    refused("hostnameOverride", "is not carried out"),
    refused("schedulingGroup", "is not carried out"),
    said("evictionResponders", "has no effect here"),
)
_MAIN = "kubectl.kubernetes.io/default-container"


class Pod(Struct):
    """What a pod comes to. `service`, `own`: the service's keys, and those of its `x-shipyard`.

    `affinity`: to be read when all workloads are known. `host_network`: it has no name on the stack's network.
    """

    value: Value
    labels: dict[str, str]
    ports: dict[str, int]
    service: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    deploy: dict[str, Any] = field(default_factory=dict)
    published: list[Node] = field(default_factory=list)
    affinity: Value | None = None
    host_network: bool = False
    deadline: Node | None = None
    restart: str = "Always"


def pod(
    spec: Value,
    metadata: Value | None,
    scope: Scope,
    owner: str,
    restarts: tuple[str, ...],
    own: Mapping[str, str],
    *,
    per_node: bool = False,
    job: bool = False,
    alone: bool = False,
    name: str = "",
) -> Pod | None:
    """None where no container could be read, which is noted.

    `metadata`: of the template. `restarts`: the restart policies that the workload allows, its default first.
    `own`: keys of volumes by the names of claim templates. `name`: what it is called, where that is known.
    `alone`: of a job that is run once, and in one pod.
    """
    head = TEMPLATE_METADATA.read(metadata) if metadata is not None else {}
    notes = _annotations(head.get("annotations"))
    got = POD.read(spec)
    need(spec, "containers")
    items = got["containers"].items("a list of containers") if "containers" in got else []
    before = got["initContainers"].items("a list of containers") if "initContainers" in got else []
    if not items:
        raise spec.error("has no containers")
    account = got.get("serviceAccountName", "")
    if account not in ("", "default"):
        warn(spec.child("serviceAccountName", None), _API)
    known = {
        str(each.data.get("name")): containers.amounts(each)
        for each in (*items, *before)
        if isinstance(each.data, dict)
    }
    facts = Facts(scope.name, head.get("labels", {}), notes, account or "default", known, name)
    volumes = Volumes(scope, facts, owner, per_node, job=job, alone=alone, own=dict(own))
    volumes.read(got.get("volumes"), [*items, *before])
    context = security.pod(got.get("securityContext"))
    _check_names([*items, *before])
    read = [containers.container(each, scope, facts, volumes, context) for each in items]
    first = [containers.container(each, scope, facts, volumes, context) for each in before]
    volumes.unused()
    if None in read or None in first:
        return None
    made = Pod(spec, head.get("labels", {}), containers.named_ports([*items, *before]))
    mains = [each for each in read if each is not None]
    inits = [each for each in first if each is not None]
    main = next((each for each in mains if each.name == notes.get(_MAIN)), mains[0])
    _compose(made, got, main, [each for each in mains if each is not main], inits, context, restarts, job=job)
    _priority(made, got, scope)
    return made


def _priority(made: Pod, got: Mapping[str, Any], scope: Scope) -> None:
    name = got.get("priorityClassName")
    if got.get("priority"):
        made.own["priority"] = node(made.value.child("priority", None), got["priority"])
    elif name in scope.priorities:
        made.own["priority"] = node(made.value.child("priorityClassName", None), scope.priorities[name])
    elif name:
        warn(
            made.value.child("priorityClassName", None),
            f"has no effect: there is no PriorityClass {name} in these files",
        )


def _annotations(value: Value | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, entry in value.mapping("a mapping of texts") if value is not None else ():
        with entry.reading.collect():
            found[name] = entry.text("a text", empty=True)
            if not name.startswith("kubectl.kubernetes.io/"):
                warn(entry, "annotations have no effect here, except as values of variables")
    return found


def _check_names(items: list[Value]) -> None:
    seen: set[str] = set()
    for item in items:
        name = item.data.get("name") if isinstance(item.data, dict) else None
        with item.reading.collect():
            if isinstance(name, str) and name in seen:
                raise item.child("name", None).error(f"there are two containers {name} in this pod")
        seen.add(str(name))


def _compose(
    made: Pod,
    got: Mapping[str, Any],
    main: Made,
    beside: list[Made],
    inits: list[Made],
    context: Mapping[str, Any],
    restarts: tuple[str, ...],
    *,
    job: bool,
) -> None:
    spec = made.value
    grace = node(spec.child("terminationGracePeriodSeconds", None), f"{got.get('terminationGracePeriodSeconds', 30)}s")
    service: dict[str, Any] = {**main.keys, "stop_grace_period": grace}
    if made.labels:
        service["labels"] = node(spec, made.labels)
    made.restart = got.get("restartPolicy", restarts[0])
    if made.restart not in restarts:
        raise spec.child("restartPolicy", None).error(f"must be {' or '.join(restarts)} here, found {made.restart}")
    again = {"OnFailure": "on-failure", "Never": "no"}.get(made.restart)
    sidecars = [each for each in inits if "restartPolicy" in each.got] + beside
    first = [each for each in inits if "restartPolicy" not in each.got]
    for before, after in pairwise(inits):
        if "restartPolicy" in before.got and "restartPolicy" not in after.got:
            warn(
                before.value.child("restartPolicy", None),
                f"starts after all init containers, {after.name}, which follows it, among them",
            )
    others: dict[str, Any] = {"must_end": True} if job else {"restart": again} if again else {}
    members = {
        "init_containers": [_member(each, {"stop_grace_period": grace}) for each in first],
        "sidecars": [
            _member(each, {"stop_grace_period": grace, **(others if each in beside else {})}) for each in sidecars
        ],
    }
    made.own |= {name: items for name, items in members.items() if items}
    if main.hidden:
        made.own["hidden"] = node(main.value.child("env", None), list(main.hidden))
    for each in (*sidecars, *first):
        for name in probes.KINDS:
            if name in each.got:
                warn(each.got[name], "is not carried out: probes are of the pod's first container")
    if again and "Always" in restarts:
        service["restart"] = node(spec.child("restartPolicy", None), again)
    _probes(made, main)
    _network(made, service, got)
    _where(made, got)
    with spec.reading.collect():
        found = security.sysctls(context)
        if found:
            service["sysctls"] = found
    for name, key in (("hostPID", "pid"), ("hostIPC", "ipc")):
        if got.get(name):
            service[key] = node(spec.child(name, None), "host")
    with spec.reading.collect():
        resources = containers.resources(main, sidecars)
        if resources is not None:
            made.deploy["resources"] = resources
    if "activeDeadlineSeconds" in got:
        made.deadline = node(spec.child("activeDeadlineSeconds", None), f"{got['activeDeadlineSeconds']}s")
    made.published = [port for each in (main, *sidecars) for port in each.ports]
    made.service = service


def _member(made: Made, more: Mapping[str, Any]) -> Node:
    limits: dict[str, Any] = {}
    with made.value.reading.collect():
        limits = containers.of_member(made)
    if made.hidden:
        limits["hidden"] = node(made.value.child("env", None), list(made.hidden))
    return node(made.value, {"name": node(made.value.child("name", None), made.name), **made.keys, **limits, **more})


def _probes(made: Pod, main: Made) -> None:
    found: dict[str, Any] = {}
    for field_, name in probes.KINDS.items():
        if field_ in main.got:
            with main.value.reading.collect():
                probe = probes.probe(main.got[field_], made.ports)
                if probe is not None:
                    found[name] = probe
    if found:
        made.own["probes"] = node(main.value, found)


def _network(made: Pod, service: dict[str, Any], got: Mapping[str, Any]) -> None:
    if got.get("hostNetwork"):
        made.host_network = True
        if got.get("dnsPolicy") == "ClusterFirstWithHostNet":
            warn(made.value.child("dnsPolicy", None), "has no effect: on its node's own network no Service has a name")
        service["network_mode"] = node(made.value.child("hostNetwork", None), "host")
    if got.get("hostname"):
        service["hostname"] = node(made.value.child("hostname", None), got["hostname"])
    service |= names.keys(made.value, got)


def _where(made: Pod, got: Mapping[str, Any]) -> None:
    spec = made.value
    with spec.reading.collect():
        constraints = scheduling.selected(got.get("nodeSelector"))
        if got.get("nodeName"):
            constraints.append(node(spec.child("nodeName", None), f"node.hostname == {got['nodeName']}"))
        placement: dict[str, Any] = {}
        if "affinity" in got:
            affinity = scheduling.AFFINITY.read(got["affinity"])
            made.affinity = got["affinity"]
            if "nodeAffinity" in affinity:
                constraints += scheduling.node_affinity(affinity["nodeAffinity"])
        if constraints:
            placement["constraints"] = node(spec.child("nodeSelector", None), constraints)
        if "topologySpreadConstraints" in got:
            found = scheduling.spread(got["topologySpreadConstraints"])
            if found:
                placement["preferences"] = node(spec.child("topologySpreadConstraints", None), found)
        if placement:
            made.deploy["placement"] = node(spec, placement)
    if "tolerations" in got:
        with spec.reading.collect():
            tolerated, moved = scheduling.tolerations(got["tolerations"])
            if tolerated:
                made.own["tolerations"] = node(spec.child("tolerations", None), tolerated)
            if moved is not None:
                made.own["reschedule"] = moved
