"""What Compose has no word for in where replicas go: `x-shipyard`'s strategy, priority, tolerations and neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import duration, text, whole, word
from shipyard.files.compose.value import Value
from shipyard.model.spec import Neighbour, Toleration

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
LOWEST, HIGHEST = -1_000_000, 1_000_000

TOLERATION = Table(
    "a toleration",
    Key("key", "text", "Of the taint.", text, "each key"),
    Key("operator", "`Equal`, `Exists`", "`Exists` takes any value.", word("Equal", "Exists"), "as `value` asks"),
    Key("value", "text", "Of the taint.", lambda value: value.scalar(), "any value"),
    Key("effect", "`NoSchedule`, `PreferNoSchedule`, `NoExecute`", "Of the taint.", word(*EFFECTS), "each effect"),
    Key(
        "seconds",
        "duration",
        "With `effect: NoExecute`: replicas that are there move this long after a pass first saw the taint.",
        duration,
        "they stay",
    ),
)


def attribute(value: Value) -> str:
    """What nodes can be told apart by."""
    said = value.text("an attribute of nodes, such as node.labels.zone", empty=False)
    if said != "node.hostname" and (not said.startswith("node.labels.") or said == "node.labels."):
        raise value.expected("node.hostname or node.labels.NAME")
    return said


def label(value: Value) -> str:
    """What replicas are spread over; over the nodes themselves they always are."""
    said = value.text("a label of nodes, such as node.labels.zone", empty=False)
    if not said.startswith("node.labels.") or said == "node.labels.":
        raise value.expected("a label of nodes, such as node.labels.zone")
    return said


NEIGHBOUR = Table(
    "a neighbour",
    Key("service", "text", "A service of this stack, or `stack/service`.", text),
    Key(
        "by",
        "`node.hostname`, `node.labels.NAME`",
        "Nodes that agree in this are one place; a node without the label is no place.",
        attribute,
        "`node.hostname`",
    ),
    Key("weight", "1 to 100", "Only preferred, as strongly as this says.", whole(1, 100), "required"),
)


def _toleration(value: Value) -> Toleration:
    """Kubernetes' mapping, or the taint as it is written in the inventory."""
    if isinstance(value.data, str):
        head, _, effect = value.text(empty=False).rpartition(":")
        if not head or effect not in EFFECTS:
            raise value.expected("a taint, such as role=database:NoSchedule, or a mapping")
        key, equals, said = head.partition("=")
        return Toleration(key, said if equals else None, effect)
    got = TOLERATION.read(value)
    if "key" not in got and got.get("operator") != "Exists":
        raise value.error("has no key", hint="operator: Exists without a key tolerates all taints")
    if got.get("operator") == "Exists" and "value" in got:
        raise value.error("says a value that operator: Exists does not look at", hint="leave one of them out")
    if "seconds" in got and got.get("effect") != "NoExecute":
        raise value.error("says seconds, which only effect: NoExecute knows", hint="write effect: NoExecute")
    missing = "" if got.get("operator") == "Equal" else None
    return Toleration(got.get("key", ""), got.get("value", missing), got.get("effect", ""), got.get("seconds"))


def _neighbours(*, apart: bool) -> Callable[[Value], tuple[Neighbour, ...]]:
    def read(value: Value) -> tuple[Neighbour, ...]:
        return tuple(_each(value, lambda item: _neighbour(item, apart=apart), "a list of services"))

    return read


def _neighbour(value: Value, *, apart: bool) -> Neighbour:
    if isinstance(value.data, str):
        return Neighbour(_name(value, value.text(empty=False)), apart=apart)
    got = NEIGHBOUR.read(value)
    if value.data.get("service") is None:
        raise value.error("names no service")
    return Neighbour(
        _name(value.child("service", None), got.get("service", "none")),
        got.get("by", "node.hostname"),
        apart,
        got.get("weight"),
    )


def _name(value: Value, said: str) -> str:
    if said.count("/") > 1 or not all(said.split("/")):
        raise value.error(f'"{said}" is neither a service nor stack/service')
    return said


def _each(value: Value, read: Callable[[Value], Any], what: str) -> list[Any]:
    found = []
    for item in value.items(what):
        with value.reading.collect():
            found.append(read(item))
    return found


def _tolerations(value: Value) -> tuple[Toleration, ...]:
    return tuple(_each(value, _toleration, "a list of tolerations"))


def _preference(value: Value) -> str:
    got = PREFERENCE.read(value)
    if value.data.get("spread") is None:
        raise value.error("says nothing to spread over", hint="write - spread: node.labels.zone")
    return str(got.get("spread", ""))


PREFERENCE = Table(
    "a preference",
    Key("spread", "`node.labels.NAME`", "As many replicas for each value of the label.", label),
)


def preferences(value: Value) -> tuple[str, ...]:
    """`deploy.placement.preferences`, most important first."""
    return tuple(_each(value, _preference, "a list of preferences, such as spread: node.labels.zone"))


KEYS = (
    Key(
        "strategy",
        "`spread`, `binpack`",
        "Fill all nodes evenly, or as few as possible (by what is reserved).",
        word("spread", "binpack"),
        "`spread`",
    ),
    Key(
        "priority",
        "number",
        "Where room is short, replicas with a higher one take the place of those with a lower; from -1000000 "
        "to 1000000.",
        whole(LOWEST, HIGHEST),
        "`0`",
    ),
    Key(
        "tolerations",
        "list",
        "Taints (`shipyard_taints`) that do not keep replicas away: `role=database:NoSchedule`, or a mapping.",
        _tolerations,
    ),
    Key(
        "affinity",
        "list",
        "Services whose replicas must be (or, with a `weight`, had better be) in the same place: names, or mappings.",
        _neighbours(apart=False),
    ),
    Key(
        "anti_affinity",
        "list",
        "Services whose replicas must not be in the same place, itself perhaps among them: names, or mappings.",
        _neighbours(apart=True),
    ),
)


def rules(own: dict[str, Any]) -> dict[str, Any]:
    """What of this belongs into the rules of placement."""
    together = (*own.get("affinity", ()), *own.get("anti_affinity", ()))
    return {
        "strategy": own.get("strategy", "spread"),
        "tolerations": own.get("tolerations", ()),
        "neighbours": together,
    }
