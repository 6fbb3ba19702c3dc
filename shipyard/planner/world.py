"""The situation, indexed: what the rest of the planner looks things up in during one step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from shipyard.base.record import Struct, field, replace
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.job import Job
from shipyard.model.memory import (
    Attempts,
    Failures,
    Home,
    KnownVolume,
    Memory,
    Nameless,
    Placement,
    Probed,
    Relocation,
    Rollout,
    SlotKey,
    StumbleKey,
    Stumbles,
)
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Container, ObservedImage, ObservedNetwork, ObservedNode, ObservedVolume
from shipyard.model.plan import Rollback
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, Revision, ServiceSpec
from shipyard.planner import groups
from shipyard.planner.network.book import NetBook, open_book
from shipyard.planner.network.spanning import followed, left_over, spans
from shipyard.planner.nodebook import NodeBook, book
from shipyard.planner.nodes import Judgement
from shipyard.planner.placements import BySlot, Placements, ServiceKey
from shipyard.planner.wave import Wave

_ROLES = frozenset(groups.START_ORDER) - {""}


class Stock(Struct, frozen=True):
    """What one node has beside containers, by name (images: by the reference they were asked for).

    `ours`: the networks that carry this cluster's label, with what they were made from (their `shipyard.spec`).
    `files`: configs and secrets (`ContainerSpec.files`).
    """

    networks: dict[str, ObservedNetwork]
    ours: dict[str, str]
    volumes: dict[str, ObservedVolume]
    images: dict[str, ObservedImage]
    files: frozenset[str]


class Declared(Struct, frozen=True):
    """One desired stack, by the names that are looked for in it. `eligible`: as a set, and shared between services."""

    stack: DesiredStack
    services: dict[str, ServiceSpec]
    networks: dict[str, NetworkSpec]
    eligible: dict[str, frozenset[str]]


class World(Struct):
    """One step's working view. What is like the memory changes as decisions fall; the rest is read only.

    Nothing here may be searched from end to end for one replica: what is looked for has an index.
    `containers`: our well-formed containers by slot, each with its node, sorted by node and id, those of a replica of
    several as one (`groups`). `volumes`: by node and name. `brake`: why nothing may be moved, or "".
    `evicted`: placements that had to make room in this step. `rollbacks`: what updates that failed ask for.
    `following`: for replicas that an update has not reached, what they follow until it does. `history`: older
    revisions by stack and number.
    `finished`: slots of jobs' tasks that have no placement any more, and whose containers are kept.
    `lacking`: by service, the nodes for which it has no values, and why. `homes`: data that replicas do without now.
    `probed`: by container's id. `net`: who has which address in the cluster's network.
    `inspect`: nodes of which the network's details are needed. `members`: nodes that may take part in it.
    """

    situation: Situation
    nodes: dict[str, Node]
    states: dict[str, NodeState]
    seen: dict[str, ObservedNode]
    brake: str
    wave: Wave
    net: NetBook
    placements: Placements
    failures: dict[SlotKey, Failures]
    volumes: dict[tuple[str, str], KnownVolume]
    stumbles: dict[StumbleKey, Stumbles]
    attempts: dict[SlotKey, Attempts]
    nameless: dict[tuple[str, str, int, str], Nameless]
    book: NodeBook
    jobs: dict[ServiceKey, Job]
    rollouts: dict[ServiceKey, Rollout]
    declared: dict[str, Declared]
    probed: dict[str, Probed] = field(default_factory=dict)
    containers: BySlot[list[tuple[str, Container]]] = field(default_factory=BySlot)
    strangers: list[tuple[str, Container]] = field(default_factory=list)
    evicted: dict[SlotKey, Placement] = field(default_factory=dict)
    relocations: dict[SlotKey, Relocation] = field(default_factory=dict)
    finished: set[SlotKey] = field(default_factory=set)
    rollbacks: list[Rollback] = field(default_factory=list)
    history: dict[tuple[str, int], Revision] = field(default_factory=dict)
    following: dict[SlotKey, tuple[DesiredStack, ServiceSpec]] = field(default_factory=dict)
    tainted: dict[tuple[str, str], float] = field(default_factory=dict)
    lacking: dict[ServiceKey, dict[str, str]] = field(default_factory=dict)
    homes: dict[SlotKey, tuple[Home, ...]] = field(default_factory=dict)
    _stocks: dict[str, Stock] = field(default_factory=dict)
    _spanning: dict[str, tuple[DesiredStack, NetworkSpec]] | None = None
    _still_on: dict[ServiceKey, set[str]] | None = None
    _made: dict[tuple[str, str], str] = field(default_factory=dict)
    members: frozenset[str] | None = None
    inspect: set[str] = field(default_factory=set)
    _published: list[ServiceKey] | None = None

    @property
    def published_services(self) -> list[ServiceKey]:
        """Services of which the runtime publishes ports on the nodes."""
        if self._published is None:
            self._published = [
                (stack.revision.stack, service.name)
                for stack in self.situation.stacks
                for service in stack.revision.spec.services
                if any(port.published is not None for spec in service.containers() for port in spec.ports)
            ]
        return self._published

    @property
    def spanning(self) -> dict[str, tuple[DesiredStack, NetworkSpec]]:
        """Networks that are one on all nodes, by full name, with the stack that declares each, or did until replicas
        that follow an older revision are gone."""
        if self._spanning is None:
            self._spanning = {
                network.name: (stack, network)
                for name, network in left_over(self.situation)
                if spans(network) and (stack := self.stack(name)) is not None
            }
            for stack in self.situation.stacks:
                networks = stack.revision.spec.networks
                self._spanning.update((network.name, (stack, network)) for network in networks if spans(network))
        return self._spanning

    def still_on(self, stack: str, service: ServiceSpec) -> tuple[str, ...]:
        """Networks that span nodes which only replicas of older revisions are on, sorted."""
        if self._still_on is None:
            self._still_on = {}
            for revision in followed(self.situation):
                for each in revision.spec.services:
                    networks = {joined.network for joined in each.container.networks} & self.spanning.keys()
                    if networks and self._rewired(revision.stack, each):
                        networks &= self._attached(revision.stack, each.name)
                    self._still_on.setdefault((revision.stack, each.name), set()).update(networks)
        now = {each.network for each in service.container.networks}
        return tuple(sorted(self._still_on.get((stack, service.name), set()) - now))

    def _rewired(self, stack: str, older: ServiceSpec) -> bool:
        """Whether the containers of an older revision are those of the present one, but for their networks."""
        service = self.service(stack, older.name)
        placed = self.placements.now_of(stack, older.name).values()
        same = service is not None and spec_hash(service.container) == spec_hash(older.container)
        return same and all(placement.node in self.seen for placement in placed)

    def _attached(self, stack: str, service: str) -> set[str]:
        """Networks that some container of a service is on."""
        slots = self.containers.now_of(stack, service).values()
        return {there.network for boxes in slots for _, box in boxes for there in box.networks}

    def made_on(self, network: str, node: str, made_from: Callable[[World, NetworkSpec, str], str]) -> str:
        """What a network that spans nodes is made from on a node, worked out once."""
        found = self._made.get((network, node))
        if found is None:
            found = self._made[network, node] = made_from(self, self.spanning[network][1], node)
        return found

    @property
    def now(self) -> float:
        return self.situation.now

    @property
    def asked(self) -> float:
        """What was observed is of this time, or of a later one until now."""
        return self.situation.asked or self.situation.now

    def stack(self, name: str) -> DesiredStack | None:
        """The desired stack of this name."""
        declared = self.declared.get(name)
        return None if declared is None else declared.stack

    def service(self, stack: str, name: str) -> ServiceSpec | None:
        """What is declared and not being removed."""
        declared = self.declared.get(stack)
        return None if declared is None or declared.stack.removing else declared.services.get(name)

    def network(self, stack: str, name: str) -> NetworkSpec | None:
        """A stack's network of this full name."""
        declared = self.declared.get(stack)
        return None if declared is None else declared.networks.get(name)

    def eligible(self, stack: str, service: str, node: str) -> bool:
        """Whether the service's pattern matches the node."""
        declared = self.declared.get(stack)
        return declared is not None and node in declared.eligible.get(service, ())

    def stock(self, node: str) -> Stock:
        """Of a node that was seen."""
        stock = self._stocks.get(node)
        if stock is None:
            stock = self._stocks[node] = _stock(self.seen[node], self.situation.cluster)
        return stock

    def made_from(self, key: SlotKey, box: Container) -> tuple[Revision, ServiceSpec] | None:
        """The revision that a container of this slot was made from, and its service there; None where not known now."""
        number = box.label(labels.REVISION) or ""
        return self.revision_of(key, int(number) if number.isascii() and number.isdigit() and len(number) <= 9 else 0)

    def revision_of(self, key: SlotKey, known: int) -> tuple[Revision, ServiceSpec] | None:
        """The revision of this number, and the slot's service there; None where it is not known now."""
        stack = self.stack(key[0])
        head = stack.revision if stack is not None else None
        revision = head if head is not None and head.number == known else self.history.get((key[0], known))
        service = revision.spec.service(key[1]) if revision is not None else None
        return None if revision is None or service is None else (revision, service)

    def name_of(self, placement: Placement) -> str:
        """Of the container that this placement stands for."""
        return labels.container_name(self.situation.cluster, *placement.key, placement.incarnation)

    def memory(self) -> Memory:
        """What to remember now."""
        memory = self.book.memory(self.situation.memory)
        memory = self.net.memory(memory, self.placements)
        return replace(
            memory,
            placements=self.placements.ordered(),
            failures=tuple(sorted(self.failures.values(), key=lambda failures: failures.key)),
            volumes=tuple(volume for _, volume in sorted(self.volumes.items())),
            stumbles=tuple(sorted(self.stumbles.values(), key=lambda stumbles: stumbles.key)),
            nameless=tuple(each for _, each in sorted(self.nameless.items()) if each.key[:3] in self.placements),
            attempts=tuple(each for _, each in sorted(self.attempts.items()) if each.key in self.placements),
            jobs=tuple(sorted(self.jobs.values(), key=lambda job: job.key)),
            probed=tuple(sorted(self.probed.values(), key=lambda probed: probed.key)),
            rollouts=tuple(sorted(self.rollouts.values(), key=lambda rollout: rollout.key)),
            relocations=tuple(sorted(self.relocations.values(), key=lambda each: each.key)),
            homes=tuple(sorted((each for there in self.homes.values() for each in there), key=lambda each: each.key)),
        )


