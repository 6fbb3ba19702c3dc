"""`x-shipyard` of a service whose replicas are not all alike: where they wait, what each is called, in which order."""

from __future__ import annotations

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import boolean, duration, word
from shipyard.files.compose.value import Value
from shipyard.model.spec import Reschedule

RESCHEDULE = Table(
    "reschedule",
    Key(
        "after",
        "duration",
        "How long a node is unreachable before its replicas are started elsewhere.",
        duration,
        "`timing.lost_after` (`5m`)",
    ),
    Key("never", "boolean", "Wait for the node, however long it takes.", boolean, "`false`"),
    Key(
        "when_back",
        "`keep_new`, `keep_old`",
        "Who stays when the node returns: the one started elsewhere, or the one that is on it, if it is well.",
        word("keep_new", "keep_old"),
        "`keep_new`",
    ),
)


def _reschedule(value: Value) -> Reschedule:
    got = RESCHEDULE.read(value)
    if got.get("never") and "after" in got:
        raise value.child("after", None).error("can't be said together with never")
    return Reschedule(**got)


KEYS = (
    Key("reschedule", "mapping", "`after`, `never`, `when_back`: replicas whose node is lost.", _reschedule),
    Key(
        "stable_names",
        "boolean",
        "Each replica's host name, and an alias on its networks, is `SERVICE-SLOT`: `db-1`, `db-2`.",
        boolean,
        "`true` with a volume that is `per_replica`, else `false`",
    ),
    Key(
        "order",
        "`parallel`, `ordered`",
        "Ordered: replica 2 starts once 1 is ready, and so on; updates and scaling down begin with the last.",
        word("parallel", "ordered"),
        "`parallel`",
    ),
)
