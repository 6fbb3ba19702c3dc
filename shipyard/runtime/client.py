"""The commands that docker, podman and nerdctl spell alike. What differs is overridden in their own modules."""

from __future__ import annotations

import math
from collections.abc import Mapping

from shipyard.model.container import Attachment, ContainerSpec, Pairs
from shipyard.model.image import RegistryAuth
from shipyard.model.spec import NetworkSpec, VolumeSpec
from shipyard.runtime import environment, flags, logins, mounts, wiring
from shipyard.runtime.dialect import Command, Unsupported
from shipyard.runtime.logins import Login
from shipyard.runtime.traits import Traits


class Client:
    """Builders of command lines for one runtime; runs nothing."""

    name: str
    traits: Traits

    def start(self, container: str) -> tuple[Command, ...]:
        return (self._command("start", container),)

    def unpause(self, container: str) -> tuple[Command, ...]:
        return (self._command("unpause", container, already=("is not paused", "not paused")),)

    def stop(self, container: str, grace: float | None) -> tuple[Command, ...]:
        return (self._command("stop", *grace_words(grace), container),)

    def remove(self, container: str, grace: float | None) -> tuple[Command, ...]:
        """Two processes: only `stop` lets the container end by itself. Anonymous volumes stay."""
        gone = ("No such container", "no such container")
        return (
            self._command("stop", *grace_words(grace), container, already=gone),
            self._command("rm", "--force", container, already=(*gone, "is already in progress")),
        )

    def pull(self, image: str, platform: str | None, always: bool) -> tuple[Command, ...]:
        """When not `always`, an image that is there is left as it is, and no registry is asked."""
        if image.startswith("-"):
            raise Unsupported(self.name, "image", f"{image} is no name of an image")
        words = ("pull", "--quiet", *((f"--platform={platform}",) if platform else ()), image)
        if always:
            return (self._command(*words),)
        program = self.traits.program
        # Nothing written by users is shell text: the program's name is ours, and the image is a word of its own.
        script = f'{program} image inspect "$1" >/dev/null 2>&1 && exit; shift; exec {program} "$@"'
        return (Command(("sh", "-c", script, "sh", image, *words)),)

    def login(self, auth: RegistryAuth) -> Login:
        return logins.docker(auth)

    def create_network(self, network: NetworkSpec, labels: Pairs) -> tuple[Command, ...]:
        words = [f"--driver={network.driver}"] if network.driver and not network.device else []
        words += [f"--opt={key}={value}" for key, value in (*network.driver_opts, *self._network_options(network))]
        words += [f"--{name}" for name, chosen in self._network_switches(network) if chosen]
        words += [
            f"--{name}={value}"
            for name, value in (
                ("subnet", network.subnet),
                ("gateway", network.gateway),
                ("ip-range", network.ip_range),
                ("subnet", network.subnet6),
                ("gateway", network.gateway6),
                ("ip-range", network.ip_range6),
            )
            if value
        ]
        words += flags.labels(merged(network.labels, labels))
        return (self._command("network", "create", *words, network.name),)

    def remove_network(self, network: str) -> tuple[Command, ...]:
        gone = ("No such network", "not found", "no such network")
        return (self._command("network", "rm", network, already=gone),)

    def create_volume(self, volume: VolumeSpec, labels: Pairs) -> tuple[Command, ...]:
        words = [f"--driver={volume.driver}"] if volume.driver else []
        words += [f"--opt={key}={value}" for key, value in volume.driver_opts]
        words += self._volume_labels(merged(volume.labels, labels))
        return (self._command("volume", "create", *words, volume.name),)

    def remove_volume(self, volume: str) -> tuple[Command, ...]:
        return (self._command("volume", "rm", volume, already=("No such volume", "no such volume")),)

    def connect(self, container: str, attachment: Attachment) -> tuple[Command, ...]:
        already = ("already exists in network", "is already connected to network")
        words = wiring.joining(attachment, self.name, mac=self.name == "podman")
        return (self._command("network", "connect", *words, attachment.network, container, already=already),)

    def disconnect(self, container: str, network: str) -> tuple[Command, ...]:
        already = ("is not connected to network", "is not connected to the network")
        return (self._command("network", "disconnect", network, container, already=already),)

    def logs(self, container: str, *, tail: int | None, since: str | None, follow: bool, timestamps: bool) -> Command:
        words = [f"--tail={tail}"] if tail is not None else []
        words += [f"--since={since}"] if since is not None else []
        words += ["--follow"] if follow else []
        words += ["--timestamps"] if timestamps else []
        return self._command("logs", *words, container)

    def execute(
        self, container: str, argv: tuple[str, ...], *, tty: bool, stdin: bool, user: str | None, env: Pairs
    ) -> Command:
        """The words after the container are the command's own: no option of the runtime is read there."""
        chosen, own = environment.options(env)
        words = ["--tty"] if tty else []
        words += ["--interactive"] if stdin else []
        words += [f"--user={user}"] if user is not None else []
        return Command((self.traits.program, "exec", *words, *chosen, container, *argv), env=own)

    def _command(self, *words: str, already: tuple[str, ...] = ()) -> Command:
        return Command((self.traits.program, *words), already=already)

    def _volume_labels(self, pairs: Pairs) -> tuple[str, ...]:
        return flags.labels(pairs)

    def _network_options(self, network: NetworkSpec) -> Pairs:
        """Of one that is a node's part of a network across nodes: a bridge whose name and MTU are ours to say."""
        if not network.device:
            return ()
        made = [("com.docker.network.bridge.name", network.device)]
        made += [("com.docker.network.driver.mtu", str(network.mtu))] if network.mtu else []
        return tuple(made)

    def _network_switches(self, network: NetworkSpec) -> tuple[tuple[str, bool], ...]:
        return (("internal", network.internal), ("attachable", network.attachable), ("ipv6", network.enable_ipv6))

    def _shared(
        self, name: str, spec: ContainerSpec, labels: Pairs, config_paths: Mapping[str, str]
    ) -> tuple[str, ...]:
        """The options of `run` and `create` that all runtimes have in common, without environment and networks."""
        if spec.image.startswith("-"):
            raise Unsupported(self.name, "image", f"{spec.image} is no name of an image")
        if spec.command == () and spec.entrypoint is None:
            hint = "write `entrypoint` too: without the image's own entrypoint its command is dropped"
            raise Unsupported(self.name, "command", "an empty command can't be handed over", hint=hint)
        return (
            "--pull=never",
            f"--name={name}",
            *flags.labels(merged(spec.labels, labels)),
            *flags.common(spec, self.traits),
            *wiring.common(spec, self.traits),
            *mounts.options(spec, self.traits, config_paths),
        )


def grace_words(grace: float | None) -> tuple[str, ...]:
    """`-t` is spelt so by all versions; whole seconds, rounded up. None: the container's own."""
    return () if grace is None else ("-t", str(math.ceil(grace)))


def merged(written: Pairs, ours: Pairs) -> Pairs:
    """Labels of both, sorted; ours win, so that what a user wrote can't pass for another stack's."""
    return tuple(sorted({**dict(written), **dict(ours)}.items()))
