"""The names a template can use: variables that are rendered when used, and what each host knows of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jinja2.exceptions import UndefinedError
from jinja2.utils import missing

from shipyard.files.inventory.hostnames import is_ip_address
from shipyard.files.jinja.environment import evaluate
from shipyard.files.jinja.lazy import Scope, View
from shipyard.files.jinja.undefined import Missing, NotDefinedError
from shipyard.model.inventory import Host, Inventory


class Namespace(Mapping[str, Any]):
    """Variables by name. Reading one from Python gives its final value; an error in it is a FileError.

    `find` is the templates' side: views and undefined values are handed on, so that `default` can catch them.
    `known`: what overrides the layers and is no template, whatever it holds.
    """

    def __init__(self, *layers: Mapping[str, Any], known: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._raw: dict[str, Any] = {}
        for layer in (*layers, known):
            self._raw.update(layer)
        self._known = known
        self._found: dict[str, Any] = dict(known)
        self._scope = Scope(lambda text: evaluate(text, self))

    def __getitem__(self, name: str) -> Any:
        from shipyard.files.jinja.render import Place, render

        if name in self._known:
            return self._known[name]
        if name not in self._raw:
            raise KeyError(name)
        return render(self._raw[name], self, where=Place(f"variable {name}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def with_layers(self, *layers: Mapping[str, Any]) -> Namespace:
        """These variables with others laid over them."""
        return Namespace(self._raw, *layers, known=self._known)

    def find(self, name: str) -> Any:
        """What a template sees under this name; jinja2's `missing` where there is nothing."""
        if name in self._found:
            return self._found[name]
        if name not in self._raw:
            return missing
        try:
            value = self._scope.value(self._raw[name], name)
        except UndefinedError as error:
            return Missing(f"{error} (needed by the variable {name!r})", exc=_again(error))
        self._found[name] = value
        return value


def _again(error: UndefinedError) -> Callable[[str], UndefinedError]:
    """The same error with another message."""
    if not isinstance(error, NotDefinedError):
        return UndefinedError
    return lambda message: NotDefinedError(message, error.name, error.near)


class _HostView(View, Mapping[str, Any]):
    """One host's variables as `hostvars[host]` shows them."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def __getitem__(self, name: str) -> Any:
        found = self._namespace.find(name)
        if found is missing:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._namespace)

    def __len__(self) -> int:
        return len(self._namespace)


class _Groups(View, Mapping[str, list[str]]):
    """`groups`: the names of each group's hosts."""

    def __init__(self, inventory: Inventory) -> None:
        self._members = inventory.members

    def __getitem__(self, name: str) -> list[str]:
        return list(self._members[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


class _HostVars(View, Mapping[str, Any]):
    """`hostvars`: every host's variables, without those of a play, made when asked for."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._views: dict[str, _HostView] = {}

    def __getitem__(self, name: str) -> _HostView:
        if name not in self._views:
            host = self._inventory.host(name) if isinstance(name, str) else None
            if host is None:
                raise KeyError(name)
            self._views[name] = _HostView(Namespace(host.vars, known=_own(self._inventory, host, self)))
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return (host.name for host in self._inventory.hosts)

    def __len__(self) -> int:
        return len(self._inventory.hosts)


def host_variables(
    inventory: Inventory, host: Host, *layers: Mapping[str, Any], playbook_dir: str | None = None
) -> Namespace:
    """Everything a template may name for one host: its variables, then `layers` (play vars, vars_files, extra vars;

    the later wins), then Ansible's own: inventory_hostname, group_names, groups, hostvars and so on.
    """
    own = _own(inventory, host, _HostVars(inventory))
    if playbook_dir is not None:
        own["playbook_dir"] = playbook_dir
    return Namespace(host.vars, *layers, known=own)


def _own(inventory: Inventory, host: Host, hostvars: _HostVars) -> dict[str, Any]:
    """What Ansible itself says of a host; nothing overrides it."""
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name if is_ip_address(host.name) else host.name.split(".")[0],
        "group_names": [name for name in host.groups if name != "all"],
        "groups": _Groups(inventory),
        "hostvars": hostvars,
    }