def build(situation: Situation, judgement: Judgement) -> World:
    """Index a situation whose nodes have been judged."""
    memory = situation.memory
    world = World(
        situation=situation,
        nodes={node.name: node for node in situation.nodes},
        states={node.name: node.state for node in judgement.nodes},
        seen=situation.seen(),
        brake=judgement.brake,
        wave=Wave(situation.limit),
        net=open_book(memory, situation.ranges, lambda: _subnets(situation)),
        placements=Placements(memory.placements),
        failures={failures.key: failures for failures in memory.failures},
        volumes={(volume.node, volume.name): volume for volume in memory.volumes},
        stumbles={stumbles.key: stumbles for stumbles in memory.stumbles},
        attempts={attempts.key: attempts for attempts in memory.attempts},
        nameless={nameless.key: nameless for nameless in memory.nameless},
        book=book(memory, situation.now, situation.timing.move_share),
        jobs={job.key: job for job in memory.jobs},
        rollouts={rollout.key: rollout for rollout in memory.rollouts},
        relocations={each.key: each for each in memory.relocations},
        tainted={each.key: each.since for each in memory.tainted},
        declared=_declared(situation.stacks),
        probed={probed.container: probed for probed in memory.probed},
        history={(revision.stack, revision.number): revision for revision in situation.history},
    )
    for home in memory.homes:
        world.homes[home.slot_key] = (*world.homes.get(home.slot_key, ()), home)
    for each in situation.lacking:
        world.lacking.setdefault((each.stack, each.service), {})[each.node] = each.why
    by_service: dict[ServiceKey, dict[int, list[tuple[str, Container]]]] = {}
    several: set[SlotKey] = set()
    for name in sorted(world.seen):
        for container in sorted(world.seen[name].containers, key=_id):
            key = slot_of(container)
            if key is None:
                world.strangers.append((name, container))
                continue
            of_service = by_service.setdefault(key[:2], {})
            there = of_service.get(key[2])
            if there is None:
                of_service[key[2]] = [(name, container)]
            else:
                there.append((name, container))
            if "." in container.name:
                several.add(key)
    for stack, service, slot in sorted(several):
        whole = by_service[stack, service][slot] = groups.folded(by_service[stack, service][slot])
        world.wave.replicas.update((box.id, box.parts) for _, box in whole if box.parts)
    world.containers = BySlot(by_service)
    return world


