"""Where pods may go: constraints, neighbours, spread and tolerations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shipyard.files.compose.value import Value
from shipyard.files.composefile.nodes import Node
from shipyard.files.kubernetes.fields import Fields, done, itself, need, refused, said, warn
from shipyard.files.kubernetes.scalars import labels, text, whole, word
from shipyard.files.kubernetes.selectors import matcher
from shipyard.files.kubernetes.tree import node

_KNOWN = {
    "kubernetes.io/hostname": "node.hostname",
    "kubernetes.io/arch": "node.platform.arch",
    "kubernetes.io/os": "node.platform.os",
    "beta.kubernetes.io/arch": "node.platform.arch",
    "beta.kubernetes.io/os": "node.platform.os",
    "topology.kubernetes.io/zone": "node.labels.zone",
    "topology.kubernetes.io/region": "node.labels.region",
    "failure-domain.beta.kubernetes.io/zone": "node.labels.zone",
    "failure-domain.beta.kubernetes.io/region": "node.labels.region",
}
AFFINITY = Fields(
    "an affinity",
    done("nodeAffinity", "constraints", itself),
    done("podAffinity", "`x-shipyard.affinity`", itself),
    done("podAntiAffinity", "`x-shipyard.anti_affinity`", itself),
)
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
NODE_AFFINITY = Fields(
    "a nodeAffinity",
    done(_REQUIRED, "one term of `In` with one value, and `NotIn`", itself),
    said(
        _PREFERRED, "is not carried out: shipyard prefers by labels only where it spreads (topologySpreadConstraints)"
    ),
)
TERMS = Fields("a node selector", done("nodeSelectorTerms", "one", itself))
TERM = Fields(
    "a term of a node selector",
    done("matchExpressions", "constraints", itself),
    done("matchFields", "`metadata.name`", itself),
)
EXPRESSION = Fields(
    "an expression about nodes",
    done("key", "a label of nodes", text),
    done("operator", "`In` with one value, `NotIn`", word("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
    done("values", "the values", itself),
)
POD_AFFINITY = Fields(
    "a podAffinity",
    done(_REQUIRED, "neighbours", itself),
    done(_PREFERRED, "neighbours with a `weight`", itself),
)
WEIGHTED = Fields(
    "a preferred term", done("weight", "`weight`", whole(1, 100)), done("podAffinityTerm", "a neighbour", itself)
)
POD_TERM = Fields(
    "a podAffinityTerm",
    done("labelSelector", "the workloads of these files that it selects", itself),
    done("topologyKey", "`node.hostname`, `node.labels.NAME`", text),
    refused("namespaces", "is not carried out: the namespace's own pods are meant"),
    refused("namespaceSelector", "is not carried out: the namespace's own pods are meant"),
    refused("matchLabelKeys", "is not carried out"),
    refused("mismatchLabelKeys", "is not carried out"),
)
SPREAD = Fields(
    "a spread constraint",
    done("topologyKey", "`preferences: spread`; over nodes replicas are spread as it is", text),
    done(
        "whenUnsatisfiable",
        "always as `ScheduleAnyway`; `DoNotSchedule` is said",
        word("DoNotSchedule", "ScheduleAnyway"),
    ),
    done("maxSkew", "as even as can be", whole(1)),
    done("labelSelector", "the workload's own pods", itself),
    said("minDomains", "has no effect here"),
    said("matchLabelKeys", "has no effect here"),
    said("nodeAffinityPolicy", "has no effect here", "Honor"),
    said("nodeTaintsPolicy", "has no effect here"),
)


def _seconds(value: Value) -> int:
    """What is less than nothing is nothing, as in Kubernetes."""
    if isinstance(value.data, int) and value.data < 0:
        return 0
    return int(whole()(value))


UNREACHABLE = "node.kubernetes.io/unreachable"
UNREADY = "node.kubernetes.io/not-ready"
"""What Kubernetes itself taints nodes with. Here a node is ready, or it does not answer."""
TOLERATION = Fields(
    "a toleration",
    done("key", "`key`", text),
    done("operator", "`operator`", word("Equal", "Exists")),
    done("value", "`value`", text),
    done("effect", "`effect`", word("NoSchedule", "PreferNoSchedule", "NoExecute")),
    done("tolerationSeconds", "`seconds`; of unreachable nodes `x-shipyard.reschedule.after`", _seconds),
)
Find = Callable[[Callable[[Mapping[str, str]], bool]], list[str]]
"""The services whose pods' labels fit."""


def attribute(value: Value, name: str) -> str:
    """What nodes are told apart by here. Raises FileError where a label's name can't be one here."""
    if name in _KNOWN:
        return _KNOWN[name]
    if "/" in name:
        raise value.error(
            f"{name}: a label of nodes has no / here",
            hint="shipyard_labels in the inventory; of Kubernetes' own, the "
            "host name, zone, region, arch and os are known",
        )
    return f"node.labels.{name}"


def selected(value: Value | None) -> list[Node]:
    """`nodeSelector` as constraints."""
    made = []
    for name, said_ in labels(value).items() if value is not None else ():
        at = value.child(name, said_) if value is not None else None
        if at is not None:
            with at.reading.collect():
                made.append(node(at, f"{attribute(at, name)} == {said_}"))
    return made


