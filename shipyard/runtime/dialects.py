"""Which dialects there are."""

from __future__ import annotations

from shipyard.base.errors import UsageError
from shipyard.model.container import ContainerSpec
from shipyard.runtime.dialect import Dialect, Unsupported
from shipyard.runtime.docker import Docker
from shipyard.runtime.nerdctl import Nerdctl
from shipyard.runtime.podman import Podman

NAMES = ("docker", "podman", "nerdctl")


def by_name(name: str) -> Dialect:
    """The dialect of this runtime. Raises UsageError where there is none."""
    match name:
        case "docker":
            return Docker()
        case "podman":
            return Podman()
        case "nerdctl":
            return Nerdctl()
        case _:
            raise UsageError(f"there is no runtime {name!r}", hint=f"known are {', '.join(NAMES)}")


def refusal(dialect: Dialect, spec: ContainerSpec) -> Unsupported | None:
    """Why this runtime can't make such a container, as far as that is known without asking it."""
    try:
        dialect.create_container("sy", spec, (), {mount.file_name: "/" for mount in (*spec.configs, *spec.secrets)})
    except Unsupported as error:
        return error
    return None
