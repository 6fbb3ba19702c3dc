"""What nodes are asked about the cluster's network: nothing where there is none."""

from __future__ import annotations

from collections.abc import Collection

from shipyard.model.netbook import Wired
from shipyard.model.situation import Situation
from shipyard.model.wire import Expected, WiringRequest, names_of
from shipyard.planner.network.mesh import FORWARDING6
from shipyard.planner.network.spanning import resolved, spans


def requests(situation: Situation, *, details: Collection[str] = ()) -> dict[str, WiringRequest]:
    """By node. `details`: nodes that are to tell all, whether it is as it was or not."""
    situation = resolved(situation)
    names = {network.name for stack in situation.stacks for network in stack.revision.spec.networks if spans(network)}
    memory = situation.memory
    wanted = {each.node for each in memory.network_nodes}
    for stack in situation.stacks:
        for service in stack.revision.spec.services:
            if any(each.network in names for each in service.container.networks):
                wanted.update(stack.eligible_for(service.name))
    if not wanted:
        return {}
    known = {each.node: each for each in memory.wired}
    draining: dict[str, list[str]] = {}
    for each in memory.draining:
        draining.setdefault(each.node, []).append(each.container)
    made = names_of(situation.cluster)
    sysctls = (
        "net.ipv4.ip_forward",
        "net.bridge.bridge-nf-call-iptables",
        *(f"net.ipv4.conf.{device}.route_localnet" for device in made.devices),
    )
    ranges = (situation.ranges.containers, situation.ranges.services)
    dual = any(
        network.enable_ipv6 for stack in situation.stacks for network in stack.revision.spec.networks if spans(network)
    )
    asked6 = {node: dual or (node in known and known[node].six) for node in wanted}
    return {
        node: WiringRequest(
            Expected() if node in details else _expected(known.get(node)),
            ranges,
            (*sysctls, *((FORWARDING6,) if asked6[node] else ())),
            tuple(sorted(draining.get(node, ()))),
            situation.ranges.containers6 if asked6[node] else "",
        )
        for node in sorted(wanted)
    }


def _expected(known: Wired | None) -> Expected:
    return Expected() if known is None else Expected(known.kernel, known.rules)
