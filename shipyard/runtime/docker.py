"""Docker's dialect: Docker Engine 20.10 and later through its command line."""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.base import shell
from shipyard.model.spec import ContainerSpec, Healthcheck, Pairs
from shipyard.runtime import docker_probe, environment, mounts, wiring
from shipyard.runtime.client import Client
from shipyard.runtime.dialect import Command, ProbeRequest, RuntimeState
from shipyard.runtime.traits import Traits


class Docker(Client):
    """A container on one network (or none) is one process; more networks are joined before it starts."""

    name = "docker"
    traits = Traits(
        program="docker",
        readonly="readonly",
        log_driver="json-file",
        rotation=("max-size=10m", "max-file=3"),
    )

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
            *_first_network(spec),
            "--",
            spec.image,
            *command,
        )
        before = mounts.preparation(spec)
        if len(spec.networks) < 2:
            return (*before, Command((program, "run", "--detach", *words), env=own))
        more = [joined for attachment in spec.networks[1:] for joined in self.connect(name, attachment)]
        return (*before, Command((program, "create", *words), env=own), *more, *self.start(name))

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


def _first_network(spec: ContainerSpec) -> tuple[str, ...]:
    if spec.network_mode is not None:
        return (f"--network={spec.network_mode}",)
    return wiring.separate(spec.networks[0]) if spec.networks else ()
