"""The situation, indexed: what the rest of the planner looks things up in during one step."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from shipyard.model import labels
from shipyard.model.memory import Failures, KnownVolume, Memory, Placement, SlotKey, StumbleKey, Stumbles
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Container, ObservedNode
from shipyard.model.situation import DesiredStack, Situation
from shipyard.planner.nodes import Judgement
from shipyard.planner.wave import Wave


@dataclass(slots=True)
class World:
    """One step's working view. `placements`, `failures` and `stumbles` change as decisions fall; the rest is read only.

    `containers`: our well-formed containers by slot, each with its node, sorted by node and id.
    `brake`: why nothing may be moved, or "".
    """

    situation: Situation
    nodes: dict[str, Node]
    states: dict[str, NodeState]
    seen: dict[str, ObservedNode]
    brake: str
    wave: Wave
    placements: dict[SlotKey, Placement]
    failures: dict[SlotKey, Failures]
    volumes: set[KnownVolume]
    stumbles: dict[StumbleKey, Stumbles]
    containers: dict[SlotKey, list[tuple[str, Container]]] = field(default_factory=dict)
    strangers: list[tuple[str, Container]] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.situation.now

    def stack(self, name: str) -> DesiredStack | None:
        """The desired stack of this name."""
        return next((stack for stack in self.situation.stacks if stack.revision.stack == name), None)

    def name_of(self, placement: Placement) -> str:
        """Of the container that this placement stands for."""
        return labels.container_name(self.situation.cluster, *placement.key, placement.incarnation)

    def memory(self) -> Memory:
        """What to remember now."""
        return replace(
            self.situation.memory,
            placements=tuple(sorted(self.placements.values(), key=lambda placement: placement.key)),
            failures=tuple(sorted(self.failures.values(), key=lambda failures: failures.key)),
            volumes=tuple(sorted(self.volumes, key=lambda volume: (volume.node, volume.name))),
            stumbles=tuple(sorted(self.stumbles.values(), key=lambda stumbles: stumbles.key)),
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
        placements={placement.key: placement for placement in memory.placements},
        failures={failures.key: failures for failures in memory.failures},
        volumes=set(memory.volumes),
        stumbles={stumbles.key: stumbles for stumbles in memory.stumbles},
    )
    by_slot: defaultdict[SlotKey, list[tuple[str, Container]]] = defaultdict(list)
    for name in sorted(world.seen):
        for container in sorted(world.seen[name].containers, key=lambda container: container.id):
            key = slot_of(container)
            if key is None:
                world.strangers.append((name, container))
            else:
                by_slot[key].append((name, container))
    world.containers = dict(by_slot)
    return world


def slot_of(container: Container) -> SlotKey | None:
    """Which slot a container says it is; None where its labels and its name don't agree.

    Labels can be copied by hand; a name that shipyard did not decide on is not touched.
    """
    stack, service = container.label(labels.STACK), container.label(labels.SERVICE)
    slot = container.label(labels.SLOT) or ""
    if not stack or not service or not slot.isascii() or not slot.isdigit() or len(slot) > 9:
        return None
    prefix, _, suffix = container.name.rpartition("-")
    if prefix != f"{stack}-{service}-{int(slot)}" or len(suffix) != 6 or set(suffix) - set("0123456789abcdef"):
        return None
    return stack, service, int(slot)
