"""The last part of a step: every node gets the kernel state, the rules and the hosts files that follow from the rest.

By now it is known which containers are made and which are to stop. From that follows to whom services' addresses lead,
and from that what each node should have. What a node has already is not touched; the rest becomes steps, each with its
reason. A node whose listing is as it was when all was in order is not looked at closer. One that should have something
else than then is asked for the details first (`World.inspect`), so that only what differs is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from shipyard.base.record import Struct, replace
from shipyard.base.text import one_line
from shipyard.model.netbook import Endpoint, Wired
from shipyard.model.observed import ContainerState
from shipyard.model.plan import (
    ArmRevert,
    Blocked,
    CreateContainer,
    CreateNetwork,
    DropItem,
    EnsureItem,
    LeaveBoot,
    LoadRules,
    MakeKey,
    RemoveNetwork,
    Waiting,
)
from shipyard.model.wire import Item, ObservedWiring, names_of
from shipyard.planner.network import dual, endpoints, hostfiles, hosts, ingress, members, plugs, rules, several
from shipyard.planner.network.book import tunnels
from shipyard.planner.network.compare import Difference, differences
from shipyard.planner.network.draining import Drain
from shipyard.planner.network.mesh import FORWARDING6, TARGET, Mesh, mesh
from shipyard.planner.network.tables import Rules
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World

_EMPTIED = "Emptied"
ALL_GONE = 20
"""Lines that a node tells at most: where all of these are gone, it says nothing to name them."""


def wire(world: World) -> None:
    """Plan it, for all nodes that told what they have."""
    if not world.spanning and not world.situation.memory.network_nodes:
        return
    _give_back(world)
    drain = Drain(world)
    ready = endpoints.ready(world, drain.leaving)
    found = hosts.directory(world, ready)
    world.wave.blocked += hosts.clashes(found)
    state = _mesh(world)
    common = Rules(_common(world, ready, state))
    ports = ingress.ports(world, ready)
    crossings = several.crossings(world, state.drivers, state.blocks)
    gone = _addresses(world.net.endpoints) - _addresses(ready)
    leaving = _Left(tuple(sorted(gone)), tuple(sorted(gone - _alive(world) if gone else ())))
    dropped = True
    for node in sorted(world.seen):
        wiring = world.seen[node].wiring
        if wiring is None or not (node in state.members or node in world.net.wired):
            continue
        if world.wave.may_act(node):
            six = bool(state.dual_on(node))
            mine, devices = _own_blocks(state, node), _devices(state, node)
            own = rules.Own(ports.get(node, ()), mine, devices, six, crossings.get(node, ()))
            part = _Node(world, state, node, wiring)
            dropped &= part.plan(common, own, leaving)
            held_back = part.held_back if part.known.names_failed else None
            if hostfiles.write(world, state, node, wiring, found, held_back) and part.in_order:
                part.forget_failures()
            _keep_bridges(world, state, node)
    drain.hold(everywhere=dropped)
    _leave_bridges(world)
    world.net.endpoints = ready


def _addresses(known: Sequence[Endpoint]) -> set[str]:
    return {address for each in known for _, address in each.addresses}


def _alive(world: World) -> set[str]:
    """Addresses of containers that are seen running: those that are about to stop answer still."""
    return {
        there.ipv4_address
        for node in world.seen.values()
        for box in node.containers
        if box.state == ContainerState.RUNNING
        for there in box.networks
        if there.ipv4_address
    }


class _Left(Struct, frozen=True):
    """Addresses that no service leads to any more, and those of them at which nobody is."""

    gone: tuple[str, ...]
    dead: tuple[str, ...]


class _Node:
    """One node's kernel and rules. Changes that could lock us out are undone by the node, unless they are confirmed."""

    def __init__(self, world: World, state: Mesh, node: str, wiring: ObservedWiring) -> None:
        self.world, self.state, self.node, self.wiring = world, state, node, wiring
        self.known = world.net.wired.get(node, Wired(node))
        self.needs: tuple[Draft, ...] = ()
        self.held_back: Waiting | None = None
        if self.known.retry_at > world.now and not world.situation.foresight:
            self.held_back = Waiting(node, "BackOff", self.known.message, self.known.retry_at)
        self.in_order = False

    def plan(self, common: Rules, own: rules.Own, leaving: _Left) -> bool:
        """Whether its rules are as they should be already."""
        world, node, wiring = self.world, self.node, self.wiring
        takes_part = bool(self.state.networks_of(node))
        if takes_part and not wiring.public_key and any(driver.keys for driver in self.state.drivers_of(node)):
            world.wave.add(node, Phase.WIRE, TARGET, "Missing", f"{node} has no key of its own yet", MakeKey())
        text = common.text(wiring, own) if takes_part else ""
        form = common.shape(wiring, own) if takes_part else ""
        loads = (text or wiring.loaded) and (wiring.loaded != _digest(text) or bool(wiring.altered))
        bridges = _bridges(world, self.state, node)
        wanted = self.state.digest(node, bridges)
        items = self.state.items(node, bridges) if wiring.items is not None else ()
        changes = list(differences(items, wiring.items or ())) if wiring.items is not None else []
        self.known = dual.known_of(self.known, own.six, wiring.items)
        off = list(plugs.loose(self.state, world.seen[node], bridges))
        if (changes or loads) and self.held_back:
            world.wave.waiting.append(self.held_back)
            return False
        if changes or (loads and (form != self.known.shape or wiring.altered or not wiring.loaded)):
            made = names_of(world.situation.cluster)
            ours = world.situation.ranges
            six = (ours.containers6,) if self.known.six else ()
            arm = ArmRevert(made.table, made.devices, (ours.containers, ours.services, *six))
            reason, detail = "Safeguard", f"{node} undoes what follows by itself, unless a fresh connection confirms it"
            if wiring.reverted:
                reason, detail = "Undone", f"{node} undid the last change of its network by itself: {wiring.reverted}"
            draft = world.wave.add(node, Phase.WIRE, TARGET, reason, detail, arm)
            draft.routine = not wiring.reverted
            self.needs = (draft,)
        self._kernel(items, changes, wanted)
        self._plugs(off)
        led = {each.port for each in own.ports if each.protocol == "udp" and each.replicas}
        if loads:
            self._load(text, form, leaving, tuple(sorted(led.difference(self.known.led))))
            self.known = replace(self.known, shape=form, led=tuple(sorted(led.intersection(self.known.led))))
        else:
            self.known = replace(
                self.known,
                loaded=wiring.loaded,
                rules=wiring.rules if wiring.altered is not None else self.known.rules,
                shape=form,
                ports=tuple(f"{port.protocol}/{port.port}" for port in own.ports),
                owners=tuple(f"{port.protocol}/{port.port} {port.owner}" for port in own.ports),
                led=tuple(sorted(led)),
            )
            self.in_order = not changes
        left = any(item.kind not in ("advertisement", "boot", "sysctl") for item in wiring.items or ())
        if takes_part or wiring.loaded or left or wiring.items is None:
            world.net.wired[node] = self.known
        else:
            world.net.wired.pop(node, None)
        return not loads

    def forget_failures(self) -> None:
        """All is in order now, so that what fails next is tried again soon."""
        known = self.world.net.wired.get(self.node)
        if known is not None and known.failures:
            self.world.net.wired[self.node] = replace(known, failures=0, retry_at=0.0, message="", names_failed=False)

    def _kernel(self, items: Sequence[Item], changes: Sequence[Difference], wanted: str) -> None:
        world, node, wiring = self.world, self.node, self.wiring
        if wiring.items is None:
            if self.known.wanted != wanted:
                world.inspect.add(node)
            return
        for change in changes:
            phase = Phase.TIDY if isinstance(change.step, DropItem) else Phase.WIRE
            needs = (*self.needs, *_made_with(world, node, change.step.item))
            if change.step.item.kind == "advertisement":
                # before the runtime makes the node forward, which it does with the first network that has IPv6
                phase, needs = Phase.FETCH, ()
            draft = world.wave.add(node, phase, TARGET, change.reason, f"{change.detail} on {node}", change.step, needs)
            draft.routine = not self.known.wanted
        boot = LeaveBoot(tuple(item for item in items if not self._docker_will(item)))
        there = next((item.value for item in wiring.items if item.kind == "boot"), "")
        if there != boot.digest and (items or there):
            why = "what brings the network back at boot is out of date" if there else "nothing brings it back at boot"
            _routine(world.wave.add(node, Phase.WIRE, TARGET, "Boot", f"{why} on {node}", boot, self.needs))
        elif not changes:
            self.known = replace(self.known, wanted=wanted, kernel=wiring.kernel)

    def _plugs(self, off: Sequence[Item]) -> None:
        """A container that can't be put back keeps nobody else waiting: what is led where goes on as it would."""
        world, node, known = self.world, self.node, self.known
        if not off:
            self.known = replace(known, plug_failures=0, plug_at=0.0, plug_message="")
        elif known.plug_at > world.now and not world.situation.foresight:
            for item in off:
                detail = f"{item.what}, and could not be put back: {known.plug_message}"
                world.wave.blocked.append(Blocked(node, "CutOff", detail))
        elif self.wiring.items is None:
            # it may have ended, or begun, between two looks at the node: one more tells
            world.inspect.add(node)
        else:
            for item in off:
                bridge = tuple(draft for draft in world.wave.drafts if draft.node == node and _mends(draft, item))
                detail = f"{item.what} on {node}"
                world.wave.add(node, Phase.WIRE, TARGET, "Wrong", detail, EnsureItem(item), bridge)

    def _docker_will(self, item: Item) -> bool:
        """Whether docker has to do this at boot: it forbids the rest only where it switches forwarding on itself.

        Were it on before, the containers of all of docker's networks could be reached from the node's neighbours.
        """
        docker = self.world.seen[self.node].facts.runtime == "docker"
        return docker and item.kind == "sysctl" and item.key in ("net.ipv4.ip_forward", FORWARDING6)

    def _load(self, text: str, form: str, left: _Left, new: tuple[int, ...]) -> None:
        if not text:
            reason, detail = "NotNeeded", "nothing needs the rules"
        elif not self.wiring.loaded:
            reason, detail = "Missing", "no rules are loaded"
        elif self.wiring.altered:
            reason, detail = "RulesAltered", _alterations(self.wiring.altered)
        elif form == self.known.shape:
            reason, detail = "Endpoints", "other replicas are ready"
        else:
            reason, detail = "Rules", "other networks, addresses or ports"
        table = names_of(self.world.situation.cluster).table
        step = LoadRules(table, text, left.gone, left.dead, new, anew=bool(self.wiring.altered))
        draft = self.world.wave.add(self.node, Phase.WIRE, TARGET, reason, f"{detail} on {self.node}", step, self.needs)
        draft.routine = reason == "Endpoints" or not self.known.wanted


