"""Podman's dialect: podman 4 and later, root and rootless."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from shipyard.base import shell
from shipyard.model.container import ContainerSpec, Healthcheck, Pairs
from shipyard.model.image import RegistryAuth
from shipyard.model.spec import NetworkSpec
from shipyard.runtime import environment, logins, mounts, podman_probe, wiring
from shipyard.runtime.client import Client, grace_words
from shipyard.runtime.dialect import Command, ProbeRequest, RuntimeState, Unsupported
from shipyard.runtime.logins import Login
from shipyard.runtime.netitems import KEPT_BRIDGE
from shipyard.runtime.traits import Traits, csv_field

_LISTS = frozenset(
    {
        "add-host",
        "annotation",
        "cap-add",
        "cap-drop",
        "device",
        "device-cgroup-rule",
        "device-read-bps",
        "device-read-iops",
        "device-write-bps",
        "device-write-iops",
        "dns",
        "dns-option",
        "dns-search",
        "expose",
        "group-add",
        "log-opt",
        "publish",
        "sysctl",
        "ulimit",
    }
)

_REMOVE_NETWORK = r"""
device=$(@KEPT@)
[ -n "$device" ] || device=$(podman network inspect --format '{{.NetworkInterface}}' "$1" 2>/dev/null)
podman network rm "$1" || exit
set -- "/sys/class/net/$device"
[ -n "$device" ] && [ -d "$1/bridge" ] && [ -z "$(ls "$1/brif")" ] || exit 0
ip link del dev "$device" 2>/dev/null || :
""".replace("@KEPT@", KEPT_BRIDGE)

_KEYWORDS = {"CMD", "CMD-SHELL", "none", "NONE"}


_STOP = r"""
sy_box=$1
shift
sy_id=$(podman inspect --type container --format '{{.Id}}' "$sy_box")
for sy_try in 1 2 3 4 5 6 7 8; do
  podman stop "$@" "$sy_box" >/dev/null
  sy_status=$?
  # in the end by force: what conmon became in order to start it again. The brackets keep this script from being meant.
  [ "$sy_try" -lt 4 ] || [ -z "$sy_id" ] || pkill -KILL -f "container [c]leanup.* $sy_id" 2>/dev/null
  sy_before=$(podman inspect --type container --format '{{.RestartCount}}' "$sy_box") || exit "$sy_status"
  sleep 0.3 2>/dev/null || sleep 1
  sy_after=$(podman inspect --type container --format '{{.RestartCount}} {{.State.Running}}' "$sy_box")
  [ "$sy_after" != "$sy_before false" ] || exit 0
done
echo "it ends and is restarted faster than podman can stop it (${sy_after% *} restarts by now)" >&2
exit 1
"""
"""Podman leaves alone what ended a moment ago, and then restarts it: it is stopped until its restarts stand still.