def node_affinity(value: Value) -> list[Node]:
    got = NODE_AFFINITY.read(value)
    if _REQUIRED not in got:
        return []
    terms = TERMS.read(got[_REQUIRED])
    items = terms["nodeSelectorTerms"].items("a list of terms") if "nodeSelectorTerms" in terms else []
    if len(items) > 1:
        raise items[1].error("is an alternative to the first term, which is not carried out: constraints hold together")
    made: list[Node] = []
    for item in items:
        term = TERM.read(item)
        for part in ("matchExpressions", "matchFields"):
            for expression in term[part].items("a list of expressions") if part in term else ():
                with expression.reading.collect():
                    made += _constraints(expression, named=part == "matchFields")
    return made


def _constraints(value: Value, *, named: bool) -> list[Node]:
    got = EXPRESSION.read(value)
    need(value, "key", "operator")
    if "key" not in got or "operator" not in got:
        return []
    key = value.child("key", None)
    if named and got["key"] != "metadata.name":
        raise key.error(f"{got['key']} is no field of nodes that is known here; metadata.name is")
    where = "node.hostname" if named else attribute(key, got["key"])
    values = [item.text("a text", empty=True) for item in got["values"].items()] if "values" in got else []
    match got["operator"]:
        case "In" if len(values) == 1:
            return [node(value, f"{where} == {values[0]}")]
        case "In":
            raise value.child("values", None).error(
                "of several values one is not carried out: constraints hold together"
            )
        case "NotIn":
            return [node(value, f"{where} != {each}") for each in values]
        case operator:
            raise value.child("operator", None).error(f"{operator} is not carried out; In and NotIn are")


def neighbours(value: Value, find: Find) -> list[Node]:
    """Entries of `affinity` or `anti_affinity`."""
    got = POD_AFFINITY.read(value)
    apart = value.path[-1] == "podAntiAffinity"
    made: list[Node] = []
    for item in got[_REQUIRED].items("a list of terms") if _REQUIRED in got else ():
        with item.reading.collect():
            made += _term(item, find, None, apart=apart)
    for item in got[_PREFERRED].items("a list of terms") if _PREFERRED in got else ():
        with item.reading.collect():
            weighted = WEIGHTED.read(item)
            need(item, "weight", "podAffinityTerm")
            if "podAffinityTerm" in weighted:
                made += _term(weighted["podAffinityTerm"], find, weighted.get("weight"), apart=apart)
    return made


def _term(value: Value, find: Find, weight: int | None, *, apart: bool) -> list[Node]:
    got = POD_TERM.read(value)
    need(value, "labelSelector", "topologyKey")
    if "labelSelector" not in got or "topologyKey" not in got:
        return []
    names = find(matcher(got["labelSelector"]))
    if not names and (apart or weight is not None):  # in Kubernetes, too, that holds nothing back
        warn(got["labelSelector"], "selects no workload of these files, and so has no effect")
        return []
    if not names:
        raise got["labelSelector"].error("selects no workload of these files, and nothing could be placed beside it")
    if len(names) > 1 and not apart and weight is None:
        raise got["labelSelector"].error(f"selects {' and '.join(names)}: beside one of several is not carried out")
    by = attribute(value.child("topologyKey", None), got["topologyKey"])
    more = {"weight": weight} if weight is not None else {}
    return [node(value, {"service": name, **({"by": by} if by != "node.hostname" else {}), **more}) for name in names]


def spread(value: Value) -> list[Node]:
    """`topologySpreadConstraints` as preferences."""
    made = []
    for item in value.items("a list of constraints"):
        with item.reading.collect():
            got = SPREAD.read(item)
            need(item, "topologyKey", "whenUnsatisfiable", "maxSkew")
            if got.get("whenUnsatisfiable") == "DoNotSchedule":
                warn(
                    item.child("whenUnsatisfiable", None),
                    "is not strict here: replicas are spread as evenly as nodes allow",
                )
            by = attribute(item.child("topologyKey", None), got.get("topologyKey", ""))
            if by not in ("node.hostname", "node.labels."):
                if not by.startswith("node.labels."):
                    raise item.child("topologyKey", None).error("is nothing that replicas can be spread over here")
                made.append(node(item, {"spread": by}))
    return made


def tolerations(value: Value) -> tuple[list[Node], Node | None]:
    """The tolerations; and when replicas of an unreachable node move, where one of them says it."""
    made, moved = [], None
    for item in value.items("a list of tolerations"):
        with item.reading.collect():
            got = TOLERATION.read(item)
            if got.get("operator") != "Exists" and not got.get("key"):
                raise item.error("has no key", hint="operator: Exists without a key tolerates all taints")
            seconds = got.pop("tolerationSeconds", None)
            if seconds is not None and got.get("effect") != "NoExecute":
                raise item.error("says tolerationSeconds, which only effect: NoExecute knows")
            if got.get("key") in (UNREACHABLE, UNREADY) and got.get("effect", "") in ("", "NoExecute"):
                if got["key"] == UNREACHABLE:
                    moved = node(item, {"never": True} if seconds is None else {"after": f"{seconds}s"})
                continue
            if seconds is not None:
                got["seconds"] = f"{seconds}s"
            kept = {key: said_ for key, said_ in got.items() if said_ != ""}
            if got.get("operator", "Equal") == "Equal":
                kept["operator"] = "Equal"
            made.append(node(item, kept))
    return made, moved
