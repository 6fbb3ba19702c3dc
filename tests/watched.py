"""A simulated fleet that watches what is done to it, and says at once when a promise is broken.

The promises are written down here a second time, in terms of containers and not of plans, so that a planner which
misunderstands one of them is found out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import spec_hash
from shipyard.model.memory import Placement
from shipyard.model.node import Availability, NodeState
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import Action, CreateContainer, CreateVolume, Plan, StartContainer, UnpauseContainer, verb
from shipyard.model.probing import Try
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec, UpdatePolicy
from shipyard.planner.judging import JUDGED
from tests.simulated import RefusedError, SimulatedFleet, SimulatedNode

CPUS, MEMORY = 4.0, 8 * 2**30
"""Of every simulated node."""

Slot = tuple[str, int]
"""Service, and number."""


class BrokenError(AssertionError):
    """A promise that was not kept."""


class WatchedFleet(SimulatedFleet):
    """`patient`: whether services may have two containers of a replica at once (`start-first`), by name.

    `homes`: by replica and volume, the node that has its data; of `settled` services, whose replicas aren't merely one
    on each node. `emptied`: volumes that vanished, with their nodes.
    `begun`: how often each marker of a job's task was begun, anywhere. `deaf`: services that answer no probe; `failed`:
    which probes of which slots failed when they were last tried. `served`: slots that did their work after the last
    pass: what has only just come up, nobody has seen yet.
    """

    def __init__(self, names: Iterable[str], registry: Iterable[str]) -> None:
        super().__init__(names, registry)
        self.patient: set[str] = set()
        self.homes: dict[tuple[Slot, str], str] = {}
        self.emptied: set[tuple[str, str]] = set()
        self.begun: Counter[str] = Counter()
        self.deaf: set[str] = set()
        self.served: set[Slot] = set()
        self.failed: set[tuple[Slot, str]] = set()
        self.settled: set[str] = set()
        self.answer = self._answered

    def watched_pass(self, stacks: tuple[DesiredStack, ...], *, killed_after: int | None = None) -> Plan:
        """One pass, of which every step and the result is looked at."""
        services = self.services_of(stacks)
        before, placed = self.served & self.ready(), {each.key: each for each in self.memory.placements}
        before -= self._going(services)
        there = {(placement.service, placement.slot) for placement in self.memory.placements}
        self.settled = {name for name, service in services.items() if service.mode == "replicated"}
        for (slot, volume), home in list(self.homes.items()):
            own = volume == f"s_{slot[0]}_{slot[1]}" and volume in self.nodes[home].volumes
            free = slot not in there or (slot[0] in self.settled and not services[slot[0]].container.mounts)
            if slot[0] not in self.settled or (free and not own):  # what has had no data meanwhile was free to go
                del self.homes[slot, volume]
        on_trial = {
            each.name: (self._made_so(each), self._to_be_so(each) | self._taken_up(each.name, there))
            for each in services.values()
            if each.canary
        }
        decided = self.one_pass(stacks, killed_after=killed_after)
        services = self.services_of(stacks)
        for name, (made, to_be) in on_trial.items():
            self._check_canaries(services[name], made, to_be, before, decided)
        self._check_bounds(services, there)
        self._check_ready(services, before, decided)
        self.served = self.ready()
        for placement in self.memory.placements:
            old = placed.get(placement.key)
            if placement.service in services and (old is None or old.node != placement.node):
                self._check_room(services, placement)
        return decided

    def services_of(self, stacks: tuple[DesiredStack, ...]) -> dict[str, ServiceSpec]:
        """By name, each with the replicas that it is to have, where its use says how many."""
        wanted = {scale.service: scale.wanted for scale in self.memory.scales}
        services = (service for stack in stacks for service in stack.revision.spec.services)
        return {
            each.name: replace(each, replicas=wanted.get(each.name, each.replicas)) if each.autoscale else each
            for each in services
        }

    def _check_bounds(self, services: dict[str, ServiceSpec], before: set[Slot]) -> None:
        """However much a service is used: never fewer replicas than declared, and never more that are begun.

        Those that a new rule makes too many may go one after the other.
        """
        for name, service in services.items():
            if service.autoscale is None:
                continue
            placed = {(name, each.slot) for each in self.memory.placements if each.service == name}
            least, most = service.autoscale.least, service.autoscale.most
            begun = sorted(slot for _, slot in placed - before if slot > most)
            if not least <= service.replicas <= most or begun:
                raise BrokenError(f"{name} is to have {service.replicas} replicas ({least} to {most}): {begun}")

    def _made_so(self, service: ServiceSpec) -> set[int]:
        """The slots that have a container as the service is declared now."""
        return {
            _slot(box)[1]
            for node in self.nodes.values()
            for box in node.boxes.values()
            if _slot(box)[0] == service.name and not box.label(labels.ROLE)
            if box.label(labels.SPEC) == spec_hash(service.container_for(node.name, _slot(box)[1]))
        }

    def _to_be_so(self, service: ServiceSpec) -> set[int]:
        """The slots whose replicas are made so, whether they are there or not."""
        slots = set()
        for each in self.memory.placements:
            revision = self.revisions.get((each.stack, each.revision))
            made = revision.spec.service(service.name) if revision is not None else None
            if each.service == service.name and made is not None:
                specs = {spec_hash(one.container_for(each.node, each.slot)) for one in (made, service)}
                slots |= {each.slot} if len(specs) == 1 else set()
        return slots

    def _taken_up(self, service: str, there: set[Slot]) -> set[int]:
        """Slots without a place that have a container: what was dropped on a silent node is taken back."""
        boxes = (box for node in self.nodes.values() for box in node.boxes.values())
        return {_slot(box)[1] for box in boxes if _slot(box)[0] == service and _slot(box) not in there}

    def _check_canaries(
        self, service: ServiceSpec, made: set[int], to_be: set[int], served: set[Slot], decided: Plan
    ) -> None:
        """While canaries are on trial and others serve, no more become as they are, whatever they are made anew for.

        `made`, `to_be`: those that were so before, by their containers and by what was decided.
        """
        rollout = next((each for each in self.memory.rollouts if each.service == service.name), None)
        if rollout is None or rollout.state != "updating" or rollout.canary == JUDGED or service.canary is None:
            return
        earlier = self.revisions.get((rollout.stack, rollout.before))
        good = earlier.spec.service(service.name) if earlier is not None else None
        if good is None or good.container.ports or spec_hash(good.container) == spec_hash(service.container):
            return  # what had ports may not fit where newer ones do; and the same is nothing new to be tried
        now = {slot for slot in self._made_so(service) if slot <= service.replicas or service.mode == "global"}
        at_stake = {slot for name, slot in served if name == service.name and slot <= service.replicas} - made - now
        fresh = now - made - to_be
        if at_stake and fresh and len(fresh) + len(now & to_be) > service.canary.replicas:
            told = f"{sorted(now)} on trial, before {sorted(made)} and {sorted(to_be)}"
            raise BrokenError(f"{service.name} has {told}: {in_short(decided)}")

    def _answered(self, attempt: Try) -> tuple[bool, str]:
        passes, each = attempt.slot[1] not in self.deaf, (attempt.slot[1:], attempt.name)
        self.failed = self.failed - {each} if passes else self.failed | {each}
        return passes, ""

    def ready(self) -> set[Slot]:
        """Slots with a container that does its work, where somebody can see it."""
        boxes = [(node.name, box) for node in self.nodes.values() if node.up for box in node.boxes.values()]
        return {_slot(box) for _, box in boxes if _serves(box) and not box.label(labels.ROLE)} - self._broken(boxes)

    def _broken(self, boxes: Iterable[tuple[str, Container]]) -> set[Slot]:
        """Slots that do no work whatever their main container says: no answer, or something beside it is down."""
        there: defaultdict[tuple[Slot, str, str], list[Container]] = defaultdict(list)
        deaf = {slot for slot, _ in self.failed}
        for node, box in boxes:
            there[_slot(box), node, labels.replica_name(box.name)].append(box)
        well = {slot for (slot, *_), parts in there.items() if self._whole(slot, parts)}
        return {slot for slot, *_ in there if slot[0] in self.deaf or slot in deaf or slot not in well}

    def _whole(self, slot: Slot, parts: Sequence[Container]) -> bool:
        """Whether the containers of one replica are all that its revision has, and none beside the main one is down.

        A container whose holder was started after it has lost its network.
        """
        main = next((box for box in parts if not box.label(labels.ROLE)), None)
        if main is None or not all(map(_does_its_part, parts)):
            return False
        holder = next((box for box in parts if box.label(labels.ROLE) == "holder"), None)
        beside = [box for box in parts if box.label(labels.ROLE) not in ("holder", "init")]
        if holder is not None and any((box.age or 0.0) > (holder.age or 0.0) for box in beside):
            return False
        revision = self.revisions.get((main.label(labels.STACK) or "", int(main.label(labels.REVISION) or 0)))
        service = revision.spec.service(slot[0]) if revision is not None else None
        members = service.container.members if service is not None else ()
        wanted = {labels.HOLDER, *(each.name for each in members if each.kind != "init")} if members else set()
        return wanted <= {box.label(labels.MEMBER) for box in parts}

    def _going(self, services: dict[str, ServiceSpec]) -> set[Slot]:
        """Slots whose turn came in an earlier pass: what still serves there goes, whatever has failed since."""
        here = {box.name for node in self.nodes.values() for box in node.boxes.values()}
        return {
            (each.service, each.slot)
            for each in self.memory.placements
            if each.service in services
            and _taking_away(services[each.service])
            and labels.container_name("cafe", *each.key, each.incarnation) not in here
        }

    def _step(self, node: SimulatedNode, action: Action) -> None:
        match action.step:
            case CreateContainer(name, spec, said, _, once):
                slot = (dict(said)[labels.SERVICE], int(dict(said)[labels.SLOT]))
                self._check_alone(action, slot, name)
                self.begun[once] += 1
                self.failed = {each for each in self.failed if each[0] != slot}  # nobody has asked the new one yet
                if once and once not in node.markers and self.begun[once] > 1:
                    raise BrokenError(f"{once} was begun twice: {action.reason} {action.detail} on {action.node}")
                for volume in [mount.source for mount in spec.mounts if mount.kind == "volume" and mount.source]:
                    home = self.homes.setdefault((slot, volume), node.name) if slot[0] in self.settled else node.name
                    if home != node.name:
                        raise BrokenError(f"{slot} has its data on {home}: {action.reason} on {action.node}")
            case StartContainer(identity) | UnpauseContainer(identity) if identity in node.boxes:
                self._check_alone(action, _slot(node.boxes[identity]), node.boxes[identity].name)
            case CreateVolume(volume) if (node.name, volume.name) in self.emptied:
                raise BrokenError(f"begun anew without being asked: {action.reason} {action.detail} on {action.node}")
            case _:
                pass
        try:
            super()._step(node, action)
        except RefusedError as error:
            if "already allocated" in str(error):
                raise BrokenError(f"a port given twice: {action.reason} {action.detail} on {action.node}") from error
            raise
        if isinstance(action.step, StartContainer):  # a runtime counts its own restarts anew then
            self._set(node, action.step.id, restarts=0)

    def _check_alone(self, action: Action, slot: Slot, container: str) -> None:
        """The slot has no other container at work, or one that hands over to this."""
        name = labels.replica_name(container)
        others = [
            (node.name, box)
            for node in self.nodes.values()
            for box in node.boxes.values()
            if node.up or self._state(node.name) != NodeState.LOST  # what is only silent may be at work still
            if box.state is ContainerState.RUNNING and _slot(box) == slot
            if labels.replica_name(box.name) != name
            if slot[0] in self.settled or node.name == action.node  # else a slot is not the same one elsewhere
        ]
        if len({labels.replica_name(box.name) for _, box in others}) > (slot[0] in self.patient):
            where = [name for name, _ in others]
            raise BrokenError(f"{slot} is at work already on {where}: {action.reason} {action.detail} on {action.node}")

    def _check_ready(self, services: dict[str, ServiceSpec], before: set[Slot], decided: Plan) -> None:
        """No more replicas stopped doing their work than the service allows at once."""
        after = self.ready()
        for name, service in services.items():
            if service.mode != "replicated" or self._exempt(service, decided):
                continue
            placed = {placement.slot for placement in self.memory.placements if placement.service == name}
            wanted = {(name, slot) for slot in placed if slot <= service.replicas}
            given_up = sum(
                self._state(each.node) == NodeState.LOST for each in self.memory.placements if each.service == name
            )
            most = max((policy.parallelism for policy in _taking_away(service)), default=0)
            failed = sum(len(each.failed) for each in self.memory.rollouts if each.service == name)
            floor = min(
                len(before & wanted), len(wanted) - most - failed - given_up
            )  # what failed is tolerated, or it had stopped
            if len(after & wanted) < floor:
                lost = sorted((before - after) & wanted)
                raise BrokenError(f"{lost} no longer serve, with parallelism {most}: {in_short(decided)}")

    def _state(self, node: str) -> NodeState:
        return next((each.state for each in self.memory.nodes if each.name == node), NodeState.UNKNOWN)

    def _exempt(self, service: ServiceSpec, decided: Plan) -> bool:
        """All at once is allowed, or a network that is gone leaves no choice, or a drain's time is over."""
        hurried = any(
            node.availability == Availability.DRAIN and 0 < node.drain_until <= self.now for node in self.nodes.values()
        )
        gone = any(action.reason in ("NetworkGone", "Evicted") for action in decided.actions)
        return hurried or gone or 0 in [policy.parallelism for policy in _taking_away(service)]

    def _check_room(self, services: dict[str, ServiceSpec], new: Placement) -> None:
        """Who comes to a node finds room there, and its ports free."""
        there = [each for each in self.memory.placements if each.node == new.node and each.service in services]
        aside = [services[each.service].reservations for each in there]
        mine = services[new.service].reservations
        short = mine.cpus and sum(each.cpus for each in aside) > CPUS
        if short or (mine.memory and sum(each.memory for each in aside) > MEMORY):
            raise BrokenError(f"{new.node} has no room for {new}: {there}")
        ports = Counter(port.published for each in there for port in services[each.service].container.ports)
        given = {port.published for port in services[new.service].container.ports}
        if any(count > 1 and port in given for port, count in ports.items()):
            raise BrokenError(f"{new.node} gives a port twice with {new}: {there}")


def in_short(decided: Plan) -> str:
    """A plan in one line."""
    steps = [f"{each.node}: {verb(each.step)} {each.target} ({each.reason})" for each in decided.actions]
    others = [f"{each.target}: {each.reason} ({each.detail})" for each in (*decided.blocked, *decided.waiting)]
    return f"{'; '.join(steps)} | {'; '.join(others)}"


def _taking_away(service: ServiceSpec) -> list[UpdatePolicy]:
    """The policies by which one stops before its successor serves: all, where there can't be two of them at once."""
    alone = bool(service.container.ports or service.container.mounts)
    return [each for each in (service.update, service.rollback) if alone or each.order == "stop-first"]


def _slot(box: Container) -> Slot:
    return box.label(labels.SERVICE) or "", int(box.label(labels.SLOT) or 0)


def _does_its_part(box: Container) -> bool:
    role = box.label(labels.ROLE)
    return box.state is ContainerState.RUNNING if role == "holder" else role == "init" or _serves(box)


def _serves(box: Container) -> bool:
    """Not so one that is restarted again and again."""
    return box.state is ContainerState.RUNNING and box.health in (Health.NONE, Health.HEALTHY) and box.restarts < 3