Where that is not to be had, what would start it again ends first; podman takes that for a crash of its own.
"""


class Podman(Client):
    """One process makes a container, however many networks it is on."""

    name = "podman"
    traits = Traits(
        program="podman",
        readonly="ro",
        log_driver="k8s-file",
        rotation=("max-size=10mb",),
        lists=_LISTS,
        refused={
            "domainname": "it has no option for it; write the whole name as `hostname`",
            "healthcheck.start_interval": "it has no option for it",
            "gpus": "it can't be asked for so many; reserve them with count: all, or by device_ids",
        },
        all_gpus="--device=nvidia.com/gpu=all",
    )

    def stop(self, container: str, grace: float | None) -> tuple[Command, ...]:
        """For good, also where podman's own restarts are at it."""
        return (Command(("sh", "-c", _STOP, "sh", container, *grace_words(grace))),)

    def remove_network(self, network: str) -> tuple[Command, ...]:
        """With its bridge, which goes with the last container on it: one that was made beforehand, or whose containers
        ended without podman's knowledge, would stay, and its route with it."""
        gone = ("No such network", "not found", "no such network")
        return (Command(("sh", "-c", _REMOVE_NETWORK, "sh", network), already=gone),)

    def create_container(
        self, name: str, spec: ContainerSpec, labels: Pairs, config_paths: Mapping[str, str]
    ) -> tuple[Command, ...]:
        chosen, own = environment.options(spec.environment)
        argv = (
            "podman",
            *((f"--runtime={spec.runtime}",) if spec.runtime is not None else ()),
            "run",
            "--detach",
            *self._shared(name, spec, labels, config_paths),
            # as with docker: the node's own proxies are no part of what was written, nor is a writable /tmp
            "--http-proxy=false",
            *(("--read-only-tmpfs=false",) if spec.read_only else ()),
            *_health_test(spec.healthcheck),
            *chosen,
            *_entrypoint(spec),
            *_networks(spec),
            "--",
            spec.image,
            *(spec.command or ()),
        )
        return (*mounts.preparation(spec), Command(argv, env=own))

    def remove(self, container: str, grace: float | None) -> tuple[Command, ...]:
        """Forced removal gives the container its time to end, so one process does it."""
        words = () if grace is None else (f"--time={math.ceil(grace)}",)
        gone = ("no such container", "no container with")
        return (self._command("rm", "--force", *words, container, already=gone),)

    def login(self, auth: RegistryAuth) -> Login:
        return logins.podman(auth)

    def probe(self, request: ProbeRequest) -> str:
        return podman_probe.text(request)

    def parse(self, sections: Mapping[str, bytes], clock: float) -> RuntimeState:
        return podman_probe.parse(sections, clock)

    def _volume_labels(self, pairs: Pairs) -> tuple[str, ...]:
        """Only here are labels read as CSV."""
        return tuple(f"--label={csv_field(f'{name}={value}', 'podman', 'labels')}" for name, value in pairs)

    def _network_options(self, network: NetworkSpec) -> Pairs:
        """It names its bridges itself."""
        return (("mtu", str(network.mtu)),) if network.device and network.mtu else ()

    def _network_switches(self, network: NetworkSpec) -> tuple[tuple[str, bool], ...]:
        """All of podman's networks are attachable; there is no option for it."""
        return (("internal", network.internal), ("ipv6", network.enable_ipv6))


def _entrypoint(spec: ContainerSpec) -> tuple[str, ...]:
    """As JSON, which takes a list as it is; () clears the image's."""
    if spec.entrypoint is None:
        return ()
    return (f"--entrypoint={json.dumps(spec.entrypoint, ensure_ascii=False) if spec.entrypoint else ''}",)


def _health_test(check: Healthcheck | None) -> tuple[str, ...]:
    """As JSON, so that a list is run without a shell. Podman takes some lists for text: those become text for `sh`."""
    if check is None:
        return ()
    match check.test:
        case ():
            if any(value is not None for value in (check.interval, check.timeout, check.retries, check.start_period)):
                raise Unsupported(
                    "podman", "healthcheck", "it can't change an image's health check", hint="write `test`"
                )
            return ()
        case ("NONE", *_):
            return ("--no-healthcheck",)
        case ("CMD-SHELL", *text):
            test = ["CMD-SHELL", " ".join(text)]
        case ("CMD", *words) if len(words) > 1 and words[0] not in _KEYWORDS:
            test = list(words)
        case ("CMD", *words):
            test = ["CMD-SHELL", shell.join(words)]
        case words:
            test = ["CMD-SHELL", shell.join(words)]
    return (f"--health-cmd={json.dumps(test, ensure_ascii=False)}",)


def _networks(spec: ContainerSpec) -> tuple[str, ...]:
    if spec.network_mode is not None:
        # unlike docker's, such a container does not have the other's host name by itself
        shares = spec.network_mode.startswith("container:") and spec.uts is None
        return (f"--network={spec.network_mode}", *((f"--uts={spec.network_mode}",) if shares else ()))
    return tuple(wiring.together(attachment) for attachment in spec.networks)
