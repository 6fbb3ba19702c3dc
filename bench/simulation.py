"""A fleet that is only data, as large as one likes: what the planner is measured on.

Its nodes answer what real ones would: texts that were read from somewhere, each its own object, as after parsing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from shipyard.base.record import replace
from shipyard.model.canonical import dumps, loads, stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Mount, Port
from shipyard.model.memory import Memory, NodeMemory
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Facts, Health, Observation, ObservedImage, ObservedNode, Silent
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import (
    NetworkSpec,
    PlacementRules,
    Reservations,
    Revision,
    ServiceSpec,
    StackSpec,
    UpdatePolicy,
    VolumeSpec,
)
from shipyard.planner.assume import assume
from shipyard.planner.plan import plan

REPLICAS_PER_NODE = 30
SERVICES_PER_NODE = 0.4
SERVICES_PER_STACK = 10
ON_ALL_NODES = 2
"""Services of mode global: agents for logs and metrics."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a fleet, in the proportions of Kubernetes' published limits: 5,000 nodes, 150,000 replicas, 2,000 services."""

    nodes: int

    @property
    def replicas(self) -> int:
        return self.nodes * REPLICAS_PER_NODE

    @property
    def services(self) -> int:
        return int(self.nodes * SERVICES_PER_NODE)


def empty(size: Size) -> Situation:
    """Nothing runs anywhere yet."""
    names = [f"node{number:04}" for number in range(size.nodes)]
    nodes = tuple(
        Node(
            name,
            f"10.{index // 256}.{index % 256}.1",
            ("all", "workers"),
            (("disk", "ssd" if index % 2 else "hdd"), ("zone", f"z{index % 3}")),
            runtime="docker",
            user="root",
            node_id=f"id-{name}",
        )
        for index, name in enumerate(names)
    )
    observed = tuple(
        ObservedNode(name, Facts(f"id-{name}", name, "linux", "x86_64", cpus=32, memory=128 * 2**30, runtime="docker"))
        for name in names
    )
    stacks = _stacks(size, tuple(names))
    return Situation("cafe0123", 1_000_000.0, nodes, stacks, observed)