_id = attrgetter("id")
_HEX = frozenset("0123456789abcdef")


def _declared(stacks: Iterable[DesiredStack]) -> dict[str, Declared]:
    """Patterns are few, and services share what they match: each such tuple becomes one set."""
    sets: dict[int, frozenset[str]] = {}
    for stack in stacks:
        for _, nodes in stack.eligible:
            if id(nodes) not in sets:
                sets[id(nodes)] = frozenset(nodes)
    return {
        stack.revision.stack: Declared(
            stack,
            {service.name: service for service in stack.revision.spec.services},
            {network.name: network for network in stack.revision.spec.networks},
            {name: sets[id(nodes)] for name, nodes in stack.eligible},
        )
        for stack in stacks
    }


def _subnets(situation: Situation) -> Iterator[str]:
    """Of all networks that nodes have: also of stacks that nobody knows, and of others than shipyard."""
    for node in situation.seen().values():
        for network in node.networks:
            yield from network.subnets


def _stock(node: ObservedNode, cluster: str) -> Stock:
    """Docker lets two networks share a name: the first counts."""
    networks = {network.name: network for network in reversed(node.networks)}
    said = ((name, dict(network.labels)) for name, network in networks.items())
    return Stock(
        networks,
        {name: each.get(labels.SPEC, "") for name, each in said if each.get(labels.CLUSTER) == cluster},
        {volume.name: volume for volume in node.volumes},
        {image.reference: image for image in node.images},
        frozenset(f"configs/{name}" for name in node.configs) | {f"secrets/{name}" for name in node.secrets},
    )


def slot_of(container: Container) -> SlotKey | None:
    """Which slot a container says it is; None where its labels and its name don't agree.

    Labels can be copied by hand; a name that shipyard did not decide on is not touched. A member of a replica of
    several containers is called as its label says it is.
    """
    said = dict(container.labels)
    stack, service, slot = said.get(labels.STACK), said.get(labels.SERVICE), said.get(labels.SLOT, "")
    if not stack or not service or not slot.isascii() or not slot.isdigit() or len(slot) > 9:
        return None
    number, name = int(slot), container.name
    if "." in name:
        name, _, member = name.partition(".")
        if not member or said.get(labels.MEMBER) != member or said.get(labels.ROLE) not in _ROLES:
            return None
    if name[:-6] != f"{stack}-{service}-{number}-" or not _HEX.issuperset(name[-6:]):
        return None
    return stack, service, number
