"""Label selectors: which pods they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shipyard.files.compose.value import Value
from shipyard.files.kubernetes.fields import Fields, done, itself, need
from shipyard.files.kubernetes.scalars import labels, text, word

SELECTOR = Fields(
    "a selector",
    done("matchLabels", "labels", labels),
    done("matchExpressions", "`In`, `NotIn`, `Exists`, `DoesNotExist`", itself),
)
EXPRESSION = Fields(
    "an expression",
    done("key", "a label", text),
    done("operator", "`In`, `NotIn`, `Exists`, `DoesNotExist`", word("In", "NotIn", "Exists", "DoesNotExist")),
    done("values", "the values", itself),
)
Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]


def fits(wanted: Labels, have: Labels) -> bool:
    return all(have.get(name) == said for name, said in wanted.items())


def matcher(value: Value) -> Matcher:
    """Whether labels fit a selector of `matchLabels` and `matchExpressions`."""
    got = SELECTOR.read(value)
    wanted: dict[str, str] = got.get("matchLabels", {})
    tests: list[Matcher] = []
    for item in got["matchExpressions"].items("a list of expressions") if "matchExpressions" in got else ():
        with item.reading.collect():
            tests.append(_expression(item))
    return lambda have: fits(wanted, have) and all(test(have) for test in tests)


def _expression(value: Value) -> Matcher:
    got: dict[str, Any] = EXPRESSION.read(value)
    need(value, "key", "operator")
    key, operator = got.get("key", ""), got.get("operator", "")
    values = {item.text("a text", empty=True) for item in got["values"].items()} if "values" in got else set()
    if operator in ("In", "NotIn") and not values:
        raise value.error(f"has operator {operator} and no values")
    match operator:
        case "In":
            return lambda have: have.get(key) in values
        case "NotIn":
            return lambda have: have.get(key) not in values
        case "Exists":
            return lambda have: key in have
        case _:
            return lambda have: key not in have
