"""How pods are replaced: `strategy` and `updateStrategy` as `deploy.update_config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.kubernetes.fields import Fields, done, itself, refused, said
from shipyard.files.kubernetes.pods import Pod
from shipyard.files.kubernetes.scalars import share, word
from shipyard.files.kubernetes.tree import node

STRATEGY = Fields(
    "a strategy",
    done("type", "`RollingUpdate`, `Recreate`", word("RollingUpdate", "Recreate")),
    done("rollingUpdate", "see below", itself),
)
ROLLING = Fields(
    "a Deployment's rollingUpdate",
    done("maxSurge", "not 0: `order: start-first`, so many at a time", share),
    done("maxUnavailable", "where there is no surge: so many at a time", share),
)
OF_SET = Fields(
    "a StatefulSet's rollingUpdate",
    refused("partition", "is not carried out", "a playbook has x-shipyard.canary", 0),
    said("maxUnavailable", "has no effect: one replica is replaced at a time", 1),
)
OF_DAEMON = Fields(
    "a DaemonSet's rollingUpdate",
    done("maxSurge", "not 0: `order: start-first`", share),
    done("maxUnavailable", "`parallelism`", share),
)
UPDATE = Fields(
    "an updateStrategy",
    done("type", "`RollingUpdate`", word("RollingUpdate", "OnDelete")),
    done("rollingUpdate", "see below", itself),
)


def carried_by(pod: Pod, spec: Value, got: Mapping[str, Any], update: dict[str, Any]) -> None:
    """Say it of the service, with how long a new replica is watched."""
    if got.get("minReadySeconds"):
        update["monitor"] = node(spec.child("minReadySeconds", None), f"{got['minReadySeconds']}s")
    if update:
        pod.deploy["update_config"] = node(spec.child("strategy", None), update)


def strategy(spec: Value, got: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """Kubernetes' default, a quarter more while a quarter fewer, comes to starting new ones first."""
    at = spec.child("strategy", None)
    head = STRATEGY.read(got["strategy"]) if "strategy" in got else {}
    if head.get("type") == "Recreate":
        if "rollingUpdate" in head:
            raise head["rollingUpdate"].error("can't be said with type Recreate")
        return {"order": node(at, "stop-first"), "parallelism": node(at, 0)}
    rolling = ROLLING.read(head["rollingUpdate"]) if "rollingUpdate" in head else {}
    surge = _counted(rolling.get("maxSurge", (25, True)), replicas, up=True)
    missing = _counted(rolling.get("maxUnavailable", (25, True)), replicas, up=False)
    if surge == 0 and missing == 0 and {"maxSurge", "maxUnavailable"} <= rolling.keys():
        raise head["rollingUpdate"].error("has maxSurge and maxUnavailable 0, and could replace none")
    if surge:
        return {"order": node(at, "start-first"), **({"parallelism": node(at, surge)} if surge > 1 else {})}
    return {"parallelism": node(at, missing)} if missing > 1 else {}


def _counted(said_: tuple[int, bool], replicas: int, *, up: bool) -> int:
    """So many replicas: a share of them is rounded."""
    number, percent = said_
    if not percent:
        return number
    return -(-number * replicas // 100) if up else number * replicas // 100


def of_set(got: Mapping[str, Any]) -> None:
    """A StatefulSet's, which is as shipyard does it, or an error."""
    _by_rolling(got, "a StatefulSet", OF_SET)


def of_daemon(got: Mapping[str, Any]) -> dict[str, Any]:
    """A DaemonSet's."""
    at, rolling = _by_rolling(got, "a DaemonSet", OF_DAEMON)
    if at is None:
        return {}
    missing, percent = rolling.get("maxUnavailable", (1, False))
    if percent:
        raise at.child("maxUnavailable", None).error("a share of the nodes is not carried out", hint="say how many")
    made: dict[str, Any] = {}
    if rolling.get("maxSurge", (0, False))[0]:
        made["order"] = node(at.child("maxSurge", None), "start-first")
    if missing > 1:
        made["parallelism"] = node(at.child("maxUnavailable", None), missing)
    return made


def _by_rolling(got: Mapping[str, Any], title: str, table: Fields) -> tuple[Value | None, Mapping[str, Any]]:
    if "updateStrategy" not in got:
        return None, {}
    head = UPDATE.read(got["updateStrategy"])
    if head.get("type") == "OnDelete":
        at = got["updateStrategy"].child("type", None)
        raise at.error(f"OnDelete is not carried out: {title} is updated when it changes")
    found = head.get("rollingUpdate")
    return found, table.read(found) if found is not None else {}
