"""Swarm's placement constraints: `node.labels.disk == ssd`, `node.hostname != a`, `node.group == web`."""

from __future__ import annotations

import re

from shipyard.model.node import Node
from shipyard.model.observed import Facts

CONSTRAINT = re.compile(r"\s*(node\.[A-Za-z0-9_.-]+)\s*(==|!=)\s*(.*?)\s*")
ATTRIBUTES = ("node.hostname", "node.id", "node.role", "node.group", "node.platform.os", "node.platform.arch")
"""And `node.labels.NAME`."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def problem(text: str) -> str:
    """What is wrong with a constraint as written, or "". For the door: here they are taken as checked."""
    match = CONSTRAINT.fullmatch(text)
    if match is None:
        return f"{text!r} is not of the form `node.labels.disk == ssd`"
    attribute = match.group(1)
    if attribute not in ATTRIBUTES and not attribute.startswith("node.labels."):
        return f"{attribute} is not known; known are {', '.join(ATTRIBUTES)} and node.labels.NAME"
    return ""


def allows(text: str, node: Node, facts: Facts | None) -> bool:
    """Whether the node meets the constraint. Facts that are not known yet meet none but `!=`."""
    match = CONSTRAINT.fullmatch(text)
    if match is None:
        return False
    attribute, operator, wanted = match.groups()
    return (wanted in values(attribute, node, facts)) == (operator == "==")


def values(attribute: str, node: Node, facts: Facts | None) -> tuple[str, ...]:
    """What the node has for an attribute; nothing where that is not known."""
    if attribute.startswith("node.labels."):
        name = attribute.removeprefix("node.labels.")
        return tuple(value for key, value in node.labels if key == name)
    match attribute:
        case "node.hostname":
            return (node.name, facts.hostname) if facts else (node.name,)
        case "node.id":
            return (node.node_id,) if node.node_id else ()
        case "node.role" | "node.group":
            return node.groups
        case "node.platform.os":
            return (facts.platform.lower(),) if facts and facts.platform else ()
        case "node.platform.arch":
            return (facts.arch, _ARCHITECTURES.get(facts.arch, facts.arch)) if facts else ()
        case _:
            return ()
