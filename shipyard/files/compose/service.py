"""A service: all its keys, and what they come to together."""

from __future__ import annotations

from typing import Any

from shipyard.base.record import Struct, names, replace
from shipyard.files.compose import (
    attachments,
    autoscale,
    basics,
    deploy,
    environment,
    health,
    jobs,
    kernel,
    limits,
    members,
    mounts,
    network,
    power,
    probes,
    refusals,
    rollout,
    scheduling,
    standing,
    tags,
)
from shipyard.files.compose.keys import OWN, Key, Table
from shipyard.files.compose.value import Value
from shipyard.model.container import ConfigMount, ContainerSpec, DeviceRequest, Limits, Member, Mount, Port, Probes
from shipyard.model.job import JOB_MODES
from shipyard.model.spec import PlacementRules, Reschedule, Reservations, ServiceSpec, UpdatePolicy

SHIPYARD = Table(
    OWN,
    Key("tags", "text or list", "Tags of this service beside the play's, for `--tags`.", tags.read),
    *scheduling.KEYS,
    *standing.KEYS,
    *network.KEYS,
    *jobs.KEYS,
    *probes.KEYS,
    *autoscale.KEYS,
    *rollout.KEYS,
    *members.KEYS,
    environment.HIDDEN,
)
SERVICE = Table(
    "a service",
    *basics.KEYS,
    *attachments.KEYS,
    *mounts.KEYS,
    *deploy.KEYS,
    *health.KEYS,
    *limits.KEYS,
    *kernel.KEYS,
    Key(OWN, "mapping", "What Compose has no word for.", SHIPYARD.read),
    *refusals.KEYS,
)
_MADE_BELOW = {"gpus", "environment", "networks", "network_mode", "mounts", "ports", "restart", "limits", "configs"}
_AS_READ = set(names(ContainerSpec)) & set(SERVICE.keys) - _MADE_BELOW


class Service(Struct, frozen=True):
    """A service as read once: on all nodes, or on some where variables make it so."""

    spec: ServiceSpec
    tags: tuple[str, ...]


def service(value: Value, name: str) -> Service | None:
    """None where it has errors, which are noted."""
    before = len(value.reading.problems)
    got = SERVICE.read(value)
    if "image" not in got and value.data.get("image") is None and value.data.get("build") is None:
        raise value.error("has no image")
    if got.get("network_mode") and got.get("networks"):
        raise value.child("network_mode", None).error("can't be said together with networks")
    if len(value.reading.problems) > before:
        return None
    deployed, own = got.get("deploy", {}), got.get(OWN, {})
    net = got.get("network_mode") or ""
    if net.startswith(members.JOINS):
        members.check_sidecar(value, net, got)
    most, aside = limits.limits(value, got, deployed)
    wanted = deploy.replicas(value, deployed, got.get("scale"))
    mode = jobs.mode(value, own, deployed)
    probes.check(value, own.get("probes", Probes()), got.get("network_mode"))
    autoscale.check(value, own.get("autoscale"), deployed, most, aside)
    wishes = members.wishes(value, own)
    members.check_ends(wishes, job=mode in JOB_MODES)
    others = _others(value, name, wishes)
    networks = () if net else attachments.attach(value, name, got.get("networks", ()), got.get("mac_address"))
    spec = ServiceSpec(
        name=name,
        container=replace(
            _container(value, name, got, deployed, most, own.get("hidden", ()), restarting=mode not in JOB_MODES),
            gpus=_gpus(aside),
            networks=networks,
            members=tuple(member for member, _ in others),
        ),
        mode=mode,
        replicas=wanted if mode == "replicated" else 1,
        job=jobs.rules(value, mode, wanted, own, deployed, got.get("restart")),
        placement=replace(deployed.get("placement", PlacementRules()), **scheduling.rules(own)),
        priority=own.get("priority", 0),
        reservations=members.together(aside, [(member.kind, each) for member, each in others]),
        update=_policy(deployed.get("update_config", UpdatePolicy()), own),
        rollback=_policy(deployed.get("rollback_config", UpdatePolicy()), own),
        canary=own.get("canary"),
        labels=deployed.get("labels", ()),
        depends_on=got.get("depends_on", ()),
        reschedule=own.get("reschedule", Reschedule()),
        stable_names=own.get("stable_names", False),
        names_from=own.get("names_from", 1),
        peer_domains=own.get("peer_domains", ()),
        name_token=own.get("name_token", ""),
        order=own.get("order", "parallel"),
        probes=own.get("probes", Probes()),
        autoscale=own.get("autoscale"),
        endpoint_mode=deployed.get("endpoint_mode", "vip"),
        service_ports=own.get("service_ports", ()),
        session_affinity=own.get("session_affinity", False),
        peer_names=own.get("peer_names", False),
        allow=own.get("allow"),
        expose_on=own.get("expose_on", ()),
    )
    return Service(spec, own.get("tags", ())) if len(value.reading.problems) == before else None


