"""Replicas by the names people type: `STACK`, `STACK/SERVICE`, `STACK/SERVICE.SLOT`."""

from __future__ import annotations

from shipyard.base.errors import UsageError
from shipyard.base.record import Struct
from shipyard.model.status import FleetStatus, ReplicaStatus, ServiceStatus, StackStatus


class Named(Struct, frozen=True):
    """A replica that has a container which can be reached. `name`: `web.1`; `id`: the container's."""

    stack: str
    name: str
    node: str
    id: str
    state: str


def select(status: FleetStatus, text: str, container: str | None = None) -> list[Named]:
    """The replicas with a container that `text` names. Raises UsageError that lists what there is instead.

    `container`: of replicas of several containers, which one beside the main one.
    """
    stack_name, _, rest = text.partition("/")
    service_name, _, slot = rest.partition(".")
    stack = _stack(status, stack_name)
    services = [_service(stack, service_name)] if rest else stack.services
    found = [
        (service, replica) for service in services for replica in service.replicas if slot in ("", str(replica.slot))
    ]
    if slot and not found:
        known = ", ".join(f"{service_name}.{each.slot}" for each in services[0].replicas) or "none"
        raise UsageError(f"{stack_name}/{service_name} has no replica {slot}; it has: {known}")
    if container is not None:
        return _members(text, stack, found, container)
    named = [_named(stack, service, replica) for service, replica in found]
    reachable = [each for each in named if each is not None]
    if not reachable:
        why = "; ".join(_why(service, replica) for service, replica in found) or "it declares no replicas"
        raise UsageError(f"{text} has no container that could be seen now: {why}")
    return reachable


def _members(
    text: str, stack: StackStatus, found: list[tuple[ServiceStatus, ReplicaStatus]], container: str
) -> list[Named]:
    members = [
        Named(stack.name, f"{service.name}.{replica.slot}/{member.name}", replica.node, member.container, member.state)
        for service, replica in found
        for member in replica.members
        if replica.node is not None and member.name == container
    ]
    if not members:
        known = sorted({member.name for _, replica in found for member in replica.members})
        there = f"beside their main one they have: {', '.join(known)}" if known else "they have one container each"
        raise UsageError(f"the replicas of {text} have no container {container!r} that could be seen now; {there}")
    return members


def one_running(status: FleetStatus, text: str, container: str | None = None) -> Named:
    """The first running replica that `text` (with a service in it) names."""
    if "/" not in text:
        stack = _stack(status, text)
        known = ", ".join(f"{text}/{each.name}" for each in stack.services)
        raise UsageError(f"{text} is a stack: say which service of it; there are: {known}")
    named = select(status, text, container)
    running = [each for each in named if each.state == "running"]
    if not running:
        states = ", ".join(f"{each.name} is {each.state}" for each in named)
        raise UsageError(f"no container of {text} is running: {states}")
    return running[0]


def _stack(status: FleetStatus, name: str) -> StackStatus:
    for stack in status.stacks:
        if stack.name == name:
            return stack
    known = ", ".join(each.name for each in status.stacks) or "none"
    raise UsageError(f"there is no stack {name!r}; there are: {known}")


def _service(stack: StackStatus, name: str) -> ServiceStatus:
    for service in stack.services:
        if service.name == name:
            return service
    known = ", ".join(each.name for each in stack.services) or "none"
    raise UsageError(f"{stack.name} has no service {name!r}; it has: {known}")


def _named(stack: StackStatus, service: ServiceStatus, replica: ReplicaStatus) -> Named | None:
    if replica.container is None or replica.node is None:
        return None
    return Named(stack.name, f"{service.name}.{replica.slot}", replica.node, replica.container, replica.state)


def _why(service: ServiceStatus, replica: ReplicaStatus) -> str:
    return f"{service.name}.{replica.slot} is {replica.state}" + (f" ({replica.reason})" if replica.reason else "")
