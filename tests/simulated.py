"""A simulated fleet: a fake, declared as one. It knows only what the planner's actions mean on a node.

It refuses what a real runtime refuses (a name or a port that is taken, an image that no registry has, a network in
use), so that plans which work here by luck are few. Real runtimes are for tests/lab.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.container import ContainerSpec, Pairs
from shipyard.model.image import HOLDER
from shipyard.model.memory import Memory
from shipyard.model.node import Availability, Node, Taint
from shipyard.model.observed import (
    Container,
    ContainerState,
    Facts,
    Health,
    HeldRevision,
    Observation,
    ObservedAttachment,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedVolume,
    Silent,
    Usage,
)
from shipyard.model.plan import (
    WIRING,
    Action,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropFiles,
    DropMarker,
    DropRevision,
    EnsureItem,
    KeepAvailability,
    KeepRevision,
    LoadHolder,
    Outcome,
    Plan,
    PullImage,
    PutConfig,
    PutSecret,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Status,
    StopContainer,
    UnpauseContainer,
    WriteHosts,
)
from shipyard.model.probing import Tried, Try
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision
from shipyard.model.wire import ObservedWiring
from shipyard.planner import probes, scaling
from shipyard.planner.assume import after
from shipyard.planner.learn import learn
from shipyard.planner.plan import plan
from shipyard.runtime.mounts import carrying


def _container(usage: Usage) -> str:
    return usage.container


class RefusedError(Exception):
    """The runtime's own words."""


@dataclass
class SimulatedNode:
    """One node's containers by id, and what else it has. `up`: answers at all. `machine`: its id, where it is new.

    `kept`: its copy of what people decided about it. `wiring`: what it says of the cluster's network, in detail, None
    where it is not asked. `open_connections`: of containers, by name.
    `datagrams`: names of those that take UDP. `full`: no hosts file can be written there. `lost`: what is
    off a bridge can't be put back.
    """

    name: str
    up: bool = True
    machine: str = ""
    availability: Availability = Availability.ACTIVE
    drain_until: float = 0.0
    dead: bool = False
    taints: tuple[Taint, ...] = ()
    boxes: dict[str, Container] = field(default_factory=dict)
    specs: dict[str, ContainerSpec] = field(default_factory=dict)
    networks: dict[str, ObservedNetwork] = field(default_factory=dict)
    volumes: dict[str, ObservedVolume] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    configs: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    markers: set[str] = field(default_factory=set)
    kept: tuple[Availability, float] = (Availability.ACTIVE, 0.0)
    revisions: dict[str, HeldRevision] = field(default_factory=dict)
    anonymous: set[str] = field(default_factory=set)
    wiring: ObservedWiring | None = None
    open_connections: dict[str, int] = field(default_factory=dict)
    datagrams: set[str] = field(default_factory=set)
    runtime: str = "docker"
    full: bool = False
    lost: bool = False

    def known(self) -> Node:
        """With what people decided about it."""
        return Node(
            self.name,
            availability=self.availability,
            drain_until=self.drain_until,
            dead=self.dead,
            taints=self.taints,
        )

    def observed(self) -> Observation:
        if not self.up:
            return Silent(self.name, connected=False, kind="Unreachable", message="no route to host")
        return ObservedNode(
            self.name,
            Facts(node_id=self.machine or self.name, cpus=4, memory=8 * 2**30, runtime=self.runtime, user="root"),
            containers=tuple(self.boxes.values()),
            networks=tuple(self.networks.values()),
            volumes=tuple(self.volumes.values()),
            images=tuple(ObservedImage(name, name) for name in sorted(self.images)),
            revisions=tuple(self.revisions.values()),
            configs=tuple(sorted(self.configs)),
            secrets=tuple(sorted(self.secrets)),
            markers=tuple(sorted(self.markers)),
            availability=self.kept[0],
            drain_until=self.kept[1],
            wiring=self.wiring,
            open_connections=tuple(sorted(self.open_connections.items())),
            datagrams=tuple(sorted(self.datagrams)),
        )


