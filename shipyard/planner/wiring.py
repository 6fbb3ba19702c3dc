"""The networks a stack declares: made where they are needed, joined by whom they should be, mended in place."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections import defaultdict

from shipyard.base.record import Struct, replace
from shipyard.model import labels
from shipyard.model.canonical import SPEC_VERSION, digest, dumps
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.memory import Placement
from shipyard.model.observed import Container, ObservedAttachment, ObservedNetwork
from shipyard.model.plan import (
    Blocked,
    ConnectNetwork,
    CreateNetwork,
    DisconnectNetwork,
    Notice,
    RemoveNetwork,
)
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import NetworkSpec
from shipyard.planner.network import addressing, dual, six
from shipyard.planner.network.addressing import version_of
from shipyard.planner.network.book import RangeExhaustedError
from shipyard.planner.network.members import mtu_of, problem_of
from shipyard.planner.network.spanning import spans
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World


@functools.lru_cache(maxsize=65536)
def network_hash(network: NetworkSpec) -> str:
    """Of what a network is made from: its `shipyard.spec` label. Another MTU is no reason to take it apart."""
    return f"{SPEC_VERSION}:{digest(dumps(replace(network, mtu=None)))[:16]}"


def _made_from(world: World, network: NetworkSpec, node: str) -> str:
    """The same, of this network on this node. Raises RangeExhaustedError."""
    if spans(network):
        return network_hash(addressing.on_node(world, network, node))
    return network_hash(network)


def ensure(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, target: str) -> tuple[Draft, ...] | None:
    """Drafts that make the networks of a container; None (reason in the wave's blocked) when one can't be had."""
    drafts: list[Draft] = []
    for attachment in spec.networks:
        network = _declared(world, stack, attachment.network)
        if network is None:
            continue
        there = _observed(world, node, network.name)
        problem = _problem(world, network, there, node)
        if problem is not None:
            world.wave.blocked.append(Blocked(target, *problem))
            return None
        try:
            if there is None or _outdated(world, network, there, node):
                owner = world.spanning[network.name][0] if network.name in world.spanning else stack
                draft = _make(world, owner, network, there, node)
                if draft is not None:
                    drafts.append(draft)
        except RangeExhaustedError as error:
            world.wave.blocked.append(addressing.blocked(target, error))
            return None
    return tuple(drafts)


def _declared(world: World, stack: DesiredStack, name: str) -> NetworkSpec | None:
    """As it is declared now; one that only an older revision has, which the replica still follows, as that has it.

    One that spans nodes is what the stack says that declares it, also to others that join it.
    """
    if name in world.spanning:
        return world.spanning[name][1]
    network = world.network(stack.revision.stack, name)
    if network is None and stack is not world.stack(stack.revision.stack):
        return next((each for each in stack.revision.spec.networks if each.name == name), None)
    return network


def _observed(world: World, node: str, name: str) -> ObservedNetwork | None:
    return world.stock(node).networks.get(name)


def _ours(world: World, network: ObservedNetwork) -> bool:
    return dict(network.labels).get(labels.CLUSTER) == world.situation.cluster


def _outdated(world: World, network: NetworkSpec, there: ObservedNetwork, node: str) -> bool:
    if network.external:
        return False
    made_from = dict(there.labels).get(labels.SPEC)
    if made_from == _made_from(world, network, node):
        return False
    # the driver that was left out, and is written now, or the other way round
    twin = {None: "bridge", "bridge": None}
    return network.driver not in twin or made_from != network_hash(replace(network, driver=twin[network.driver]))


class Wiring(Struct, frozen=True):
    """How containers of one spec should be attached. `attached`: with the hash of what each network is made from.

    None where the network is not ours to see to (`network_mode`). In place of a hash "" for networks that span nodes:
    each node has its own.
    """

    attached: tuple[tuple[Attachment, str], ...] | None

    def in_order(self, world: World, placement: Placement, box: Container) -> bool:
        """Whether surely nothing about a container's networks needs a step, found with few comparisons.

        That is so for nearly all of them. False only means that `lost_network` and `mend` have to look closely.
        """
        if self.attached is None:
            return True
        if len(self.attached) != len(box.networks):
            return False
        node = placement.node
        made_from = world.stock(node).ours
        for (wanted, made), there in zip(self.attached, box.networks, strict=True):
            if wanted.network != there.network:
                return False
            if not made:
                leased = world.net.leased(placement.key, wanted.network, node, placement.incarnation)
                if leased is None or leased != there.ipv4_address:
                    return False
                if addressing.dual(world, wanted.network) and there.ipv6_address != six.address_of(
                    world.situation.ranges, leased
                ):
                    return False
            if made_from.get(wanted.network) != (made or world.made_on(wanted.network, node, _made_from)):
                return False
            if (wanted.aliases != there.aliases or wanted.ipv4_address) and _differs(wanted, there):
                return False
        return True


def expected(world: World, stack: DesiredStack, spec: ContainerSpec) -> Wiring | None:
    """For all containers of this spec. None where each takes a close look: external networks, and undeclared ones."""
    if spec.network_mode is not None:
        return Wiring(None)
    attached = []
    for wanted in spec.networks:
        network = _declared(world, stack, wanted.network)
        if network is None or network.external:
            return None
        attached.append((wanted, "" if spans(network) else network_hash(network)))
    return Wiring(tuple(attached))


def in_order(world: World, stack: DesiredStack, spec: ContainerSpec, placement: Placement, box: Container) -> bool:
    """Whether `lost_network` and `mend` have nothing to say about this container."""
    wanted = expected(world, stack, spec)
    return wanted is not None and wanted.in_order(world, placement, box)


def _problem(world: World, network: NetworkSpec, there: ObservedNetwork | None, node: str) -> tuple[str, str] | None:
    if spans(network) and (found := problem_of(world, network, node)):
        return found
    if spans(network) and network.enable_ipv6 and (found := dual.problem_of(world, network, world.seen[node])):
        return found
    if network.external:
        missing = f"the external network {network.name} does not exist on {node}"
        return ("NetworkMissing", missing) if there is None else None
    if there is None and (found := _no_ipv6(world, network, node)):
        return found
    if there is not None and not _ours(world, there):
        return (
            "NetworkForeign",
            f"{node} has a network {network.name} that shipyard did not make; remove it, or declare it external",
        )
    return None


DOCKER_WITH_IPV6_POOLS = (27, 0)
"""Since when docker gives IPv6 addresses from a range of its own choice."""


def _no_ipv6(world: World, network: NetworkSpec, node: str) -> tuple[str, str] | None:
    """Why a node can't make a network that is to have IPv6 as well."""
    facts = world.seen[node].facts
    written = any(":" in (subnet or "") for subnet in (network.subnet, network.subnet6))
    known = version_of(facts.runtime_version)
    if not network.enable_ipv6 or spans(network) or written or facts.runtime != "docker" or known == (0, 0):
        return None
    if known >= DOCKER_WITH_IPV6_POOLS:
        return None
    return (
        "SubnetMissing",
        f"the docker {facts.runtime_version} of {node} has no IPv6 addresses to give to {network.name}: "
        "add one of your own to the network's ipam.config, such as {subnet: fd5a:7e11:1::/64}",
    )


def _make(
    world: World, stack: DesiredStack, network: NetworkSpec, there: ObservedNetwork | None, node: str
) -> Draft | None:
    """A network whose declaration changed is emptied, removed and made again; its containers live on.

    Raises RangeExhaustedError, before anything is drafted.
    """
    key = (node, CreateNetwork, network.name)
    if key in world.wave.once:
        return world.wave.once[key]
    if spans(network):
        network = addressing.on_node(world, network, node)
        network = replace(network, mtu=mtu_of(world, network))
    needs: tuple[Draft, ...] = ()
    if there is not None:
        emptied = tuple(
            world.wave.add(
                node,
                Phase.PREPARE,
                box.name,
                "NetworkChanged",
                f"{network.name} is made anew",
                DisconnectNetwork(box.id, box.name, network.name),
            )
            for box in world.seen[node].containers
            if any(attached.network == network.name for attached in box.networks)
        )
        step = RemoveNetwork(there.id, there.name)
        why = "its declaration changed"
        needs = (world.wave.add(node, Phase.PREPARE, network.name, "NetworkChanged", why, step, emptied),)
    said = {
        **dict(network.labels),
        labels.CLUSTER: world.situation.cluster,
        labels.STACK: stack.revision.stack,
        labels.SPEC: network_hash(network),
    }
    draft = world.wave.add(
        node,
        Phase.PREPARE,
        network.name,
        "Missing" if there is None else "NetworkChanged",
        f"no network {network.name} on {node}" if there is None else "its declaration changed",
        CreateNetwork(network, tuple(sorted(said.items()))),
        needs,
    )
    world.wave.once[key] = draft
    return draft


def lost_network(world: World, stack: DesiredStack, spec: ContainerSpec, node: str, box: Container) -> str:
    """The name of a network that the runtime believes the container is on, but which is gone; "" if there is none.

    What runs on such a container has no way back to the others but a new container.
    """
    for attached in box.networks:
        wanted = any(attachment.network == attached.network for attachment in spec.networks)
        network = _declared(world, stack, attached.network)
        if wanted and network is not None and _observed(world, node, attached.network) is None:
            return attached.network
    return ""


def mend(
    world: World, stack: DesiredStack, spec: ContainerSpec, placement: Placement, box: Container, target: str
) -> bool:
    """Join what a container should be on, leave what it should not, put aliases right. True when that was needed."""
    if spec.network_mode is not None:
        return False
    node = placement.node
    addressing.adopt(world, placement, box)
    made = ensure(world, stack, spec, node, target)
    if made is None:
        return True
    fresh = {draft.step.network.name: draft for draft in made if isinstance(draft.step, CreateNetwork)}
    attached = {attachment.network: attachment for attachment in box.networks}
    before = len(world.wave.drafts)
    for declared in spec.networks:
        try:
            wanted = addressing.wanted(world, placement, declared)
        except RangeExhaustedError as error:
            world.wave.blocked.append(addressing.blocked(target, error))
            return True
        there = attached.get(wanted.network)
        needs = (fresh[wanted.network],) if wanted.network in fresh else ()
        if there is None or needs:
            _connect(world, node, box, wanted, target, "Disconnected", f"not on {wanted.network}", needs)
        elif problem := _differs(wanted, there):
            step = DisconnectNetwork(box.id, box.name, wanted.network)
            left = world.wave.add(node, Phase.RUN, target, "WrongWiring", problem, step)
            _connect(world, node, box, wanted, target, "WrongWiring", problem, (left,))
    if len(world.wave.drafts) == before and _led_to(world, spec, placement, box):
        _leave_others(world, spec, node, box, target)
    return len(world.wave.drafts) > before or bool(fresh)


def _led_to(world: World, spec: ContainerSpec, placement: Placement, box: Container) -> bool:
    """Whether a container's addresses on all its networks are where its service leads, if it leads to it at all.

    Else it would be reached nowhere, from when it leaves a network until all nodes know of another one.
    """
    key = (*placement.key, box.name)
    endpoints = world.net.endpoints
    index = bisect_left(endpoints, key, key=lambda each: each.key)
    if index == len(endpoints) or endpoints[index].key != key:
        return True
    known = {network for network, _ in endpoints[index].addresses}
    return all(each.network in known for each in spec.networks if each.network in world.spanning)


def _connect(
    world: World,
    node: str,
    box: Container,
    wanted: Attachment,
    target: str,
    reason: str,
    why: str,
    needs: tuple[Draft, ...],
) -> None:
    world.wave.add(node, Phase.RUN, target, reason, why, ConnectNetwork(box.id, box.name, wanted), needs)


def _differs(wanted: Attachment, there: ObservedAttachment) -> str:
    lacking = sorted(set(wanted.aliases) - set(there.aliases))
    if lacking:
        return f"on {wanted.network} without the alias {', '.join(lacking)}"
    for address, found in ((wanted.ipv4_address, there.ipv4_address), (wanted.ipv6_address, there.ipv6_address)):
        if address and found and address != found:
            return f"on {wanted.network} as {found} instead of {address}"
    return ""


def _leave_others(world: World, spec: ContainerSpec, node: str, box: Container, target: str) -> None:
    wanted = {attachment.network for attachment in spec.networks}
    for attached in box.networks:
        network = _observed(world, node, attached.network)
        if attached.network in wanted or network is None:
            continue
        if _ours(world, network):
            step = DisconnectNetwork(box.id, box.name, attached.network)
            world.wave.add(node, Phase.RUN, target, "NotDeclared", f"should not be on {attached.network}", step)
        else:
            note = f"on {node} it was also joined to {attached.network}, which is not shipyard's"
            world.wave.notices.append(Notice(target, "ForeignNetwork", note))


def tidy(world: World) -> None:
    """Remove networks of ours that no replica on their node uses any more."""
    wanted = _wanted(world)
    leaving: defaultdict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in world.wave.drafts:
        if draft.phase == Phase.REMOVE:
            leaving[draft.node, getattr(draft.step, "id", "")].append(draft)
    for node in sorted(world.seen):
        if not world.wave.may_act(node):
            continue
        stock = world.stock(node)
        for name in stock.ours:
            network = stock.networks[name]
            if (node, name) in wanted or world.stack(dict(network.labels).get(labels.STACK, "")) is None:
                continue
            users = [box for box in world.seen[node].containers if _on(box, network.name)]
            if any((node, box.id) not in leaving for box in users):
                continue
            needs = tuple(draft for box in users for draft in leaving[node, box.id])
            step = RemoveNetwork(network.id, network.name)
            why = f"nothing on {node} uses it"
            world.wave.add(node, Phase.TIDY, network.name, "NotDeclared", why, step, needs)


def _on(box: Container, network: str) -> bool:
    return any(attached.network == network for attached in box.networks)


def _wanted(world: World) -> set[tuple[str, str]]:
    wanted: set[tuple[str, str]] = set()
    for key in world.placements.services():
        service = world.service(*key)
        if service is None:
            continue
        placements = world.placements.now_of(*key).values()
        if not service.variants and not world.following:  # all of them are on the same networks
            for attachment in service.container.networks:
                wanted.update((placement.node, attachment.network) for placement in placements)
            continue
        for placement in placements:
            followed = world.following.get(placement.key, (None, service))[1]
            for attachment in followed.container_on(placement.node).networks:
                wanted.add((placement.node, attachment.network))
    return wanted