def _others(value: Value, name: str, wishes: tuple[members.Wish, ...]) -> list[tuple[Member, Reservations]]:
    """The other containers of a replica, with what each needs."""
    found = []
    for wish in wishes:
        with value.reading.collect():
            most, aside = limits.limits(wish.value, wish.got, {})
            hidden = wish.got.get("hidden", ())
            spec = _container(wish.value, f"{name}.{wish.name}", wish.got, {}, most, hidden, restarting=True)
            found.append((Member(wish.name, wish.kind, replace(spec, gpus=_gpus(aside))), aside))
    return found


def _gpus(aside: Reservations) -> tuple[DeviceRequest, ...]:
    return tuple(each for each in aside.devices if "gpu" in each.capabilities)


def _policy(policy: UpdatePolicy, own: dict[str, Any]) -> UpdatePolicy:
    return replace(policy, deadline=own.get("progress_deadline", policy.deadline))


def _container(
    value: Value,
    name: str,
    got: dict[str, Any],
    deployed: dict[str, Any],
    most: Limits,
    hidden: tuple[str, ...],
    *,
    restarting: bool,
) -> ContainerSpec:
    volumes = got.get("volumes", ())
    sent = [mount for mount in volumes if isinstance(mount, ConfigMount)]
    mounted = {mount.target: mount for mount in (*volumes, *got.get("tmpfs", ())) if isinstance(mount, Mount)}
    taken = mounted.keys() | {mount.target for mount in sent}
    for target in sorted(taken & {mount.target for mount in got.get("configs", ())} - mounted.keys()):
        raise value.child("configs", None).error(f"{target} is a file of a volume already")
    configs = tuple(sorted((*got.get("configs", ()), *sent), key=lambda mount: mount.target))
    taken |= {mount.target for mount in configs}
    for target in sorted(taken & {mount.target for mount in got.get("secrets", ())}):
        raise value.child("secrets", None).error(f"{target} is a volume or a config already")
    mode = got.get("network_mode")
    if mode == "host" and any(port.published not in (None, port.target) for port in got.get("ports", ())):
        raise value.child("ports", None).error("can't be mapped with network_mode host, where ports are the node's own")
    if got.get("privileged"):
        power.tell(value.child("privileged", None), f"{name} is privileged")
    variables = environment.resolve(value, got.get("environment", {}), got.get("env_file", ()))
    return ContainerSpec(
        **{key: got[key] for key in _AS_READ if key in got},
        configs=configs,
        environment=variables,
        hidden=environment.hidden(value, variables, hidden),
        ports=tuple(sorted(got.get("ports", ()), key=_port_order)),
        mounts=tuple(mounted[target] for target in sorted(mounted)),
        network_mode=mode,
        restart=deployed.get("restart_policy", got.get("restart")) if restarting else None,
        limits=most,
    )


def _port_order(port: Port) -> tuple[int, int, str, str]:
    return port.target, port.published or 0, port.protocol, port.address or ""