class SimulatedFleet:
    """`registry`: images that can be pulled. `removed_volumes`: what was deleted by an action, to be checked.

    `pace`: seconds that a pass takes.
    `revisions`: every one that was ever wished for, as the store keeps those in use. `image_volumes`: where each image
    declares volumes. `init_exit`: what init containers end with, when time passes. `answer`: what a probe comes to, and
    the words of it; `tried`: those of the last pass. `use`: cores and bytes that a container uses.
    """

    def __init__(self, names: Iterable[str], registry: Iterable[str] = ("app:1", "app:2", "app:3")) -> None:
        self.nodes = {name: SimulatedNode(name) for name in names}
        self.registry = set(registry)
        self.now = 1_000_000.0
        self.pace = 1.0
        self.memory = Memory()
        self.removed_volumes: list[str] = []
        self.healthy_at_once = True
        self.image_volumes: dict[str, tuple[str, ...]] = {}
        self.answer: Callable[[Try], tuple[bool | None, str]] = lambda _: (True, "")
        self.tried: list[Try] = []
        self.use: Callable[[Container], tuple[float | None, int | None]] | None = None
        self.revisions: dict[tuple[str, int], Revision] = {}
        self.init_exit = 0
        self._ids = (f"{number:064x}" for number in itertools.count(1))

    def situation(self, stacks: tuple[DesiredStack, ...]) -> Situation:
        heads = {(stack.revision.stack, stack.revision.number): stack.revision for stack in stacks}
        self.revisions |= heads
        return Situation(
            cluster="cafe",
            now=self.now,
            nodes=tuple(node.known() for _, node in sorted(self.nodes.items())),
            stacks=stacks,
            observed=tuple(self.nodes[name].observed() for name in sorted(self.nodes)),
            memory=self.memory,
            history=tuple(revision for key, revision in sorted(self.revisions.items()) if key not in heads),
        )

    def one_pass(
        self, stacks: tuple[DesiredStack, ...], *, killed_after: int | None = None, meanwhile: Iterable[Action] = ()
    ) -> Plan:
        """Observe, plan, execute, record. `killed_after`: actions done before the control machine dies.

        `meanwhile`: what scripts of a pass that died do once this one has observed, before it is their turn to wait.
        """
        decided = plan(self.probed(self.measured(self.situation(stacks))), waves=1)
        for action in meanwhile:
            self._do(action, set())
        self.memory = decided.memory
        outcomes = []
        failed: set[int] = set()
        for action in decided.waves[0] if decided.waves else ():
            if killed_after is not None and len(outcomes) >= killed_after:
                return decided
            outcomes.append(self._do(action, failed))
            if outcomes[-1].status is not Status.DONE:
                failed.add(action.id)
        self.memory = learn(self.memory, outcomes, self.now, self.situation(()).timing)
        self.sleep(self.pace)
        return decided

    def measured(self, situation: Situation) -> Situation:
        """The situation with what containers use, on the nodes where that is to be asked for."""
        use, wanted = self.use, scaling.to_measure(situation)
        if use is None or not wanted:
            return situation
        observed = tuple(
            replace(node, usage=tuple(sorted((Usage(box.id, *use(box)) for box in node.containers), key=_container)))
            if isinstance(node, ObservedNode) and node.name in wanted
            else node
            for node in situation.observed
        )
        return replace(situation, observed=observed)

    def probed(self, situation: Situation) -> Situation:
        """The situation with what the probes that are due come to."""
        self.tried = list(probes.due(situation))
        results = ((each, (None, each.obstacle) if each.obstacle else self.answer(each)) for each in self.tried)
        return replace(
            situation,
            probed=tuple(
                Tried(each, passed, words, log="its log" if each.decides and passed is False else "")
                for each, (passed, words) in results
            ),
        )

    def sleep(self, seconds: float) -> None:
        """Time passes, for containers that run too."""
        self.now += seconds
        for node in self.nodes.values():
            for identity, box in node.boxes.items():
                if box.state is ContainerState.RUNNING and box.age is not None:
                    node.boxes[identity] = replace(box, age=box.age + seconds)

    def converge(self, stacks: tuple[DesiredStack, ...], *, passes: int = 400) -> Plan:
        """Passes until one plans nothing and nothing waits for time; time flies while waiting."""
        for _ in range(passes):
            decided = self.one_pass(stacks)
            if decided.waves:
                continue
            timed = [each.until for each in decided.waiting if each.until is not None]
            starting = [
                each
                for each in decided.waiting
                if each.reason in ("HealthStarting", "InitRunning", "Probing", "Restarting")
            ]
            if not timed and not starting:
                return decided
            self.sleep(max(1.0, min(timed, default=0.0) - self.now))
            self.tick()
        raise AssertionError(f"no convergence in {passes} passes: {decided}")

    def tick(self) -> None:
        """Health checks pass; init containers end."""
        for node in self.nodes.values():
            for identity, box in node.boxes.items():
                if box.label(labels.ROLE) == "init" and box.state is ContainerState.RUNNING:
                    node.boxes[identity] = replace(box, state=ContainerState.EXITED, exit_code=self.init_exit)
                if box.health is Health.STARTING:
                    node.boxes[identity] = replace(box, health=Health.HEALTHY)

    def end(self, code: int = 0, *, service: str | None = None) -> None:
        """Containers of jobs end with this exit code; of one service, or all. Nobody tells a sidecar or a holder to."""
        for node in self.nodes.values():
            for identity, box in node.boxes.items():
                mine = box.label(labels.RUN) and service in (None, box.label(labels.SERVICE))
                lasts = box.label(labels.ROLE) in ("holder", "sidecar")
                if mine and not lasts and box.state is ContainerState.RUNNING:
                    node.boxes[identity] = replace(box, state=ContainerState.EXITED, exit_code=code, ended=0.0)

    def running(self) -> list[tuple[str, Container]]:
        return [
            (node.name, box)
            for node in self.nodes.values()
            for box in node.boxes.values()
            if box.state is ContainerState.RUNNING
        ]

    def _do(self, action: Action, failed: set[int]) -> Outcome:
        node = self.nodes[action.node]
        if not node.up:
            return Outcome(action, Status.UNKNOWN)
        if failed & set(action.needs):
            return Outcome(action, Status.SKIPPED)
        try:
            self._step(node, action)
        except RefusedError as error:
            return Outcome(action, Status.FAILED, str(error))
        return Outcome(action, Status.DONE)

    def _step(self, node: SimulatedNode, action: Action) -> None:
        match action.step:
            case PullImage(image):
                if image not in self.registry:
                    raise RefusedError(f"manifest for {image} not found")
                node.images.add(image)
            case LoadHolder():
                node.images.add(HOLDER)
            case PutConfig(_, mount):
                node.configs.add(mount.file_name)
            case PutSecret(_, mount):
                node.secrets.add(mount.file_name)
            case DropFiles(configs, secrets):
                used = {file for box in node.boxes.values() for file in box.files}
                dropped = {*(f"configs/{name}" for name in configs), *(f"secrets/{name}" for name in secrets)}
                assert not dropped & used, f"{sorted(dropped & used)} would have been taken from under a container"
                node.configs -= {*configs}
                node.secrets -= {*secrets}
            case step if isinstance(step, WIRING):
                if node.full and isinstance(step, WriteHosts):
                    raise RefusedError("No space left on device")
                if node.lost and isinstance(step, EnsureItem) and step.item.kind == "ports":
                    raise RefusedError("s-web-1 no longer has its address inside")
                if node.wiring is not None:
                    observed = after(ObservedNode(node.name, Facts(), wiring=node.wiring), step)
                    node.wiring = observed.wiring
            case CreateNetwork(network, said):
                if network.name in node.networks:
                    raise RefusedError(f"network with name {network.name} already exists")
                node.networks[network.name] = ObservedNetwork(
                    network.name, network.name, said, subnets=(network.subnet,) if network.subnet else ()
                )
            case RemoveNetwork(_, name):
                if any(there.network == name for box in node.boxes.values() for there in box.networks):
                    raise RefusedError(f"network {name} has active endpoints")
                node.networks.pop(name, None)
            case CreateVolume(volume, said):
                node.volumes[volume.name] = ObservedVolume(volume.name, said)
            case RemoveVolume(name):
                self.removed_volumes.append(name)
                node.volumes.pop(name, None)
            case CreateContainer(name, spec, said, keep, once):
                if once in node.markers:
                    raise RefusedError("this was begun here before, and is not begun twice")
                node.markers |= {once} - {""}
                self._create(node, name, carrying(spec, keep), said)
            case StartContainer(identity):
                self._box(node, identity)
                self._joins(node, node.specs[identity])
                self._set(
                    node,
                    identity,
                    state=ContainerState.RUNNING,
                    age=self._younger(node, node.specs[identity]),
                    started=self.now,
                    exit_code=None,
                )
            case UnpauseContainer(identity):
                self._set(node, identity, state=ContainerState.RUNNING)
            case StopContainer(identity):
                self._set(node, identity, state=ContainerState.EXITED, exit_code=137)
            case RemoveContainer(identity, name):
                if any(spec.network_mode == f"container:{name}" for spec in node.specs.values()):
                    raise RefusedError(f"container {identity} has dependent containers")
                node.boxes.pop(identity, None)
                node.specs.pop(identity, None)
            case ConnectNetwork(identity, _, attachment):
                if attachment.network not in node.networks:
                    raise RefusedError(f"network {attachment.network} not found")
                box = self._box(node, identity)
                if any(there.network == attachment.network for there in box.networks):
                    raise RefusedError(f"already attached to {attachment.network}")
                joined = ObservedAttachment(
                    attachment.network, attachment.aliases, attachment.ipv4_address, None, attachment.ipv6_address
                )
                self._set(node, identity, networks=(*box.networks, joined))
            case DisconnectNetwork(identity, _, network):
                if identity in node.boxes:  # one that is gone is on no network
                    left = tuple(there for there in node.boxes[identity].networks if there.network != network)
                    self._set(node, identity, networks=left)
            case KeepRevision(stack, number, digest, _):
                node.revisions[stack] = HeldRevision(stack, number, digest)
            case DropRevision(stack):
                node.revisions.pop(stack, None)
            case KeepAvailability(availability, until):
                node.kept = (availability, until)
            case DropMarker(name):
                node.markers.discard(name)
            case _:
                assert_never(action.step)

    def _create(self, node: SimulatedNode, name: str, spec: ContainerSpec, said: tuple[tuple[str, str], ...]) -> None:
        if any(box.name == name for box in node.boxes.values()):
            raise RefusedError(f"the name {name} is already in use")
        if spec.image not in node.images:
            raise RefusedError(f"no such image: {spec.image}")
        for mount in spec.mounts:
            if mount.kind == "volume" and mount.source and mount.source not in {*node.volumes, *node.anonymous}:
                raise AssertionError(f"{name} would have begun the volume {mount.source} anew")
        for attachment in spec.networks:
            if attachment.network not in node.networks:
                raise RefusedError(f"network {attachment.network} not found")
        there = {*(f"configs/{name}" for name in node.configs), *(f"secrets/{name}" for name in node.secrets)}
        if missing := sorted({*spec.files()} - there):
            raise RefusedError(f"bind source path does not exist: {missing[0]}")
        self._joins(node, spec)
        identity = next(self._ids)
        taken = {
            port.published
            for other, box in node.boxes.items()
            if box.state is ContainerState.RUNNING
            for port in node.specs[other].ports
        }
        clash = next((port for port in spec.ports if port.published is not None and port.published in taken), None)
        box = Container(
            identity,
            name,
            ContainerState.CREATED if clash else ContainerState.RUNNING,
            said,
            spec.image,
            health=Health.NONE if spec.healthcheck is None or self.healthy_at_once else Health.STARTING,
            age=None if clash else self._younger(node, spec),
            started=None if clash else self.now,
            networks=tuple(
                ObservedAttachment(each.network, each.aliases, each.ipv4_address or "10.0.0.2", None, each.ipv6_address)
                for each in spec.networks
            ),
            anonymous=self._anonymous(node, spec),
            files=spec.files(),
        )
        node.boxes[identity], node.specs[identity] = box, spec
        if clash:
            raise RefusedError(f"port {clash.published} is already allocated")

    def _joins(self, node: SimulatedNode, spec: ContainerSpec) -> None:
        """Whose network namespace a container is to share must run."""
        kind, _, owner = (spec.network_mode or "").partition(":")
        running = {box.name for box in node.boxes.values() if box.state is ContainerState.RUNNING}
        if kind == "container" and owner not in running:
            raise RefusedError(f"cannot join network of a non running container: {owner}")

    def _younger(self, node: SimulatedNode, spec: ContainerSpec) -> float:
        """The age of what starts now. Where a network namespace is shared, all others become older by a little."""
        if spec.image != HOLDER and not (spec.network_mode or "").startswith("container:"):
            return 0.0
        for identity, box in node.boxes.items():
            if box.age is not None:
                node.boxes[identity] = replace(box, age=box.age + 0.001)
        return 0.001

    def _anonymous(self, node: SimulatedNode, spec: ContainerSpec) -> Pairs:
        """Those that are mounted by their name, and new ones where the image or the spec wants some."""
        mounted = {mount.target: mount.source for mount in spec.mounts}
        wanted = {
            *self.image_volumes.get(spec.image, ()),
            *(target for target, source in mounted.items() if not source),
        }
        fresh = {target: next(self._ids) for target in sorted(wanted) if not mounted.get(target)}
        node.anonymous |= set(fresh.values())
        kept = {target: source for target, source in mounted.items() if source in node.anonymous}
        return tuple(sorted({**kept, **fresh}.items()))  # type: ignore[arg-type]  # what is kept has a source

    def _box(self, node: SimulatedNode, identity: str) -> Container:
        if identity not in node.boxes:
            raise RefusedError(f"no such container: {identity}")
        return node.boxes[identity]

    def _set(self, node: SimulatedNode, identity: str, **changes: object) -> None:
        node.boxes[identity] = replace(self._box(node, identity), **changes)  # type: ignore[arg-type]  # by keyword
