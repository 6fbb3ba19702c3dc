"""How a later Compose file is laid over an earlier one: Compose's own rules, key by key.

Mappings are merged, lists appended, the rest replaced; then what may be there once only (a port, a mount's target, a
variable) is there once, the later one in the earlier one's place.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from shipyard.files.compose.value import found
from shipyard.files.composefile.nodes import Node, bare

Where = tuple[str, ...]
_REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
_PAIRS = {
    ("annotations",),
    ("deploy", "labels"),
    ("environment",),
    ("labels",),
    ("sysctls",),
    ("build", "args"),
    ("build", "labels"),
}
"""Mappings or lists of NAME=VALUE."""
_WORDS = {("dns",), ("dns_opt",), ("dns_search",), ("env_file",), ("label_file",), ("tmpfs",), ("extra_hosts",)}
"""One text or a list."""
_ALIKE = {("cap_add",), ("cap_drop",), ("expose",), ("profiles",), ("dns",), ("dns_opt",), ("dns_search",), ("links",)}
_ALIKE |= {("group_add",), ("security_opt",)}


def merged(base: Node, over: Node, where: Where = ()) -> Node:
    """`over` laid over `base`. `where`: the path, from the top of a file. Raises FileError where kinds differ."""
    if over.tag == "override":
        return Node(over.data, over.mark)
    key = where[2:] if len(where) > 2 and where[0] == "services" else ()
    if over.data is None:
        return over if key in (("command",), ("entrypoint",)) else base  # those two a later null takes away
    if key == ("build",):
        base, over = _build(base), _build(over)
    if key in _REPLACED or base.data is None:
        return over
    if key == ("logging",) and _driver(base) and _driver(over) and _driver(base) != _driver(over):
        return over
    if key in _PAIRS or (len(where) == 3 and where[0] in ("networks", "volumes") and where[2] == "labels"):
        return _mappings(as_pairs(base), as_pairs(over), where)
    if key in (("depends_on",), ("networks",)):
        return _mappings(_named(base, key[0]), _named(over, key[0]), where)
    if key in _WORDS:
        return Node(_appended(_listed(base), _listed(over)), over.mark)
    if key[:1] == ("ulimits",) and len(key) == 2:
        return over
    if isinstance(base.data, dict) and isinstance(over.data, dict):
        return _mappings(base, over, where)
    if key == ("gpus",) and base.data == "all":
        base = Node([Node({"count": Node(-1, base.mark)}, base.mark)], base.mark)
    if isinstance(base.data, list) and isinstance(over.data, list):
        return Node(_appended(base.data, over.data), over.mark)
    if isinstance(base.data, dict | list):
        first = f"{base.mark.file}:{base.mark.line}"
        kind = "a list" if isinstance(base.data, list) else "a mapping"
        raise over.error(f"expected {kind}, as it is at {first}, found {found(over.data)}", path=where)
    return over


def _appended(base: list[Node], over: list[Node]) -> list[Node]:
    """What the later one has that is not there yet, in the same words."""
    made, there = list(base), [bare(item) for item in base]
    for item in over:
        plain = bare(item)
        if item.tag or plain not in there:
            made.append(item)
            there.append(plain)
    return made


def _build(node: Node) -> Node:
    return Node({"context": node}, node.mark) if isinstance(node.data, str) else node


def _driver(node: Node) -> Any:
    found = node.get("driver")
    return found.data if found else None


def _mappings(base: Node, over: Node, where: Where) -> Node:
    result = dict(base.data)
    for name, value in over.data.items():
        if value.tag == "reset":
            result.pop(name, None)
        elif name in result:
            result[name] = merged(result[name], value, (*where, str(name)))
        else:
            result[name] = value
    return Node(result, base.mark)


def as_pairs(node: Node) -> Node:
    """`[A=1, B]` as a mapping; a mapping as it is."""
    if not isinstance(node.data, list):
        return node
    made: dict[str, Node] = {}
    for item in node.data:
        name, equals, value = str(item.data).partition("=")
        made[name] = Node(value if equals else None, item.mark, item.tag)
    return Node(made, node.mark)


def _named(node: Node, key: str) -> Node:
    if not isinstance(node.data, list):
        return node
    made: dict[str, Node] = {}
    for item in node.data:
        needs: Any = None
        if key == "depends_on":
            needs = {"condition": Node("service_started", item.mark), "required": Node(True, item.mark)}
        made[str(item.data)] = Node(needs, item.mark)
    return Node(made, node.mark)


def _listed(node: Node) -> list[Node]:
    if isinstance(node.data, dict) and "path" not in node.data:  # extra_hosts, the only mapping among these
        items = [(name, value) for name, value in node.data.items()]
        return [
            Node(f"{name}={one.data}", one.mark)
            for name, value in items
            for one in (value.data if isinstance(value.data, list) else [value])
        ]
    return node.data if isinstance(node.data, list) else [node]


def clean(node: Node) -> Node:
    """Without what `!reset` takes away, and without tags."""
    if isinstance(node.data, dict):
        kept = {name: clean(value) for name, value in node.data.items() if value.tag != "reset"}
        return Node(kept, node.mark)
    if isinstance(node.data, list):
        return Node([clean(item) for item in node.data if item.tag != "reset"], node.mark)
    return Node(node.data, node.mark)


def once(service: Node) -> Node:
    """A service in whose lists everything is there once."""
    for name, key_of in _KEYS.items():
        found = service.get(name)
        if found is not None and isinstance(found.data, list):
            service.data[name] = Node(_unique(found.data, key_of), found.mark, found.tag)
    for network in (networks.entries() if (networks := service.get("networks")) else {}).values():
        aliases = network.get("aliases")
        if aliases is not None and isinstance(aliases.data, list):
            network.data["aliases"] = Node(_unique(aliases.data, _same), aliases.mark, aliases.tag)
    return service


def _unique(items: list[Node], key_of: Callable[[Node], Any]) -> list[Node]:
    seen: dict[Any, Node] = {}
    for item in items:
        key = key_of(item)
        seen[key if key is not None else id(item)] = item
    return list(seen.values())


def _same(node: Node) -> Any:
    return str(node.data) if not isinstance(node.data, dict | list) else None


def _before_equals(node: Node) -> Any:
    return str(node.data).partition("=")[0]


def _text(node: Node, key: str) -> str:
    found = node.get(key)
    return str(found.data) if found else ""


def _volume(node: Node) -> Any:
    if isinstance(node.data, dict):
        return posixpath.normpath(_text(node, "target"))
    parts = str(node.data).split(":")
    return posixpath.normpath(parts[1] if len(parts) > 1 else parts[0])


def _file(folder: str) -> Callable[[Node], Any]:
    def key_of(node: Node) -> Any:
        said = _text(node, "target") or _text(node, "source")
        return posixpath.join(folder, said if isinstance(node.data, dict) else str(node.data))

    return key_of


def _port(node: Node) -> Any:
    if isinstance(node.data, dict):
        address, published = _text(node, "host_ip") or "0.0.0.0", _text(node, "published")
        return address, published, _text(node, "target"), _text(node, "protocol") or "tcp"
    said, _, protocol = str(node.data).partition("/")
    front, _, target = said.rpartition(":")
    address, _, published = front.rpartition(":")
    return address or "0.0.0.0", published, target, protocol or "tcp"


def _env_file(node: Node) -> Any:
    return _text(node, "path") if isinstance(node.data, dict) else str(node.data)


def _device(node: Node) -> Any:
    return _volume(node) if isinstance(node.data, str) else None


_KEYS: dict[str, Callable[[Node], Any]] = {
    **{path[0]: _same for path in _ALIKE},
    "environment": _before_equals,
    "labels": _before_equals,
    "volumes": _volume,
    "devices": _device,
    "configs": _file("/"),
    "secrets": _file("/run/secrets"),
    "ports": _port,
    "env_file": _env_file,
    "tmpfs": _same,
}