def _stacks(size: Size, names: tuple[str, ...]) -> tuple[DesiredStack, ...]:
    """The services' sizes are drawn (always the same ones), most of them small, and come to `size.replicas`."""
    dice = random.Random(size.nodes)
    weights = [dice.paretovariate(1.5) for _ in range(size.services - ON_ALL_NODES)]
    left = size.replicas - ON_ALL_NODES * size.nodes
    counts = [max(1, min(size.nodes // 4, int(left * weight / sum(weights)))) for weight in weights]
    index = 0
    while sum(counts) < left:
        counts[index % len(counts)] += 1
        index += 1
    services = [_service(number, count, dice) for number, count in enumerate(counts)]
    agents = [replace(_service(3, 1, dice), name=f"agent{number}", mode="global") for number in range(ON_ALL_NODES)]
    stacks = []
    for start in range(0, len(services), SERVICES_PER_STACK):
        name = f"app{start // SERVICES_PER_STACK:03}"
        chosen = services[start : start + SERVICES_PER_STACK] + (agents if start == 0 else [])
        stacks.append(_stack(name, chosen, names))
    return tuple(stacks)


def _stack(name: str, services: Iterable[ServiceSpec], names: tuple[str, ...]) -> DesiredStack:
    def in_stack(service: ServiceSpec) -> ServiceSpec:
        spec = service.container
        networks = tuple(replace(each, network=f"{name}_{each.network}") for each in spec.networks)
        mounts = tuple(replace(each, source=f"{name}_{each.source}") for each in spec.mounts)
        return replace(service, container=replace(spec, networks=networks, mounts=mounts))

    own = tuple(sorted((in_stack(service) for service in services), key=lambda service: service.name))
    spec = StackSpec(
        name,
        own,
        # each node's own: so many stacks on so many nodes would take more blocks than the usual range has
        tuple(NetworkSpec(f"{name}_{key}", key, "bridge", internal=key == "back") for key in ("back", "default")),
        tuple(
            VolumeSpec(mount.source, mount.source)
            for service in own
            for mount in service.container.mounts
            if mount.source
        ),
    )
    revision = Revision(name, 1, spec, stack_digest(spec), 900_000.0, "bench")
    return DesiredStack(revision, tuple((service.name, names) for service in own))


def _service(number: int, replicas: int, dice: random.Random) -> ServiceSpec:
    """Half of them with a health check; some with a constraint, a port of the node, a local volume, two networks."""
    name = f"svc{number:04}"
    keys = ("back", "default") if number % 4 == 0 else ("default",)
    container = ContainerSpec(
        image=f"registry.example/team{number % 50}/app:{number % 7}",
        command=("serve", "--port", "8080"),
        environment=tuple((f"SETTING_{key}", f"value {number} {key}") for key in range(6)),
        healthcheck=Healthcheck(("CMD", "true"), interval=10.0) if number % 2 else None,
        networks=tuple(Attachment(key, (name,)) for key in keys),
        ports=(Port(8080, 20_000 + number),) if number % 5 == 1 else (),
        mounts=(Mount("volume", "/data", f"data{number}"),) if number % 10 == 2 else (),
    )
    return ServiceSpec(
        name,
        container,
        replicas=replicas,
        placement=PlacementRules(("node.labels.disk == ssd",) if number % 4 == 1 else ()),
        reservations=Reservations(dice.choice((0.1, 0.25, 0.5)), dice.choice((64, 128, 256)) * 2**20),
        update=UpdatePolicy(parallelism=2),
    )


def deployed(situation: Situation) -> Situation:
    """What `situation` comes to, with an hour gone by since. Raises RuntimeError where it does not settle."""
    for _ in range(5):
        decided = plan(situation, waves=1)
        if not decided.waves:
            remembered = replace(situation, memory=decided.memory)
            return replace(_read_anew(remembered), now=situation.now + 3600)
        situation = assume(replace(situation, memory=decided.memory), decided.actions)
    raise RuntimeError(f"it does not settle: {decided.actions[:3]}")


def _read_anew(situation: Situation) -> Situation:
    """As from the nodes' answers and the store: no text is the same object as the declared one."""
    return replace(
        situation,
        observed=tuple(loads(ObservedNode, dumps(_old(node))) for node in situation.observed),
        memory=loads(Memory, dumps(situation.memory)),
    )


def _old(node: Observation) -> Observation:
    """Containers have run for an hour, and those with a health check pass it. Images are not asked for."""
    if not isinstance(node, ObservedNode):
        return node
    boxes = tuple(replace(box, age=3600.0, health=Health.HEALTHY) for box in node.containers)
    return replace(node, containers=boxes, images=())


def without(situation: Situation, count: int) -> Situation:
    """So many nodes, spread over the fleet, have been lost: their replicas are to be placed elsewhere."""
    step = len(situation.nodes) // count
    lost = {node.name for node in situation.nodes[::step][:count]}
    memories = tuple(
        NodeMemory(each.name, NodeState.LOST, misses=9, silent_for=400.0, last_miss=situation.now - 10)
        if each.name in lost
        else each
        for each in situation.memory.nodes
    )
    observed = tuple(
        Silent(each.name, connected=False, kind="Unreachable", message="no route to host")
        if each.name in lost
        else each
        for each in situation.observed
    )
    images = tuple(_with_images(each, situation) for each in observed)
    return replace(situation, observed=images, memory=replace(situation.memory, nodes=memories))


def _with_images(answer: Observation, situation: Situation) -> Observation:
    """Where one is to be made, the pass has looked for images. Here all nodes have those of the first stack."""
    if not isinstance(answer, ObservedNode):
        return answer
    services = situation.stacks[0].revision.spec.services
    return replace(answer, images=tuple(ObservedImage(each.container.image, "sha256:0") for each in services))
