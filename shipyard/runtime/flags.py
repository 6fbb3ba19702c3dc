"""What a container is made from, as options of `run` and `create`: a small function for each group of keys.

Every field of ContainerSpec is here, in `mounts`, in `wiring` or in `environment`; a key that a runtime has no word
for is refused by name. Which version of a runtime knows an option is not kept here: its own words say so when it
does not, and they reach the user.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from shipyard.model.container import ContainerSpec, Pairs, RestartPolicy
from shipyard.runtime.traits import Traits, duration, number

Group = Callable[[ContainerSpec, Traits], Iterator[str]]


_BLKIO = {"weight_device": "blkio-weight-device"}
"""Limits of single devices have the keys of Compose's blkio_config: `device_read_bps` with `/dev/sda:1048576`."""


def common(spec: ContainerSpec, traits: Traits) -> tuple[str, ...]:
    """The options that are spelt alike by all runtimes."""
    return tuple(word for group in _GROUPS for word in group(spec, traits))


def labels(pairs: Pairs) -> tuple[str, ...]:
    return tuple(f"--label={name}={value}" for name, value in pairs)


def restart(policy: RestartPolicy | None) -> str:
    """The runtime restarts what exits, without us; `any` is what holds when nothing was written."""
    match policy.condition if policy else "any":
        case "none":
            return "--restart=no"
        case "on-failure":
            most = policy.max_attempts if policy else None
            return "--restart=on-failure" if most is None else f"--restart=on-failure:{most}"
        case "unless-stopped":
            return "--restart=unless-stopped"
        case _:
            return "--restart=always"


def _identity(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    for key, value in (
        ("hostname", spec.hostname),
        ("domainname", spec.domainname),
        ("user", spec.user),
        ("workdir", spec.working_dir),
        ("platform", spec.platform),
    ):
        if value is not None:
            traits.refuse(key)
            yield traits.option(key, value)
    for group in spec.group_add:
        yield traits.option("group-add", group)
    for name, text in spec.annotations:
        yield traits.option("annotation", f"{name}={text}")


def _process(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    if spec.init is not None:
        yield "--init" if spec.init else "--init=false"
    if spec.tty:
        yield "--tty"
    if spec.stdin_open:
        yield "--interactive"
    if spec.stop_signal is not None:
        yield traits.option("stop-signal", spec.stop_signal)
    if spec.stop_grace_period is not None:
        yield f"--stop-timeout={math.ceil(spec.stop_grace_period)}"
    yield restart(spec.restart)


def _rights(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    if spec.privileged:
        yield "--privileged"
    if spec.read_only:
        yield "--read-only"
    for name, values in (
        ("cap-add", spec.cap_add),
        ("cap-drop", spec.cap_drop),
        ("security-opt", spec.security_opt),
        ("device", spec.devices),
        ("device-cgroup-rule", spec.device_cgroup_rules),
    ):
        for value in values:
            yield traits.option(name, value)


def _gpus(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    for request in spec.gpus:
        if traits.all_gpus and request.ids:
            yield from (traits.all_gpus.removesuffix("all") + each for each in request.ids)
            continue
        if traits.all_gpus:
            if request.count is not None:
                traits.refuse("gpus")
            yield traits.all_gpus
            continue
        words = [f"count={'all' if request.count is None else request.count}"]
        if request.ids:
            words = [f'"device={",".join(request.ids)}"']
        words += [f"driver={request.driver}"] if request.driver else []
        words.append(f'"capabilities={",".join(request.capabilities)}"')
        yield f"--gpus={','.join(words)}"


def _namespaces(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    for key, name, value in (
        ("ipc", "ipc", spec.ipc),
        ("pid", "pid", spec.pid),
        ("uts", "uts", spec.uts),
        ("cgroup", "cgroupns", spec.cgroup),
        ("cgroup_parent", "cgroup-parent", spec.cgroup_parent),
        ("userns_mode", "userns", spec.userns_mode),
    ):
        if value is not None:
            traits.refuse(key)
            yield traits.option(name, value)


def _kernel(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    for limit in spec.ulimits:
        yield traits.option("ulimit", f"{limit.name}={limit.soft}:{limit.hard}")
    for name, value in spec.sysctls:
        yield traits.option("sysctl", f"{name}={value}")
    if spec.shm_size is not None:
        yield f"--shm-size={spec.shm_size}"


def _limits(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    limits = spec.limits
    if limits.cpus is not None:
        yield f"--cpus={number(limits.cpus)}"
    if limits.cpuset is not None:
        yield traits.option("cpuset-cpus", limits.cpuset)
    for name, value in (
        ("memory", limits.memory),
        ("memory-reservation", limits.memory_reservation),
        ("memory-swap", limits.memory_swap),
        ("memory-swappiness", limits.swappiness),
        ("pids-limit", limits.pids),
        ("cpu-shares", limits.cpu_shares),
        ("cpu-period", limits.cpu_period),
        ("cpu-quota", limits.cpu_quota),
        ("oom-score-adj", limits.oom_score_adj),
        ("blkio-weight", limits.blkio_weight),
    ):
        if value is not None:
            yield f"--{name}={value}"
    if limits.oom_kill_disable:
        yield "--oom-kill-disable"
    for name, text in limits.devices:
        yield traits.option(_BLKIO.get(name, name.replace("_", "-")), text)


def _logging(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    if spec.logging is None:
        yield f"--log-driver={traits.log_driver}"
        yield from (f"--log-opt={text}" for text in traits.rotation)
        return
    if spec.logging.driver is not None:
        yield traits.option("log-driver", spec.logging.driver)
    for name, value in spec.logging.options:
        yield traits.option("log-opt", f"{name}={value}")


def _health(spec: ContainerSpec, traits: Traits) -> Iterator[str]:
    """Only how often and how long; the test itself is each runtime's own matter."""
    check = spec.healthcheck
    if check is None or check.test == ("NONE",):
        return
    for key, value in (
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start_period", check.start_period),
        ("start_interval", check.start_interval),
    ):
        if value is not None:
            traits.refuse(f"healthcheck.{key}")
            yield f"--health-{key.replace('_', '-')}={duration(value)}"
    if check.retries is not None:
        yield f"--health-retries={check.retries}"


_GROUPS: tuple[Group, ...] = (_identity, _process, _rights, _gpus, _namespaces, _kernel, _limits, _logging, _health)
