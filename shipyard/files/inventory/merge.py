"""Every variable of every host, merged by Ansible's precedence.

Low to high: what the sources say of `all` and of the groups; group_vars/all beside the sources, then beside the
playbook; group_vars of the other groups, likewise; what stands beside the host; host_vars, likewise. Groups go
by (depth, priority, name). Hosts of the same groups share one merged start, which makes large fleets cheap.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shipyard.files.inventory.draft import Draft, HostDraft
from shipyard.files.inventory.varfiles import VarFiles
from shipyard.model.inventory import Group, Host, Inventory

Variables = dict[Any, Any]


class _Later(Mapping[Any, Any]):
    """Variables that are read when somebody asks: nobody may, and their files may need a password, or be broken."""

    def __init__(self, read: Callable[[], Variables]) -> None:
        self._read = functools.cache(read)

    def __getitem__(self, name: Any) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class _Merge:
    def __init__(self, draft: Draft, beside_sources: Sequence[VarFiles], beside_playbook: Sequence[VarFiles]) -> None:
        self._draft = draft
        self._places = (*beside_sources, *beside_playbook)
        self._bases: dict[tuple[str, ...], Variables] = {}
        self._closures: dict[str, frozenset[str]] = {}

    def host(self, draft: HostDraft) -> Host:
        groups = self._groups(tuple(draft.groups))
        variables = dict(self._base(groups))
        variables.update(draft.vars)
        for place in self._places:
            variables.update(place.of_host(draft.name))
        return Host(draft.name, groups, MappingProxyType(variables))

    def implicit_localhost(self) -> Host:
        """This machine, which Ansible knows without being told; its names are those of LOCALHOST."""

        def variables() -> Variables:
            found = dict(self._base(("all",)), ansible_connection="local")
            for place in self._places:
                found.update(place.of_host("localhost"))
            return found

        return Host("localhost", (), _Later(variables))

    def _groups(self, direct: tuple[str, ...]) -> tuple[str, ...]:
        found: set[str] = set()
        for name in direct:
            if name not in self._closures:
                self._closures[name] = frozenset({name, *self._draft.ancestors(name)})
            found |= self._closures[name]
        return tuple(sorted(found))

    def _base(self, names: tuple[str, ...]) -> Variables:
        """What the groups of a host say, all together."""
        if names in self._bases:
            return self._bases[names]
        drafts = [self._draft.groups[name] for name in names if name != "all"]
        ordered = [group.name for group in sorted(drafts, key=lambda group: (group.depth, group.priority, group.name))]
        merged: Variables = {}
        for name in ("all", *ordered):
            merged.update(self._draft.groups[name].vars)
        for place in self._places:
            merged.update(place.of_group("all"))
        for place in self._places:
            for name in ordered:
                merged.update(place.of_group(name))
        self._bases[names] = merged
        return merged


def finished(
    draft: Draft, sources: Sequence[str], beside_sources: Sequence[VarFiles], beside_playbook: Sequence[VarFiles]
) -> Inventory:
    """The inventory that a finished draft comes to."""
    merge = _Merge(draft, beside_sources, beside_playbook)
    return Inventory(
        hosts=tuple(merge.host(host) for host in draft.hosts.values()),
        groups=tuple(
            Group(group.name, tuple(group.hosts), tuple(group.children), MappingProxyType(group.vars), group.priority)
            for group in draft.groups.values()
        ),
        sources=tuple(sources),
        warnings=tuple(draft.warnings),
        implicit_localhost=merge.implicit_localhost(),
    )
