"""Which driver a network has where its file says none, and why a node can't have what spans nodes.

One whose services may be on several nodes is `vxlan`, as in Swarm and Kubernetes; one of a single node stays `bridge`,
which takes nothing of that node but its runtime. To change from one to the other makes the network and its containers
anew, so what was decided stays as long as anything is on the network: neither a node that joins the fleet nor a newer
shipyard takes down what runs. Who wants the other writes `driver:`, and sees in the plan what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from shipyard.base.record import Struct
from shipyard.model.observed import ObservedNode
from shipyard.model.plan import Notice
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, ServiceSpec
from shipyard.planner.network.book import is_block

DEFAULT = "vxlan"
"""Of a network that spans nodes."""
OWN = "bridge"
"""Of a network that each node has for itself."""


class Users(Struct):
    """Who may be on a network. `nodes`: one of them, and a second where there are several; `asks`: a key that only
    networks across nodes carry out, as a service says it."""

    nodes: set[str]
    asks: str = ""


def undeclared(stack: DesiredStack) -> Iterable[NetworkSpec]:
    """Networks of which the stack's file leaves the driver to us, as the file has them."""
    spec = (stack.stored or stack.revision).spec
    return (network for network in spec.networks if network.driver is None and not network.external)


def chosen(situation: Situation) -> dict[str, str]:
    """The driver of each network whose file says none, by full name."""
    remembered = {each.network: each.driver for each in situation.memory.network_drivers}
    open_ones: dict[str, NetworkSpec] = {}
    found: dict[str, str] = {}
    for stack in situation.stacks:
        for network in undeclared(stack):
            if configured(network):
                found[network.name] = OWN
            elif network.name in remembered:
                found[network.name] = remembered[network.name]
            else:
                open_ones[network.name] = network
    if open_ones:
        of = users(situation.stacks, open_ones)
        before = _before(situation, open_ones) if situation.observed else {}
        for name, network in open_ones.items():
            found[name] = before.get(name) or _anew(situation, network, of[name])
    return found


def _anew(situation: Situation, network: NetworkSpec, of: Users) -> str:
    """For one that was never made."""
    if not wanted_across(of):
        return OWN
    return DEFAULT if of.asks or not unfit(situation, network) else OWN


def configured(network: NetworkSpec) -> str:
    """What the file says that only a network of the runtime's own can have, "" for nothing."""
    if network.subnet is not None or network.subnet6 is not None or network.ip_range is not None:
        return "ipam"
    return "driver_opts" if network.driver_opts else ""


def wanted_across(of: Users) -> bool:
    """Whether it ought to span nodes."""
    return len(of.nodes) > 1 or bool(of.asks)


def users(stacks: Iterable[DesiredStack], networks: Iterable[str]) -> dict[str, Users]:
    """Of each of these networks, in whichever stack they are."""
    found = {name: Users(set()) for name in networks}
    for stack in stacks:
        if stack.removing:
            continue
        eligible: Mapping[str, tuple[str, ...]] | None = None
        for service in stack.revision.spec.services:
            for attachment in service.container.networks:
                of = found.get(attachment.network)
                if of is None:
                    continue
                of.asks = of.asks or _asks(service)
                if len(of.nodes) < 2:
                    eligible = dict(stack.eligible) if eligible is None else eligible
                    of.nodes.update(eligible.get(service.name, ())[:2])
    return found


def _asks(service: ServiceSpec) -> str:
    """Which key of the service each node by itself can't carry out, "" for none."""
    for key, said in (
        ("service_ports", bool(service.service_ports)),
        ("session_affinity", service.session_affinity),
        ("peer_names", service.peer_names),
        ("expose_on", bool(service.expose_on)),
        ("allow", service.allow is not None),
    ):
        if said:
            return f"x-shipyard.{key} of {service.name}"
    return ""


