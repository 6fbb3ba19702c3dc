"""What every container runtime's dialect can say, and understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from shipyard.base.errors import ShipyardError
from shipyard.base.record import Struct
from shipyard.model.container import Attachment, ContainerSpec, Pairs
from shipyard.model.image import RegistryAuth
from shipyard.model.observed import Container, ObservedImage, ObservedNetwork, ObservedVolume, Usage
from shipyard.model.spec import NetworkSpec, VolumeSpec
from shipyard.runtime.logins import Login


class Unsupported(ShipyardError, ValueError):  # noqa: N818 - named like its siblings in base/errors
    """This runtime's command line has no word for a key that was written. `key`: as Compose spells it.

    A ValueError too: for whoever runs commands it is one more thing that can't be put into one.
    """

    def __init__(self, runtime: str, key: str, why: str, *, hint: str | None = None) -> None:
        super().__init__(f"{runtime} can't carry out `{key}`: {why}", hint=hint)
        self.runtime, self.key = runtime, key


class Command(Struct, frozen=True):
    """One process on a node. `env`: set for this process alone, so that values are in no argv.

    `ok`: exit statuses that count as done. `already`: texts in stderr that mean "it is so already", also done.
    """

    argv: tuple[str, ...]
    env: Pairs = ()
    ok: tuple[int, ...] = (0,)
    already: tuple[str, ...] = ()


class ProbeRequest(Struct, frozen=True):
    """What a probe should look for beside everything that carries the cluster's label.

    `networks`, `volumes`: full names that must be looked up even when they carry no label (external ones, and ones
    in the way). `images`: references. `health`: run health checks (podman without systemd), each for at most
    `health_timeout` seconds. `version`: ask for the runtime's version, which costs a process;
    so do `stray_networks` and `stray_volumes`: look for those of the cluster beside the ones named.
    `restarted`: tell the log also of what runs, and was restarted by the runtime.
    `usage`: tell what the containers use, which takes a second or two.
    `containers`: ids of all that are expected to be there. Where they are, others are not looked for.
    """

    cluster: str
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    health: bool = False
    health_timeout: int = 30
    version: bool = True
    stray_networks: bool = True
    stray_volumes: bool = True
    restarted: bool = False
    usage: bool = False
    containers: tuple[str, ...] = ()


class RuntimeState(Struct, frozen=True):
    """What the runtime's part of a probe came to."""

    version: str = ""
    rootless: bool = False
    containers: tuple[Container, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    volumes: tuple[ObservedVolume, ...] = ()
    images: tuple[ObservedImage, ...] = ()
    usage: tuple[Usage, ...] = ()


class Dialect(Protocol):
    """One runtime. Builders return the commands of one step, in order; a failing one ends the step."""

    name: str

    def create_container(
        self, name: str, spec: ContainerSpec, labels: Pairs, config_paths: Mapping[str, str]
    ) -> tuple[Command, ...]:
        """Make, join to its networks, start. `config_paths`: path on the node by `ConfigMount.file_name`.

        The last command to print a container id decides the outcome's output.
        """
        ...

    def start(self, container: str) -> tuple[Command, ...]: ...

    def unpause(self, container: str) -> tuple[Command, ...]: ...

    def stop(self, container: str, grace: float | None) -> tuple[Command, ...]: ...

    def remove(self, container: str, grace: float | None) -> tuple[Command, ...]:
        """Stop if it runs (or is paused), then remove; done also when it is gone. Anonymous volumes stay."""
        ...

    def pull(self, image: str, platform: str | None, always: bool) -> tuple[Command, ...]: ...

    def login(self, auth: RegistryAuth) -> Login:
        """How the commands of a pull are told who we are."""
        ...

    def create_network(self, network: NetworkSpec, labels: Pairs) -> tuple[Command, ...]: ...

    def remove_network(self, network: str) -> tuple[Command, ...]: ...

    def create_volume(self, volume: VolumeSpec, labels: Pairs) -> tuple[Command, ...]: ...

    def remove_volume(self, volume: str) -> tuple[Command, ...]: ...

    def connect(self, container: str, attachment: Attachment) -> tuple[Command, ...]: ...

    def disconnect(self, container: str, network: str) -> tuple[Command, ...]: ...

    def logs(
        self, container: str, *, tail: int | None, since: str | None, follow: bool, timestamps: bool
    ) -> Command: ...

    def execute(
        self, container: str, argv: tuple[str, ...], *, tty: bool, stdin: bool, user: str | None, env: Pairs
    ) -> Command: ...

    def probe(self, request: ProbeRequest) -> str:
        """POSIX sh text that prints this runtime's sections of a probe, each by the shell function `section`.

        `section NAME COMMAND…` is defined by observe around it: it runs COMMAND (a simple command or the name of a
        shell function), and frames its standard output and exit status. Few processes: a pass lives on it.
        """
        ...

    def parse(self, sections: Mapping[str, bytes], clock: float) -> RuntimeState:
        """Read the sections that `probe` printed. `clock`: the node's unix seconds. Raises ValueError on nonsense."""
        ...
