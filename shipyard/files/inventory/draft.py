"""The inventory while sources are read into it: growing, and knowing Ansible's rules of membership.

Readers add to one draft in the order of the sources, so that the later overrides; `finish` then settles
who belongs to `all` and `ungrouped`.
"""

from __future__ import annotations

from typing import Any

from shipyard.base.record import Struct, field
from shipyard.files.inventory.hostnames import BadNameError, check_group, check_host, has_odd_group_characters
from shipyard.model.inventory import LOCALHOST


class HostDraft(Struct):
    """A host so far: `vars` are those written beside it; `groups` those it is directly in."""

    name: str
    vars: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)


class GroupDraft(Struct):
    """A group so far. The dicts without values are ordered sets. `depth` is known once finished."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    priority: int = 1
    depth: int = 0


class Draft:
    """All hosts and groups that were read until now. Its methods raise BadNameError; the reader adds the place."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupDraft] = {}
        self.hosts: dict[str, HostDraft] = {}
        self.warnings: list[str] = []
        self.source: tuple[str, str | None] = ("", None)
        """The file being read and its folder: what `inventory_file` and `inventory_dir` say of new hosts."""
        self.add_group("all")
        self.add_group("ungrouped")
        self.add_child("all", "ungrouped")

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def add_group(self, name: object) -> str:
        if not isinstance(name, str):
            raise BadNameError(f"a group name must be a text, not {_said(name)}; put it in quotes")
        if name not in self.groups:
            self.groups[check_group(name)] = GroupDraft(name)
            if has_odd_group_characters(name):
                self.warn(f"the group name {name!r} holds characters that variable names can't have")
        return name

    def add_host(self, name: str, group: str, port: int | None = None) -> None:
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[check_host(name)] = HostDraft(name)
            if port:
                host.vars["ansible_port"] = port
            self.set_var(name, "inventory_file", self.source[0])
            self.set_var(name, "inventory_dir", self.source[1])
        self.groups[group].hosts[name] = None
        host.groups[group] = None

    def add_child(self, parent: str, child: str) -> None:
        """Make a group the child of a group; where there is no such group but a host, make it a member."""
        if child not in self.groups:
            if child not in self.hosts:
                raise BadNameError(f"{child!r} is neither a group nor a host")
            self.add_host(child, parent)
            return
        if child in ("all", parent) or child in self.ancestors(parent):
            raise BadNameError(f"the group {child!r} can't be a child of {parent!r}: that makes a circle")
        self.groups[parent].children[child] = None
        self.groups[child].parents[parent] = None

    def set_var(self, name: str, key: Any, value: Any) -> None:
        """Set a variable of a group, or else of a host of that name (a group of the same name wins, as in Ansible)."""
        group = self.groups.get(name)
        if group is None:
            self.hosts[name].vars[key] = value
        elif key == "ansible_group_priority":
            try:
                group.priority = int(value)
            except (TypeError, ValueError):
                raise BadNameError(f"ansible_group_priority must be a number, not {_said(value)}") from None
        else:
            group.vars[key] = value

    def ancestors(self, name: str) -> set[str]:
        """Every group above this one."""
        found: set[str] = set()
        todo = [name]
        while todo:
            above = self.groups[todo.pop()].parents.keys() - found
            found |= above
            todo.extend(above)
        return found

    def finish(self) -> None:
        """Hang groups without parents off `all`, hosts without groups into `ungrouped`; measure depths."""
        for name, group in self.groups.items():
            if name != "all" and not group.parents:
                self.add_child("all", name)
        for name, host in self.hosts.items():
            if any(group not in {"all", "ungrouped"} for group in host.groups):
                host.groups.pop("ungrouped", None)
                self.groups["ungrouped"].hosts.pop(name, None)
            else:
                self.add_host(name, "ungrouped")
        self._measure_depths()
        for name in self.groups.keys() & self.hosts.keys():
            self.warn(f"{name!r} is both a group and a host")
        local = [name for name in self.hosts if name in LOCALHOST]
        for name in local[1:]:
            self.warn(f"{name!r} is one more name for this machine; {local[0]!r} came first")

    def _measure_depths(self) -> None:
        """Depth is the longest way down from `all`."""
        waiting = {name: len(group.parents) for name, group in self.groups.items()}
        ready = [name for name, parents in waiting.items() if parents == 0]
        while ready:
            parent = self.groups[ready.pop()]
            for child in parent.children:
                self.groups[child].depth = max(self.groups[child].depth, parent.depth + 1)
                waiting[child] -= 1
                if waiting[child] == 0:
                    ready.append(child)


def _said(value: object) -> str:
    """A value for a message, with what YAML made of words like `no`."""
    if isinstance(value, bool):
        words = "yes, on and true" if value else "no, off and false"
        return f"{value} (YAML reads {words} so)"
    return f"the {type(value).__name__} {value!r}"[:100]
