"""What `x-shipyard` says of updates, for which Compose has no word: canaries, and when an update is stuck."""

from __future__ import annotations

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import duration, whole
from shipyard.files.compose.value import Value
from shipyard.model.spec import Canary

CANARY = Table(
    "a canary",
    Key("replicas", "number", "So many replicas are updated first.", whole(1), "`1`"),
    Key("for", "duration", "How long they are watched before the others follow.", duration, "`10m`"),
)


def _canary(value: Value) -> Canary:
    names = {"replicas": "replicas", "for": "period"}
    return Canary(**{names[key]: said for key, said in CANARY.read(value).items()})


KEYS = (
    Key("canary", "mapping", "Update a few replicas first; when one of them fails, go back.", _canary),
    Key(
        "progress_deadline",
        "duration",
        "An update in which nothing comes up for so long has failed.",
        duration,
        "`10m`",
    ),
)
