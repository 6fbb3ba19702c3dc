"""`x-shipyard` of a service whose replicas are not all alike: where they wait, what each is called, in which order."""

from __future__ import annotations

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import boolean, duration, pattern, text, whole, word
from shipyard.files.compose.value import Value
from shipyard.model.spec import Reschedule

_domain = pattern(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9][A-Za-z0-9_-]*)*", "a domain: db.example")
RESCHEDULE = Table(
    "reschedule",
    Key(
        "after",
        "duration",
        "How long a node is unreachable before its replicas are started elsewhere.",
        duration,
        "`timing.lost_after` (`5m`)",
    ),
    Key("never", "boolean", "Wait for a lost node, however long it takes; a drain moves them.", boolean, "`false`"),
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


def _domains(value: Value) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_domain(item) for item in value.items("a list of names")))


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
        "names_from", "number", "The number in the name of the first: with 0 they are `db-0`, `db-1`.", whole(0), "`1`"
    ),
    Key(
        "peer_domains",
        "list",
        "Each replica is also found as its stable name with each of these after it: `db-1.db.example`.",
        _domains,
    ),
    Key(
        "name_token",
        "text",
        "Stands for the replica's stable name in its variables, command and entrypoint: `@NAME@`.",
        text,
    ),
    Key(
        "order",
        "`parallel`, `ordered`",
        "Ordered: replica 2 starts once 1 is ready, and so on; updates and scaling down begin with the last.",
        word("parallel", "ordered"),
        "`parallel`",
    ),
)
