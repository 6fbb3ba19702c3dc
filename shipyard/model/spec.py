"""Desired state: what a playbook comes to once it is read, rendered and checked.

Field names and meanings are those of the Compose specification. Sizes are bytes, times are seconds.
Defaults here mean "nothing was written": the spec's hash leaves them out, so a later version of
shipyard can add fields without changing any hash.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from operator import itemgetter
from typing import Literal

from shipyard.base.record import Struct, replace
from shipyard.model.container import ContainerSpec, DeviceRequest, Pairs, Port, Probes


class Reservations(Struct, frozen=True):
    """What the scheduler sets aside on a node (`deploy.resources.reservations`); cores and bytes."""

    cpus: float = 0.0
    memory: int = 0
    devices: tuple[DeviceRequest, ...] = ()


class UpdatePolicy(Struct, frozen=True):
    """`deploy.update_config` and `deploy.rollback_config`. Defaults are Compose's and Swarm's.

    `parallelism`: replicas at a time, 0 for all. `delay`: seconds between two batches. `monitor`: seconds a new replica
    is watched before it counts as good. `max_failure_ratio`: share of new replicas that may fail. `deadline`: seconds
    without progress after which the update has failed (Kubernetes' progressDeadlineSeconds).
    """

    parallelism: int = 1
    delay: float = 0.0
    monitor: float = 5.0
    max_failure_ratio: float = 0.0
    failure_action: Literal["pause", "continue", "rollback"] = "pause"
    order: Literal["stop-first", "start-first"] = "stop-first"
    deadline: float = 600.0


class Canary(Struct, frozen=True):
    """`x-shipyard.canary`: `replicas` go first and are judged for `period` seconds; then the rest, or a rollback."""

    replicas: int = 1
    period: float = 600.0


class Toleration(Struct, frozen=True):
    """Of a taint, as Kubernetes has it. `key` "": of all. `value` None: of any value. `effect` "": of each effect.

    `seconds`: with `NoExecute`, how long what is there stays (tolerationSeconds); None for ever.
    """

    key: str = ""
    value: str | None = None
    effect: str = ""
    seconds: float | None = None


class Neighbour(Struct, frozen=True):
    """Other services' replicas that a replica wants beside it, or does not (`x-shipyard.affinity`, `anti_affinity`).

    `service`: `name` of the same stack or `stack/name`; a service may name itself. `by`: what makes two nodes the
    same place: `node.hostname`, or any node label (`node.labels.zone`). `weight` None: required; else 1 to 100,
    preferred.
    """

    service: str
    by: str = "node.hostname"
    apart: bool = False
    weight: int | None = None


class PlacementRules(Struct, frozen=True):
    """`deploy.placement` and what `x-shipyard` adds. `constraints`: as written, checked (`node.labels.disk == ssd`).

    `preferences`: node attributes to spread over, most important first (`node.labels.zone`). `strategy`: fill all
    nodes evenly, or as few as possible.
    """

    constraints: tuple[str, ...] = ()
    max_replicas_per_node: int | None = None
    preferences: tuple[str, ...] = ()
    strategy: Literal["spread", "binpack"] = "spread"
    tolerations: tuple[Toleration, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


class Reschedule(Struct, frozen=True):
    """What becomes of replicas on a lost node. `after`: seconds of being unreachable; None for the fleet's own.

    `never`: they wait for their node. `when_back`: who stays when the node returns.
    """

    after: float | None = None
    never: bool = False
    when_back: Literal["keep_new", "keep_old"] = "keep_new"


class Dependency(Struct, frozen=True):
    """One entry of `depends_on`, with Compose's words. `restart`: an update of it restarts who depends on it."""

    service: str
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = "service_started"
    restart: bool = False
    required: bool = True


class JobRules(Struct, frozen=True):
    """Of `replicated-job` and `global-job`, and of what `x-shipyard.schedule` says.

    `completions`: runs that must end well (Swarm's `replicas`); `max_concurrent`: at a time, 0 for all. `retries`: of a
    run that failed, None for ever. `schedule`: a cron expression, "" to run once for each revision; `timezone`: an IANA
    name. `concurrency`: whether a due run may begin while one is at it. `catch_up`: seconds that a due time may be late
    and still be run. `deadline`: seconds that a run may take, 0 for no limit. `keep`: finished runs that are kept.
    `retry_unknown`: begin again what may have run already, on a node that was lost or without its container.
    """

    completions: int = 1
    max_concurrent: int = 0
    retries: int | None = None
    schedule: str = ""
    timezone: str = "UTC"
    concurrency: Literal["allow", "forbid", "replace"] = "allow"
    catch_up: float = 300.0
    deadline: float = 0.0
    keep: int = 3
    retry_unknown: bool = False


class Autoscale(Struct, frozen=True):
    """`x-shipyard.autoscale`: replicas between `least` and `most`, by Kubernetes' rule for its HPA.

    `cpu`, `memory`: the wished use, as a share of what is reserved (or limited); None where it does not matter.
    """

    least: int
    most: int
    cpu: float | None = None
    memory: float | None = None


class ServicePort(Struct, frozen=True):
    """A port of a service's address, and the port of the container that it leads to (`x-shipyard.service_ports`)."""

    port: int
    target: int
    protocol: str = "tcp"


class AllowFrom(Struct, frozen=True):
    """An entry of `x-shipyard.allow`. `service`: `NAME` of the same stack, `STACK/NAME`, or "" for anyone.

    `ports`: of the container, as (protocol, port); () for all.
    """

    service: str
    ports: tuple[tuple[str, int], ...] = ()


class ServiceSpec(Struct, frozen=True):
    """A container template and how many replicas of it, where, updated how.

    `pattern`: the play's host pattern, matched against the inventory at every pass. `file`: the project-relative
    path that declared it (what pruning goes by). `container`: the template; `variants`: the nodes (sorted) on which
    host variables make it differ. `per_node`: only nodes in `rendered` (sorted) have a container, since its templates
    can reach variables that each host may have of its own: `reached`, sorted (() as an older shipyard left it).
    `tags`: the play's and the service's, for `--tags`.
    `per_replica`: full names of the volumes of which each slot has one of its own. `stable_names`: each slot has a host
    name and an alias of its own; `names_from`: the number in that of slot 1; `peer_domains`: what may come after it, in
    names of the slot; `name_token`: what stands for it in variables and commands. `order`: whether slot 2 starts only
    once slot 1 is ready, and so on.
    `scaled`: `replicas` is what `shipyard scale` said, and not what the file says.
    `endpoint_mode`: its name means one stable address, or those of its replicas. `service_ports`: ports of that address
    that are others in the container; all others are the same. `session_affinity`: a client's connections go to the
    same replica, as long as that is ready. `peer_names`: each replica knows the others by `SLOT.SERVICE.STACK`.
    `allow`: who alone may connect to it; None: whoever is on a network with it. `expose_on`: addresses or networks
    (`10.0.0.0/24`) of the nodes on which its ingress ports answer; () for all. `ingress`: those ports, where the
    planner found that the cluster's network carries them: then the runtime does not publish them.
    """

    name: str
    container: ContainerSpec
    pattern: str = "all"
    file: str = ""
    tags: tuple[str, ...] = ()
    mode: Literal["replicated", "global", "replicated-job", "global-job"] = "replicated"
    replicas: int = 1
    variants: tuple[tuple[str, ContainerSpec], ...] = ()
    per_node: bool = False
    placement: PlacementRules = PlacementRules()
    reservations: Reservations = Reservations()
    update: UpdatePolicy = UpdatePolicy()
    rollback: UpdatePolicy = UpdatePolicy()
    canary: Canary | None = None
    labels: Pairs = ()
    depends_on: tuple[Dependency, ...] = ()
    priority: int = 0
    reschedule: Reschedule = Reschedule()
    probes: Probes = Probes()
    job: JobRules = JobRules()
    autoscale: Autoscale | None = None
    per_replica: tuple[str, ...] = ()
    stable_names: bool = False
    names_from: int = 1
    peer_domains: tuple[str, ...] = ()
    name_token: str = ""
    order: Literal["parallel", "ordered"] = "parallel"
    scaled: bool = False
    endpoint_mode: Literal["vip", "dnsrr"] = "vip"
    service_ports: tuple[ServicePort, ...] = ()
    session_affinity: bool = False
    peer_names: bool = False
    allow: tuple[AllowFrom, ...] | None = None
    expose_on: tuple[str, ...] = ()
    ingress: tuple[Port, ...] = ()
    images: Pairs = ()
    rendered: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()

    def has_values(self, node: str) -> bool:
        """Whether it is known what the container is on this node."""
        if not self.per_node:
            return True
        index = bisect_left(self.rendered, node)
        return index < len(self.rendered) and self.rendered[index] == node

    def container_on(self, node: str) -> ContainerSpec:
        """The template on this node: of what is the same for all slots. One replica's is `container_for`."""
        if not self.variants:
            return self.container
        index = bisect_left(self.variants, node, key=itemgetter(0))
        found = index < len(self.variants) and self.variants[index][0] == node
        return self.variants[index][1] if found else self.container

    def container_for(self, node: str, slot: int) -> ContainerSpec:
        """What the container of this slot is made from on this node."""
        spec = self.container_on(node)
        if not self.per_replica and not self.stable_names:
            return spec
        return _own_container(
            spec, self.per_replica, self.stable_name(slot) if self.stable_names else "", self.name_token, slot
        )

    def stable_name(self, slot: int) -> str:
        """What this slot's replica is called, and is called again when it is replaced."""
        return f"{self.name}-{slot - 1 + self.names_from}"

    def containers(self) -> tuple[ContainerSpec, ...]:
        """Every container that it may come to, on whichever node."""
        templates = (self.container, *(spec for _, spec in self.variants))
        return tuple(container for spec in templates for container in spec.containers())


def _with_own(spec: ContainerSpec, per_replica: tuple[str, ...], slot: int) -> ContainerSpec:
    """With the slot's own volumes."""
    mounts = (
        replace(mount, source=f"{mount.source}_{slot}") if mount.source in per_replica else mount
        for mount in spec.mounts
    )
    return replace(spec, mounts=tuple(mounts))


@lru_cache(maxsize=65536)
def _own_container(
    spec: ContainerSpec, per_replica: tuple[str, ...], name: str, name_token: str, slot: int
) -> ContainerSpec:
    """One replica's. Kept, since every pass asks for it several times. `name`: the replica's own, if it has one."""
    if per_replica:
        members = (replace(each, container=_with_own(each.container, per_replica, slot)) for each in spec.members)
        spec = replace(_with_own(spec, per_replica, slot), members=tuple(members))
    if name:
        joined = (replace(each, aliases=(*each.aliases, name)) for each in spec.networks)
        own = None if "host" in (spec.network_mode, spec.uts) else name
        spec = replace(spec, hostname=spec.hostname or own, networks=tuple(joined))
        if name_token:
            members = (replace(each, container=_told(each.container, name_token, name)) for each in spec.members)
            spec = replace(_told(spec, name_token, name), members=tuple(members))
    return spec


def _told(spec: ContainerSpec, token: str, name: str) -> ContainerSpec:
    """With the replica's name where its variables and commands ask for it."""

    def words(said: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return said and tuple(each.replace(token, name) for each in said)

    environment = tuple((key, value.replace(token, name)) for key, value in spec.environment)
    return replace(spec, environment=environment, entrypoint=words(spec.entrypoint), command=words(spec.command))


class NetworkSpec(Struct, frozen=True, cache_hash=True):
    """`name`: full name on the nodes; `key`: the name in the file. Only `external` ones are not made by us.

    `driver`: routed, vxlan or wireguard for one that spans nodes, bridge (as None) for one of each node's own, or one
    of the runtime's own (`macvlan`, …). `mtu`, `device` (the bridge's name): chosen by the planner, not by people.
    `subnet6` and so on: of IPv6, beside those of IPv4 (alone they are `subnet` and so on).
    """

    name: str
    key: str
    driver: str | None = None
    driver_opts: Pairs = ()
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    subnet: str | None = None
    gateway: str | None = None
    ip_range: str | None = None
    labels: Pairs = ()
    external: bool = False
    mtu: int | None = None
    device: str | None = None
    subnet6: str | None = None
    gateway6: str | None = None
    ip_range6: str | None = None


class VolumeSpec(Struct, frozen=True):
    """`per_replica`: each replica that mounts it has one of its own, `name` with `_` and the slot behind it."""

    name: str
    key: str
    driver: str | None = None
    driver_opts: Pairs = ()
    labels: Pairs = ()
    external: bool = False
    per_replica: bool = False


class ConfigSpec(Struct, frozen=True):
    """`content`: the text itself; files are read when the playbook is. `digest`: its sha256, hex.

    `external`: `name` is what `configs set` called it: `NAME` or `STACK/NAME`. The content is what that meant when the
    revision was made; in what was just read from files both are empty.
    """

    name: str
    key: str
    content: bytes
    digest: str
    external: bool = False


class SecretSpec(Struct, frozen=True):
    """A secret without its content, which only the store has, encrypted.

    `name`: in the store: `stack/key`, or what `secret set` called it. `digest`: the content's HMAC, hex; "" in what was
    just read from files, where nothing knows the key.
    """

    name: str
    key: str
    digest: str = ""
    external: bool = False


class StackSpec(Struct, frozen=True):
    """A named set of services, networks, volumes, configs and secrets, each sorted by name."""

    name: str
    services: tuple[ServiceSpec, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    configs: tuple[ConfigSpec, ...] = ()
    secrets: tuple[SecretSpec, ...] = ()

    def service(self, name: str) -> ServiceSpec | None:
        """The service of this name, or None."""
        return next((service for service in self.services if service.name == name), None)

    def volume(self, name: str) -> VolumeSpec | None:
        """The volume of this full name, which may be one replica's own, or None."""
        base, _, slot = name.rpartition("_")
        own = base if slot.isascii() and slot.isdigit() else ""
        for volume in self.volumes:
            if volume.name == name:
                return volume
            if volume.per_replica and volume.name == own:
                return replace(volume, name=name)
        return None


class Revision(Struct, frozen=True):
    """An immutable, numbered snapshot of a stack's desired state.

    `digest`: sha256 of the canonical body; its HMAC where that holds secrets (`store/bodies.py`). `created`: unix
    seconds. `author`: user@host. `files`: as applied.
    """

    stack: str
    number: int
    spec: StackSpec
    digest: str
    created: float
    author: str
    files: tuple[str, ...] = ()
