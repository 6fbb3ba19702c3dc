"""The inventory in the forms of `ansible-inventory`: `--list` and `--host` as JSON data, `--graph` as lines."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from shipyard.base.errors import UsageError
from shipyard.files.values import Unsafe, Vaulted
from shipyard.model.inventory import Group, Host, Inventory

MAX_LINES = 1_000_000
"""Of a graph: groups that share children are drawn as often as they are reached."""

_HIDDEN = """
ansible_async_path ansible_collection_name ansible_config_file ansible_dependent_role_names ansible_diff_mode
ansible_facts ansible_forks ansible_inventory_sources ansible_limit ansible_play_batch ansible_play_hosts
ansible_play_hosts_all ansible_play_role_names ansible_playbook_python ansible_role_name ansible_role_names
ansible_run_tags ansible_skip_tags ansible_verbosity ansible_version inventory_dir inventory_file
inventory_hostname inventory_hostname_short groups group_names hostvars playbook_dir play_hosts role_name
role_names role_path role_uuid
"""
_PLAIN = frozenset((str, int, float, bool, type(None)))
HIDDEN = frozenset(_HIDDEN.split())
"""Variables that Ansible sets itself and does not show."""


def listing(inventory: Inventory, only: Iterable[str] | None = None) -> dict[str, Any]:
    """All groups and host variables as an executable inventory would print them; `only`: the hosts of a limit."""
    groups = {group.name: group for group in inventory.groups}
    kept = set(inventory.members.get("all", ()) if only is None else only)
    shown: dict[str, Any] = {}
    waiting = ["all"]
    for name in waiting:
        group = groups[name]
        entry = {
            "hosts": [host for host in group.hosts if host in kept] if name != "all" else [],
            "children": list(group.children),
        }
        if any(entry.values()):
            shown[name] = {key: value for key, value in entry.items() if value}
        waiting += [child for child in group.children if child not in waiting]
    hostvars = {host.name: variables(host) for host in inventory.hosts if host.name in kept}
    shown["_meta"] = {
        "hostvars": {name: known for name, known in hostvars.items() if known},
        "profile": "inventory_legacy",
    }
    return shown


def variables(host: Host) -> dict[str, Any]:
    """A host's variables as JSON data, templates as they are written."""
    return {_key(key): _json(value) for key, value in host.vars.items() if key not in HIDDEN}


def dump(data: Any) -> str:
    """JSON laid out as Ansible lays it out."""
    return _laid_out(data, "\n")


def _laid_out(value: Any, start: str) -> str:
    """What `json.dumps` makes with sorted keys and an indent of 4, in a third of its time. `start`: of a line."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if type(value) is int:
        return str(value)
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    inner = f"{start}    "
    if isinstance(value, dict):
        items = [f"{encode_basestring_ascii(key)}: {_laid_out(item, inner)}" for key, item in sorted(value.items())]
        return f"{{{inner}{f',{inner}'.join(items)}{start}}}"
    return f"[{inner}{f',{inner}'.join([_laid_out(item, inner) for item in value])}{start}]"


def tree(inventory: Inventory, start: str = "all") -> dict[str, Any]:
    """What `graph` draws, as data: every group under one, once, with its own hosts and children, by name.

    Raises UsageError where there is no such group.
    """
    groups = _groups(inventory, start)
    waiting = [start]
    for name in waiting:
        waiting += [child for child in groups[name].children if child not in waiting]
    return {
        "group": start,
        "groups": {
            name: {
                "hosts": [] if name == "all" else list(groups[name].hosts),
                "children": list(groups[name].children),
            }
            for name in waiting
        },
    }


def graph(inventory: Inventory, start: str = "all") -> Iterator[str]:
    """The tree of groups and hosts under one group. Raises UsageError where there is no such group."""
    groups = _groups(inventory, start)
    waiting = [(start, 0, True)]
    for _ in range(MAX_LINES):
        if not waiting:
            return
        name, depth, is_group = waiting.pop()
        yield "  |" * depth + ("--" if depth else "") + (f"@{name}:" if is_group else name)
        if is_group:
            group = groups[name]
            hosts = () if name == "all" else group.hosts
            waiting += [(host, depth + 1, False) for host in reversed(hosts)]
            waiting += [(child, depth + 1, True) for child in reversed(group.children)]
    yield f"(more than {MAX_LINES:,} lines)"


def _groups(inventory: Inventory, start: str) -> dict[str, Group]:
    if start not in inventory.members:
        raise UsageError(f"there is no group {start!r}", hint=f"groups: {', '.join(sorted(inventory.members)[:20])}")
    return {group.name: group for group in inventory.groups}


def _json(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    match value:
        case Unsafe():
            return {"__ansible_unsafe": str(value)}
        case Vaulted():
            return {"__ansible_vault": value.ciphertext}
        case Mapping():
            return {_key(key): _json(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_json(item) for item in value]
        case datetime.date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "surrogateescape")
    return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)
