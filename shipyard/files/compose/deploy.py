"""`deploy`: how many replicas of a service, where, updated and restarted how."""

from __future__ import annotations

from typing import Any

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.limits import RESOURCES
from shipyard.files.compose.scalars import decimal, duration, label_pairs, whole, word
from shipyard.files.compose.scheduling import preferences
from shipyard.files.compose.value import Value
from shipyard.model.container import RestartPolicy
from shipyard.model.spec import PlacementRules, UpdatePolicy
from shipyard.planner.constraints import problem

MAX_REPLICAS = 100_000


def _share(value: Value) -> float:
    share = decimal(value)
    if share > 1:
        raise value.error(f"must be from 0 to 1, found {share:g}")
    return share


def _constraints(value: Value) -> tuple[str, ...]:
    found = []
    for item in value.items("a list of constraints"):
        with value.reading.collect():
            said = item.text('a constraint, such as "node.labels.disk == ssd"', empty=False)
            wrong = problem(said)
            if wrong:
                raise item.error(wrong)
            found.append(" ".join(said.split()))
    return tuple(found)


PLACEMENT = Table(
    "placement",
    Key(
        "constraints",
        "list",
        "Only nodes for which all of these hold, such as `node.labels.disk == ssd`.",
        _constraints,
    ),
    Key("max_replicas_per_node", "number", "At most so many replicas on one node.", whole(0), "no limit"),
    Key(
        "preferences",
        "list of `spread: node.labels.NAME`",
        "Even over the values of the label first; of several, the first matters most.",
        preferences,
    ),
)
_PACE = (
    Key("parallelism", "number", "Replicas replaced at a time; `0` for all.", whole(0), "`1`"),
    Key("delay", "duration", "Time between a batch that has come up and the next.", duration, "`0s`"),
    Key("monitor", "duration", "How long a new replica is watched until it counts as good.", duration, "`5s`"),
    Key(
        "max_failure_ratio",
        "number",
        "The share of new replicas that may fail, from `0` to `1`.",
        _share,
        "`0`",
    ),
    Key(
        "order",
        "`stop-first`, `start-first`",
        "Whether the old container stops before the new one starts, or once it is good. A port that the runtime "
        "publishes (`mode: host`, or a network of the node's own), the node's own network, a local volume (also one "
        "without a name) or a name or address of its own demand `stop-first`.",
        word("stop-first", "start-first"),
        "`stop-first`",
    ),
)
UPDATE = Table(
    "update_config",
    *_PACE,
    Key(
        "failure_action",
        "`pause`, `continue`, `rollback`",
        "When more new replicas have failed than may: wait for a person, go on, or go back to the last good revision.",
        word("pause", "continue", "rollback"),
        "`pause`",
    ),
)
ROLLBACK = Table(
    "rollback_config",
    *_PACE,
    Key(
        "failure_action",
        "`pause`, `continue`",
        "When going back fails.",
        word("pause", "continue"),
        "`pause`",
    ),
)
RESTART = Table(
    "restart_policy",
    Key(
        "condition",
        "`none`, `on-failure`, `any`",
        "When to restart; `unless-stopped` and `always` are taken too.",
        word("none", "on-failure", "any", "unless-stopped", always="any", no="none"),
        "`any`",
    ),
    Key(
        "delay", "duration", "Least time before shipyard restarts it; the runtime's own are at once.", duration, "`0s`"
    ),
    Key("max_attempts", "number", "Restarts before giving up, by the runtime or shipyard.", whole(0), "never give up"),
    Key(
        "window",
        "duration",
        "How long it must run for earlier restarts to be forgotten.",
        duration,
        "`timing.backoff_reset` (`10m`)",
    ),
)


def _placement(value: Value) -> PlacementRules:
    got = PLACEMENT.read(value)
    return PlacementRules(
        got.get("constraints", ()), got.get("max_replicas_per_node") or None, got.get("preferences", ())
    )


def _update(value: Value) -> UpdatePolicy:
    return UpdatePolicy(**UPDATE.read(value))


def _rollback(value: Value) -> UpdatePolicy:
    return UpdatePolicy(**ROLLBACK.read(value))


def _restart_policy(value: Value) -> RestartPolicy:
    got = RESTART.read(value)
    got["max_attempts"] = got.get("max_attempts") or None
    return RestartPolicy(**got)


DEPLOY = Table(
    "deploy",
    Key(
        "mode",
        "`replicated`, `global`, `replicated-job`, `global-job`",
        "So many replicas, or one on each node; as a job, containers that run to their end.",
        word("replicated", "global", "replicated-job", "global-job"),
        "`replicated`",
    ),
    Key(
        "replicas",
        "number",
        "How many, with mode replicated; with replicated-job, how many have to end well.",
        whole(0, MAX_REPLICAS),
        "`1`",
    ),
    Key("resources", "mapping", "`limits` and `reservations`.", RESOURCES.read),
    Key("placement", "mapping", "`constraints`, `preferences`, `max_replicas_per_node`.", _placement),
    Key("update_config", "mapping", "How replicas are replaced when the service changes.", _update),
    Key("rollback_config", "mapping", "How they are when an update is taken back.", _rollback),
    Key(
        "restart_policy",
        "mapping",
        "`condition`, `delay`, `max_attempts`, `window`; wins over `restart`.",
        _restart_policy,
    ),
    Key("labels", "mapping or list", "Labels of the service, not of its containers.", label_pairs),
    Key(
        "endpoint_mode",
        "`vip`, `dnsrr`",
        "What its name means on networks across nodes: one stable address, or those of its replicas.",
        word("vip", "dnsrr"),
        "`vip`",
    ),
)


def replicas(service: Value, deploy: dict[str, Any], scale: int | None) -> int:
    """How many; `scale` must agree with `deploy.replicas`, and neither goes with mode global."""
    wanted = deploy.get("replicas")
    if scale is not None and wanted is not None and scale != wanted:
        raise service.child("scale", scale).error(
            f"says {scale}, deploy.replicas says {wanted}", hint="write only one of them"
        )
    wanted = scale if wanted is None else wanted
    mode = deploy.get("mode")
    if mode in ("global", "global-job") and wanted is not None:
        raise service.child("deploy", None).error(
            f"has mode {mode}, one replica on each node, so replicas can't be said"
        )
    return 1 if wanted is None else wanted


KEYS = (
    Key("deploy", "mapping", "How many, where, updated how.", DEPLOY.read),
    Key("scale", "number", "As `replicas`, with which it must agree.", whole(0, MAX_REPLICAS), "`1`"),
)
