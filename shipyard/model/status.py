"""The fleet as `shipyard status` tells it: what is, beside what should be. Times are unix seconds."""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.container import Pairs
from shipyard.model.plan import Blocked, Notice, Waiting


class PassSummary(Struct, frozen=True):
    """One pass, as recorded. `finished` None: it is still at work (`running`), or never ended. `result`: one word."""

    id: int
    started: float
    finished: float | None
    result: str


class NodeStatus(Struct, frozen=True):
    """`containers`: ours on the node; None when nothing could be learnt, which is not the same as none.

    `last_seen`: 0 for never. `reason` and `detail`: why the node is not ready, "" when it is.
    """

    name: str
    state: str
    availability: str
    runtime: str | None
    address: str
    labels: Pairs = ()
    containers: int | None = None
    last_seen: float = 0.0
    reason: str = ""
    detail: str = ""


class MemberStatus(Struct, frozen=True):
    """A container beside a replica's main one. `kind`: `init`, `sidecar` or `main`. `exit_code`: None while it runs."""

    name: str
    kind: str
    state: str
    health: str
    container: str
    exit_code: int | None = None
    restarts: int = 0


class ReplicaStatus(Struct, frozen=True):
    """One slot of a service. `node` None: not placed. `state`: a container's (`running`), or

    `pending` (nothing there yet) or `unknown` (its node could not be observed). `health`: `none` where the container
    has no health check and no probes, `not ready` where a probe says so; `container`, `container_name`, `revision`:
    None without one. `addresses`: by network, its key in the file where it is the stack's own. `reason` (CamelCase) and
    `detail`: why it is not as declared; None and "".
    `members`: the containers beside the main one, which all the rest is about.
    """

    slot: int
    node: str | None
    state: str
    health: str | None = None
    container: str | None = None
    container_name: str | None = None
    revision: int | None = None
    addresses: Pairs = ()
    restarts: int = 0
    reason: str | None = None
    detail: str = ""
    members: tuple[MemberStatus, ...] = ()


class ServiceStatus(Struct, frozen=True):
    """`healthy`: those that run and are well, by their health checks and probes. `update`: see `planner.status`.

    Of a job, `desired`, `completed` and `failed` are about its newest run.

    `image`: what runs, a digest or an id where it could be resolved; `written`: as in the playbook. `runs`: the
    revisions that what runs was made from, as far as they differ; `message`: why an update stopped or was taken back.
    """

    name: str
    mode: str
    desired: int
    running: int
    healthy: int
    update: str
    image: str = ""
    replicas: tuple[ReplicaStatus, ...] = ()
    written: str = ""
    completed: int = 0
    failed: int = 0
    runs: tuple[int, ...] = ()
    message: str = ""


class JobTaskStatus(Struct, frozen=True):
    """One task of a run. `state`: see `model.job`. `container`: its main one, None where none is seen.

    `members`: the containers beside the main one.
    """

    slot: int
    state: str
    node: str | None = None
    attempt: int = 1
    started: float = 0.0
    ended: float = 0.0
    exit_code: int | None = None
    container: str | None = None
    reason: str = ""
    message: str = ""
    members: tuple[MemberStatus, ...] = ()


class JobRunStatus(Struct, frozen=True):
    """One run. `cause`: `spec`, `schedule` or `request`. `wanted`: containers that have to end well. Times: 0, none."""

    number: int
    state: str
    cause: str
    due: float = 0.0
    began: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    wanted: int = 1
    completed: int = 0
    failed: int = 0
    reason: str = ""
    message: str = ""
    tasks: tuple[JobTaskStatus, ...] = ()


class JobStatus(Struct, frozen=True):
    """A job with its runs, newest first. `next_due`: None without a schedule."""

    stack: str
    service: str
    mode: str
    schedule: str = ""
    timezone: str = "UTC"
    next_due: float | None = None
    runs: tuple[JobRunStatus, ...] = ()


class StackStatus(Struct, frozen=True):
    """`removing`: it was removed with `rm`, and something of it is still there."""

    name: str
    revision: int
    services: tuple[ServiceStatus, ...] = ()
    removing: bool = False


class FleetStatus(Struct, frozen=True):
    """`changes`: how many actions a pass would run now. `last_pass`: None before the first."""

    converged: bool
    last_pass: PassSummary | None
    nodes: tuple[NodeStatus, ...] = ()
    stacks: tuple[StackStatus, ...] = ()
    changes: int = 0
    blocked: tuple[Blocked, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    notices: tuple[Notice, ...] = ()
    now: float = 0.0
