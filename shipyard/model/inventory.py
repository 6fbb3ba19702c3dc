"""What inventory files say, with Ansible's meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from shipyard.base.record import Struct, replace

NO_VARS: Mapping[str, Any] = MappingProxyType({})
LOCALHOST = ("localhost", "127.0.0.1", "::1")
"""The names under which this machine is known without being in any inventory."""


@dataclass(frozen=True, slots=True)
class Become:
    """How to reach the runtime's rights on a node (`ansible_become*`). Only sudo is known."""

    user: str = "root"
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one node, after ansible_* variables are evaluated; ssh_config fills what is None.

    `kind`: `ssh` or `local` (`ansible_connection`). `timeout`: seconds for connecting (`ansible_ssh_timeout`,
    10 as in Ansible). `common_args`: the words of `ansible_ssh_common_args` and `_extra_args`.
    `host_key_checking`: None means yes, with ssh_config's StrictHostKeyChecking honoured where written.
    """

    kind: str = "ssh"
    address: str = ""
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    key_file: str | None = None
    common_args: tuple[str, ...] = ()
    timeout: float = 10.0
    host_key_checking: bool | None = None
    become: Become | None = None


class Host(Struct, frozen=True):
    """One host. `groups`: every group it is in, sorted, ancestors and `all` included.

    `vars`: all its variables, merged by Ansible's precedence, with Jinja not yet evaluated.
    """

    name: str
    groups: tuple[str, ...]
    vars: Mapping[str, Any] = NO_VARS


class Group(Struct, frozen=True):
    """`hosts`, `children`: direct members only, in the order of the files. `vars`: those of the inventory source."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: Mapping[str, Any] = NO_VARS
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Inventory:
    """All sources together. `hosts` are in the order in which the sources name them.

    `implicit_localhost`: this machine where no source names it; in no group, matched by its names only.
    `connect_timeout`: seconds in which a host must be connected to, where no variable says.
    `members`: the hosts of each group, its descendants' included, in Ansible's order (the group's own first).
    """

    hosts: tuple[Host, ...]
    groups: tuple[Group, ...]
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    implicit_localhost: Host | None = None
    connect_timeout: float = 10.0
    members: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, Host] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        groups = {group.name: group for group in self.groups}
        members = {name: _members(name, groups) for name in groups}
        object.__setattr__(self, "members", MappingProxyType(members))
        object.__setattr__(self, "_by_name", MappingProxyType({host.name: host for host in self.hosts}))

    def host(self, name: str) -> Host | None:
        """The host of this name, the implicit localhost where it is one of its names, or None."""
        found = self._by_name.get(name)
        if found is None and self.implicit_localhost is not None and name in LOCALHOST:
            return replace(self.implicit_localhost, name=name)
        return found


def _members(name: str, groups: Mapping[str, Group]) -> tuple[str, ...]:
    """Breadth first through the children, each host once."""
    order, seen = [name], {name}
    for reached in order:
        below = [child for child in groups[reached].children if child in groups and child not in seen]
        order += below
        seen.update(below)
    return tuple(dict.fromkeys(host for reached in order for host in groups[reached].hosts))
