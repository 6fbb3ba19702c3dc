"""What one container is made from, and what is done about it: Compose's keys, read, rendered and checked.

Field names and meanings are those of the Compose specification. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from typing import Literal

from shipyard.base.record import Struct

Pairs = tuple[tuple[str, str], ...]


class Port(Struct, frozen=True):
    """One container port. `published` None: no port of the node (an ephemeral one is never used).

    `mode`: Compose's `host` or `ingress`. `address`: the node's address to bind, None for all.
    """

    target: int
    published: int | None = None
    protocol: str = "tcp"
    address: str | None = None
    mode: str = "ingress"


class Mount(Struct, frozen=True):
    """`kind`: volume, bind or tmpfs. `source`: a volume's full name, or an absolute path on the node.

    `create`: make a missing bind source (Compose's short form does; the long form does not).
    `options`: what the kind knows beside that (`propagation`, `nocopy`, `subpath`, `size`, `mode`, `selinux`).
    """

    kind: Literal["volume", "bind", "tmpfs"]
    target: str
    source: str | None = None
    read_only: bool = False
    create: bool = False
    options: Pairs = ()


class ConfigMount(Struct, frozen=True):
    """A config or a secret as a file in the container. `digest`: of the content, so that a change rolls out.

    A config's `name` is its full one, its digest sha256. A secret's `name` is its key in the stack, and its digest an
    HMAC: who knows it and has no key can't try out contents.
    """

    name: str
    digest: str
    target: str
    uid: str | None = None
    gid: str | None = None
    mode: int | None = None

    @property
    def file_name(self) -> str:
        """Of its file on the nodes: one content with two owners is two files."""
        return f"{self.digest}-{self.uid or 0}-{self.gid or 0}-{0o444 if self.mode is None else self.mode:o}"


class Attachment(Struct, frozen=True):
    """A container on a network. `network`: the network's full name on the nodes (`stack_key`)."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    mac_address: str | None = None


class Ulimit(Struct, frozen=True):
    name: str
    soft: int
    hard: int


class Logging(Struct, frozen=True):
    driver: str | None = None
    options: Pairs = ()


class Healthcheck(Struct, frozen=True):
    """Times in seconds. `test`: ("NONE",), ("CMD", …) or ("CMD-SHELL", text); () keeps the image's."""

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None


class RestartPolicy(Struct, frozen=True):
    """`condition`: none, on-failure, any (Compose's `deploy.restart_policy`), or unless-stopped.

    When nothing is written the runtime restarts on `any`, so that a container comes back without shipyard.
    `delay`, `window`: seconds; `max_attempts` None: never give up.
    """

    condition: Literal["none", "on-failure", "any", "unless-stopped"] = "any"
    delay: float = 0.0
    max_attempts: int | None = None
    window: float = 0.0


class Probe(Struct, frozen=True):
    """One of Kubernetes' probes, with its fields and defaults; the pass runs it through the SSH connection.

    `kind`: what is tried: `http` (a GET of `scheme`://`host`:`port``path`; 200 to 399 passes), `tcp` (a connection) or
    `exec` (`command` in the container; 0 passes). Times in seconds; `successes`, `failures`: in a row.
    """

    kind: Literal["http", "tcp", "exec"]
    port: int | None = None
    path: str = "/"
    scheme: Literal["http", "https"] = "http"
    host: str | None = None
    headers: Pairs = ()
    command: tuple[str, ...] = ()
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3


class Probes(Struct, frozen=True):
    """`liveness`: fails, and the replica is replaced. `readiness`: fails, and it is out of its service's addresses.

    `startup`: until it has passed, neither of the others is tried.
    """

    liveness: Probe | None = None
    readiness: Probe | None = None
    startup: Probe | None = None


class Limits(Struct, frozen=True):
    """What the runtime enforces. `cpus` in cores, `memory` and `memory_reservation` in bytes."""

    cpus: float | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    swappiness: int | None = None
    pids: int | None = None
    cpu_shares: int | None = None
    cpuset: str | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    oom_kill_disable: bool = False
    oom_score_adj: int | None = None
    blkio_weight: int | None = None
    devices: Pairs = ()


class DeviceRequest(Struct, frozen=True):
    """An entry of `deploy.resources.reservations.devices`. `count` None: all that the node has.

    `ids`: these and no others (`device_ids`); `count` is how many they are.
    """

    capabilities: tuple[str, ...]
    driver: str = ""
    count: int | None = 1
    ids: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """By which it is counted: `gpu`, or `nvidia/gpu` where it must be that driver's."""
        return f"{self.driver}/{self.capabilities[0]}" if self.driver else self.capabilities[0]


class ContainerSpec(Struct, frozen=True, cache_hash=True):
    """What one container is made from, on one node. All of it but a few fields is part of the spec's hash.

    `image`: a reference; once a revision is stored, `name@sha256:…` or `sha256:…` where it could be resolved.
    `entrypoint`, `command`: None keeps the image's; () for entrypoint clears it.
    `environment`: names with values (a name that Compose passes through was read when the file was).
    `stamps`: no runtime hears of them, but containers with others are not the same: (`restarted`, when) by
    `shipyard restart`; (`after NAME`, a digest) for each dependency whose update restarts this service too.
    `network_mode`: host, none or bridge; None when `networks` says where it is; `container:NAME` to share that one's.
    `members`: of a replica of several containers, those beside this one, which is its main one. They have no networks
    or ports of their own.
    `hosts`: its /etc/hosts is a file of shipyard's on the node, which names the services on its networks.
    `hidden`: sorted names of variables that hold secrets, whatever they are called (`model/hiding.py`); not hashed.
    """

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Pairs = ()
    labels: Pairs = ()
    annotations: Pairs = ()
    hostname: str | None = None
    domainname: str | None = None
    user: str | None = None
    group_add: tuple[str, ...] = ()
    working_dir: str | None = None
    stop_signal: str | None = None
    stop_grace_period: float | None = None
    init: bool | None = None
    tty: bool = False
    stdin_open: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: Pairs = ()
    shm_size: int | None = None
    ipc: str | None = None
    pid: str | None = None
    uts: str | None = None
    cgroup: str | None = None
    cgroup_parent: str | None = None
    userns_mode: str | None = None
    runtime: str | None = None
    platform: str | None = None
    pull_policy: str | None = None
    logging: Logging | None = None
    healthcheck: Healthcheck | None = None
    restart: RestartPolicy | None = None
    limits: Limits = Limits()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    extra_hosts: Pairs = ()
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    configs: tuple[ConfigMount, ...] = ()
    secrets: tuple[ConfigMount, ...] = ()
    gpus: tuple[DeviceRequest, ...] = ()
    networks: tuple[Attachment, ...] = ()
    network_mode: str | None = None
    stamps: Pairs = ()
    members: tuple[Member, ...] = ()
    hosts: bool = False
    hidden: tuple[str, ...] = ()

    def files(self) -> tuple[str, ...]:
        """Configs and secrets of it, and of those beside it, as files in shipyard's directory on a node, sorted."""
        configs = {f"configs/{mount.file_name}" for each in self.containers() for mount in each.configs}
        secrets = {f"secrets/{mount.file_name}" for each in self.containers() for mount in each.secrets}
        return tuple(sorted(configs | secrets))

    def containers(self) -> tuple[ContainerSpec, ...]:
        """This one, and those beside it in a replica."""
        return (self, *(member.container for member in self.members))


class Member(Struct, frozen=True):
    """One more container of a replica, beside its main one: it shares the main one's network namespace and fate.

    `kind`: `init` containers run one after the other, each to its end, before the others start; a `sidecar` runs
    beside the main container; a `main` one, of a job, too, and the job has only ended when that has.
    """

    name: str
    kind: Literal["init", "sidecar", "main"]
    container: ContainerSpec
