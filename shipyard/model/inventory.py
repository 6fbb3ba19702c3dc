"""What inventory files say, with Ansible's meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NO_VARS: Mapping[str, Any] = MappingProxyType({})


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


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `groups`: every group it is in, sorted, ancestors and `all` included.

    `vars`: all its variables, merged by Ansible's precedence, with Jinja not yet evaluated.
    """

    name: str
    groups: tuple[str, ...]
    vars: Mapping[str, Any] = NO_VARS


@dataclass(frozen=True, slots=True)
class Group:
    """`hosts`, `children`: direct members only, in the order of the files. `vars`: those of the inventory source."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: Mapping[str, Any] = NO_VARS


@dataclass(frozen=True, slots=True)
class Inventory:
    """All sources together. `hosts` are in the order in which the sources name them."""

    hosts: tuple[Host, ...]
    groups: tuple[Group, ...]
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def host(self, name: str) -> Host | None:
        """The host of this name, or None."""
        return next((host for host in self.hosts if host.name == name), None)
