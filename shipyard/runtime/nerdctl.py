"""Nerdctl's dialect: docker's words, as far as nerdctl has them. Experimental: it has not run on a real node yet."""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.model.container import Attachment, ContainerSpec
from shipyard.runtime import nerdctl_probe, wiring
from shipyard.runtime.client import Client
from shipyard.runtime.dialect import Command, ProbeRequest, RuntimeState, Unsupported
from shipyard.runtime.docker import Docker
from shipyard.runtime.traits import Traits

_LATER = "it can't join a container to a network later"


class Nerdctl(Docker):
    """A container's networks are fixed when it is made."""

    name = "nerdctl"
    experimental = True
    networks_at_once = 100
    traits = Traits(
        program="nerdctl",
        readonly="ro",
        log_driver="json-file",
        rotation=("max-size=10m", "max-file=3"),
        refused={
            "userns_mode": "it has no option for it",
            "healthcheck.start_interval": "it has no option for it",
        },
    )

    def remove_network(self, network: str) -> tuple[Command, ...]:
        return Client.remove_network(self, network)

    def connect(self, container: str, attachment: Attachment) -> tuple[Command, ...]:
        raise Unsupported(self.name, "networks", _LATER)

    def disconnect(self, container: str, network: str) -> tuple[Command, ...]:
        raise Unsupported(self.name, "networks", "it can't take a container off a network later")

    def _networks(self, spec: ContainerSpec) -> tuple[str, ...]:
        """All of them when it is made, with at most one address between them."""
        if spec.network_mode is not None or not spec.networks:
            return super()._networks(spec)
        if any(attachment.aliases for attachment in spec.networks):
            raise Unsupported(self.name, "aliases", "it has no names of a container on a network beside its own")
        words = [word for attachment in spec.networks for word in wiring.separate(attachment)]
        if any(sum(word.startswith(f"--{one}=") for word in words) > 1 for one in ("ip", "ip6", "mac-address")):
            raise Unsupported(self.name, "ipv4_address", "it can't give addresses on several networks")
        return tuple(words)

    def probe(self, request: ProbeRequest) -> str:
        return nerdctl_probe.text(request)

    def parse(self, sections: Mapping[str, bytes], clock: float) -> RuntimeState:
        return nerdctl_probe.parse(sections, clock)
