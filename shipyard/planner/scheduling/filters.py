"""The filters: each says why it refuses a node, or nothing.

Those in `STATIC` look at the node and the service alone, and are asked once for all services that agree in what they
ask for (`static`). The rest depends on what is placed where.
"""

from __future__ import annotations

from collections.abc import Callable

from shipyard.model.container import Port
from shipyard.model.memory import Placement
from shipyard.model.node import Availability, Node, NodeState
from shipyard.model.spec import ServiceSpec
from shipyard.planner.constraints import allows
from shipyard.planner.scheduling.capacity import Used, shortage
from shipyard.planner.scheduling.explain import Refusal, being, having
from shipyard.planner.scheduling.ledger import Ledger, Load, clash, published
from shipyard.planner.scheduling.taints import FORBIDDING, untolerated
from shipyard.planner.world import World

Static = Callable[[World, Node, ServiceSpec], Refusal | None]


def _ready(world: World, node: Node, service: ServiceSpec) -> Refusal | None:
    if node.orphaned:
        return being("no longer in the inventory")
    state = world.states.get(node.name, NodeState.UNKNOWN)
    if state == NodeState.READY and node.name in world.seen:
        return None
    words = {NodeState.UNOBSERVED: "alive but not observable", NodeState.UNKNOWN: "never seen"}
    return being(words.get(state, "not answering" if state == NodeState.READY else state.value))


def _available(world: World, node: Node, service: ServiceSpec) -> Refusal | None:
    words = {Availability.PAUSE: "cordoned", Availability.DRAIN: "drained"}
    return being(words[node.availability]) if node.availability in words else None


def constraints(world: World, node: Node, service: ServiceSpec) -> Refusal | None:
    """`deploy.placement.constraints`."""
    seen = world.seen.get(node.name)
    facts = seen.facts if seen else None
    for constraint in service.placement.constraints:
        if not allows(constraint, node, facts):
            return Refusal(f"does not meet {constraint}", f"do not meet {constraint}")
    return None


def _taints(world: World, node: Node, service: ServiceSpec) -> Refusal | None:
    taint = untolerated(node, service, FORBIDDING) if node.taints else None
    return having(f"the taint {taint}") if taint else None


STATIC: tuple[Static, ...] = (_ready, _available, constraints, _taints)


def unrendered(world: World, stack: str, service: ServiceSpec, node: str) -> Refusal | None:
    """That it is not known what the container is on this node, which joined since."""
    if service.has_values(node):
        return None
    why = world.lacking.get((stack, service.name), {}).get(node, "apply that again")
    return being(f"new, and without the values per node that {service.file or 'its file'} has: {why}")


def static(
    world: World, ledger: Ledger, stack: str, service: ServiceSpec, eligible: tuple[str, ...]
) -> tuple[dict[str, None], dict[str, Refusal]]:
    """The nodes (in order) that pass all static filters, and for which there are values; and why the others don't.

    Worked out once for services that are alike. The situation has one tuple for all services of a pattern, and keeps
    it: so which it is says what is in it, without reading thousands of names.
    """
    rules = service.placement
    alike = (
        id(eligible),
        rules.constraints,
        rules.tolerations,
        (service.rendered, service.file) if service.per_node else None,
        (stack, service.name) if (stack, service.name) in world.lacking else None,
    )
    found = ledger.static.get(alike)
    if found is None:
        refused: dict[str, Refusal] = {}
        for name in eligible:
            node = world.nodes.get(name)
            if node is not None:
                refusal = next((why for why in (check(world, node, service) for check in STATIC) if why), None)
                refusal = refusal or unrendered(world, stack, service, name)
                if refusal is not None:
                    refused[name] = refusal
        fitting = dict.fromkeys(name for name in eligible if name in world.nodes and name not in refused)
        found = ledger.static[alike] = (fitting, refused)
    return found


def crowding(ledger: Ledger, stack: str, service: ServiceSpec, node: str) -> Refusal | None:
    """`max_replicas_per_node`."""
    most = service.placement.max_replicas_per_node
    if most is None or ledger.places[stack, service.name][node] < most:
        return None
    return being(f"full (max_replicas_per_node: {most})")


def overcrowding(ledger: Ledger, service: ServiceSpec, placement: Placement) -> Refusal | None:
    """As `crowding`, of a replica that is there: those with the lowest numbers stay."""
    most, (stack, name, slot) = service.placement.max_replicas_per_node, placement.key
    if most is None or ledger.places[stack, name][placement.node] <= most:
        return None
    before = sum(key[:2] == (stack, name) and key[2] < slot for key in ledger.on(placement.node).slots)
    return being(f"full (max_replicas_per_node: {most})") if before >= most else None


def resources(ledger: Ledger, stack: str, service: ServiceSpec, load: Load, used: Used) -> Refusal | None:
    """Reserved cpus, memory and devices, against what the node offers. `used`: what of it is taken."""
    return shortage(ledger.known(stack, service)[0], used, load.offers)


def ports(wanted: list[Port], taken: dict[Port, str], mine: str = "") -> Refusal | None:
    """Host ports. `mine`: who asks, if it has ports there already."""
    for port in wanted:
        for other, owner in taken.items():
            if owner != mine and clash(port, other):
                words = f"port {port.published}/{port.protocol} to {owner}"
                return Refusal(f"gives {words}", f"give {words}")
    return None


def ports_of(ledger: Ledger, stack: str, service: ServiceSpec, node: str) -> list[Port]:
    """The node's ports that one replica takes there."""
    return published(service, node) if service.variants else ledger.known(stack, service)[1]
