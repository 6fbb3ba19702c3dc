"""The labels on what shipyard makes, and the names it gives."""

from __future__ import annotations

import hashlib
import re

CLUSTER = "shipyard.cluster"
STACK = "shipyard.stack"
SERVICE = "shipyard.service"
SLOT = "shipyard.slot"
REVISION = "shipyard.revision"
SPEC = "shipyard.spec"
RUN = "shipyard.run"
"""Only on the containers of jobs: `<run>.<index>.<attempt>`, the end of the marker's name."""

MEMBER = "shipyard.member"
"""Which of a replica's several containers it is; its main one, and a replica's only one, have no such label."""

ROLE = "shipyard.role"
"""Of such a member: `holder`, `init`, `sidecar` or `main`."""

HOLDER = "holder"
"""The member that owns the network namespace of the others."""

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
"""What stacks and services may be called: Compose's project names, in at most 63 characters."""

SECRET_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?/)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
"""What secrets and external configs are called in the store: `NAME`, or `STACK/NAME` for what one stack alone gets."""


def incarnation_suffix(cluster: str, stack: str, service: str, slot: int, incarnation: int) -> str:
    """Six hex digits that tell one incarnation of a slot from the next, the same for whoever computes them."""
    text = f"{cluster}/{stack}/{service}/{slot}/{incarnation}"
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def container_name(cluster: str, stack: str, service: str, slot: int, incarnation: int) -> str:
    """`stack-service-slot-3fa9c1`, decided and recorded before the container is made."""
    return f"{stack}-{service}-{slot}-{incarnation_suffix(cluster, stack, service, slot, incarnation)}"


def member_name(container: str, member: str) -> str:
    """Of a container beside a replica's main one, which is called `container`. No name of a member has a dot."""
    return f"{container}.{member}" if member else container


def replica_name(container: str) -> str:
    """Of the main container of the replica that a container belongs to: the same for all of one incarnation."""
    return container.partition(".")[0]