def unfit(situation: Situation, network: NetworkSpec) -> str:
    """Why one of the nodes that the network's services may be on can't take part, "" where all can."""
    seen = situation.seen()
    for stack in situation.stacks:
        eligible = dict(stack.eligible)
        for service in () if stack.removing else stack.revision.spec.services:
            if any(each.network == network.name for each in service.container.networks):
                for node in eligible.get(service.name, ()):
                    if node in seen and (why := incapable(seen[node])):
                        return why
                    if network.enable_ipv6 and node in seen and (why := incapable_of_six(seen[node])):
                        return why
    return ""


def apart(situation: Situation) -> Iterator[Notice]:
    """Of networks that one would take for one across nodes, and that are not."""
    declared = {
        network.name: network for stack in situation.stacks if not stack.removing for network in undeclared(stack)
    }
    if not declared:
        return
    drivers = chosen(situation)
    own = {name: network for name, network in declared.items() if drivers.get(name) == OWN}
    for name, of in sorted(users(situation.stacks, own).items()):
        if not wanted_across(of):
            continue
        without = f", and {of.asks} has no effect" if of.asks else ""
        what = f"{name} is each node's own: services on different nodes don't reach each other on it{without}"
        meant = "`driver: bridge` says that this is meant"
        if key := configured(own[name]):
            why = f"its {key} is for the runtime's own networks; {meant}"
        elif found := unfit(situation, own[name]):
            why = f"{found}; {meant}"
        else:
            change = "`driver: vxlan` makes it one across nodes, and its containers anew"
            why = f"it was so when its first replica came, and stays so; {change}, {meant}"
        yield Notice(name, "EachNodesOwn", f"{what} ({why})")


def _before(situation: Situation, networks: Mapping[str, NetworkSpec]) -> dict[str, str]:
    """What was there before it was remembered: made by a shipyard that knew no such choice, or the store was lost."""
    found = {block.network: DEFAULT for block in situation.memory.blocks if block.network in networks}
    for node in situation.seen().values():
        for there in node.networks:
            if there.name in networks and any(is_block(situation.ranges, subnet) for subnet in there.subnets):
                found[there.name] = DEFAULT
    placed = {(each.stack, each.service) for each in situation.memory.placements}
    for stack in situation.stacks:
        for service in stack.revision.spec.services:
            if (stack.revision.stack, service.name) in placed:
                for attachment in service.container.networks:
                    if attachment.network in networks:
                        found.setdefault(attachment.network, OWN)
    return found


def incapable(seen: ObservedNode) -> str:
    """Why a node can't have networks that span nodes, or ""."""
    name = seen.name
    if seen.facts.rootless:
        return f"the {seen.facts.runtime} of {name} is rootless, so its containers can't be reached from other nodes"
    if seen.facts.runtime == "nerdctl":
        return f"{name} runs nerdctl, which can't join containers to networks later"
    if seen.wiring is None:
        return ""
    if not seen.wiring.privileged:
        return f"on {name} shipyard is neither root nor may use sudo, so it can't set routes and rules"
    tools = set(seen.wiring.tools)
    if lacking := sorted(({"ip", "bridge"} | ({"nft"} if "iptables" not in tools else set())) - tools):
        packages = [package for package, tool in (("iproute2", "ip"), ("nftables", "nft")) if tool in lacking]
        return f"{name} lacks {', '.join(lacking)} (in the packages {', '.join(packages or ['iproute2'])})"
    return ""


def incapable_of_six(seen: ObservedNode) -> str:
    """Why a node that can have networks that span nodes can't have such with IPv6 as well, or ""."""
    if seen.wiring is None:
        return ""
    tools = set(seen.wiring.tools)
    if "nft" not in tools:
        return f"{seen.name} lacks nft (in the package nftables), without which nothing keeps networks apart in IPv6"
    if "ipv6" not in tools:
        return f"IPv6 is switched off on {seen.name} (net.ipv6.conf.all.disable_ipv6), which enable_ipv6 needs"
    return ""
