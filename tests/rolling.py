"""Updates in virtual time: a stack that is applied, scaled and rolled back on the simulated fleet, pass by pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Healthcheck
from shipyard.model.memory import Hold, Rollout
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, ServiceSpec, StackSpec, UpdatePolicy
from shipyard.planner import revising
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
CHECKED = Healthcheck(("CMD", "true"))


def service(image: str = "app:1", name: str = "web", replicas: int = 3, **more: Any) -> ServiceSpec:
    """A service; what belongs to its container or its update policy may be named directly."""
    inside = {key: more.pop(key) for key in list(more) if key in ContainerSpec.__struct_fields__}
    policy = {key: more.pop(key) for key in list(more) if key in UpdatePolicy.__struct_fields__}
    container = ContainerSpec(image, **{"network_mode": "none", **inside})
    more.setdefault("update", UpdatePolicy(**policy))
    return ServiceSpec(name, container, replicas=replicas, **more)


MOST = 5_000
"""Passes of one test: what never comes is a failure, and no wait without end."""


@dataclass
class Control:
    """The control machine, with a fleet. `bad`: images of which every container ends with 1 as soon as it is started.

    `sick`: images whose health check never passes. `slow`: those whose health check is never decided.
    """

    fleet: SimulatedFleet = field(default_factory=lambda: SimulatedFleet(NODES, ("app:1", "app:2", "app:3", "job:1")))
    bad: set[str] = field(default_factory=set)
    sick: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    revisions: list[Revision] = field(default_factory=list)
    last: Plan = field(default_factory=Plan)
    passes: int = 0

    @property
    def head(self) -> Revision:
        return self.revisions[-1]

    @property
    def stacks(self) -> tuple[DesiredStack, ...]:
        return (DesiredStack(self.head, tuple((each.name, NODES) for each in self.head.spec.services)),)

    def apply(self, *services: ServiceSpec) -> None:
        """A new revision, as files would make it."""
        self.store(revising.followed(StackSpec("s", tuple(sorted(services, key=lambda each: each.name)))))

    def store(self, spec: StackSpec) -> None:
        """A new revision, unless it says the same."""
        digest = stack_digest(spec)
        if not self.revisions or self.head.digest != digest:
            self.revisions.append(Revision("s", len(self.revisions) + 1, spec, digest, self.fleet.now, "me"))

    def step(self, *, killed_after: int | None = None, stores: bool = True) -> Plan:
        """One pass, and the time it takes. `stores` False: it is killed before it stores a revision."""
        self.passes += 1
        assert self.passes <= MOST, "what is waited for does not come"
        self.last = self.fleet.one_pass(self.stacks, killed_after=killed_after)
        for asked in self.last.rollbacks if stores else ():
            assert asked.failed == self.head.number
            before = self.revisions[asked.to - 1].spec
            self.store(revising.undone(self.head.spec, before, [asked.service]))
        self._live()
        return self.last

    def run(self, passes: int = 200) -> Plan:
        """Passes until nothing is left that time would end; time flies while waiting."""
        for _ in range(passes):
            decided = self.step()
            if decided.waves or decided.rollbacks:
                continue
            times = [each.until for each in decided.waiting if each.until is not None]
            timed = [each for each in decided.waiting if each.reason in ("HealthStarting", "Restarting")]
            if not times and not timed:
                return decided
            self.fleet.now = max(self.fleet.now, min(times, default=self.fleet.now))
        raise AssertionError(f"no end in {passes} passes: {decided}")

    def rollout(self, name: str = "web") -> Rollout:
        return next(each for each in self.fleet.memory.rollouts if each.service == name)

    def hold(self) -> None:
        self.fleet.memory = replace(self.fleet.memory, holds=(Hold("s", self.fleet.now, "ann"),))

    def images(self, name: str = "web") -> dict[str, int]:
        """How many containers of each image run."""
        return dict(Counter(box.image for _, box in self.boxes(name) if box.state is ContainerState.RUNNING))

    def serving(self, name: str = "web") -> int:
        """How many slots have a container that does its work."""
        good = (Health.NONE, Health.HEALTHY)
        return len(
            {
                box.label("shipyard.slot")
                for _, box in self.boxes(name)
                if box.state is ContainerState.RUNNING and box.health in good
            }
        )

    def boxes(self, name: str = "web") -> list[tuple[str, Container]]:
        return [
            (node.name, box)
            for node in self.fleet.nodes.values()
            for box in node.boxes.values()
            if box.label("shipyard.service") == name
        ]

    def change(self, node: str, box: Container, **changes: Any) -> None:
        self.fleet.nodes[node].boxes[box.id] = replace(box, **changes)

    def _live(self) -> None:
        for node in self.fleet.nodes.values():
            for box in list(node.boxes.values()):
                if box.state is not ContainerState.RUNNING:
                    continue
                if box.image in self.bad:
                    self.change(node.name, box, state=ContainerState.EXITED, exit_code=1, log="no database\n")
                elif box.image in self.done:
                    self.change(node.name, box, state=ContainerState.EXITED, exit_code=0)
                elif box.image in self.sick and box.health is not Health.NONE:
                    self.change(node.name, box, health=Health.UNHEALTHY, log="no database\n")
                elif box.health is Health.STARTING and box.image not in self.slow:
                    self.change(node.name, box, health=Health.HEALTHY)
