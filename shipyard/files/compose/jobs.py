"""Jobs: services whose containers are meant to end, and when they are run (`x-shipyard.schedule`, `x-shipyard.job`)."""

from __future__ import annotations

from typing import Any, Literal

from shipyard.base import cron
from shipyard.files.compose.keys import OWN, Key, Table
from shipyard.files.compose.scalars import boolean, duration, whole, word
from shipyard.files.compose.value import Value
from shipyard.model.container import RestartPolicy
from shipyard.model.job import JOB_MODES
from shipyard.model.spec import JobRules

MAX_KEPT = 1000


def _zone(value: Value) -> str:
    said = value.text('the name of a time zone, such as "Europe/Berlin"', empty=False)
    wrong = cron.zone_problem(said)
    if wrong:
        raise value.error(wrong)
    return said


def _cron(value: Value) -> str:
    said = " ".join(value.text('a cron expression, such as "30 3 * * *"', empty=False).split())
    wrong = cron.problem(said)
    if wrong:
        raise value.error(wrong)
    return said


_DEADLINE = Key(
    "deadline", "duration", "A container that runs for longer is stopped, and has failed.", duration, "none"
)
_KEEP = Key(
    "keep", "number", "Finished runs whose containers (and logs) are kept.", whole(0, MAX_KEPT), f"`{JobRules().keep}`"
)
SCHEDULE = Table(
    "schedule",
    Key("cron", "text", "Minute, hour, day of month, month, day of week; or `@daily` and the like. Required.", _cron),
    Key("timezone", "text", "In which its times are.", _zone, "`UTC`"),
    Key(
        "concurrency",
        "`allow`, `forbid`, `replace`",
        "When a run is due while another is at it: run beside it, skip this one, or stop the other.",
        word("allow", "forbid", "replace"),
        "`allow`",
    ),
    Key(
        "catch_up",
        "duration",
        "How late a due time is still run, if no pass came earlier; a minute at least.",
        duration,
        "`5m`",
    ),
    _DEADLINE,
    _KEEP,
)
JOB = Table(
    "a job",
    Key("max_concurrent", "number", "Containers of one run at a time.", whole(1), "all"),
    Key(
        "retry_unknown",
        "boolean",
        "Begin again also where it may have run: on a node that was lost, or its container removed by hand.",
        boolean,
        "`false`",
    ),
    _DEADLINE,
    _KEEP,
)


def schedule(value: Value) -> dict[str, Any]:
    """A cron expression, or a mapping."""
    if isinstance(value.data, str):
        return {"schedule": _cron(value)}
    got = SCHEDULE.read(value)
    if "cron" not in got and (not isinstance(value.data, dict) or value.data.get("cron") is None):
        raise value.error("has no cron", hint='for every night at half past three: cron: "30 3 * * *"')
    return {"schedule" if name == "cron" else name: item for name, item in got.items()}


KEYS = (
    Key("schedule", "text or mapping", "When a job is run: a cron expression, or `cron` and more.", schedule),
    Key("job", "mapping", "`max_concurrent`, `retry_unknown`, `deadline`, `keep`, with a job's mode.", JOB.read),
)


def mode(
    value: Value, own: dict[str, Any], deployed: dict[str, Any]
) -> Literal["replicated", "global", "replicated-job", "global-job"]:
    """The service's mode: a schedule makes a job of it."""
    said: Literal["replicated", "global", "replicated-job", "global-job"] | None = deployed.get("mode")
    if "schedule" in own and said not in (None, *JOB_MODES):
        at = value.child("deploy", {}).child("mode", said)
        raise at.error(f"is {said}, and {OWN}.schedule is for jobs", hint="replicated-job or global-job")
    if said is None:
        return "replicated-job" if "schedule" in own else "replicated"
    return said


def rules(
    value: Value, kind: str, replicas: int, own: dict[str, Any], deployed: dict[str, Any], restart: Any
) -> JobRules:
    """What `deploy` and `x-shipyard` say of a job. `restart`: as written outside of `deploy`."""
    if kind not in JOB_MODES:
        if "job" in own:
            at = value.child(OWN, {}).child("job", None)
            raise at.error("is for jobs", hint="deploy: {mode: replicated-job} makes one, or a schedule")
        return JobRules()
    timed, rest = own.get("schedule", {}), own.get("job", {})
    for name in sorted(timed.keys() & rest.keys()):
        at = value.child(OWN, {}).child("job", {}).child(name, None)
        raise at.error("is said under schedule, too", hint="write only one of them")
    completions = replicas if kind == "replicated-job" else 1
    if completions < 1:
        raise value.child("deploy", {}).child("replicas", replicas).error("must be at least 1 for a job")
    policy = deployed.get("restart_policy")
    if policy is None and restart is not None:
        policy = restart
        if policy.condition in ("any", "unless-stopped"):
            raise value.child("restart", None).error("must be no or on-failure for a job, which is meant to end")
    return JobRules(completions=completions, retries=_retries(policy, scheduled=bool(timed)), **{**timed, **rest})


def _retries(policy: RestartPolicy | None, *, scheduled: bool) -> int | None:
    """As Swarm has it: for ever, unless said otherwise; but a run that is due again anyway is not."""
    if policy is None:
        return 0 if scheduled else None
    return 0 if policy.condition == "none" else policy.max_attempts
