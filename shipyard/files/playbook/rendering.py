"""Templates of a play, rendered for each of its hosts, but only once for hosts whose variables don't differ in them.

Which variables a template can reach is found beforehand: the names in it, the names in their values, and so on. Hosts
that agree in all of these get one rendering. Three hundred hosts with one `{{ version }}` cost one rendering.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, replace
from shipyard.files.compose.value import Reading, found
from shipyard.files.values import holds_template, is_template
from shipyard.files.yamldoc import Path
from shipyard.model.inventory import Host, Inventory

_OF_THE_HOST = ("inventory_hostname", "inventory_hostname_short", "group_names")
_OF_ALL = ("groups", "hostvars", "playbook_dir")


class Rendering(Struct, frozen=True):
    """What a value is on some hosts, the first of them giving the name in messages.

    `reached`: names that its templates can reach on any host of the play, and of which each host has a value of its
    own, or might have.
    """

    hosts: tuple[str, ...]
    data: Any
    rendered: frozenset[Path] = frozenset()
    reached: frozenset[str] = frozenset()


class Renderer:
    """For one play: its hosts, and the variables that lie over theirs (`layers`, the later winning)."""

    def __init__(
        self, inventory: Inventory, hosts: tuple[Host, ...], layers: tuple[Mapping[str, Any], ...], reading: Reading
    ) -> None:
        self._inventory, self._hosts, self._reading = inventory, hosts, reading
        self._layers = layers
        self._common: dict[str, Any] = {}
        for layer in layers:
            self._common.update(layer)
        self._spaces: dict[str, Any] = {}

    def each(self, data: Any, path: Path) -> list[Rendering]:
        """The value for all hosts. What can't be rendered is noted, with the host where that is not all of them."""
        if not holds_template(data):
            return [Rendering(tuple(host.name for host in self._hosts), data)]
        places = frozenset(_templates(data, path))
        groups: dict[object, list[Host]] = {}
        names = _names_in(data)
        reached: set[str] = set()
        for host in self._hosts:
            seen = self._seen(host, names)
            reached.update(name for name in seen if self._is_own(host, name))
            groups.setdefault(tuple(sorted(seen.items())), []).append(host)
        made = []
        for hosts in groups.values():
            with self._reading.collect():
                rendered = self._render(hosts[0], data, path, alone=len(groups) > 1)
                made.append(Rendering(tuple(host.name for host in hosts), rendered, places, frozenset(reached)))
        return made

    def same(self, data: Any, path: Path, *, hidden: bool = False) -> Rendering | None:
        """The value where it has to be one for all hosts. None where it could not be rendered, which is noted.

        `hidden`: the value is in no error.
        """
        made = self.each(data, path)
        for other in made[1:]:
            if other.data == made[0].data:
                continue
            where, first, second = _difference(made[0].data, other.data, path)
            with self._reading.collect():
                shown = ("one thing", "another") if hidden else (found(first), found(second))
                raise differs(self._reading, where, (made[0].hosts[0], shown[0]), (other.hosts[0], shown[1]))
            return None
        return replace(made[0], hosts=tuple(host for each in made for host in each.hosts)) if made else None

    def _render(self, host: Host, data: Any, path: Path, *, alone: bool) -> Any:
        from shipyard.files.jinja import host_variables, render

        if host.name not in self._spaces:
            folder = str(self._reading.folder)
            self._spaces[host.name] = host_variables(self._inventory, host, *self._layers, playbook_dir=folder)
        try:
            return render(data, self._spaces[host.name], where=self._reading.marks, path=path)
        except FileError as error:
            raise on_host(error, host.name) if alone else error from None

    def _is_own(self, host: Host, name: str) -> bool:
        """Whether another host may have another value of this name, a host that joins later too.

        So is what no host has yet, since one may come that has it.
        """
        from shipyard.files.jinja.environment import environment

        if name in _OF_THE_HOST:
            return True
        if name in _OF_ALL or name in self._common:
            return False
        return name in host.vars or name not in environment().globals

    def _seen(self, host: Host, names: frozenset[str]) -> dict[str, str]:
        """What these names can reach on this host, and what each is: in which it differs from others, or does not."""
        seen: dict[str, str] = {}
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            if name in _OF_THE_HOST:
                seen[name] = value_on(host, name)
            elif name not in _OF_ALL:
                own = name not in self._common
                raw = host.vars.get(name) if own else self._common[name]
                seen[name] = value_on(host, name) if own else ""
                if holds_template(raw):
                    ahead.extend(_names_in(raw))
        return seen


def value_on(host: Host, name: str) -> str:
    """What a host has for a variable of its own, as it is written: the same text for the same value, "" for none."""
    if name in _OF_THE_HOST:
        return repr(host.groups) if name == "group_names" else host.name
    return repr(host.vars[name]) if name in host.vars else ""


def on_host(error: FileError, host: str) -> FileError:
    """The same error, said of one host."""
    message = f"{error.message} (on {host})"
    return FileError(message, file=error.file, line=error.line, column=error.column, key=error.key, hint=error.hint)


def differs(reading: Reading, path: Path, first: tuple[str, str], second: tuple[str, str]) -> FileError:
    """The error that something is one thing on one node and another on the next. Each: a node, and what it is there."""
    return reading.marks.error(
        path,
        f"must be the same on all nodes: on {first[0]} it is {first[1]}, on {second[0]} {second[1]}",
        hint="host variables may be used in what belongs to the container alone",
    )


def _templates(data: Any, path: Path) -> Iterator[Path]:
    if is_template(data):
        yield path
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from _templates(item, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _templates(item, (*path, index))


def _names_in(data: Any) -> frozenset[str]:
    if isinstance(data, str):
        return _names(data) if is_template(data) else frozenset()
    items = data.values() if isinstance(data, Mapping) else data if isinstance(data, list | tuple) else ()
    return frozenset().union(*map(_names_in, items))


@functools.lru_cache(maxsize=4096)
def _names(template: str) -> frozenset[str]:
    from jinja2 import TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables

    from shipyard.files.jinja.environment import environment

    try:
        return frozenset(find_undeclared_variables(environment().parse(template)))
    except TemplateSyntaxError:
        return frozenset()  # rendering it tells what is wrong


def _difference(first: Any, second: Any, path: Path) -> tuple[Path, Any, Any]:
    """The first place where two values differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for key, item in first.items():
            if item != second[key]:
                return _difference(item, second[key], (*path, key))
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, item in enumerate(first):
            if item != second[index]:
                return _difference(item, second[index], (*path, index))
    return path, first, second
