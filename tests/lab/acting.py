"""Observing and acting on a lab's nodes over ssh, below the program: for tests of what reaches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shipyard.base.record import replace
from shipyard.execute.run import execute
from shipyard.execute.script import Fence
from shipyard.files.inventory import connection_of, load
from shipyard.lab.images import BUSYBOX
from shipyard.lab.lab import Lab
from shipyard.model.container import ContainerSpec
from shipyard.model.observed import Container, Observation, ObservedNode
from shipyard.model.plan import Action, CreateContainer, Outcome, Status, Step
from shipyard.observe.fleet import observe
from shipyard.observe.probe import NodeRequest
from shipyard.runtime.dialects import by_name
from shipyard.transport.fleet import Fleet

CLUSTER = "ac71ab"
LABELS = (("shipyard.cluster", CLUSTER), ("shipyard.service", "web"), ("shipyard.stack", "t"))
FENCE = Fence(CLUSTER, "store-one", 1)


@dataclass
class Acting:
    """A lab, and the program's own connections to it."""

    lab: Lab
    fleet: Fleet

    @staticmethod
    def on(lab: Lab, *, aliases: dict[str, str] | None = None) -> Acting:
        """`aliases`: more names for nodes."""
        inventory = load([str(lab.inventory)], cwd=Path("/"))
        hosts = {host.name: connection_of(inventory, host) for host in inventory.hosts}
        hosts |= {alias: hosts[name] for alias, name in (aliases or {}).items()}
        return Acting(lab, Fleet(hosts))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.lab.nodes)

    def name_of(self, runtime: str) -> str:
        return next(node.name for node in self.lab.nodes if node.runtime == runtime)

    def look(self, *nodes: str, request: NodeRequest | None = None) -> tuple[Observation, ...]:
        """Observe these nodes, or all."""
        asked = request or NodeRequest("", CLUSTER)
        return observe(self.fleet, [replace(asked, name=name) for name in nodes or self.names], timeout=60)

    def seen(self, node: str, request: NodeRequest | None = None) -> ObservedNode:
        (found,) = self.look(node, request=request)
        assert isinstance(found, ObservedNode), found
        return found

    def container(self, node: str, name: str) -> Container:
        return next(box for box in self.seen(node).containers if box.name == name)

    def act(self, actions: Sequence[Action], fence: Fence = FENCE) -> tuple[Outcome, ...]:
        dialects = {node.name: by_name(node.runtime) for node in self.lab.nodes}
        return execute(self.fleet, actions, dialects, fence)

    def must(self, actions: Sequence[Action], fence: Fence = FENCE) -> tuple[Outcome, ...]:
        """Act, and all of it has to succeed."""
        outcomes = self.act(actions, fence)
        assert {outcome.status for outcome in outcomes} == {Status.DONE}, [
            (outcome.action.step, outcome.status, outcome.message) for outcome in outcomes
        ]
        return outcomes

    def inside(self, node: str, container: str, script: str) -> str:
        """What a script says inside a container."""
        done = self.lab.run(node, [self.lab.node(node).runtime, "exec", container, "sh", "-c", script])
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


def steps(node: str, *chosen: Step, first: int = 1) -> list[Action]:
    """Actions for one node, each needing the one before."""
    return [
        Action(number, node, "t/web.1", "Test", "as the test says", step, (number - 1,) if number > first else ())
        for number, step in enumerate(chosen, start=first)
    ]


def create(name: str, **fields: object) -> CreateContainer:
    chosen = {"image": BUSYBOX, "command": ("sleep", "1000"), "stop_grace_period": 0.0, **fields}
    return CreateContainer(name, ContainerSpec(**chosen), LABELS)  # type: ignore[arg-type]  # fields of the spec
