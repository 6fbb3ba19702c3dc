"""Stories of a fleet: what people want of it and what befalls it, drawn from a number: the same ones for the same.

A story is a list of events, each with a number of its own that says what it hits. So any of them can be left out
and the rest still means the same: that is how a story that breaks a promise becomes a short one.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec, Healthcheck, Member, Mount, Port, Probe, Probes
from shipyard.model.node import Availability, Taint
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import (
    Autoscale,
    Canary,
    JobRules,
    NetworkSpec,
    PlacementRules,
    Reservations,
    Revision,
    ServiceSpec,
    StackSpec,
    UpdatePolicy,
    VolumeSpec,
)
from shipyard.planner import revising
from shipyard.planner.hpa import TOLERANCE
from shipyard.planner.scaling import WINDOW
from shipyard.reconcile.run import TIMED
from tests.simulated import SimulatedNode
from tests.watched import BrokenError, WatchedFleet, in_short

NODES = ("n1", "n2", "n3", "n4")
NAMES = ("web", "api", "db", "cron")
IMAGES = ("app:1", "app:2", "app:3")
MINUTE = 61.0
"""Seconds between passes while nothing happens, as a crontab has it: autoscaling looks more often than that."""
CHECKED = Healthcheck(("CMD", "true"))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens. `pick`: what it hits, and how."""

    what: str
    pick: int


def told(seed: int) -> list[Event]:
    """The story of this number."""
    dice = random.Random(seed)
    weighted = [name for name, (weight, _) in EVENTS.items() for _ in range(weight)]
    first = [Event("apply", dice.randrange(1 << 30)), Event("passes", 3)]
    events = first + [Event(dice.choice(weighted), dice.randrange(1 << 30)) for _ in range(dice.randrange(2, 9))]
    loads = random.Random(f"loads {seed}")
    for _ in range(loads.randrange(4)):
        what = loads.choice(("load", "load", "load", "unmeasured"))
        events.insert(loads.randrange(1, len(events) + 1), Event(what, loads.randrange(1 << 30)))
    for _ in range(loads.choice((0, 0, 1, 2))):
        events.insert(loads.randrange(1, len(events) + 1), Event("canary", loads.randrange(1 << 30)))
    return events


