"""Nerdctl's dialect: docker's words, as far as nerdctl has them. Experimental: it has not run on a real node yet."""

from __future__ import annotations

from shipyard.model.spec import Attachment
from shipyard.runtime.dialect import Command, Unsupported
from shipyard.runtime.docker import Docker
from shipyard.runtime.traits import Traits

_LATER = "it can't join a container to a network later"


class Nerdctl(Docker):
    """A container's networks are fixed when it is made."""

    name = "nerdctl"
    experimental = True
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

    def connect(self, container: str, attachment: Attachment) -> tuple[Command, ...]:
        raise Unsupported(self.name, "networks", _LATER)

    def disconnect(self, container: str, network: str) -> tuple[Command, ...]:
        raise Unsupported(self.name, "networks", "it can't take a container off a network later")
