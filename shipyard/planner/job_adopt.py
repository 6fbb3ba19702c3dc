"""A job that is not remembered, as in a store that was lost: what its containers and markers on the nodes tell of it.

What was begun before is so known, and not begun again.
"""

from __future__ import annotations

import re

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.job import Cause, Job, JobRun, JobTask
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import ServiceSpec
from shipyard.planner.world import World

_WORDS: dict[str, Cause] = {"rev": "spec", "due": "schedule", "asked": "request"}
_RUN = re.compile(r"((rev|due|asked)-([0-9]{1,18})(?:-([0-9a-f]{16}))?)\.([0-9]{1,9})\.([0-9]{1,9})")


def adopted(world: World, stack: DesiredStack, service: ServiceSpec) -> Job:
    """The job as the nodes know it: without runs where it is new."""
    key = (stack.revision.stack, service.name)
    slots = {*world.containers.now_of(*key), *world.placements.now_of(*key)}
    numbers = max(slots, default=0)
    found: dict[str, dict[str, JobTask]] = {}
    for name, task in (*_contained(world, key), *_marked(world, key)):
        tasks = found.setdefault(name.partition(".")[0], {})
        place = name.rpartition(".")[0] + (f" {task.node}" if service.mode == "global-job" else "")
        before = tasks.get(place)
        if before is None or (before.attempt, before.slot) < (task.attempt, task.slot):
            tasks[place] = task
    runs = []
    for name in sorted(found):
        own = []
        for _, task in sorted(found[name].items()):
            numbers += not task.slot
            only = task.node if service.mode == "global-job" else ""
            own.append(replace(task, slot=task.slot or numbers, only=only))
        runs.append(_run(service, name, own))
    return Job(*key, numbers=numbers, runs=tuple(sorted(runs, key=lambda run: run.number)))


def _contained(world: World, key: tuple[str, str]) -> list[tuple[str, JobTask]]:
    """By the labels of containers. That a task is running is only said until its container is looked at."""
    found = []
    for slot, there in world.containers.of_service(*key).items():
        for node, box in there:
            name = box.label(labels.RUN) or ""
            parsed = _RUN.fullmatch(name)
            if parsed is not None:
                machine, spec = world.seen[node].facts.node_id, box.label(labels.SPEC) or ""
                task = JobTask(slot, int(parsed[5]), "running", node, "", machine, spec, int(parsed[6]))
                found.append((name, task))
    return found


def _marked(world: World, key: tuple[str, str]) -> list[tuple[str, JobTask]]:
    """By markers. Slot 0: none is known."""
    found = []
    start = f"{key[0]}.{key[1]}."
    for node in sorted(world.seen):
        for marker in world.seen[node].markers:
            parsed = _RUN.fullmatch(marker.removeprefix(start)) if marker.startswith(start) else None
            if parsed is not None:
                machine = world.seen[node].facts.node_id
                words = "ContainerGone", f"it was begun on {node}, which has its marker, and no container"
                task = JobTask(0, int(parsed[5]), "unknown", node, "", machine, "", int(parsed[6]))
                found.append((parsed[0], replace(task, reason=words[0], message=words[1])))
    return found


def _run(service: ServiceSpec, name: str, tasks: list[JobTask]) -> JobRun:
    word, number, spec = (*name.split("-"), "")[:3]
    cause = _WORDS[word]
    return JobRun(
        number=min(task.slot for task in tasks),
        name=name,
        cause=cause,
        spec=spec,
        revision=int(number) if cause == "spec" else 0,
        wanted=service.job.completions if service.mode == "replicated-job" else 0,
        due=float(number) if cause == "schedule" else 0.0,
        tasks=tuple(tasks),
    )