class Story:
    """A control machine and its fleet, while a story is being told."""

    def __init__(self) -> None:
        self.fleet = WatchedFleet(NODES, IMAGES)
        self.fleet.healthy_at_once = False
        self.bad: set[str] = set()
        self.loads: dict[str, float] = {}
        self.unmeasured: set[str] = set()
        self.fleet.use = self._use
        self.revisions: list[Revision] = []
        self.eligible = NODES

    def tell(self, events: Sequence[Event]) -> None:
        """All of it, with a pass after each event; then peace, in which everything comes to rest.

        Raises BrokenError where a promise is not kept.
        """
        for event in events:
            EVENTS[event.what][1](self, event.pick)
            self.one_pass()
        self._peace()

    def one_pass(self, killed_after: int | None = None) -> Plan:
        decided = self.fleet.watched_pass(self.stacks, killed_after=killed_after)
        for asked in decided.rollbacks if killed_after is None else ():
            before = self.revisions[asked.to - 1].spec
            self.store(revising.undone(self.revisions[-1].spec, before, [asked.service]))
        self._live()
        return decided

    @property
    def stacks(self) -> tuple[DesiredStack, ...]:
        if not self.revisions:
            return ()
        head = self.revisions[-1]
        return (DesiredStack(head, tuple((service.name, NODES) for service in head.spec.services)),)

    def store(self, spec: StackSpec) -> None:
        """A new revision, unless it says the same."""
        digest = stack_digest(spec)
        if not self.revisions or self.revisions[-1].digest != digest:
            self.revisions.append(Revision("s", len(self.revisions) + 1, spec, digest, self.fleet.now, "me"))
        policies = [
            (service.name, service.update, service.rollback)
            for each in self.revisions
            for service in each.spec.services
        ]
        self.fleet.patient = {name for name, *both in policies if any(each.order == "start-first" for each in both)}

    def _use(self, box: Container) -> tuple[float | None, int | None]:
        """The work of a service is shared evenly by its replicas; what is beside the main container has none."""
        service = box.label(labels.SERVICE) or ""
        if service in self.unmeasured:
            return None, None
        if box.label(labels.ROLE):
            return 0.0, 0
        sharing = [other for _, other in self.fleet.running() if _shares(other, service)]
        return self.loads.get(service, 0.0) / max(len(sharing), 1), 0

    def _live(self) -> None:
        """What containers do by themselves: bad images end, health checks pass, jobs are done."""
        for node in self.fleet.nodes.values():
            for box in list(node.boxes.values()):
                if box.state is not ContainerState.RUNNING or box.label(labels.ROLE) == "holder":
                    continue
                if box.label(labels.ROLE) == "init":
                    node.boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=0, ended=0.0)
                elif box.image in self.bad:
                    node.boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=1, ended=0.0)
                elif box.label(labels.RUN) and box.label(labels.ROLE) != "sidecar" and box.age and box.age > 4:
                    node.boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=0, ended=0.0)
                elif box.health is Health.STARTING:
                    node.boxes[box.id] = replace(box, health=Health.HEALTHY)

    def _peace(self) -> None:
        self.bad.clear()
        self.fleet.deaf.clear()
        self.unmeasured.clear()
        if self.revisions:  # what is due each minute never rests
            head = self.revisions[-1].spec
            self.store(_stack([service for service in head.services if not service.job.schedule]))
        for node in self.fleet.nodes.values():
            node.up, node.availability, node.drain_until, node.dead = True, Availability.ACTIVE, 0.0, False
            node.taints = ()
        last = self._scaled_to_fit(self._rested())
        again = self.fleet.watched_pass(self.stacks)
        if again.waves or again.blocked != last.blocked:
            raise BrokenError(f"it had come to rest, and then: {in_short(again)}")
        self._check_all_there({each.target for each in (*last.blocked, *last.waiting)})

    @property
    def _rules(self) -> dict[str, tuple[Autoscale, float]]:
        """How many replicas services are to have by their use, and the cpus that each of them reserves."""
        head = self.revisions[-1].spec if self.revisions else _stack([])
        return {each.name: (each.autoscale, each.reservations.cpus) for each in head.services if each.autoscale}

    def _scaled_to_fit(self, last: Plan) -> Plan:
        """While the work stays the same, so does the number of replicas in the end: as many as it asks for."""
        steady = 0
        for _ in range(100) if self._rules else ():
            before = {scale.key: scale.wanted for scale in self.fleet.memory.scales}
            self.fleet.sleep(MINUTE)
            last = self._rested()
            steady = steady + 1 if before == {scale.key: scale.wanted for scale in self.fleet.memory.scales} else 0
            if steady * MINUTE > WINDOW:
                break
        else:
            if self._rules:
                raise BrokenError(f"it is scaled again and again: {self.fleet.memory.scales}")
        for scale in self.fleet.memory.scales:
            rule, reserved = self._rules[scale.service]  # as they are now: an update may have been taken back meanwhile
            serving = sum(name == scale.service for name, _ in self.fleet.ready())
            sharing = sum(_shares(box, scale.service) for _, box in self.fleet.running())
            if rule.cpu is None or not serving == sharing == scale.wanted:  # a paused update may have left one beside
                continue
            asked = self.loads.get(scale.service, 0.0) / (reserved * rule.cpu)
            fitting = min(max(math.ceil(asked - 1e-9), rule.least), rule.most)
            if scale.wanted != fitting and abs(asked / scale.wanted - 1) > TOLERANCE + 1e-9:
                raise BrokenError(f"{asked} replicas are asked for, {fitting} fit the rule {rule}: {scale}")
        return last

    def _check_all_there(self, excused: set[str]) -> None:
        """Each slot has one container at work, from the newest revision, or it was said why not."""
        at_work = Counter(
            f"s/{box.label(labels.SERVICE)}.{box.label(labels.SLOT)}"
            for _, box in self.fleet.running()
            if not box.label(labels.RUN) and not box.label(labels.ROLE)
        )
        services = self.fleet.services_of(self.stacks)
        wanted = {
            f"s/{each.name}.{slot}"
            for each in services.values()
            if each.mode == "replicated"
            for slot in range(1, each.replicas + 1)
        }
        free = {name for name, each in services.items() if each.mode == "global"}
        odd = {
            target
            for target in wanted | at_work.keys()
            if at_work[target] != (target in wanted) and _service_of(target) not in free
        }
        twice = {target for target, count in at_work.items() if count > 1}
        bad = {target for target in odd | twice if not {target, target.rpartition(".")[0]} & excused}
        if bad:
            raise BrokenError(f"{sorted(bad)} not as declared: {dict(at_work)}, and excused are {sorted(excused)}")

    def _rested(self) -> Plan:
        """Passes until nothing is left that time would end, and nothing else is said any more.

        What was restarted often counts as serving again after a while: then others wait for something else.
        """
        before = None
        for _ in range(150):
            working = any(map(_ends_by_itself, self.fleet.running()))
            decided, last = self.one_pass(), before
            before = decided.blocked
            if decided.waves or decided.rollbacks:
                continue
            timed = [each.until for each in decided.waiting if each.reason in TIMED]
            if not timed and last == decided.blocked and not working:
                return decided
            self.fleet.sleep(max(1.0, min((until or 0.0 for until in timed), default=0.0) - self.fleet.now))
        raise BrokenError(f"it does not come to rest: {in_short(decided)}")