def _mends(draft: Draft, ports: Item) -> bool:
    """Whether it makes or mends the bridge that these are to be on."""
    step = draft.step
    return isinstance(step, EnsureItem) and (step.item.kind, step.item.key) == ("bridge", ports.key)


def _routine(draft: Draft) -> Draft:
    draft.routine = True
    return draft


def _digest(text: str) -> str:
    return LoadRules("", text).digest if text else ""


def _alterations(altered: Sequence[str]) -> str:
    """What is gone and what came, a few of it in its own words."""
    gone = [line for line in altered if line.startswith("-")]
    if len(gone) >= ALL_GONE:
        return "the rules are gone, or nearly all of them,"
    told = [one_line(line, 80) for line in altered if line[1:].strip(" {}")]
    more = f" and {len(told) - 2} more" if len(told) > 2 else ""
    return f"rules are not as they were loaded ({'; '.join(told[:2])}{more})"


def _keep_bridges(world: World, state: Mesh, node: str) -> None:
    """Podman takes a bridge away with the last container on it: then ours is there before the next one comes."""
    if world.seen[node].facts.runtime != "podman":
        return
    removed = {getattr(draft.step, "id", "") for draft in world.wave.drafts if draft.phase == Phase.REMOVE}
    left: dict[str, set[str]] = {}
    for box in world.seen[node].containers:
        for each in box.networks:
            left.setdefault(each.network, set()).update({box.id} - removed)
    made = [draft for draft in world.wave.drafts if draft.node == node and isinstance(draft.step, CreateContainer)]
    specs = [draft.step.spec for draft in made if isinstance(draft.step, CreateContainer)]
    wanted = {each.network for spec in specs for each in spec.networks}
    emptied = sorted(network for network in wanted if network in left and not left[network])
    if not emptied:
        return
    for item in state.items(node, _bridges(world, state, node)):
        if item.kind in ("bridge", "bridge6") and item.key in emptied:
            detail = f"{item.key} is empty for a moment on {node}"
            draft = _routine(world.wave.add(node, Phase.WIRE, TARGET, _EMPTIED, detail, EnsureItem(item)))
            for draft_of in made:
                draft_of.needs = (*draft_of.needs, draft)


