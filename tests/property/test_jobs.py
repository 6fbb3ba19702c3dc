"""Random jobs, faults and kills in virtual time: one due time is never begun twice, and in the end all is at rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base import cron
from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import ContainerSpec, Member
from shipyard.model.memory import Memory
from shipyard.model.observed import ContainerState
from shipyard.model.plan import Action, CreateContainer
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import JobRules, Revision, ServiceSpec, StackSpec
from shipyard.planner.job_schedule import asked
from tests.simulated import SimulatedFleet

NODES = ("n1", "n2", "n3")
SCHEDULES = ("", "* * * * *", "*/3 * * * *", "0 * * * *")
WAYS = (
    *("pass", "kill", "late", "end", "fail", "rm", "down", "up", "wait", "sleep", "spec", "ask", "forget", "wipe"),
    *("stop", "pause"),
)
MEMBERS = (
    Member("first", "init", ContainerSpec("app:2")),
    Member("then", "init", ContainerSpec("app:3")),
    Member("proxy", "sidecar", ContainerSpec("app:2")),
    Member("second", "main", ContainerSpec("app:3")),
)


@st.composite
def declared(draw: st.DrawFn) -> ServiceSpec:
    mode: Any = draw(st.sampled_from(["replicated-job", "replicated-job", "global-job"]))
    rules = JobRules(
        completions=draw(st.integers(1, 3)) if mode == "replicated-job" else 1,
        max_concurrent=draw(st.integers(0, 2)),
        retries=draw(st.sampled_from([0, 0, 2])),
        schedule=draw(st.sampled_from(SCHEDULES)),
        concurrency=draw(st.sampled_from(["allow", "forbid", "replace"])),
        catch_up=draw(st.sampled_from([0.0, 300.0, 7200.0])),
        deadline=draw(st.sampled_from([0.0, 90.0])),
        keep=draw(st.integers(0, 2)),
        retry_unknown=draw(st.sampled_from([False, False, True])),
    )
    members = tuple(each for each in MEMBERS if draw(st.booleans())) if draw(st.booleans()) else ()
    return ServiceSpec("job", ContainerSpec("app:1", network_mode="none", members=members), mode=mode, job=rules)


class Watched(SimulatedFleet):
    """Counts what is begun: by run, task, attempt and container; in a global job it is one for each node.

    A sidecar does nothing that may not be done twice.
    """

    def __init__(self) -> None:
        super().__init__(NODES)
        self.begun: Counter[tuple[str, str, str]] = Counter()

    def _step(self, node: Any, action: Action) -> None:
        super()._step(node, action)
        if isinstance(action.step, CreateContainer):
            said = dict(action.step.labels)
            if said.get(labels.ROLE) != "sidecar":
                self.begun[said[labels.RUN], said.get(labels.MEMBER, ""), node.name] += 1


@dataclass
class Life:
    """A fleet with one job, and what happens to it. `late`: what a killed pass left for its scripts to do."""

    service: ServiceSpec
    fleet: Watched = field(default_factory=Watched)
    number: int = 1
    forgotten: int = 0
    late: tuple[Action, ...] = ()

    @property
    def desired(self) -> tuple[DesiredStack, ...]:
        spec = StackSpec("s", (self.service,))
        revision = Revision("s", self.number, spec, stack_digest(spec), 0.0, "me")
        return (DesiredStack(revision, (("job", NODES),)),)

    def happen(self, way: str, pick: int) -> None:
        fleet, node = self.fleet, self.fleet.nodes[NODES[pick % len(NODES)]]
        match way:
            case "pass":
                fleet.one_pass(self.desired, meanwhile=self.late)
                self.late = ()
            case "kill" | "late":
                count = pick % 5
                decided = fleet.one_pass(self.desired, killed_after=count, meanwhile=self.late)
                wave = decided.waves[0] if decided.waves else ()
                self.late = wave[count:] if way == "late" else ()
                fleet.sleep(1)
            case "end" | "fail":
                fleet.end(way == "fail")
            case "rm":
                for identity in list(node.boxes)[pick % 4 :][:1]:
                    del node.boxes[identity], node.specs[identity]
            case "stop" | "pause":
                for identity, box in list(node.boxes.items())[pick % 4 :][:1]:
                    if box.state is ContainerState.RUNNING:
                        state = ContainerState.PAUSED if way == "pause" else ContainerState.EXITED
                        code = None if way == "pause" else 137
                        node.boxes[identity] = replace(box, state=state, exit_code=code)
            case "down" | "up":
                node.up = way == "up"
            case "wait" | "sleep":
                fleet.sleep((20, 100)[pick % 2] if way == "wait" else 3600 * (1 + pick % 5))
            case "spec":
                self.number += 1
                self.service = replace(
                    self.service, container=replace(self.service.container, image=f"app:{pick % 3 + 1}")
                )
            case "ask":
                try:
                    fleet.memory, _ = asked(fleet.memory, "s", self.service, self.number, fleet.now)
                except ValueError:
                    return
            case "forget" if all(each.up and not each.machine for each in fleet.nodes.values()) and not self.late:
                fleet.memory = Memory()
                self.forgotten += 1
                fleet.one_pass(self.desired)
            case "wipe":
                node.boxes.clear()
                node.specs.clear()
                node.markers.clear()
                node.images.clear()
                node.machine += "anew "
                self.late = tuple(action for action in self.late if action.node != node.name)
            case _:
                pass


@settings(max_examples=75, deadline=None)
@given(service=declared(), ways=st.lists(st.tuples(st.sampled_from(WAYS), st.integers(0, 60)), max_size=30))
def test_nothing_is_begun_twice_and_in_the_end_all_rests(service: ServiceSpec, ways: list[tuple[str, int]]) -> None:
    life = Life(service)
    rules = service.job
    for way, pick in ways:
        life.happen(way, pick)
        check(life)
    for node in life.fleet.nodes.values():
        node.up = True
    life.happen("pass", 0)
    if rules.schedule:
        life.service = replace(service, container=life.service.container, job=replace(rules, schedule="0 0 29 2 *"))
    for _ in range(60):
        decided = life.fleet.one_pass(life.desired)
        check(life)
        life.fleet.end()
        life.fleet.sleep(400)
        if not decided.waves and not decided.waiting:
            break
    decided = life.fleet.one_pass(life.desired)
    assert not decided.waves
    assert not decided.waiting
    assert life.fleet.one_pass(life.desired).memory.jobs == decided.memory.jobs
    assert not decided.memory.placements
    assert not life.fleet.running(), "sidecars and holders end with what they are there for"


def check(life: Life) -> None:
    """No attempt was begun twice; nor was a task, but for the attempts that its job allows."""
    service, fleet = life.service, life.fleet
    assert max(fleet.begun.values(), default=0) <= 1, fleet.begun
    attempts = Counter(
        (marker.rpartition(".")[0], member, node if service.mode == "global-job" else "")
        for marker, member, node in fleet.begun
    )
    if not service.job.retry_unknown:
        assert max(attempts.values(), default=0) <= 1 + (service.job.retries or 0) * (1 + life.forgotten), attempts
    if service.mode == "replicated-job":
        assert max(Counter(each[:2] for each in fleet.begun).values(), default=0) <= 1, fleet.begun
    for marker, _, _ in fleet.begun:
        name = marker.partition(".")[0]
        if name.startswith("due-"):
            due = float(name.removeprefix("due-"))
            assert due in (cron.latest(each, "UTC", due - 1, due) for each in SCHEDULES if each)


def test_a_due_time_is_not_begun_again_by_a_pass_that_knows_nothing_of_the_first() -> None:
    rules = JobRules(schedule="* * * * *", retries=0)
    life = Life(ServiceSpec("job", ContainerSpec("app:1", network_mode="none"), mode="replicated-job", job=rules))
    life.happen("pass", 0)
    life.fleet.sleep(60)
    before = life.fleet.memory
    life.happen("pass", 0)
    life.fleet.memory = before  # a backup that was restored
    life.happen("pass", 0)
    assert len(life.fleet.begun) == 1
    check(life)