def _ends_by_itself(found: tuple[str, Container]) -> bool:
    """A job's container at work: what runs beside it goes once it has ended."""
    return bool(found[1].label(labels.RUN)) and found[1].label(labels.ROLE) not in ("holder", "sidecar")


def _shares(box: Container, service: str) -> bool:
    return box.label(labels.SERVICE) == service and not box.label(labels.ROLE) and not box.label(labels.RUN)


def _service_of(target: str) -> str:
    return target.partition("/")[2].partition(".")[0]


def run(seed: int) -> None:
    """Tell the story of a number; where it breaks a promise, find a short part of it that still does, and say it."""
    events = told(seed)
    try:
        Story().tell(events)
    except AssertionError:
        events = shortened(events)
        try:
            Story().tell(events)
        except AssertionError as error:
            words = ", ".join(f"Event({event.what!r}, {event.pick})" for event in events)
            raise BrokenError(f"story {seed}: {error}\nStory().tell([{words}])") from error


def shortened(events: list[Event]) -> list[Event]:
    """Without the events that don't matter."""
    index = 0
    while index < len(events):
        shorter = events[:index] + events[index + 1 :]
        try:
            Story().tell(shorter)
        except AssertionError:
            events = shorter
        else:
            index += 1
    return events


def _service(name: str, dice: random.Random) -> ServiceSpec:
    policies = [
        UpdatePolicy(
            parallelism=dice.choice((0, 1, 1, 2)),
            delay=dice.choice((0.0, 0.0, 5.0)),
            failure_action=dice.choice(("pause", "continue", "rollback")),
            order=dice.choice(("stop-first", "start-first")),
            max_failure_ratio=dice.choice((0.0, 0.0, 0.5)),
        )
        for _ in range(2)
    ]
    kind = dice.choice(("plain", "plain", "port", "data", "own data"))
    networks = tuple(Attachment(f"s_{key}", (name,)) for key in ("back", "default") if dice.random() < 0.5)
    container = ContainerSpec(
        image=dice.choice(IMAGES),
        environment=(("V", dice.choice("ab")),),
        networks=networks,
        network_mode=None if networks else "none",
        members=_members(dice) if dice.random() < 0.2 else (),
        ports=(Port(80, 8000 + NAMES.index(name) % 2, mode="host"),) if kind == "port" else (),
        mounts=(Mount("volume", "/data", f"s_{name}"),) if "data" in kind else (),
        healthcheck=CHECKED if dice.random() < 0.5 else None,
    )
    return ServiceSpec(
        name,
        container,
        mode=dice.choice(("replicated", "replicated", "replicated", "global")),
        replicas=dice.randrange(0, 6),
        placement=PlacementRules(
            max_replicas_per_node=dice.choice((None, None, 1, 2)), strategy=dice.choice(("spread", "binpack"))
        ),
        reservations=Reservations(dice.choice((0.0, 0.0, 0.5, 1.0)), dice.choice((0, 0, 1, 2)) * 2**30),
        update=policies[0],
        rollback=policies[1],
        per_replica=(f"s_{name}",) if kind == "own data" else (),
        order=dice.choice(("parallel", "parallel", "ordered")),
        priority=dice.choice((0, 0, 0, 5, 10)),
        probes=_probes(dice) if dice.random() < 0.3 else Probes(),
    )


