"""Docker's dialect: Docker Engine 20.10 and later through its command line."""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.base import shell
from shipyard.model.container import ContainerSpec, Healthcheck, Pairs
from shipyard.runtime import docker_probe, environment, mounts, wiring
from shipyard.runtime.client import Client
from shipyard.runtime.dialect import Command, ProbeRequest, RuntimeState
from shipyard.runtime.traits import Traits

_REMOVE_NETWORK = r"""
device=$(docker network inspect --format '{{index .Options "com.docker.network.bridge.name"}}' -- "$1" 2>/dev/null)
docker network rm "$1" || exit
set -- "/sys/class/net/$device"
[ -n "$device" ] && [ -d "$1/bridge" ] && [ -z "$(ls "$1/brif")" ] || exit 0
ip link del dev "$device" 2>/dev/null || :
"""


class Docker(Client):
    """A container on one network (or none) is one process; more networks are joined before it starts."""

    name = "docker"
    networks_at_once = 1
    traits = Traits(
        program="docker",
        readonly="readonly",
        log_driver="json-file",
        rotation=("max-size=10m", "max-file=3"),
    )

    def remove_network(self, network: str) -> tuple[Command, ...]:
        """With its bridge: docker knows that by its number, and so not one that was deleted and made again."""
        gone = ("No such network", "not found", "no such network")
        return (Command(("sh", "-c", _REMOVE_NETWORK, "sh", network), already=gone),)

    def create_container(
        self, name: str, spec: ContainerSpec, labels: Pairs, config_paths: Mapping[str, str]
    ) -> tuple[Command, ...]:
        chosen, own = environment.options(spec.environment)
        program = self.traits.program
        entrypoint, command = entry(spec)
        words = (
            *self._shared(name, spec, labels, config_paths),
            *((f"--runtime={spec.runtime}",) if spec.runtime is not None else ()),
            *health_test(spec.healthcheck),
            *chosen,
            *entrypoint,
            *self._networks(spec),
            "--",
            spec.image,
            *command,
        )
        before = mounts.preparation(spec)
        if len(spec.networks) <= self.networks_at_once:
            return (*before, Command((program, "run", "--detach", *words), env=own))
        later = spec.networks[self.networks_at_once :]
        more = [joined for attachment in later for joined in self.connect(name, attachment)]
        return (*before, Command((program, "create", *words), env=own), *more, *self.start(name))

    def _networks(self, spec: ContainerSpec) -> tuple[str, ...]:
        """Where a container is when it is made."""
        if spec.network_mode is not None:
            return (f"--network={spec.network_mode}",)
        return wiring.separate(spec.networks[0]) if spec.networks else ()

    def probe(self, request: ProbeRequest) -> str:
        return docker_probe.text(request)

    def parse(self, sections: Mapping[str, bytes], clock: float) -> RuntimeState:
        return docker_probe.parse(sections, clock)


def entry(spec: ContainerSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The option for the entry point, and the words after the image: the option takes one word, the rest go there."""
    command = spec.command or ()
    if spec.entrypoint is None:
        return (), command
    if not spec.entrypoint:
        return ("--entrypoint=",), command
    return (f"--entrypoint={spec.entrypoint[0]}",), (*spec.entrypoint[1:], *command)


def health_test(check: Healthcheck | None) -> tuple[str, ...]:
    """Docker's option only takes text for the image's shell: a list becomes text that the shell takes apart again.

    So a list needs a shell in the image, which it does not where the API is spoken to.
    """
    match check.test if check else ():
        case ():
            return ()
        case ("NONE", *_):
            return ("--no-healthcheck",)
        case ("CMD-SHELL", *text):
            return (f"--health-cmd={' '.join(text)}",)
        case ("CMD", *words):
            return (f"--health-cmd={shell.join(words)}",)
        case words:
            return (f"--health-cmd={shell.join(words)}",)
