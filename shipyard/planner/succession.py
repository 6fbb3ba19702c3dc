"""Which goes first where a replica gets a new container: the old one, or the new one.

With `order: start-first` the old one goes on serving until the new one is good, also on the same node, unless both
can't be there at once.
"""

from __future__ import annotations

from shipyard.model.container import ContainerSpec
from shipyard.model.observed import Container
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, UpdatePolicy
from shipyard.planner import anonymous, storage
from shipyard.planner.condition import Condition, Kind
from shipyard.planner.world import World


def policy_of(world: World, stack: DesiredStack, service: ServiceSpec) -> UpdatePolicy:
    """`rollback_config` while an update is being taken back, else `update_config`."""
    rollout = world.rollouts.get((stack.revision.stack, service.name))
    back = rollout is not None and rollout.state in ("rollback_started", "rollback_paused")
    return service.rollback if back else service.update


def conflict(stack: DesiredStack, service: ServiceSpec, spec: ContainerSpec) -> str:
    """Why two containers of one replica can't be on a node at once; "" when they can."""
    ports = [str(port.published) for port in spec.ports if port.published is not None]
    if ports:
        return f"it publishes port {', '.join(ports)} of its node"
    local = storage.local(stack, spec)
    if local:
        return f"it has the local volume {', '.join(local)}"
    if spec.network_mode == "host":
        return "it is on its node's own network"
    if service.stable_names:
        return "its name is its own"
    if any(each.ipv4_address or each.ipv6_address or each.mac_address for each in spec.networks):
        return "its address is fixed"
    return ""


def both_at_once(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition) -> bool:
    """Whether its containers on its node may run side by side until the new one is good."""
    if policy_of(world, stack, service).order != "start-first" or conflict(stack, service, each.spec):
        return False
    here = [box for node, box in each.strays if node == each.placement.node and each.serves(box)]
    return not anonymous.carried_over(world, stack, each.spec, each.placement, here)[1]


def may_go(world: World, stack: DesiredStack, service: ServiceSpec, each: Condition, stray: Container) -> bool:
    """Whether an older container is of no more use, now that its successor is there.

    The first new replica of an update has to be proven good for that: until then nobody knows whether this revision is
    any good, and the old one may be all there is to go back to.
    """
    if not each.serves(stray) or policy_of(world, stack, service).order != "start-first":
        return True
    if each.kind not in (Kind.READY, Kind.COMPLETED):
        return False
    rollout = world.rollouts.get((stack.revision.stack, service.name))
    return rollout is None or rollout.completed or rollout.gated or each.placement.slot in rollout.good
