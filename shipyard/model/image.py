"""What an image's reference says, and what a registry may ask of whoever pulls it."""

from __future__ import annotations

from dataclasses import dataclass, field

HUB = "docker.io"
"""Docker Hub, as images are called."""
HOLDER = "localhost/shipyard/holder:1"
"""The image of what owns the network namespace of several containers. No registry has it: shipyard brings it along."""


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Who we are to one registry. `registry`: host, with its port where one is written; Docker Hub is `docker.io`.

    `identity_token`: what some registries hand out in place of a password. Neither is ever shown.
    """

    registry: str
    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def repository_of(reference: str) -> str:
    """A repository's full name, as docker fills it up: `redis` is `docker.io/library/redis`."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    first = name.partition("/")[0]
    if "/" not in name:
        return f"{HUB}/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"{HUB}/{name}"
