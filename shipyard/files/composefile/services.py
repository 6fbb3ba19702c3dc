"""What Compose says of services and shipyard has other ways for: profiles, container names, links, develop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from shipyard.files.composefile.nodes import Node


def enabled(services: Node, profiles: Collection[str]) -> Node:
    """The services without profile, and those of these profiles (`*`: all)."""
    kept: dict[str, Node] = {}
    for name, service in services.data.items():
        found = service.data.pop("profiles", None)
        wanted = [str(item.data) for item in found.data] if found is not None and isinstance(found.data, list) else []
        if not wanted or "*" in profiles or set(wanted) & set(profiles):
            kept[name] = service
    for name, service in kept.items():
        _check_needs(name, service, services, kept)
    return Node(kept, services.mark)


def _check_needs(name: str, service: Node, services: Node, kept: dict[str, Node]) -> None:
    needs = service.get("depends_on")
    if needs is None:
        return
    items = [(str(item.data), item) for item in needs.data] if isinstance(needs.data, list) else needs.entries().items()
    for other, need in list(items):
        if other in kept or other not in services.data:
            continue
        required = need.get("required")
        if required is not None and required.data is False:
            continue
        hint = "name the profile with --profile, or in COMPOSE_PROFILES"
        raise need.error(
            f"needs {other}, which no profile that is asked for has", path=("services", name, "depends_on"), hint=hint
        )


def adapted(name: str, service: Node, notices: list[str]) -> Node:
    """The service with what needs no place on a fleet left out, and said."""
    made = service.data

    def say(node: Node, words: str) -> None:
        notices.append(f"{node.mark.file}:{node.mark.line}: {words}")

    develop = made.pop("develop", None)
    if develop is not None and develop.data is not None:
        say(develop, f"{name}: develop is for work on one machine, and has no effect")
    aliases = []
    called = made.pop("container_name", None)
    if called is not None and called.data is not None:
        say(called, f"{name}: containers are named STACK-SERVICE-SLOT-…; {called.data} is an alias on its networks")
        aliases.append(Node(called.data, called.mark))
    _links(name, service)
    _binds(service)
    if aliases and "network_mode" not in made:
        _join_as(service, aliases)
    return service


def inherited(service: Node, environ: Mapping[str, str]) -> None:
    """Names under `environment` that have no value get theirs from the environment, or from env files."""
    found = service.get("environment")
    if found is None:
        return
    if isinstance(found.data, list):
        for item in found.data:
            if isinstance(item.data, str) and "=" not in item.data and item.data in environ:
                item.data = f"{item.data}={environ[item.data]}"
    for name, value in found.entries().items():
        if value.data is None and name in environ:
            value.data = environ[name]


def _links(name: str, service: Node) -> None:
    """A link without alias says that the other is needed first; all of a network find each other by name."""
    links = service.get("links")
    if links is None or not isinstance(links.data, list):
        return
    for item in links.data:
        other, _, alias = str(item.data).partition(":")
        if alias and alias != other:
            hint = f"give {other} the alias under its networks:"
            raise item.error(
                f"a link that gives another name ({item.data}) is not carried out",
                path=("services", name, "links"),
                hint=hint,
            )
    needs = service.get("depends_on")
    wanted: dict[str, Any] = {}
    if needs is not None and isinstance(needs.data, list):
        wanted = {str(item.data): Node({}, item.mark) for item in needs.data}
    elif needs is not None:
        wanted = dict(needs.entries())
    for item in links.data:
        wanted.setdefault(str(item.data).partition(":")[0], Node({}, item.mark))
    service.data["depends_on"] = Node(wanted, links.mark)
    service.data.pop("links")


def _binds(service: Node) -> None:
    """A bind's folder is made on the node unless the file says otherwise, as Compose does it in both forms."""
    volumes = service.get("volumes")
    for item in volumes.data if volumes is not None and isinstance(volumes.data, list) else ():
        kind = item.get("type")
        if kind is not None and kind.data == "bind":
            how = item.get("bind")
            said = how.entries() if how is not None else {}
            item.data["bind"] = Node({"create_host_path": Node(True, item.mark), **said}, item.mark)


def _join_as(service: Node, aliases: list[Node]) -> None:
    mark = aliases[0].mark
    networks = service.get("networks")
    if networks is None:
        joined = {"default": Node({}, mark)}
    elif isinstance(networks.data, list):
        joined = {str(item.data): Node({}, item.mark) for item in networks.data}
    else:
        joined = dict(networks.entries())
    for key, node in joined.items():
        how = dict(node.data) if isinstance(node.data, dict) else {}
        found = how.get("aliases")
        there = found.data if found is not None and isinstance(found.data, list) else []
        how["aliases"] = Node(
            [*there, *(each for each in aliases if each.data not in [one.data for one in there])], mark
        )
        joined[key] = Node(how, node.mark)
    service.data["networks"] = Node(joined, networks.mark if networks else mark)
