"""Jobs and CronJobs, as services of mode `replicated-job`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.kubernetes import pods
from shipyard.files.kubernetes.data import Scope
from shipyard.files.kubernetes.fields import Fields, done, itself, need, passed, refused, said
from shipyard.files.kubernetes.objects import Object
from shipyard.files.kubernetes.pods import TEMPLATE
from shipyard.files.kubernetes.scalars import text, whole, word
from shipyard.files.kubernetes.tree import node
from shipyard.files.kubernetes.workloads import WORKLOAD, Workload

JOB = Fields(
    "a Job's spec",
    done("template", "the pod", itself),
    done("completions", "`deploy.replicas`", whole(1)),
    done("parallelism", "`x-shipyard.job.max_concurrent`; without it 1", whole()),
    done("backoffLimit", "`restart_policy.max_attempts`; without it 6", whole()),
    done("activeDeadlineSeconds", "`x-shipyard.job.deadline`", whole(1)),
    done("completionMode", "`NonIndexed`", word("NonIndexed", "Indexed")),
    said("ttlSecondsAfterFinished", "has no effect: x-shipyard.job.keep says how many finished runs are kept, 3"),
    said("selector", "has no effect here"),
    said("podReplacementPolicy", "has no effect here", "TerminatingOrFailed"),
    refused("manualSelector", "is not carried out", "", False),
    refused("suspend", "is not carried out", "leave the job out until it is to run", False),
    refused("podFailurePolicy", "is not carried out"),
    refused("successPolicy", "is not carried out"),
    refused("backoffLimitPerIndex", "is not carried out"),
    refused("maxFailedIndexes", "is not carried out"),
    refused("scheduling", "is not carried out"),
    refused("managedBy", "is not carried out", "", "kubernetes.io/job-controller"),
)
CRON_JOB = Fields(
    "a CronJob's spec",
    done("schedule", "`x-shipyard.schedule.cron`", text),
    done("timeZone", "`timezone`", text),
    done("concurrencyPolicy", "`concurrency`", word("Allow", "Forbid", "Replace")),
    done("startingDeadlineSeconds", "`catch_up`, a minute at least; without it 5m", whole()),
    done("successfulJobsHistoryLimit", "`keep`", whole(0, 1000)),
    said("failedJobsHistoryLimit", "has no effect: successfulJobsHistoryLimit counts for all", 1),
    done("jobTemplate", "a Job", itself),
    refused("suspend", "is not carried out", "leave the job out until it is to run", False),
)
JOB_TEMPLATE = Fields("a job template", passed("metadata"), done("spec", "a Job's spec", itself))


def job(item: Object, scope: Scope) -> Workload | None:
    """None where it has errors, which are noted."""
    got = WORKLOAD.read(item.value)
    need(item.value, "spec")
    return _job(item, got["spec"], scope, {}) if "spec" in got else None


def cron_job(item: Object, scope: Scope) -> Workload | None:
    got = WORKLOAD.read(item.value)
    need(item.value, "spec")
    spec: Value = got["spec"]
    said_ = CRON_JOB.read(spec)
    need(spec, "schedule", "jobTemplate")
    if "schedule" not in said_ or "jobTemplate" not in said_:
        return None
    schedule: dict[str, Any] = {"cron": node(spec.child("schedule", None), said_["schedule"])}
    if "timeZone" in said_:
        schedule["timezone"] = node(spec.child("timeZone", None), said_["timeZone"])
    policy = said_.get("concurrencyPolicy", "Allow").lower()
    if policy != "allow":
        schedule["concurrency"] = node(spec.child("concurrencyPolicy", None), policy)
    if "startingDeadlineSeconds" in said_:
        late = max(60, said_["startingDeadlineSeconds"])
        schedule["catch_up"] = node(spec.child("startingDeadlineSeconds", None), f"{late}s")
    if "successfulJobsHistoryLimit" in said_:
        schedule["keep"] = node(spec.child("successfulJobsHistoryLimit", None), said_["successfulJobsHistoryLimit"])
    inner = JOB_TEMPLATE.read(said_["jobTemplate"])
    need(said_["jobTemplate"], "spec")
    return _job(item, inner["spec"], scope, {"schedule": node(spec, schedule)}) if "spec" in inner else None


def _job(item: Object, spec: Value, scope: Scope, own: Mapping[str, Any]) -> Workload | None:
    got = JOB.read(spec)
    need(spec, "template")
    if "template" not in got:
        return None
    if got.get("completionMode") == "Indexed":
        raise spec.child("completionMode", None).error("Indexed is not carried out")
    head = TEMPLATE.read(got["template"])
    need(got["template"], "spec")
    if "spec" not in head:
        return None
    if isinstance(head["spec"].data, dict) and head["spec"].data.get("restartPolicy") is None:
        raise head["spec"].error("has no restartPolicy", hint="a job's is Never or OnFailure")
    alone = got.get("completions", 1) == 1 and "schedule" not in own
    restarts = ("Never", "OnFailure")
    pod = pods.pod(head["spec"], head.get("metadata"), scope, item.name, restarts, {}, job=True, alone=alone)
    if pod is None:
        return None
    pod.own |= own
    if item.labels:
        pod.deploy["labels"] = node(item.at("metadata", "labels"), item.labels)
    pod.deploy["mode"] = node(item.at("kind"), "replicated-job")
    if "completions" in got:
        pod.deploy["replicas"] = node(spec.child("completions", None), got["completions"])
    limit = got.get("backoffLimit", 6)
    policy = {"condition": "on-failure", "max_attempts": limit} if limit else {"condition": "none"}
    pod.deploy["restart_policy"] = node(spec.child("backoffLimit", None), policy)
    at = spec.child("parallelism", None)
    parallel = got.get("parallelism", 1)
    if parallel == 0:
        raise at.error("is 0, and nothing would ever run", hint="leave the job out until it is to run")
    if parallel > 1 and "completions" not in got:
        raise at.error("without completions is a queue of work, which is not carried out", hint="say completions")
    rules: dict[str, Any] = {}
    if got.get("completions", 1) > parallel:
        rules["max_concurrent"] = node(at, parallel)
    if "activeDeadlineSeconds" in got:
        deadline = node(spec.child("activeDeadlineSeconds", None), f"{got['activeDeadlineSeconds']}s")
        rules["deadline"] = deadline
    elif pod.deadline is not None:
        rules["deadline"] = pod.deadline
    if rules:
        pod.own["job"] = node(spec, rules)
    return Workload(item, item.name, pod)