def _leave_bridges(world: World) -> None:
    """None is empty for a moment where what would empty it has to wait: that step would be planned again and again."""
    needed = {id(need) for draft in world.wave.drafts for need in draft.needs}
    world.wave.drafts = [draft for draft in world.wave.drafts if draft.reason != _EMPTIED or id(draft) in needed]


def _made_with(world: World, node: str, item: Item) -> tuple[Draft, ...]:
    """A bridge is put right once its network is made."""
    draft = world.wave.once.get((node, CreateNetwork, item.key)) if item.kind in ("bridge", "bridge6") else None
    return () if draft is None else (draft,)


def _mesh(world: World) -> Mesh:
    taking_part = members.participants(world)
    drivers = {network: spec.driver or "" for network, (_, spec) in world.spanning.items()}
    names = {node for nodes in taking_part.values() for node in nodes}
    known = {name: found for name in names if (found := members.member(world.net, name)) is not None}
    for name in list(known):
        seen = world.seen.get(name)
        if seen is not None and seen.wiring is not None and (why := members.collides(world, seen)):
            world.wave.blocked.append(Blocked(name, *why))
            del known[name]
    return mesh(world.net, names_of(world.situation.cluster), taking_part, drivers, known, dual.networks(world))


def _bridges(world: World, state: Mesh, node: str) -> tuple[str, ...]:
    """Networks whose bridges are on a node once this wave is over."""
    stock = world.stock(node)
    leaving = _removed(world)
    made = {key[2] for key in world.wave.once if key[0] == node and key[1] is CreateNetwork}
    mine = (network for network in sorted(state.taking_part) if node in state.blocks.get(network, {}))
    return tuple(
        network
        for network in mine
        if network in made or (network in stock.ours and (node, stock.networks[network].id) not in leaving)
    )


