"""Services: the name, address and ports under which the pods of a workload are reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from shipyard.base.record import Struct, field
from shipyard.files.compose.value import Value
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused, said, warn
from shipyard.files.kubernetes.objects import Object
from shipyard.files.kubernetes.probes import numbered
from shipyard.files.kubernetes.scalars import labels, port, port_or_name, service_name, text, texts, word
from shipyard.files.kubernetes.selectors import fits
from shipyard.files.kubernetes.tree import node
from shipyard.files.kubernetes.workloads import TOP, Workload

SERVICE = Fields("a Service", *TOP, done("spec", "see below", itself))
SPEC = Fields(
    "a Service's spec",
    done("selector", "the one workload whose pods have these labels", labels),
    done(
        "type",
        "`ClusterIP`, `NodePort`, `LoadBalancer` (an ingress port of the nodes), `ExternalName`",
        word("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    ),
    done("ports", "see below", itself),
    done("clusterIP", "`None`: `endpoint_mode: dnsrr`", text),
    done("clusterIPs", "as clusterIP", texts),
    done("externalName", "another Service of the namespace", text),
    done("sessionAffinity", "`ClientIP`: `x-shipyard.session_affinity`", word("None", "ClientIP")),
    said("sessionAffinityConfig", "has no effect: connections of one client stay as long as the replica is ready"),
    said("publishNotReadyAddresses", "has no effect: a name leads to replicas that are ready", False),
    said("externalTrafficPolicy", "has no effect: each node leads to replicas on all nodes", "Cluster"),
    said("internalTrafficPolicy", "has no effect: each node leads to replicas on all nodes", "Cluster"),
    said("trafficDistribution", "has no effect: each node leads to replicas on all nodes"),
    said("healthCheckNodePort", "has no effect here"),
    said("loadBalancerClass", "has no effect: the nodes' own ports answer"),
    said("allocateLoadBalancerNodePorts", "has no effect: a load balancer's ports are the nodes' own", True, False),
    said("ipFamilyPolicy", "has no effect: addresses are IPv4", "SingleStack", "PreferDualStack"),
    said("ipFamilies", "has no effect: addresses are IPv4", ["IPv4"]),
    refused(
        "loadBalancerIP", "is not carried out: the nodes' own addresses answer", "x-shipyard.expose_on in a playbook"
    ),
    refused("loadBalancerSourceRanges", "is not carried out, and without it everybody could connect"),
    refused("externalIPs", "are not carried out: the nodes' own addresses answer"),
)
PORT = Fields(
    "a Service's port",
    done("name", "for Kubernetes' own sake", text),
    done("port", "the port of the address", port),
    done("targetPort", "`x-shipyard.service_ports` where it is another; a number or a name", port_or_name),
    done("nodePort", "an ingress port of the nodes", port),
    done("protocol", "`TCP`, `UDP`, `SCTP`", word("TCP", "UDP", "SCTP")),
    said("appProtocol", "has no effect here"),
)


class Exposed(Struct):
    """A Service as read. `ports`: each with its fields and its place."""

    item: Object
    spec: Value
    got: Mapping[str, Any]
    kind: str
    headless: bool
    ports: list[tuple[Value, Mapping[str, Any]]] = field(default_factory=list)


def read(item: Object) -> Exposed | None:
    """None where it has errors, which are noted."""
    service_name(item.at("metadata", "name"))
    top = SERVICE.read(item.value)
    need(item.value, "spec")
    if "spec" not in top:
        return None
    spec: Value = top["spec"]
    got = SPEC.read(spec)
    kind = got.get("type", "ClusterIP")
    made = Exposed(item, spec, got, kind, got.get("clusterIP") == "None")
    if got.get("clusterIP", "None") not in ("None", ""):
        warn(spec.child("clusterIP", None), "is not taken over: shipyard gives out addresses itself")
    if made.headless and kind != "ClusterIP":
        raise spec.child("clusterIP", None).error(f"can't be None with type {kind}")
    seen: set[str] = set()
    for entry in got["ports"].items("a list of ports") if "ports" in got else ():
        with item.value.reading.collect():
            fields = PORT.read(entry)
            need(entry, "port")
            name = fields.get("name", "")
            if len(got["ports"].data) > 1 and not name:
                raise entry.error("has no name, which each of several ports needs")
            if name in seen:
                raise entry.child("name", None).error(f"there are two ports {name}")
            seen.add(name)
            if "port" in fields:
                made.ports.append((entry, fields))
    if kind == "ExternalName":
        need(spec, "externalName")
        return made
    if "externalName" in got:
        raise spec.child("externalName", None).error(f"can't be said with type {kind}")
    if "ports" not in got and not made.headless:
        raise spec.error("has no ports")
    if not got.get("selector"):
        raise spec.error("has no selector: endpoints that are not pods of these files are not carried out")
    return made


def attach(exposed: Sequence[Exposed], workloads: Sequence[Workload], scope: Scope) -> None:
    """Give each workload the names and ports of the Services that select it. Errors are noted."""
    chosen: dict[int, list[Exposed]] = {}
    by_name: dict[str, Workload] = {}
    shared: set[str] = set()
    for each in exposed:
        with each.spec.reading.collect():
            if each.kind != "ExternalName":
                found = _selected(each, workloads)
                for workload in found:
                    chosen.setdefault(id(workload), []).append(each)
                if len(found) == 1:
                    by_name[each.item.name] = found[0]
                else:
                    shared.add(each.item.name)
    taken = {workload.item.name for workload in workloads}
    for workload in workloads:
        services = chosen.get(id(workload), [])
        if services:
            if services[0].item.name not in shared:
                _name(workload, services, taken)
            with workload.item.value.reading.collect():
                _expose(workload, services, scope)
    for each in exposed:
        with each.spec.reading.collect():
            if each.kind == "ExternalName":
                _external(each, by_name, scope)


def _selected(service: Exposed, workloads: Sequence[Workload]) -> list[Workload]:
    """One, but for a ClusterIP, whose name several may share."""
    selector: dict[str, str] = service.got.get("selector", {})
    found = [workload for workload in workloads if fits(selector, workload.pod.labels)]
    at = service.spec.child("selector", None)
    if not found:
        raise at.error(
            "selects no pod of these files", hint="a Service is given together with the workload that it leads to"
        )
    names = " and ".join(each.shown() for each in found)
    if len(found) > 1 and service.kind != "ClusterIP":
        raise at.error(
            f"selects several workloads, and a port of the nodes leads to one: {names}",
            hint="give it a label that only one of them has, or make one workload of them",
        )
    if len(found) > 1:
        warn(
            at,
            f"selects several workloads, {names}: its name means an address of each, and many clients take the first",
        )
    for each in found:
        if each.pod.host_network:
            raise at.error(f"selects {each.shown()}, which has hostNetwork, and so no name and address of its own")
    return found


def _name(workload: Workload, services: Sequence[Exposed], taken: set[str]) -> None:
    """After its one Service, where that name is free; a StatefulSet keeps its own, which its replicas are called by."""
    name = services[0].item.name
    if len(services) == 1 and workload.item.kind != "StatefulSet" and (name not in taken or name == workload.name):
        workload.name = name


def _expose(workload: Workload, services: Sequence[Exposed], scope: Scope) -> None:
    pod = workload.pod
    headless = [each for each in services if each.headless]
    if len(headless) == len(services):
        pod.deploy["endpoint_mode"] = node(services[0].spec.child("clusterIP", None), "dnsrr")
    for each in headless if len(headless) < len(services) else ():
        warn(
            each.spec.child("clusterIP", None),
            "leads to one address all the same: other Services of these pods have one",
        )
    leads: dict[tuple[int, str], tuple[int, Value]] = {}
    for each in services:
        at = each.item.at("metadata", "name")
        name, stack = each.item.name, scope.name
        names = [f"{name}.{stack}", f"{name}.{stack}.svc", f"{name}.{stack}.svc.cluster.local"]
        if name != workload.name:
            names = [name, *names]
        workload.aliases += [node(at, alias) for alias in names]
        if each.got.get("sessionAffinity") == "ClientIP":
            pod.own["session_affinity"] = node(each.spec.child("sessionAffinity", None), True)
        for entry, fields in each.ports:
            with entry.reading.collect():
                _port(workload, each, entry, fields, leads)
    ports = [
        node(at, f"{number}:{target}" + ("" if protocol == "tcp" else f"/{protocol}"))
        for (number, protocol), (target, at) in leads.items()
        if number != target
    ]
    if ports and len(headless) < len(services):
        pod.own["service_ports"] = node(services[0].spec.child("ports", None), ports)


def _port(
    workload: Workload,
    service: Exposed,
    entry: Value,
    fields: Mapping[str, Any],
    leads: dict[tuple[int, str], tuple[int, Value]],
) -> None:
    target = numbered(entry.child("targetPort", fields.get("targetPort", fields["port"])), workload.pod.ports)
    protocol = fields.get("protocol", "TCP").lower()
    if not service.headless:
        before = leads.get((fields["port"], protocol))
        if before is not None and before[0] != target:
            raise entry.error(
                f"leads port {fields['port']} to {target}, and another Service of these pods to {before[0]}"
            )
        leads[fields["port"], protocol] = target, entry
    published: list[tuple[Value, int]] = []
    if service.kind == "LoadBalancer":
        published.append((entry.child("port", None), fields["port"]))
    if "nodePort" in fields:
        if service.kind not in ("NodePort", "LoadBalancer"):
            raise entry.child("nodePort", None).error(f"can't be said with type {service.kind}")
        published.append((entry.child("nodePort", None), fields["nodePort"]))
    elif service.kind == "NodePort":
        warn(entry, "names no nodePort, and none is opened: one that is made up would be known to nobody")
    for at, number in published:
        made = {"target": target, "published": number, **({"protocol": protocol} if protocol != "tcp" else {})}
        workload.ports.append(node(at, made))


def _external(service: Exposed, by_name: Mapping[str, Workload], scope: Scope) -> None:
    """Another name of a Service of the namespace. What is outside has no address that a hosts file could hold."""
    at = service.spec.child("externalName", None)
    name: str = service.got["externalName"].rstrip(".")
    inside = [f".{scope.name}.svc.cluster.local", f".{scope.name}.svc", f".{scope.name}", ""]
    for ending in inside:
        found = by_name.get(name.removesuffix(ending)) if name.endswith(ending) else None
        if found is not None:
            found.aliases += [node(at, alias) for alias in (service.item.name, f"{service.item.name}.{scope.name}")]
            return
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise at.error(
            f"{name} is no Service of these files, and names elsewhere are not carried out: hosts files hold addresses",
            hint=f"use {name} where {service.item.name} is used, or hostAliases with its address",
        ) from None
    raise at.error(
        f"{name} is an address, and Kubernetes takes a name here", hint="hostAliases gives an address a name"
    )
