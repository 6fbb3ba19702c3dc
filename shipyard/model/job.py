"""What is remembered of jobs: their runs, and each run's tasks. A task is to a run what a replica is to a service."""

from __future__ import annotations

from typing import Literal

from shipyard.base.record import Struct

TaskState = Literal["waiting", "starting", "running", "stopping", "succeeded", "failed", "unknown", "stopped"]
RunState = Literal["active", "succeeded", "failed", "unknown", "skipped", "replaced"]
Cause = Literal["spec", "schedule", "request"]

AT_WORK: tuple[TaskState, ...] = ("starting", "running", "stopping")
"""Tasks that may have a container at work somewhere."""
JOB_MODES = ("replicated-job", "global-job")


class JobTask(Struct, frozen=True):
    """One replica of a run. `slot`: of its containers, never used twice by a job. `index`: which of the run's tasks.

    `waiting`: nothing was begun; `node`, where there is one, may still change. `starting`: written down, and from then
    on perhaps begun, on this node and no other. `stopping`: it was told to end. `stopped`: and did. `unknown`: it was
    begun, or may have been, and nobody can say what became of it.
    `attempt`: from 1; `failures`: how many of them failed. `only`: the one node that it is for, in a global job.
    `machine`: the node's own id, by which a node that was installed anew is told. `spec`: hash of what it is made from.
    `retry_at`, `started`, `ended`: unix seconds, 0 for none.
    """

    slot: int
    index: int
    state: TaskState = "waiting"
    node: str = ""
    only: str = ""
    machine: str = ""
    spec: str = ""
    attempt: int = 1
    failures: int = 0
    retry_at: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""
    message: str = ""


class JobRun(Struct, frozen=True):
    """One run of a job: for a due time, for a spec that is new, or because someone asked.

    `name`: the same for whoever plans it, and never that of another run: markers on nodes carry it. `number`: for
    people. `spec`: hash of what a run of the job is. `wanted`: how many tasks it has, 0 for as many as there are nodes.
    `due`: for which time; `began`: when it was decided on.
    """

    number: int
    name: str
    cause: Cause
    spec: str
    revision: int
    wanted: int = 0
    due: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    state: RunState = "active"
    reason: str = ""
    message: str = ""
    tasks: tuple[JobTask, ...] = ()


class Job(Struct, frozen=True):
    """A service that is a job. `schedule`: expression and time zone when last seen; `since`: due times up to then are
    no concern of it; `last_due`: the newest that was decided on. `numbers`: the highest number given to a run or slot.
    """

    stack: str
    service: str
    schedule: str = ""
    since: float = 0.0
    last_due: float = 0.0
    numbers: int = 0
    runs: tuple[JobRun, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return (self.stack, self.service)


def marker(stack: str, service: str, run: str, index: int, attempt: int) -> str:
    """The name of the file that says on a node that this was begun there.

    Where a task has several containers it is the first one's, of the holder; those that are begun once, too, have names
    that go on from it (`planner.job_parts.once`).
    """
    return f"{stack}.{service}.{run}.{index}.{attempt}"