def _removed(world: World) -> set[tuple[str, str]]:
    return {(draft.node, draft.step.id) for draft in world.wave.drafts if isinstance(draft.step, RemoveNetwork)}


def _own_blocks(state: Mesh, node: str) -> tuple[str, ...]:
    return tuple(sorted(blocks[node] for blocks in state.blocks.values() if node in blocks))


def _devices(state: Mesh, node: str) -> tuple[str, ...]:
    me = state.members.get(node)
    if me is None:
        return ()
    return tuple(sorted(driver.device(me, state.setting) for driver in state.drivers_of(node)))


def _give_back(world: World) -> None:
    """Blocks of networks of which a node has nothing any more; addresses of services that are no more."""
    placed = _placed_networks(world)
    made = {(key[0], key[2]) for key in world.wave.once if key[1] is CreateNetwork}
    for network, blocks in list(world.net.blocks.items()):
        for node in list(blocks):
            used = (node, network) in placed or (node, network) in made
            there = node in world.seen and network in world.stock(node).networks
            known = node in world.seen or node not in world.nodes
            if known and not used and not there:
                del blocks[node]
        if not blocks:
            del world.net.blocks[network]
    if world.net.services:
        kept = {
            (stack.revision.stack, service.name, network)
            for stack, service, networks in endpoints.served(world)
            for network in networks
        }
        world.net.services = {key: address for key, address in world.net.services.items() if key in kept}
    for node in list(world.net.nodes):
        if node not in world.nodes and not any(node in blocks for blocks in world.net.blocks.values()):
            del world.net.nodes[node]


def _placed_networks(world: World) -> set[tuple[str, str]]:
    """(node, network) of every replica that is placed, on networks that span nodes."""
    found: set[tuple[str, str]] = set()
    for key in world.placements.services():
        service = world.service(*key)
        if service is not None:
            networks = (*endpoints.joined_by(world, service), *world.still_on(key[0], service))
            if networks:
                nodes = {placement.node for placement in world.placements.now_of(*key).values()}
                found.update((node, network) for node in nodes for network in networks)
    return found


def _common(world: World, ready: Sequence[Endpoint], state: Mesh) -> rules.Common:
    by_service: defaultdict[tuple[str, str], list[Endpoint]] = defaultdict(list)
    for endpoint in ready:
        by_service[endpoint.stack, endpoint.service].append(endpoint)
    ranges = world.situation.ranges
    networks = tuple(
        rules.Network(network, tuple(sorted(state.blocks[network].values())), world.spanning[network][1].internal)
        for network in sorted(world.spanning)
        if state.blocks.get(network)
    )
    routed = {name for name, driver in state.drivers.items() if driver == "routed"}
    peers = {
        state.members[node].address for name in routed for node in state.taking_part[name] if node in state.members
    }
    guards = tuple(ingress.guards(world))
    table = names_of(world.situation.cluster).table
    return rules.Common(
        table=table,
        containers=ranges.containers,
        services=ranges.services,
        tunnels=str(tunnels(ranges)),
        networks=networks,
        backends=tuple(_backends(world, by_service)),
        guards=guards,
        peers=tuple(sorted(peers)),
        six=dual.rules_of(world, table, networks, guards),
        besides=several.besides(world),
        tunnel=state.tunnel,
    )


def _backends(world: World, by_service: dict[tuple[str, str], list[Endpoint]]) -> Iterator[rules.Backends]:
    for stack, service, networks in endpoints.served(world):
        if service.endpoint_mode != "vip":
            continue
        name = stack.revision.stack
        ports = tuple((port.protocol, port.port, port.target) for port in service.service_ports)
        for network in networks:
            replicas = [
                address
                for each in by_service.get((name, service.name), ())
                for on, address in each.addresses
                if on == network
            ]
            address = world.net.service(name, service.name, network)
            yield rules.Backends(address, tuple(sorted(replicas)), service.session_affinity, ports)
