"""`depends_on`: what has to be so before a replica starts for the first time, or is updated."""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.base.record import Struct
from shipyard.model.job import JOB_MODES
from shipyard.model.plan import Blocked, Notice, Waiting
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Dependency, ServiceSpec
from shipyard.planner import job_schedule
from shipyard.planner.condition import Kind
from shipyard.planner.turns import Turn, turn_of
from shipyard.planner.world import World

HOPELESS = (Kind.FAILED, Kind.LOOPING, Kind.RECREATE)
"""What is in such a state is not waited for by who does not require it."""


class Unmet(Struct, frozen=True):
    """`failed`: it ended badly and is not tried again. `hopeless`: it will hardly be met by waiting."""

    detail: str
    failed: bool = False
    hopeless: bool = False

    def tell(self, world: World, target: str) -> None:
        """Say so, of the replica that it keeps waiting."""
        if self.failed:
            world.wave.blocked.append(Blocked(target, "DependencyFailed", self.detail))
        else:
            world.wave.waiting.append(Waiting(target, "DependsOn", self.detail))


def in_order(services: Iterable[ServiceSpec]) -> list[ServiceSpec]:
    """Each after those that it depends on, so that a pass which sees one ready lets the other one go on."""
    left = {service.name: service for service in services}
    found: list[ServiceSpec] = []

    def take(service: ServiceSpec) -> None:
        for need in service.depends_on:
            if before := left.pop(need.service, None):
                take(before)
        found.append(service)

    while left:
        take(left.pop(next(iter(left))))
    return found


def unmet(world: World, stack: DesiredStack, service: ServiceSpec, *, update: bool) -> Unmet | None:
    """The first dependency that is not as it should be. `update`: it must have been updated, too."""
    for need in service.depends_on:
        other = stack.revision.spec.service(need.service)
        if other is None or (other.mode == "replicated" and other.replicas == 0):
            continue
        problem = _problem(world, stack, other, need, update=update)
        if problem is not None and problem.hopeless and not need.required:
            detail = f"does not wait for {need.service}, which it does not require: {problem.detail}"
            world.wave.notices.append(Notice(f"{stack.revision.stack}/{service.name}", "NotRequired", detail))
        elif problem is not None:
            return problem
    return None


def _problem(world: World, stack: DesiredStack, other: ServiceSpec, need: Dependency, *, update: bool) -> Unmet | None:
    if other.mode in JOB_MODES:
        return _of_job(world, stack, other, need)
    turns = _turns(world, stack, other)
    match need.condition:
        case "service_started":
            if update:
                started = any(not turn.outdated and _has_started(turn) for turn in turns)
            else:
                started = any(_has_started(turn) for turn in turns) or _any_started(world, stack, other)
            words = "has been updated" if update and turns else "has been started"
            return None if started else _why(other, turns, words)
        case "service_healthy":
            looked = [turn for turn in turns if turn.kind != Kind.UNSEEN]
            well = bool(looked) and all(turn.kind == Kind.READY and not (update and turn.outdated) for turn in looked)
            return None if well else _why(other, turns, "is healthy")
        case "service_completed_successfully":
            done = bool(turns) and all(turn.kind == Kind.COMPLETED and not turn.outdated for turn in turns)
            return None if done else _why(other, turns, "has completed")


def _of_job(world: World, stack: DesiredStack, job: ServiceSpec, need: Dependency) -> Unmet | None:
    """By the newest run of the job as it is declared now: whether it ended well, or else whether it was begun."""
    run = job_schedule.judged(world, stack, job)
    if need.condition == "service_completed_successfully":
        if run is not None and run.state in ("failed", "unknown"):
            detail = f"waits until {job.name} has completed; its run {run.number}: {run.message or run.reason}"
            return Unmet(detail, failed=True, hopeless=True)
        done = run is not None and run.state == "succeeded"
        return None if done else Unmet(f"waits until {job.name} has completed")
    begun = run is not None and any(task.started for task in run.tasks)
    return None if begun else Unmet(f"waits until {job.name} has been started")


def _turns(world: World, stack: DesiredStack, service: ServiceSpec) -> list[Turn]:
    placements = world.placements.of_service(stack.revision.stack, service.name)
    return [turn_of(world, stack, service, placement) for placement in placements.values()]


def _has_started(turn: Turn) -> bool:
    return turn.condition.current is not None and turn.condition.current.age is not None


def _any_started(world: World, stack: DesiredStack, service: ServiceSpec) -> bool:
    """Whatever came of it later."""
    found = world.containers.now_of(stack.revision.stack, service.name).values()
    return any(box.age is not None for there in found for _, box in there)


def _why(service: ServiceSpec, turns: list[Turn], words: str) -> Unmet:
    for turn in turns:
        each = turn.condition
        if not turn.outdated and each.kind in HOPELESS:
            detail = f"waits until {service.name} {words}; {each.target}: {each.reason}"
            failed = each.kind == Kind.FAILED
            return Unmet(f"{detail}: {each.detail}" if each.detail else detail, failed=failed, hopeless=True)
    return Unmet(f"waits until {service.name} {words}")