def _members(dice: random.Random) -> tuple[Member, ...]:
    """What runs beside or before the main container. It shares the network of that."""
    members = (Member("migrate", "init", ContainerSpec("app:1")), Member("proxy", "sidecar", ContainerSpec("app:1")))
    return tuple(each for each in members if dice.random() < 0.7) or members[:1]


def _probes(dice: random.Random) -> Probes:
    probe = Probe("exec", command=("true",), period=5.0, failures=dice.choice((1, 3)))
    return Probes(readiness=probe) if dice.random() < 0.5 else Probes(liveness=probe, readiness=probe)


def _job(dice: random.Random) -> ServiceSpec:
    rules = JobRules(
        completions=dice.choice((1, 2)),
        retries=dice.choice((0, 2)),
        schedule=dice.choice(("", "* * * * *")),
        concurrency=dice.choice(("allow", "forbid", "replace")),
    )
    others = (
        Member("first", "init", ContainerSpec("app:2")),
        Member("proxy", "sidecar", ContainerSpec("app:1")),
        Member("second", "main", ContainerSpec("app:1")),
    )
    members = tuple(each for each in others if dice.random() < 0.5)
    container = ContainerSpec("app:1", network_mode="none", members=members)
    return ServiceSpec("cron", container, mode="replicated-job", job=rules)


def _stack(services: Sequence[ServiceSpec]) -> StackSpec:
    own = tuple(sorted(services, key=lambda service: service.name))
    return StackSpec(
        "s",
        own,
        (NetworkSpec("s_back", "back"), NetworkSpec("s_default", "default")),
        tuple(VolumeSpec(f"s_{each.name}", each.name, per_replica=bool(each.per_replica)) for each in own),
    )


def _apply(story: Story, pick: int) -> None:
    dice = random.Random(pick)
    names = [name for name in NAMES[:3] if dice.random() < 0.6] or ["web"]
    jobs = [_job(dice)] if dice.random() < 0.2 else []
    services = [_service(name, dice) for name in names]
    story.store(_stack([*(_autoscaled(each, dice) for each in services), *jobs]))
    for name in names:
        _load(story, NAMES.index(name) + 3 * dice.randrange(6))


def _autoscaled(service: ServiceSpec, dice: random.Random) -> ServiceSpec:
    """Some have as many replicas as their use asks for."""
    if service.mode != "replicated" or dice.random() < 0.75:
        return service
    least = dice.randrange(1, 4)
    rule = Autoscale(least, least + dice.randrange(0, 5), cpu=dice.choice((0.5, 0.8)))
    aside = replace(service.reservations, cpus=service.reservations.cpus or 0.25)
    return replace(service, autoscale=rule, reservations=aside)


def _load(story: Story, pick: int) -> None:
    """A service has more to do, or less."""
    story.loads[NAMES[pick % 3]] = (0.0, 0.1, 0.3, 0.7, 1.3, 9.0)[pick // 3 % 6]


def _unmeasured(story: Story, pick: int) -> None:
    """A runtime does not say what a service uses, or does so again."""
    story.unmeasured ^= {NAMES[pick % 3]}


def _change(story: Story, pick: int, change: Callable[[ServiceSpec, random.Random], ServiceSpec | None]) -> None:
    """One service gets another image and environment, and what else there is to change; None for one left alone."""
    if not story.revisions:
        return
    dice = random.Random(pick)
    services = {service.name: service for service in story.revisions[-1].spec.services}
    service = services[dice.choice(sorted(services))]
    container = replace(service.container, image=dice.choice(IMAGES), environment=(("V", dice.choice("abc")),))
    changed = change(replace(service, container=container), dice)
    if changed is not None:
        services[service.name] = changed
        story.store(_stack(list(services.values())))


def _edit(story: Story, pick: int) -> None:
    """One service is changed in what updates are mostly about."""
    _change(
        story,
        pick,
        lambda service, dice: replace(service, replicas=max(0, service.replicas + dice.choice((-2, 0, 0, 0, 1)))),
    )


def _canary(story: Story, pick: int) -> None:
    """A changed service goes to a few replicas first, and is judged for a while."""

    def with_canary(service: ServiceSpec, dice: random.Random) -> ServiceSpec | None:
        canary = Canary(dice.choice((1, 1, 2)), dice.choice((10.0, 60.0, 600.0)))
        return replace(service, canary=canary) if service.mode in ("replicated", "global") else None

    _change(story, pick, with_canary)


def _back(story: Story, pick: int) -> None:
    if story.revisions:
        story.store(story.revisions[pick % len(story.revisions)].spec)


def _box(change: Callable[[SimulatedNode, Container], None]) -> Callable[[Story, int], None]:
    """Something happens to one container, if there is any."""

    def happen(story: Story, pick: int) -> None:
        boxes = [(node, key) for _, node in sorted(story.fleet.nodes.items()) for key in sorted(node.boxes)]
        if boxes:
            node, key = boxes[pick % len(boxes)]
            change(node, node.boxes[key])

    return happen


def _ends(code: int) -> Callable[[SimulatedNode, Container], None]:
    def change(node: SimulatedNode, box: Container) -> None:
        if box.state is ContainerState.RUNNING:
            node.boxes[box.id] = replace(box, state=ContainerState.EXITED, exit_code=code, ended=0.0)

    return change


def _is(**changes: object) -> Callable[[SimulatedNode, Container], None]:
    def change(node: SimulatedNode, box: Container) -> None:
        if box.state is ContainerState.RUNNING:
            node.boxes[box.id] = replace(box, **changes)  # type: ignore[arg-type]  # fields by keyword

    return change


def _ill(node: SimulatedNode, box: Container) -> None:
    if box.state is ContainerState.RUNNING and box.health is not Health.NONE:
        node.boxes[box.id] = replace(box, health=Health.UNHEALTHY)


def _loops(node: SimulatedNode, box: Container) -> None:
    if box.state is ContainerState.RUNNING:
        node.boxes[box.id] = replace(box, restarts=box.restarts + 4, age=0.01)


def _removed(node: SimulatedNode, box: Container) -> None:
    del node.boxes[box.id], node.specs[box.id]


def _network_gone(story: Story, pick: int) -> None:
    node = _node(story, pick)
    if node.networks:
        name = sorted(node.networks)[pick // 8 % len(node.networks)]
        del node.networks[name]
        for key, box in node.boxes.items():
            left = tuple(each for each in box.networks if each.network != name)
            node.boxes[key] = replace(box, networks=left)


def _volume_gone(story: Story, pick: int) -> None:
    """Someone deletes a volume, and the containers that used it."""
    node = _node(story, pick)
    if node.volumes:
        name = sorted(node.volumes)[pick // 8 % len(node.volumes)]
        for key in [key for key, spec in node.specs.items() if any(mount.source == name for mount in spec.mounts)]:
            del node.boxes[key], node.specs[key]
        del node.volumes[name]
        story.fleet.emptied.add((node.name, name))


def _node(story: Story, pick: int) -> SimulatedNode:
    return story.fleet.nodes[NODES[pick % len(NODES)]]


def _silent(story: Story, pick: int) -> None:
    _node(story, pick).up = False


def _answers(story: Story, pick: int) -> None:
    for node in story.fleet.nodes.values():
        node.up, node.dead = True, False


def _rebooted(story: Story, pick: int) -> None:
    """The runtime starts again what it is to restart; some things do not come up."""
    node = _node(story, pick)
    for number, (key, box) in enumerate(sorted(node.boxes.items())):
        if box.state is ContainerState.RUNNING:
            up = bool(pick >> number & 1) and not box.label(labels.RUN)
            state = ContainerState.RUNNING if up else ContainerState.EXITED
            node.boxes[key] = replace(box, state=state, age=0.0, exit_code=None if up else 137)


def _availability(said: Availability, patience: float = 0.0) -> Callable[[Story, int], None]:
    def happen(story: Story, pick: int) -> None:
        node = _node(story, pick)
        node.availability = said
        node.drain_until = story.fleet.now + patience if patience else 0.0

    return happen


def _tainted(story: Story, pick: int) -> None:
    effect = ("NoSchedule", "PreferNoSchedule", "NoExecute")[pick // 8 % 3]
    _node(story, pick).taints = (Taint("kept", "", effect),) if pick // 32 % 3 else ()


def _deaf(story: Story, pick: int) -> None:
    """A service no longer answers its probes, or does so again."""
    story.fleet.deaf ^= {NAMES[pick % 3]}


def _image(story: Story, pick: int) -> None:
    story.bad ^= {IMAGES[pick % len(IMAGES)]}


def _killed(story: Story, pick: int) -> None:
    story.one_pass(killed_after=pick % 6)


def _passes(story: Story, pick: int) -> None:
    for _ in range(pick % 4 + 1):
        story.one_pass()


def _time(story: Story, pick: int) -> None:
    story.fleet.sleep((3.0, 15.0, 61.0, 400.0)[pick % 4])


def _long(story: Story, pick: int) -> None:
    """Long enough for a silent node to be lost."""
    for _ in range(5):
        story.fleet.sleep(100.0)
        story.one_pass()


EVENTS: dict[str, tuple[int, Callable[[Story, int], None]]] = {
    "apply": (1, _apply),
    "edit": (5, _edit),
    "back": (2, _back),
    "ended badly": (2, _box(_ends(1))),
    "ended well": (1, _box(_ends(0))),
    "ill": (2, _box(_ill)),
    "loops": (1, _box(_loops)),
    "removed": (2, _box(_removed)),
    "paused": (1, _box(_is(state=ContainerState.PAUSED))),
    "disconnected": (1, _box(_is(networks=()))),
    "network gone": (1, _network_gone),
    "volume gone": (1, _volume_gone),
    "silent": (3, _silent),
    "answers": (2, _answers),
    "rebooted": (1, _rebooted),
    "drained": (2, _availability(Availability.DRAIN)),
    "drained soon": (1, _availability(Availability.DRAIN, 20.0)),
    "cordoned": (1, _availability(Availability.PAUSE)),
    "activated": (2, _availability(Availability.ACTIVE)),
    "tainted": (2, _tainted),
    "deaf": (1, _deaf),
    "image": (2, _image),
    "killed": (2, _killed),
    "canary": (0, _canary),
    "load": (0, _load),
    "unmeasured": (0, _unmeasured),
    "passes": (4, _passes),
    "time": (3, _time),
    "long": (2, _long),
}
"""What happens, how often compared with the rest, and how. What services have to do changes beside all that."""
